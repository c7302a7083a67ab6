"""The text networks, as plans over embedded tokens `(length, width)` where they can be.

A new one is a function from a spec to a plan, entered into the registry by `planned`, or a subclass
of `EmbeddedArchitecture`, or of `TextArchitecture` where it does not begin with learned embeddings.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import (
    CONV_KEYS,
    Dense,
    Dropout,
    GlobalPool,
    LayerNorm,
    Parallel,
    conv,
)
from pipelines.networks.plan import Cost, KerasTensor, Layer, Plan, Shape, apply, measure, sight
from pipelines.networks.receptive_field import ReceptiveField, measure_field
from pipelines.networks.registry import Architecture
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent
from pipelines.pretrained.sentences import find_encoder, freeze, pool
from pipelines.text import embeddings
from pipelines.text.input_names import ENCODED_BY, ENCODER, PIECES, TOKENS, VECTORS
from pipelines.text.spec import ARCHITECTURES, ENCODER_KEY, PRETRAINED, TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

BUCKETS = 50_000  # vectors that the runs of tokens of one length share (Joulin et al. 2017)
# The kernels of textcnn, relative to `conv.kernel_size`: 2, 3, 4 and 5 for 3 (Kim 2014 has 3, 4,
# 5).
KERNEL_OFFSETS = (-1, 0, 1, 2)
# Sums of vectors are divided by this power of their number: a mean in the transformer; for the one
# of fasttext see there.
MEAN = 1.0
ROOT = 0.5

SPECIAL_IDS = 2  # of each text that an encoder reads: [CLS] and [SEP]

EMBEDDING_KEYS = ("embedding.width", "embedding.dropout", "embedding.vectors")
STRIDED_KEYS = (*CONV_KEYS, "conv.stride")
RECURRENT_KEYS = (
    "recurrent.units",
    "recurrent.layers",
    "recurrent.bidirectional",
    "recurrent.dropout",
)


@dataclass(frozen=True, kw_only=True)
class TextArchitecture(Architecture):
    """A text network from its input to the vector of its features.

    The layers to logits behind it are the same for all.
    """

    def cost(self, spec: TextSpec, splits: "TextSplits") -> Cost:
        """Return what the features cost for one text.

        Raises:
            ImpossibleSpec: these texts cannot go through this network.
            DataError: a file that it begins with cannot be read.
        """
        raise NotImplementedError

    def features(
        self, spec: TextSpec, splits: "TextSplits"
    ) -> tuple[dict[str, KerasTensor], KerasTensor]:
        """Return the input by name, and the features `(batch, features)` that are made of it."""
        raise NotImplementedError

    def sight(self, spec: TextSpec) -> float | None:
        """Return how many tokens one feature sees; infinity: all of them; None: it is not known."""
        return None


@dataclass(frozen=True, kw_only=True)
class EmbeddedArchitecture(TextArchitecture):
    """A network that begins with an embedding of the vocabulary of train."""

    def cost(self, spec: TextSpec, splits: "TextSplits") -> Cost:
        width = embeddings.width(spec.embedding)
        body = self.body_cost(spec, (splits.length, width))
        vocabulary = embeddings.params(splits, width)
        return dataclasses.replace(body, params=body.params + vocabulary)

    def features(
        self, spec: TextSpec, splits: "TextSplits"
    ) -> tuple[dict[str, KerasTensor], KerasTensor]:
        tokens, embedded, mask = embeddings.embed(spec.embedding, splits)
        return {TOKENS: tokens}, self.body(spec, tokens, embedded, mask)

    def sight(self, spec: TextSpec) -> float | None:
        return math.inf

    def body_cost(self, spec: TextSpec, shape: Shape) -> Cost:
        """Return what the features cost for one text of embedded tokens, `shape` `(length, width)`.

        Raises:
            ImpossibleSpec: texts of this length cannot go through this network.
        """
        raise NotImplementedError

    def body(
        self, spec: TextSpec, tokens: KerasTensor, embedded: KerasTensor, mask: KerasTensor
    ) -> KerasTensor:
        """Return the features `(batch, features)`.

        Args:
            spec: the hyperparameters.
            tokens: `(batch, length)` ids.
            embedded: `(batch, length, width)`, a vector for each token.
            mask: `(batch, length)`, false for padding.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PlannedArchitecture(EmbeddedArchitecture):
    """A network that is one plan over embedded tokens."""

    plan: Callable[[TextSpec], Plan]

    def body_cost(self, spec: TextSpec, shape: Shape) -> Cost:
        return measure(self.plan(spec), shape)

    def sight(self, spec: TextSpec) -> float | None:
        return sight(self.plan(spec)).size

    def body(
        self, spec: TextSpec, tokens: KerasTensor, embedded: KerasTensor, mask: KerasTensor
    ) -> KerasTensor:
        return apply(self.plan(spec), embedded, "body")


