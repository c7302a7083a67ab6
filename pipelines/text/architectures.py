"""The text networks as plans over embedded tokens `(length, width)`, measured by arithmetic before Keras is called."""

import dataclasses
from typing import TYPE_CHECKING

from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import Dense, Dropout, GlobalPool, LayerNorm, Parallel, conv
from pipelines.networks.plan import Cost, Layer, Plan, measure
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent
from pipelines.text import vectors
from pipelines.text.spec import TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

BUCKETS = 50_000  # vectors that runs of tokens share (Joulin et al. 2017)
KERNELS = (
    -1,
    0,
    1,
    2,
)  # textcnn's kernels beside `conv.kernel_size`: 2, 3, 4 and 5 for 3 (Kim 2014 has 3, 4, 5)


def cost(spec: TextSpec, splits: "TextSplits") -> Cost:
    """Return what the whole network costs, one text.

    Raises:
        ImpossibleSpec: texts of this length cannot go through this network.
        DataError: the file of word vectors cannot be read.
    """
    width = (
        vectors.width(spec.embedding.vectors) if spec.embedding.vectors else spec.embedding.width
    )
    if spec.architecture == "transformer" and width % spec.heads and not spec.embedding.vectors:
        raise ImpossibleSpec(
            f"embedding.width must be a multiple of heads. Received: embedding.width={width}, heads={spec.heads}"
        )
    table = (2 + len(splits.vocabulary)) * width
    if spec.architecture == "fasttext":
        features = Cost(
            shape=(width,), params=len(runs(spec, splits.length)) * (1 + BUCKETS) * width
        )
    else:
        features = measure(body(spec), (splits.length, width))
    whole = features.then(measure(head(spec, len(splits.classes)), features.shape))
    sum_ = (
        3 if spec.start_from != "none" else 0
    )  # how far the closed form is trusted, and how much both count
    return dataclasses.replace(whole, params=table + whole.params + sum_)


def runs(spec: TextSpec, length: int) -> range:
    """Return the sizes of the runs of tokens that `fasttext` has vectors for."""
    return range(2, min(spec.embedding.ngrams, length) + 1)


def body(spec: TextSpec) -> Plan:
    """Return what turns embedded tokens into one vector, for all networks but `fasttext`."""
    pooled = GlobalPool(kind=spec.head.pooling)
    match spec.architecture:
        case (
            "transformer"
        ):  # for its cost: when it is built, padding is kept out of attention and mean
            return (*attended(spec), pooled)
        case "textcnn":
            return (
                Parallel(
                    branches=tuple(_phrases(spec, spec.conv.kernel_size + more) for more in KERNELS)
                ),
            )
        case "cnn_rnn":
            blocks: list[Layer] = []
            for _ in range(spec.conv.blocks):
                blocks.append(conv(spec.conv, stride=spec.conv.stride, pooled=True))
            return (*blocks, *_recurrent(spec, "gru"), pooled)
        case "lstm" | "gru":
            return (*_recurrent(spec, spec.architecture), pooled)
    raise ValueError(spec.architecture)


def attended(spec: TextSpec) -> Plan:
    """Return the layers in which each token sees the others (Vaswani et al. 2017)."""
    seen = Attention(
        heads=spec.heads, activation=spec.conv.activation, dropout=spec.embedding.dropout
    )
    return (Positions(), *[seen] * spec.conv.blocks, LayerNorm())


def head(spec: TextSpec, classes: int) -> Plan:
    """Return what turns one vector into logits; they begin at zero where the network corrects others."""
    hidden: Plan = (
        (Dense(units=spec.head.units, activation=spec.conv.activation),) if spec.head.units else ()
    )
    return (
        *hidden,
        Dropout(rate=spec.head.dropout),
        Dense(units=classes, zeros=spec.start_from != "none"),
    )


def _phrases(spec: TextSpec, kernel_size: int) -> Plan:
    """Return one convolution and the strongest answer of each filter anywhere in the text (Kim 2014)."""
    return (
        conv(spec.conv, kernel_size=max(1, kernel_size), stride=spec.conv.stride),
        GlobalPool(kind="max"),
    )


def _recurrent(spec: TextSpec, cell: str) -> Plan:
    """Return recurrent layers that answer at every token: what is pooled need not be remembered to the end."""
    one = Recurrent(
        cell="lstm" if cell == "lstm" else "gru",
        units=spec.recurrent.units,
        bidirectional=spec.recurrent.bidirectional,
        sequences=True,
    )
    stack: list[Layer] = [one]
    for _ in range(1, spec.recurrent.layers):
        stack += [Dropout(rate=spec.recurrent.dropout), dataclasses.replace(one)]
    return tuple(stack)
