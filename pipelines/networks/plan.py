"""An architecture as data: layers whose sizes, weights and multiplications are known before Keras is called.

A plan is a tuple of layers. `measure` walks it by arithmetic and raises `ImpossibleSpec` where a size runs out, so
that a search never starts such a network; `pipelines.networks.blocks.apply` builds the very same plan in Keras. Shapes leave
the batch out and end with the channels: `(steps, channels)` in one dimension, `(height, width, channels)` in two.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.config.hyperparameters import Activation, ConvSpec, GlobalPooling, Norm, Padding, Pooling
from pipelines.errors import ImpossibleSpec

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one example costs: trained and stored weights, and multiply-accumulate operations of a forward pass."""

    shape: Shape
    params: int = 0
    macs: int = 0

    def then(self, other: "Cost") -> "Cost":
        return Cost(shape=other.shape, params=self.params + other.params, macs=self.macs + other.macs)

    def beside(self, *others: "Cost") -> "Cost":
        """Return the cost of all of them, with this one's shape: what stands beside it makes no difference to that."""
        both = (self, *others)
        return Cost(shape=self.shape, params=sum(one.params for one in both), macs=sum(one.macs for one in both))


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Pooling without padding."""

    kind: Literal["max", "average", "sum"]
    size: int

    def cost(self, shape: Shape) -> Cost:
        *extents, channels = shape
        if min(extents) < self.size:
            raise ImpossibleSpec(f"Pooling over {self.size} does not fit into an extent of {min(extents)}")
        return Cost(shape=(*(extent // self.size for extent in extents), channels))


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution, perhaps pooling, normalisation, activation, spatial dropout: the unit that all convolutional networks repeat.

    Pooling stands before normalisation: the largest value is the same before a rising activation as after it, and what
    follows has a quarter of the positions to go over (Page 2018: a seventh of a training step here).
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
                f"A convolution has a stride or a dilation above 1, not both. Received: stride={self.stride}, dilation={self.dilation}"
            )
        *extents, channels = shape
        sizes = tuple(self._extent(extent) for extent in extents)
        weights = self.kernel_size ** len(sizes) * channels * self.filters
        norm = {"batch": 4, "layer": 2, "none": 1}[self.norm] * self.filters
        after = (*sizes, self.filters)
        return Cost(shape=self.pool.cost(after).shape if self.pool else after, params=weights + norm, macs=weights * math.prod(sizes))

    def _extent(self, extent: int) -> int:
        if self.padding != "valid":
            return math.ceil(extent / self.stride)
        reach = self.dilation * (self.kernel_size - 1) + 1
        if reach > extent:
            raise ImpossibleSpec(f"A valid convolution that reaches over {reach} does not fit into an extent of {extent}")
        return (extent - reach) // self.stride + 1


@dataclass(frozen=True, kw_only=True)
class Residual:
    """A body added to its own input; a 1x1 convolution brings the input to the body's shape where they differ."""

    body: "Plan"
    norm: Norm = "none"

    def shortcut(self, shape: Shape) -> Conv | None:
        after = measure(self.body, shape).shape
        if after == shape:
            return None
        strides = {math.ceil(before / now) for before, now in zip(shape[:-1], after[:-1], strict=True)}
        stride = strides.pop()
        fits = not strides and all(math.ceil(b / stride) == n for b, n in zip(shape[:-1], after[:-1], strict=True))
        if not fits:
            raise ImpossibleSpec(f"A residual block needs padding that keeps extents. Received: {shape} before, {after} after its body")
        return Conv(filters=after[-1], kernel_size=1, stride=stride, activation=None, norm=self.norm)

    def cost(self, shape: Shape) -> Cost:
        body = measure(self.body, shape)
        shortcut = self.shortcut(shape)
        extra = shortcut.cost(shape) if shortcut else Cost(shape=shape)
        return body.beside(extra)


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """Branches over the same input, their channels side by side: the inception block."""

    branches: tuple["Plan", ...]

    def cost(self, shape: Shape) -> Cost:
        costs = [measure(branch, shape) for branch in self.branches]
        extents = {cost.shape[:-1] for cost in costs}
        if len(extents) > 1:
            raise ImpossibleSpec(f"The branches of an inception block end in different extents: {sorted(extents)}. Use padding=same")
        channels = sum(cost.shape[-1] for cost in costs)
        return Cost(shape=(*extents.pop(), channels)).beside(*costs)


