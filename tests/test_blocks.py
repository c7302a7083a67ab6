"""Plans and blocks: what arithmetic says before Keras is called is what Keras builds."""

import itertools
from dataclasses import replace as replaced

import keras
import numpy as np
import pytest

from pipelines.config.search_space import flatten, replace
from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import Conv, Dense, Dropout, GlobalPool, Parallel, Pool, Residual
from pipelines.networks.plan import Layer, Plan, Shape, apply, measure
from pipelines.networks.sequence_layers import Attention, Recurrent
from pipelines.vision import plans
from pipelines.vision.pipeline import VisionPipeline, VisionSpec


def built(plan: Plan, shape: Shape) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, apply(plan, inputs, "test"))


@pytest.mark.parametrize("shape", [(13, 3), (9, 8, 2)], ids=["1-D", "2-D"])
@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
def test_sizes_weights_and_reality_agree(shape: Shape, padding: str) -> None:
    agreed = 0
    for norm, stride, dilation, kernel_size in itertools.product(
        ("batch", "layer", "none"), (1, 2, 3), (1, 2), (1, 2, 3)
    ):
        unit = Conv(
            filters=4,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            norm=norm,
        )  # type: ignore[arg-type]
        inner = Conv(
            filters=6,
            kernel_size=kernel_size,
            norm=norm,
            pool=Pool(kind="max", size=2) if stride > 1 else None,
        )  # type: ignore[arg-type]
        plan: Plan = (
            unit,
            Pool(kind="sum", size=2),
            Residual(body=(replaced(inner, pool=None),)),
            Parallel(branches=((inner,), (inner, inner))),
            GlobalPool(kind="sum"),
        )
        try:
            cost = measure(plan, shape)
        except ImpossibleSpec:
            continue
        model = built(plan, shape)
        assert model.output_shape[1:] == cost.shape
        assert model.count_params() == cost.params
        agreed += 1
    assert agreed >= 10


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_have_the_weights_that_arithmetic_says(
    cell: str, bidirectional: bool
) -> None:
    plan: Plan = (
        Recurrent(cell=cell, units=5, bidirectional=bidirectional, sequences=True),  # type: ignore[arg-type]
        Recurrent(cell=cell, units=4, bidirectional=bidirectional),  # type: ignore[arg-type]
        Dropout(rate=0.1),
        Dense(units=2),
    )
    assert built(plan, (7, 3)).count_params() == measure(plan, (7, 3)).params


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (Dense(units=2), (5, 3), 5 * 3 * 2),
        (Conv(filters=4, kernel_size=3), (10, 2), 10 * 3 * 2 * 4),
        (Conv(filters=4, kernel_size=3, stride=2), (8, 8, 2), 4 * 4 * 9 * 2 * 4),
        (Recurrent(cell="lstm", units=2), (7, 3), 7 * 4 * 2 * (3 + 2)),
        # Query, key, value and answer; each step with each, twice; the dense pair, twice as wide.
        (
            Attention(heads=2, activation="relu"),
            (3, 4),
            3 * 4 * 4 * 4 + 2 * 3 * 3 * 4 + 3 * 2 * 4 * 8,
        ),
    ],
)
def test_multiplications_are_counted_for_every_position(
    layer: Layer, shape: Shape, macs: int
) -> None:
    assert measure((layer,), shape).macs == macs


def test_a_causal_convolution_sees_nothing_that_comes_later() -> None:
    model = built(
        (Conv(filters=2, kernel_size=3, padding="causal", dilation=2, activation=None),), (10, 1)
    )
    early = np.random.default_rng(0).normal(size=(1, 10, 1)).astype("float32")
    late = early.copy()
    late[0, 6:] += 1
    assert np.allclose(model(early)[0, :6], model(late)[0, :6])
    assert not np.allclose(model(early)[0, 6:], model(late)[0, 6:])


def test_sum_pooling_sums() -> None:
    model = built((Pool(kind="sum", size=2),), (4, 4, 1))
    assert np.allclose(model(np.ones((1, 4, 4, 1), "float32")), 4)


@pytest.mark.parametrize(
    ("plan", "shape", "reason"),
    [
        (
            (Conv(filters=1, kernel_size=5, padding="valid"),),
            (4, 4, 1),
            "does not fit into an extent of 4",
        ),
        ((Pool(kind="max", size=3),), (2, 1), "does not fit into an extent of 2"),
        ((Conv(filters=1, kernel_size=3, stride=2, dilation=2),), (8, 1), "not both"),
        (
            (Residual(body=(Conv(filters=1, kernel_size=3, padding="valid"),)),),
            (8, 1),
            "padding that keeps extents",
        ),
        (
            (
                Parallel(
                    branches=(
                        (Conv(filters=1, kernel_size=1, padding="valid"),),
                        (Conv(filters=1, kernel_size=3, padding="valid"),),
                    )
                ),
            ),
            (8, 1),
            "inception",
        ),
    ],
)
def test_what_no_network_can_have_is_refused_by_arithmetic(
    plan: Plan, shape: Shape, reason: str
) -> None:
    with pytest.raises(ImpossibleSpec, match=reason):
        measure(plan, shape)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (70, 45, 3)], ids=str)
def test_every_architecture_builds_by_default_at_every_size(shape: Shape) -> None:
    for architecture in ("lenet", "alexnet", "vgg", "resnet", "inception"):
        blocks_ = {"conv.blocks": 2} if min(shape[:2]) < 16 else {}
        spec = replace(VisionSpec(), {"architecture": architecture, **blocks_})
        plan = plans.whole(spec, shape, 5)
        cost = measure(plan, shape)
        model = built(plan, shape)
        assert cost.shape == (5,)
        assert model.count_params() == cost.params


def test_a_hundred_random_points_of_the_default_space_build_or_are_refused_by_arithmetic() -> None:
    """Every point that arithmetic allows is built by Keras, with the weights that arithmetic
    counted.
    """
    from pipelines.config.search_space import Choice

    rng = np.random.default_rng(0)
    allowed = 0
    for _ in range(100):
        values = {
            key: domain.values[rng.integers(len(domain.values))]
            for key, domain in VisionPipeline.search.items()
            if isinstance(domain, Choice)
        }
        spec = replace(
            VisionSpec(), {**values, "conv.filters": 4, "conv.dilation": int(rng.integers(1, 3))}
        )
        plan = plans.whole(spec, (12, 12, 1), 3)
        try:
            cost = measure(plan, (12, 12, 1))
        except ImpossibleSpec:
            continue
        assert built(plan, (12, 12, 1)).count_params() == cost.params, flatten(spec)
        allowed += 1
    assert allowed > 30


def test_vgg_gives_small_images_pairs_of_convolutions_and_keeps_their_last_map() -> None:
    """A map of one position has nothing to convolve: optdigits lost a point of accuracy by pooling
    8x8 pixels three times.
    """

    def body(shape: Shape) -> tuple[list[int], Shape]:
        stages = {
            name: stage
            for name, stage in plans.stages(VisionSpec(), shape).items()
            if name.startswith("block")
        }
        whole = tuple(layer for stage in stages.values() for layer in stage)
        return [len(stage) for stage in stages.values()], measure(whole, shape).shape

    assert body((8, 8, 1)) == ([1, 2, 2], (2, 2, 128))
    assert body((28, 28, 1)) == ([1, 1, 1, 1], (3, 3, 128))
