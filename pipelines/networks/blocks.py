"""Keras building blocks: a plan (see `pipelines.networks.plan`) becomes layers, in one dimension or two by the same code.

Every function takes and returns a Keras tensor `(batch, *extents, channels)`; the number of extents, one or two,
decides between `Conv1D` and `Conv2D` and their like. Layer names begin with `name`, the group under which gradient
norms are logged.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np

from pipelines.networks.custom_layers import PositionEmbedding
from pipelines.networks.plan import (
    Attention,
    Conv,
    Dense,
    Dropout,
    GlobalPool,
    Layer,
    LayerNorm,
    Parallel,
    Plan,
    Pool,
    Positions,
    Recurrent,
    Residual,
    Shape,
)

KerasTensor = Any  # Keras ships no types


def apply(plan: Plan, x: KerasTensor, name: str, seen: KerasTensor | None = None) -> KerasTensor:
    """Return `plan` applied to `x`, its layers called `<name>_<position>_<kind>`; attention looks at the steps `seen` (batch, steps)."""
    for position, layer in enumerate(plan, start=1):
        x = _layer(layer, x, f"{name}_{position}", seen)
    return x


def _layer(layer: Layer, x: KerasTensor, name: str, seen: KerasTensor | None) -> KerasTensor:
    match layer:
        case Conv():
            return conv(layer, x, name)
        case Pool():
            return pool(layer, x, name)
        case Residual():
            return residual(layer, x, name)
        case Parallel():
            branches = [apply(branch, x, f"{name}_branch{number}") for number, branch in enumerate(layer.branches, start=1)]
            return keras.layers.Concatenate(name=f"{name}_concat")(branches)
        case GlobalPool():
            return global_pool(layer, x, name)
        case Recurrent():
            return recurrent(layer, x, name)
        case Positions():
            return PositionEmbedding(name=f"{name}_positions")(x)
        case Attention():
            return attention(layer, x, name, seen)
        case LayerNorm():
            return normalise("layer", x, name)
        case Dense():
            return dense(layer, x, name)
        case Dropout():
            return keras.layers.Dropout(layer.rate, name=f"{name}_dropout")(x) if layer.rate else x


def conv(layer: Conv, x: KerasTensor, name: str) -> KerasTensor:
    """Convolution, pooling, normalisation, activation and spatial dropout; `causal` pads before the first position of each extent."""
    rank = _rank(x)
    padding = layer.padding
    if padding == "causal":
        # Conv2D knows no causal padding and Conv1D does: padding by hand serves both.
        before = layer.dilation * (layer.kernel_size - 1)
        x = _of_rank("ZeroPadding", rank)(((before, 0),) * rank if rank > 1 else (before, 0), name=f"{name}_pad")(x)
        padding = "valid"
    x = _of_rank("Conv", rank)(
        layer.filters,
        layer.kernel_size,
        strides=layer.stride,
        padding=padding,
        dilation_rate=layer.dilation,
        use_bias=layer.norm == "none",
        kernel_initializer="he_normal" if layer.activation == "relu" else "glorot_uniform",
        kernel_regularizer=_penalty(layer.l1, layer.l2),
        name=f"{name}_conv",
    )(x)
    if layer.pool:
        x = pool(layer.pool, x, name)
    x = normalise(layer.norm, x, name)
    if layer.activation:
        x = keras.layers.Activation(layer.activation, name=f"{name}_{layer.activation}")(x)
    if layer.spatial_dropout:
        x = _of_rank("SpatialDropout", rank)(layer.spatial_dropout, name=f"{name}_dropout")(x)
    return x


def normalise(norm: str, x: KerasTensor, name: str) -> KerasTensor:
    """Batch or layer normalisation over the channels, or nothing."""
    if norm == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    if norm == "layer":
        return keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    return x


def pool(layer: Pool, x: KerasTensor, name: str) -> KerasTensor:
    """Max, average or sum pooling without padding."""
    rank = _rank(x)
    kind = "MaxPooling" if layer.kind == "max" else "AveragePooling"
    x = _of_rank(kind, rank)(layer.size, name=f"{name}_pool")(x)
    return keras.layers.Rescaling(layer.size**rank, name=f"{name}_sum")(x) if layer.kind == "sum" else x


def global_pool(layer: GlobalPool, x: KerasTensor, name: str) -> KerasTensor:
    """All positions to one vector: their maximum, average or sum, or all of them side by side."""
    if layer.kind == "flatten":
        return keras.layers.Flatten(name=f"{name}_flatten")(x)
    kind = "GlobalMaxPooling" if layer.kind == "max" else "GlobalAveragePooling"
    positions = math.prod(x.shape[1:-1])
    x = _of_rank(kind, _rank(x))(name=f"{name}_pool")(x)
    return keras.layers.Rescaling(positions, name=f"{name}_sum")(x) if layer.kind == "sum" else x


def residual(layer: Residual, x: KerasTensor, name: str) -> KerasTensor:
    """`x` plus the body of `x` (He et al. 2016); a 1x1 convolution projects the shortcut where shapes differ."""
    shape: Shape = tuple(cast(tuple[int, ...], x.shape[1:]))
    shortcut = layer.shortcut(shape)
    kept = conv(shortcut, x, f"{name}_shortcut") if shortcut else x
    return keras.layers.Add(name=f"{name}_add")([kept, apply(layer.body, x, f"{name}_body")])


def recurrent(layer: Recurrent, x: KerasTensor, name: str) -> KerasTensor:
    """LSTM or GRU over `(batch, steps, channels)`, in one direction or both."""
    cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[layer.cell]
    inner = cell(layer.units, return_sequences=layer.sequences, name=f"{name}_{layer.cell}")
    return keras.layers.Bidirectional(inner, name=f"{name}_both")(x) if layer.bidirectional else inner(x)


def dense(layer: Dense, x: KerasTensor, name: str) -> KerasTensor:
    """A dense layer; `zeros` starts it at zero, so that what it adds to a closed form begins as nothing."""
    return keras.layers.Dense(
        layer.units,
        activation=layer.activation,
        kernel_initializer="zeros" if layer.zeros else "glorot_uniform",
        kernel_regularizer=_penalty(layer.l1, layer.l2),
        name=f"{name}_dense",
    )(x)


def attention(layer: Attention, x: KerasTensor, name: str, seen: KerasTensor | None = None) -> KerasTensor:
    """Return `(batch, steps, channels)` after each step has seen those that `seen` `(batch, steps)` allows, then a dense pair."""
    width = x.shape[-1]
    normal = normalise("layer", x, name)
    attend = keras.layers.MultiHeadAttention(layer.heads, width // layer.heads, dropout=layer.dropout, name=f"{name}_attention")
    x = x + attend(normal, normal, attention_mask=None if seen is None else seen[:, None, :], use_causal_mask=layer.causal)
    pair = (Dense(units=layer.expansion * width, activation=layer.activation), Dense(units=width))
    return x + apply(pair, normalise("layer", x, f"{name}_mlp"), f"{name}_mlp")


def labelled(probabilities: KerasTensor, classes: Sequence[str]) -> dict[str, KerasTensor]:
    """Return what a served classifier answers: `label` (batch,) strings, `probability` (batch,), `probabilities` (batch, classes)."""
    names = keras.layers.StringLookup(vocabulary=list(classes), num_oov_indices=0, invert=True, name="labels")
    best = keras.ops.argmax(probabilities, axis=-1)
    return {"label": names(best), "probability": keras.ops.max(probabilities, axis=-1), "probabilities": probabilities}


def embedding_of(vectors: np.ndarray, name: str, *, trainable: bool = True) -> keras.layers.Embedding:
    """Return a layer that begins with these vectors (ids, width); an initializer would write them as JSON into a saved model's file."""
    layer = keras.layers.Embedding(*vectors.shape, embeddings_initializer="zeros", trainable=trainable, name=name)
    layer.build(None)
    layer.set_weights([vectors])
    return layer


def in_batches(network: keras.Model, inputs: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """Return the answers of a network for inputs (cases, ...) by name, `size` cases at a time."""
    count = len(next(iter(inputs.values())))
    batches = ({name: values[at : at + size] for name, values in inputs.items()} for at in range(0, count, size))
    return np.concatenate([np.asarray(network(batch, training=False)) for batch in batches])


def _penalty(l1: float, l2: float) -> keras.regularizers.Regularizer | None:
    return keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None


def _rank(x: KerasTensor) -> int:
    return len(x.shape) - 2


def _of_rank(kind: str, rank: int) -> Any:
    """Return the Keras layer class of `kind` for this number of extents: `Conv` and 2 give `Conv2D`."""
    return getattr(keras.layers, f"{kind}{rank}D")
