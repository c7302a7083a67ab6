"""The text networks' bodies as plans over embedded tokens `(length, width)`, measured by arithmetic before Keras is called."""

import dataclasses

from pipelines.errors import ImpossibleSpec
from pipelines.plan import Dense, Dropout, GlobalPool, Layer, Parallel, Plan, Recurrent, conv, measure
from pipelines.text.spec import TextSpec

KERNELS = (-1, 0, 1, 2)  # textcnn's kernels beside `conv.kernel_size`: 2, 3, 4 and 5 for 3 (Kim 2014 has 3, 4, 5)


def check(spec: TextSpec, length: int) -> None:
    """Raise `ImpossibleSpec` when texts of `length` tokens cannot go through this network."""
    if spec.architecture == "transformer":
        if spec.embedding.width % spec.heads and not spec.embedding.vectors:
            raise ImpossibleSpec(
                f"embedding.width must be a multiple of heads. Received: embedding.width={spec.embedding.width}, heads={spec.heads}"
            )
    elif spec.architecture != "fasttext":
        measure(body(spec), (length, spec.embedding.width))


def body(spec: TextSpec) -> Plan:
    """Return what turns embedded tokens into one vector, for the convolutional and recurrent networks."""
    pooled = GlobalPool(kind=spec.head.pooling)
    match spec.architecture:
        case "textcnn":
            return (Parallel(branches=tuple(_phrases(spec, spec.conv.kernel_size + more) for more in KERNELS)),)
        case "cnn_rnn":
            blocks: list[Layer] = []
            for _ in range(spec.conv.blocks):
                blocks.append(conv(spec.conv, stride=spec.conv.stride, pooled=True))
            return (*blocks, *_recurrent(spec, "gru"), pooled)
        case "lstm" | "gru":
            return (*_recurrent(spec, spec.architecture), pooled)
    raise ValueError(spec.architecture)


def head(spec: TextSpec, classes: int) -> Plan:
    """Return what turns one vector into logits; they begin at zero where the network corrects others."""
    hidden: Plan = (Dense(units=spec.head.units, activation=spec.conv.activation),) if spec.head.units else ()
    return (*hidden, Dropout(rate=spec.head.dropout), Dense(units=classes, zeros=spec.start_from != "none"))


def _phrases(spec: TextSpec, kernel_size: int) -> Plan:
    """Return one convolution and the strongest answer of each filter anywhere in the text (Kim 2014)."""
    return (conv(spec.conv, kernel_size=max(1, kernel_size), stride=spec.conv.stride), GlobalPool(kind="max"))


def _recurrent(spec: TextSpec, cell: str) -> Plan:
    """Return recurrent layers that answer at every token: what is pooled need not be remembered to the end."""
    one = Recurrent(
        cell="lstm" if cell == "lstm" else "gru", units=spec.recurrent.units, bidirectional=spec.recurrent.bidirectional, sequences=True
    )
    stack: list[Layer] = [one]
    for _ in range(1, spec.recurrent.layers):
        stack += [Dropout(rate=spec.recurrent.dropout), dataclasses.replace(one)]
    return tuple(stack)