@dataclass(frozen=True, kw_only=True)
class FastTextArchitecture(EmbeddedArchitecture):
    """The sum of the vectors of tokens and of runs of tokens, by the root of their number.

    Joulin et al. (2017) take the mean, which shrinks with the length of a text and learns slowly by
    Adam, whose steps are not in proportion to gradients. On val of trec, sst2, clinc150 and the
    reviews its log loss was .644, .478, .957 and .459; this has .515, .461, .587 and .471.
    """

    def body_cost(self, spec: TextSpec, shape: Shape) -> Cost:
        length, width = shape
        num_vectors = len(_run_sizes(spec, length)) * (1 + BUCKETS)
        return Cost(shape=(width,), params=num_vectors * width)

    def body(
        self, spec: TextSpec, tokens: KerasTensor, embedded: KerasTensor, mask: KerasTensor
    ) -> KerasTensor:
        import keras

        from pipelines.text.layers import HashedNgrams, masked_sum

        vectors = [embedded]
        masks = [mask]
        for size in _run_sizes(spec, tokens.shape[1]):
            runs = HashedNgrams(size, BUCKETS, name=f"runs_{size}")(tokens)
            embedding = keras.layers.Embedding(
                1 + BUCKETS,
                embedded.shape[-1],
                embeddings_initializer="zeros",
                name=f"embedding_runs_{size}",
            )
            vectors.append(embedding(runs))
            masks.append(keras.ops.not_equal(runs, 0))
        all_vectors = keras.ops.concatenate(vectors, axis=1)
        return masked_sum(all_vectors, keras.ops.concatenate(masks, axis=1), power=ROOT)


@dataclass(frozen=True, kw_only=True)
class TransformerArchitecture(EmbeddedArchitecture):
    """Layers in which each token attends to all others (Vaswani et al. 2017), then pooling.

    Padding is kept out of attention and out of the mean.
    """

    def body_cost(self, spec: TextSpec, shape: Shape) -> Cost:
        width = shape[-1]
        heads = spec.attention.heads
        # The width of a file of vectors is what it is; heads then leave a remainder unused.
        if width % heads and not spec.embedding.vectors:
            raise ImpossibleSpec(
                "embedding.width must be a multiple of attention.heads. "
                f"Received: embedding.width={width}, attention.heads={heads}"
            )
        return measure((*_attention_plan(spec), GlobalPool(kind=spec.head.pooling)), shape)

    def body(
        self, spec: TextSpec, tokens: KerasTensor, embedded: KerasTensor, mask: KerasTensor
    ) -> KerasTensor:
        from pipelines.text.layers import masked_sum

        x = apply(_attention_plan(spec), embedded, "attention", mask=mask)
        if spec.head.pooling == "average":
            return masked_sum(x, mask, power=MEAN)
        return GlobalPool(kind=spec.head.pooling).apply(x, "last")


