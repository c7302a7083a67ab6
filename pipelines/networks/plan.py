"""An architecture as data: sizes, weights and operations are known before Keras is called.

A plan is a tuple of layers. `measure` walks it by arithmetic and raises `ImpossibleSpec` where a
size runs out, so that a search never starts such a network; `apply` builds the very same plan in
Keras. Shapes leave the batch out and end with the channels: `(steps, channels)` in one dimension,
`(height, width, channels)` in two.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Shape: TypeAlias = tuple[int, ...]
KerasTensor: TypeAlias = Any  # Keras ships no types


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The size of a network: its output shape, its weights, its multiply-accumulates per example.

    `params` counts trained and stored weights; `macs` are those of one forward pass.
    """

    shape: Shape
    params: int = 0
    macs: int = 0

    def then(self, other: "Cost") -> "Cost":
        """Return the cost of this network followed by `other`."""
        return Cost(
            shape=other.shape, params=self.params + other.params, macs=self.macs + other.macs
        )

    def beside(self, *others: "Cost") -> "Cost":
        """Return the cost of this and `others` together, with the shape of this one."""
        params, macs = self.params, self.macs
        for other in others:
            params += other.params
            macs += other.macs
        return Cost(shape=self.shape, params=params, macs=macs)


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one position of a network's output sees of its input, along each extent.

    It sees `size` positions, infinity for all of them; neighbours see what lies `step` apart.
    """

    size: float = 1
    step: int = 1

    def through(self, kernel_size: int, stride: int = 1) -> "Sight":
        """Return what is seen through a window of so many positions, moved by `stride`."""
        return Sight(size=self.size + (kernel_size - 1) * self.step, step=self.step * stride)


EVERYTHING = Sight(size=math.inf)


class Layer(Protocol):
    """One layer of a plan: what it costs by arithmetic, and what it is in Keras."""

    def cost(self, shape: Shape) -> Cost:
        """Return the output shape for one example of `shape`, and what the layer costs.

        Raises:
            ImpossibleSpec: the layer does not fit this shape.
        """

    def sight(self, before: Sight) -> Sight:
        """Return what is seen through the layer of what positions of its input see."""

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        """Return the layer applied to `x` `(batch, *shape)`.

        The names of its Keras layers begin with `name`. `mask` `(batch, steps)` is false for the
        steps that attention must not look at.
        """


Plan: TypeAlias = tuple[Layer, ...]


def measure(plan: Plan, shape: Shape) -> Cost:
    """Return the output shape of `plan` for one example of `shape`, and what the plan costs.

    Raises:
        ImpossibleSpec: a layer does not fit what the layers before it leave.
    """
    total = Cost(shape=shape)
    for layer in plan:
        total = total.then(layer.cost(total.shape))
    return total


def sight(plan: Plan, before: Sight | None = None) -> Sight:
    """Return what one feature of `plan` sees of its input: its receptive field."""
    seen = before or Sight()
    for layer in plan:
        seen = layer.sight(seen)
    return seen


def apply(plan: Plan, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
    """Return `plan` applied to `x`, its layers called `<name>_<position>_<kind>`.

    The number of extents of `x`, one or two, decides between `Conv1D` and `Conv2D` and their like.
    `name` is the group under which gradient norms are logged. `mask` is the one of `Layer.apply`.
    """
    for position, layer in enumerate(plan, start=1):
        x = layer.apply(x, f"{name}_{position}", mask)
    return x
