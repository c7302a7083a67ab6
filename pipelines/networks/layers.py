"""Layers of a plan for networks of any kind; the same code serves one dimension and two.

Each layer is one class: its size by arithmetic (`cost`) beside its Keras layers (`apply`). Keras is
imported inside `apply`: the command line reads the architectures, which are made of these layers,
for `--help`.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

from pipelines.config.hyperparameters import Activation, ConvSpec, GlobalPooling, Norm, Padding
from pipelines.errors import ImpossibleSpec
from pipelines.networks.plan import Cost, KerasTensor, Plan, Shape, Sight, apply, measure, sight

# The beginning of the names of Keras' layers; a sum is an average times the number of positions.
_POOLING = {"max": "MaxPooling", "average": "AveragePooling", "sum": "AveragePooling"}
# Not Keras' own .99: after 300 steps a twentieth of its averages would still be their initial
# values, and a trial on a small data set has fewer steps.
BATCH_NORM_MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Pooling without padding."""

    kind: Literal["max", "average", "sum"]
    size: int

    def cost(self, shape: Shape) -> Cost:
        *extents, channels = shape
        if min(extents) < self.size:
            raise ImpossibleSpec(
                f"Pooling over {self.size} does not fit into an extent of {min(extents)}"
            )
        pooled = [extent // self.size for extent in extents]
        return Cost(shape=(*pooled, channels))

    def sight(self, before: Sight) -> Sight:
        return before.through(self.size, self.size)

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        rank = _rank(x)
        x = _layer_class(_POOLING[self.kind], rank)(self.size, name=f"{name}_pool")(x)
        if self.kind == "sum":
            x = keras.layers.Rescaling(self.size**rank, name=f"{name}_sum")(x)
        return x


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution, optional pooling, then normalisation, activation and spatial dropout.

    Pooling stands before normalisation: the largest value is the same before a rising activation as
    after it, and what follows has a quarter of the positions to go over (Page 2018: a seventh of a
    training step here). `causal` pads before the first position of each extent.
    """

    filters: int
    kernel_size: int
    stride: int = 1
    padding: Padding = "same"
    dilation: int = 1
    activation: Activation | None = "relu"
    norm: Norm = "none"
    pool: Pool | None = None
    spatial_dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def cost(self, shape: Shape) -> Cost:
        if self.stride > 1 and self.dilation > 1:
            raise ImpossibleSpec(
                "A convolution has a stride or a dilation above 1, not both. "
                f"Received: stride={self.stride}, dilation={self.dilation}"
            )
        *extents, channels = shape
        sizes = tuple(self._output_extent(extent) for extent in extents)
        weights = self.kernel_size ** len(sizes) * channels * self.filters
        # For each filter: batch normalisation has scale, offset, mean and variance, layer
        # normalisation scale and offset; without either there is a bias.
        numbers = {"batch": 4, "layer": 2, "none": 1}[self.norm]
        shape = (*sizes, self.filters)
        if self.pool:
            shape = self.pool.cost(shape).shape
        return Cost(
            shape=shape,
            params=weights + numbers * self.filters,
            macs=weights * math.prod(sizes),
        )

    def _output_extent(self, extent: int) -> int:
        if self.padding != "valid":
            return math.ceil(extent / self.stride)
        reach = self.dilation * (self.kernel_size - 1) + 1
        if reach > extent:
            raise ImpossibleSpec(
                f"A convolution without padding that reaches over {reach} "
                f"does not fit into an extent of {extent}"
            )
        return (extent - reach) // self.stride + 1

    def sight(self, before: Sight) -> Sight:
        reach = self.dilation * (self.kernel_size - 1) + 1
        seen = before.through(reach, self.stride)
        return self.pool.sight(seen) if self.pool else seen

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        rank = _rank(x)
        padding = self.padding
        if padding == "causal":
            # Conv2D knows no causal padding and Conv1D does: padding by hand serves both.
            x = self._pad_before(x, name)
            padding = "valid"
        initializer = "glorot_uniform"
        if self.activation == "relu":
            initializer = "he_normal"  # made for rectified units (He et al. 2015)
        x = _layer_class("Conv", rank)(
            self.filters,
            self.kernel_size,
            strides=self.stride,
            padding=padding,
            dilation_rate=self.dilation,
            use_bias=self.norm == "none",  # a normalisation has an offset of its own
            kernel_initializer=initializer,
            kernel_regularizer=_penalty(self.l1, self.l2),
            name=f"{name}_conv",
        )(x)
        if self.pool:
            x = self.pool.apply(x, name)
        x = normalize(self.norm, x, name)
        if self.activation:
            x = keras.layers.Activation(self.activation, name=f"{name}_{self.activation}")(x)
        if self.spatial_dropout:
            dropout = _layer_class("SpatialDropout", rank)
            x = dropout(self.spatial_dropout, name=f"{name}_dropout")(x)
        return x

    def _pad_before(self, x: KerasTensor, name: str) -> KerasTensor:
        rank = _rank(x)
        before = self.dilation * (self.kernel_size - 1)
        amounts: Any = (before, 0)
        if rank > 1:  # ZeroPadding1D takes one pair, ZeroPadding2D a pair for each extent
            amounts = [amounts] * rank
        return _layer_class("ZeroPadding", rank)(amounts, name=f"{name}_pad")(x)


@dataclass(frozen=True, kw_only=True)
class Residual:
    """A body added to its own input (He et al. 2016).

    Where their shapes differ, a 1x1 convolution projects the input.
    """

    body: Plan
    norm: Norm = "none"

    def cost(self, shape: Shape) -> Cost:
        body = measure(self.body, shape)
        shortcut = self._shortcut(shape)
        if shortcut is None:
            return body
        return body.beside(shortcut.cost(shape))

    def _shortcut(self, shape: Shape) -> Conv | None:
        after = measure(self.body, shape).shape
        if after == shape:
            return None
        # Padding that keeps extents divides each of them by the same stride; without it the
        # branches could not be added.
        strides = set()
        for before_extent, after_extent in zip(shape[:-1], after[:-1], strict=True):
            strides.add(math.ceil(before_extent / after_extent))
        stride = strides.pop()
        strided = tuple(math.ceil(extent / stride) for extent in shape[:-1])
        if strides or strided != after[:-1]:
            raise ImpossibleSpec(
                "A residual block needs padding that keeps extents. "
                f"Received: {shape} before, {after} after its body"
            )
        return Conv(
            filters=after[-1], kernel_size=1, stride=stride, activation=None, norm=self.norm
        )

    def sight(self, before: Sight) -> Sight:
        return sight(self.body, before)  # the shortcut sees one position

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        shape: Shape = tuple(cast(tuple[int, ...], x.shape[1:]))
        shortcut = self._shortcut(shape)
        kept = x
        if shortcut is not None:
            kept = shortcut.apply(x, f"{name}_shortcut")
        return keras.layers.Add(name=f"{name}_add")([kept, apply(self.body, x, f"{name}_body")])


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Branches over the same input, with their channels side by side: the inception block."""

    branches: tuple[Plan, ...]

    def cost(self, shape: Shape) -> Cost:
        costs: list[Cost] = []
        extents = set()
        channels = 0
        for branch in self.branches:
            cost = measure(branch, shape)
            costs.append(cost)
            extents.add(cost.shape[:-1])
            channels += cost.shape[-1]
        if len(extents) > 1:
            raise ImpossibleSpec(
                f"The branches of an inception block end in different extents: {sorted(extents)}. "
                "Use padding=same"
            )
        return Cost(shape=(*extents.pop(), channels)).beside(*costs)

    def sight(self, before: Sight) -> Sight:
        branches = [sight(branch, before) for branch in self.branches]
        return max(branches, key=lambda seen: seen.size)

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        outputs = []
        for number, branch in enumerate(self.branches, start=1):
            outputs.append(apply(branch, x, f"{name}_branch{number}"))
        return keras.layers.Concatenate(name=f"{name}_concat")(outputs)


@dataclass(frozen=True, kw_only=True)
class GlobalPool:
    """Makes one vector of all positions: their maximum, average or sum, or all of them in a row."""

    kind: GlobalPooling

    def cost(self, shape: Shape) -> Cost:
        if self.kind == "flatten":
            return Cost(shape=(math.prod(shape),))
        return Cost(shape=shape[-1:])

    def sight(self, before: Sight) -> Sight:
        return before

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        if self.kind == "flatten":
            return keras.layers.Flatten(name=f"{name}_flatten")(x)
        positions = math.prod(x.shape[1:-1])
        x = _layer_class(f"Global{_POOLING[self.kind]}", _rank(x))(name=f"{name}_pool")(x)
        if self.kind == "sum":
            x = keras.layers.Rescaling(positions, name=f"{name}_sum")(x)
        return x


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A dense layer; without an activation, an output.

    `zeros` starts the layer at zero: a correction that is added to a baseline's predictions then
    starts at nothing.
    """

    units: int
    activation: Activation | None = None
    zeros: bool = False
    l1: float = 0.0
    l2: float = 0.0

    def cost(self, shape: Shape) -> Cost:
        weights = shape[-1] * self.units
        return Cost(
            shape=(*shape[:-1], self.units),
            params=weights + self.units,
            macs=weights * math.prod(shape[:-1]),
        )

    def sight(self, before: Sight) -> Sight:
        return before

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        initializer = "glorot_uniform"
        if self.zeros:
            initializer = "zeros"
        return keras.layers.Dense(
            self.units,
            activation=self.activation,
            kernel_initializer=initializer,
            kernel_regularizer=_penalty(self.l1, self.l2),
            name=f"{name}_dense",
        )(x)


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Dropout of single values."""

    rate: float

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape)

    def sight(self, before: Sight) -> Sight:
        return before

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        if not self.rate:
            return x
        return keras.layers.Dropout(self.rate, name=f"{name}_dropout")(x)


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Layer normalisation over the channels, as a layer of its own."""

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape, params=2 * shape[-1])

    def sight(self, before: Sight) -> Sight:
        return before

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        return normalize("layer", x, name)


# What `conv` reads of the spec.
CONV_KEYS = (
    "conv.filters",
    "conv.kernel_size",
    "conv.padding",
    "conv.activation",
    "conv.norm",
    "conv.spatial_dropout",
    "conv.l1",
    "conv.l2",
)


def conv(
    spec: ConvSpec,
    *,
    filters: int | None = None,
    kernel_size: int | None = None,
    stride: int = 1,
    dilation: int = 1,
    pooled: bool = False,
) -> Conv:
    """Return the convolution that `spec` describes, with what its place in the network changes."""
    pooling = None
    if pooled:
        pooling = _pool(spec)
    return Conv(
        filters=filters or spec.filters,
        kernel_size=kernel_size or spec.kernel_size,
        stride=stride,
        padding=spec.padding,
        dilation=dilation,
        activation=spec.activation,
        norm=spec.norm,
        pool=pooling,
        spatial_dropout=spec.spatial_dropout,
        l1=spec.l1,
        l2=spec.l2,
    )


def pool(spec: ConvSpec) -> Plan:
    """Return the pooling that `spec` describes, as a plan of one layer or none."""
    layer = _pool(spec)
    if layer is None:
        return ()
    return (layer,)


def _pool(spec: ConvSpec) -> Pool | None:
    if spec.pooling == "none":
        return None
    return Pool(kind=spec.pooling, size=spec.pool_size)


def normalize(norm: Norm, x: KerasTensor, name: str) -> KerasTensor:
    """Return `x` after batch or layer normalisation over the channels, or unchanged."""
    import keras

    if norm == "batch":
        layer = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")
        return layer(x)
    if norm == "layer":
        return keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    return x


def _penalty(l1: float, l2: float) -> Any:
    import keras

    if not (l1 or l2):
        return None
    return keras.regularizers.L1L2(l1=l1, l2=l2)


def _rank(x: KerasTensor) -> int:
    return len(x.shape) - 2


def _layer_class(kind: str, rank: int) -> Any:
    """Return a Keras layer class by kind and rank: `Conv` and 2 give `Conv2D`."""
    import keras

    return getattr(keras.layers, f"{kind}{rank}D")