@dataclass(frozen=True, kw_only=True)
class PretrainedArchitecture(TextArchitecture):
    """A pretrained encoder: its vectors as they are, or its top layers tuned with the head.

    Frozen, the network's input are the vectors of texts, which are computed once for all trials;
    else the ids of their pieces, as many columns as the longest text of the batch has.
    """

    def cost(self, spec: TextSpec, splits: "TextSplits") -> Cost:
        encoder = find_encoder(spec.encoder.name, ENCODER_KEY)
        encoder.require_length(spec.encoder.length, "encoder.length")
        if num_tuned(spec):
            return encoder_cost(spec, splits)
        return Cost(shape=(encoder.config.hidden_size,))

    def features(
        self, spec: TextSpec, splits: "TextSplits"
    ) -> tuple[dict[str, KerasTensor], KerasTensor]:
        import keras

        from pipelines.text.layers import EncodedBy

        encoder = find_encoder(spec.encoder.name, ENCODER_KEY)
        read_by = EncodedBy(
            encoder=encoder.name,
            length=spec.encoder.length,
            pooling=spec.encoder.pooling,
            name=ENCODED_BY,
        )
        if not num_tuned(spec):
            vectors = keras.Input((encoder.config.hidden_size,), name=VECTORS)
            return {VECTORS: vectors}, read_by(vectors)
        pieces = keras.Input((None,), dtype="int32", name=PIECES)
        ids = read_by(pieces)
        network = encoder.network(ENCODER)
        freeze(network, num_tuned(spec), encoder.config.num_hidden_layers)
        return {PIECES: pieces}, pool(network(ids), ids, spec.encoder.pooling)


def encoder_cost(spec: TextSpec, splits: "TextSplits") -> Cost:
    """Return what the encoder of a pretrained network costs for one text, tuned or frozen."""
    encoder = find_encoder(spec.encoder.name, ENCODER_KEY)
    return encoder.config.cost(min(spec.encoder.length, splits.length + SPECIAL_IDS))


def num_tuned(spec: TextSpec) -> int:
    """Return how many layers of a pretrained encoder are tuned; none where nothing has decided."""
    if not architecture_of(spec).weights_key:
        return 0
    return max(0, spec.encoder.layers)


def architecture_of(spec: TextSpec) -> TextArchitecture:
    """Return the entry that `spec` names."""
    return cast(TextArchitecture, ARCHITECTURES[spec.architecture])


def receptive_field(spec: TextSpec, splits: "TextSplits") -> ReceptiveField | None:
    """Return how many tokens one feature sees, beside a sentence; None where it is not known.

    Of 20 sentences, 19 are as long or shorter.
    """
    if architecture_of(spec).sight(spec) is None:
        return None

    def sees(candidate: TextSpec) -> float:
        entry = architecture_of(candidate)
        entry.cost(candidate, splits)  # raises where there is no such network
        return min(entry.sight(candidate) or 0, splits.length)

    return measure_field(
        spec,
        sees,
        splits.sentence_length,
        what="a sentence at the 95th percentile",
        unit="tokens",
        is_noted=False,  # a few words beside one another tell most classes
    )


def head(spec: TextSpec, num_classes: int) -> Plan:
    """Return the layers from features to logits, which begin at zero where they correct others."""
    hidden: Plan = ()
    if spec.head.units:
        hidden = (Dense(units=spec.head.units, activation=spec.head.activation),)
    output = Dense(units=num_classes, zeros=spec.start_from == "baseline")
    return (*hidden, Dropout(rate=spec.head.dropout), output)


PlanFunction: TypeAlias = Callable[[TextSpec], Plan]


def planned(*reads: str) -> Callable[[PlanFunction], PlanFunction]:
    """Enter a function from spec to plan into the registry, under the function's name.

    `reads` are the hyperparameters that it reads, beside those of the embedding and the head.
    """

    def enter(plan: PlanFunction) -> PlanFunction:
        ARCHITECTURES.add(
            PlannedArchitecture(
                name=plan.__name__, reads=frozenset((*EMBEDDING_KEYS, *reads)), plan=plan
            )
        )
        return plan

    return enter


