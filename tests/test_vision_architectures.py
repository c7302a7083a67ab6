"""Image networks at every size: what arithmetic allows is what Keras builds."""

from typing import cast

import keras
import numpy as np
import pytest

from pipelines.config.search_space import Choice, flatten, replace
from pipelines.errors import ImpossibleSpec
from pipelines.networks.plan import Plan, Shape, apply, measure
from pipelines.vision.architectures import StagedArchitecture, architecture_of, head
from pipelines.vision.options import VisionOptions
from pipelines.vision.spec import VisionSpec


def plan_of(spec: VisionSpec, shape: Shape, num_classes: int) -> Plan:
    """Return all layers of the network, from images to logits."""
    architecture = cast(StagedArchitecture, architecture_of(spec))
    plan: Plan = ()
    for stage in architecture.stages(spec, shape).values():
        plan = (*plan, *stage)
    return (*plan, *head(spec, num_classes))


def build(plan: Plan, shape: Shape) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, apply(plan, inputs, "test"))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (70, 45, 3)], ids=str)
@pytest.mark.parametrize("architecture", ["lenet", "alexnet", "vgg", "resnet", "inception"])
def test_every_architecture_builds_by_default_at_every_size(
    architecture: str, shape: Shape
) -> None:
    values: dict[str, object] = {"architecture": architecture}
    if min(shape[:2]) < 16:
        values["conv.blocks"] = 2
    spec = replace(VisionSpec(), values)
    plan = plan_of(spec, shape, 5)
    cost = architecture_of(spec).cost(spec, shape, 5)
    assert cost == measure(plan, shape)
    assert cost.shape == (5,)
    assert build(plan, shape).count_params() == cost.params


def random_point(rng: np.random.Generator) -> VisionSpec:
    """Return a point of the default space, small enough to be built quickly."""
    values: dict[str, object] = {}
    for key, dimension in VisionOptions.search.items():
        if isinstance(dimension, Choice):
            values[key] = dimension.values[rng.integers(len(dimension.values))]
    values |= {"conv.filters": 4, "conv.dilation": int(rng.integers(1, 3))}
    return replace(VisionSpec(), values)


def test_a_hundred_random_points_of_the_default_space_build_or_are_refused_by_arithmetic() -> None:
    """Keras builds every point that arithmetic allows, with the weights that arithmetic counted."""
    shape = (12, 12, 1)
    rng = np.random.default_rng(0)
    allowed = 0
    for _ in range(100):
        spec = random_point(rng)
        try:
            plan = plan_of(spec, shape, 3)
            cost = measure(plan, shape)
        except ImpossibleSpec:
            continue
        assert build(plan, shape).count_params() == cost.params, flatten(spec)
        allowed += 1
    assert allowed > 30


@pytest.mark.parametrize(
    ("shape", "layers_per_block", "last_map"),
    [
        ((8, 8, 1), [1, 2, 2], (2, 2, 128)),
        ((28, 28, 1), [1, 1, 1, 1], (3, 3, 128)),
    ],
    ids=str,
)
def test_vgg_gives_small_images_pairs_of_convolutions_and_keeps_their_last_map(
    shape: Shape, layers_per_block: list[int], last_map: Shape
) -> None:
    """A map of one position has nothing to convolve.

    optdigits lost a point of accuracy by pooling 8x8 pixels three times.
    """
    spec = VisionSpec()
    stages = cast(StagedArchitecture, architecture_of(spec)).stages(spec, shape)
    blocks = [stage for name, stage in stages.items() if name.startswith("block")]
    assert [len(block) for block in blocks] == layers_per_block
    body: Plan = ()
    for block in blocks:
        body = (*body, *block)
    assert measure(body, shape).shape == last_map