@dataclass(frozen=True, kw_only=True)
class GlobalPool:
    """All positions become one vector."""

    kind: GlobalPooling

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=(math.prod(shape),) if self.kind == "flatten" else shape[-1:])


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """A recurrent layer over `(steps, channels)`; the last one of a stack returns one vector."""

    cell: Literal["lstm", "gru"]
    units: int
    bidirectional: bool = False
    sequences: bool = False

    def cost(self, shape: Shape) -> Cost:
        steps, channels = shape
        gates, biases = (4, 1) if self.cell == "lstm" else (3, 2)  # Keras' GRU has reset_after=True: two biases
        ways = 2 if self.bidirectional else 1
        weights = gates * self.units * (channels + self.units) * ways
        width = self.units * ways
        return Cost(
            shape=(steps, width) if self.sequences else (width,),
            params=weights + gates * biases * self.units * ways,
            macs=weights * steps,
        )


@dataclass(frozen=True, kw_only=True)
class Positions:
    """A learned vector for each position of `(steps, channels)`, added to it: attention by itself knows no order."""

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape, params=math.prod(shape))


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Each step of `(steps, channels)` sees the others, or with `causal` those before it, then a dense pair (Vaswani et al. 2017).

    Layers are normalised before, not after (Xiong et al. 2020); heads share the channels; in between, the pair has
    `expansion` times as many.
    """

    heads: int
    activation: Activation
    dropout: float = 0.0
    causal: bool = False
    expansion: int = 2

    def cost(self, shape: Shape) -> Cost:
        steps, channels = shape
        if channels < self.heads:
            raise ImpossibleSpec(f"Each attention head needs a channel. Received: heads={self.heads}, {channels} channels")
        inner, hidden = channels // self.heads * self.heads, self.expansion * channels
        dense = 4 * channels * inner + 2 * channels * hidden  # query, key, value and answer; the pair
        biases = 3 * inner + channels + hidden + channels
        norms = 2 * 2 * channels
        # Each step is compared with each, and takes a share of each.
        return Cost(shape=shape, params=dense + biases + norms, macs=steps * dense + 2 * steps * steps * inner)


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Layer normalisation over the channels, where it stands by itself."""

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape, params=2 * shape[-1])


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A dense layer; without activation, an output."""

    units: int
    activation: Activation | None = None
    zeros: bool = False
    l1: float = 0.0
    l2: float = 0.0

    def cost(self, shape: Shape) -> Cost:
        weights = shape[-1] * self.units
        return Cost(shape=(*shape[:-1], self.units), params=weights + self.units, macs=weights * math.prod(shape[:-1]))


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Dropout of single values."""

    rate: float

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape)


Layer: TypeAlias = Conv | Pool | Residual | Parallel | GlobalPool | Recurrent | Positions | Attention | LayerNorm | Dense | Dropout
Plan: TypeAlias = tuple[Layer, ...]


def measure(plan: Plan, shape: Shape) -> Cost:
    """Return what `plan` makes of one example of `shape`, and what that costs.

    Raises:
        ImpossibleSpec: a layer does not fit what the layers before it leave.
    """
    total = Cost(shape=shape)
    for layer in plan:
        total = total.then(layer.cost(total.shape))
    return total


def conv(
    spec: ConvSpec,
    *,
    filters: int | None = None,
    kernel_size: int | None = None,
    stride: int = 1,
    dilation: int = 1,
    pooled: bool = False,
) -> Conv:
    """Return the convolution that `spec` describes, with what this place in the architecture changes."""
    return Conv(
        filters=filters or spec.filters,
        kernel_size=kernel_size or spec.kernel_size,
        stride=stride,
        padding=spec.padding,
        dilation=dilation,
        activation=spec.activation,
        norm=spec.norm,
        pool=_pool(spec) if pooled else None,
        spatial_dropout=spec.spatial_dropout,
        l1=spec.l1,
        l2=spec.l2,
    )


def pool(spec: ConvSpec) -> Plan:
    """Return the pooling that `spec` describes, as a plan of one layer or none."""
    found = _pool(spec)
    return (found,) if found else ()


def _pool(spec: ConvSpec) -> Pool | None:
    kind: Pooling = spec.pooling
    return None if kind == "none" else Pool(kind=kind, size=spec.pool_size)