# ------------------------------------------------------------------------------------ the networks


ARCHITECTURES.add(
    FastTextArchitecture(name="fasttext", reads=frozenset({*EMBEDDING_KEYS, "embedding.ngrams"}))
)


@planned(*STRIDED_KEYS)
def textcnn(spec: TextSpec) -> Plan:
    """Convolutions with kernels of several sizes side by side (Kim 2014).

    Of each filter, the strongest activation anywhere in the text is kept.
    """
    branches: list[Plan] = []
    for offset in KERNEL_OFFSETS:
        kernel_size = max(1, spec.conv.kernel_size + offset)
        phrases = conv(spec.conv, kernel_size=kernel_size, stride=spec.conv.stride)
        branches.append((phrases, GlobalPool(kind="max")))
    return (Parallel(branches=tuple(branches)),)


@planned(
    *STRIDED_KEYS,
    "conv.blocks",
    "conv.pooling",
    "conv.pool_size",
    *RECURRENT_KEYS,
    "head.pooling",
)
def cnn_rnn(spec: TextSpec) -> Plan:
    """Convolutions with pooling between them, then a GRU."""
    blocks: list[Layer] = []
    for _ in range(spec.conv.blocks):
        blocks.append(conv(spec.conv, stride=spec.conv.stride, pooled=True))
    return (*blocks, *_recurrent(spec, "gru"), GlobalPool(kind=spec.head.pooling))


@planned(*RECURRENT_KEYS, "head.pooling")
def lstm(spec: TextSpec) -> Plan:
    """LSTM layers (Hochreiter & Schmidhuber 1997)."""
    return (*_recurrent(spec, "lstm"), GlobalPool(kind=spec.head.pooling))


@planned(*RECURRENT_KEYS, "head.pooling")
def gru(spec: TextSpec) -> Plan:
    """GRU layers (Cho et al. 2014)."""
    return (*_recurrent(spec, "gru"), GlobalPool(kind=spec.head.pooling))


ARCHITECTURES.add(
    TransformerArchitecture(
        name="transformer",
        reads=frozenset(
            {
                *EMBEDDING_KEYS,
                "attention.layers",
                "attention.heads",
                "attention.activation",
                "attention.dropout",
                "head.pooling",
            }
        ),
    )
)


ARCHITECTURES.add(
    PretrainedArchitecture(
        name=PRETRAINED,
        weights_key=ENCODER_KEY,
        reads=frozenset(
            {
                "encoder.name",
                "encoder.layers",
                "encoder.pooling",
                "encoder.length",
                "encoder.learning_rate",
                "encoder.decay",
            }
        ),
    )
)


# ----------------------------------------------------------------------------- what networks share


def _run_sizes(spec: TextSpec, length: int) -> range:
    """Return the sizes of the runs of tokens that `fasttext` has vectors for."""
    return range(2, min(spec.embedding.ngrams, length) + 1)


def _attention_plan(spec: TextSpec) -> Plan:
    attention = Attention(
        heads=spec.attention.heads,
        activation=spec.attention.activation,
        dropout=spec.attention.dropout,
    )
    return (Positions(), *[attention] * spec.attention.layers, LayerNorm())


def _recurrent(spec: TextSpec, cell: Literal["lstm", "gru"]) -> Plan:
    """Return recurrent layers with an output at every token.

    What is pooled over all tokens need not be remembered to the end.
    """
    layer = Recurrent(
        cell=cell,
        units=spec.recurrent.units,
        bidirectional=spec.recurrent.bidirectional,
        return_sequences=True,
    )
    layers: list[Layer] = [layer]
    for _ in range(1, spec.recurrent.layers):
        layers += [Dropout(rate=spec.recurrent.dropout), layer]
    return tuple(layers)
