"""Layers of plans: what arithmetic says before Keras is called is what Keras builds."""

import dataclasses
import itertools
from typing import Literal

import keras
import numpy as np
import pytest

from pipelines.config.hyperparameters import Norm, Padding
from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import Conv, Dense, Dropout, GlobalPool, Parallel, Pool, Residual
from pipelines.networks.plan import Layer, Plan, Shape, apply, measure
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent


def build(plan: Plan, shape: Shape) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, apply(plan, inputs, "test"))


NORMS: tuple[Norm, ...] = ("batch", "layer", "none")


@pytest.mark.parametrize("shape", [(13, 3), (9, 8, 2)], ids=["1-D", "2-D"])
@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
def test_sizes_weights_and_reality_agree(shape: Shape, padding: Padding) -> None:
    agreed = 0
    settings = itertools.product(NORMS, (1, 2, 3), (1, 2), (1, 2, 3))
    for norm, stride, dilation, kernel_size in settings:
        entry = Conv(
            filters=4,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            norm=norm,
        )
        pool = Pool(kind="max", size=2) if stride > 1 else None
        inner = Conv(filters=6, kernel_size=kernel_size, norm=norm, pool=pool)
        plan: Plan = (
            entry,
            Pool(kind="sum", size=2),
            Residual(body=(dataclasses.replace(inner, pool=None),)),
            Parallel(branches=((inner,), (inner, inner))),
            GlobalPool(kind="sum"),
        )
        try:
            cost = measure(plan, shape)
        except ImpossibleSpec:
            continue
        model = build(plan, shape)
        assert model.output_shape[1:] == cost.shape
        assert model.count_params() == cost.params
        agreed += 1
    assert agreed >= 10


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_have_the_weights_that_arithmetic_says(
    cell: Literal["lstm", "gru"], bidirectional: bool
) -> None:
    plan: Plan = (
        Recurrent(cell=cell, units=5, bidirectional=bidirectional, return_sequences=True),
        Recurrent(cell=cell, units=4, bidirectional=bidirectional),
        Dropout(rate=0.1),
        Dense(units=2),
    )
    assert build(plan, (7, 3)).count_params() == measure(plan, (7, 3)).params


@pytest.mark.parametrize("expansion", [2, 4])
def test_attention_and_positions_have_the_weights_that_arithmetic_says(expansion: int) -> None:
    plan: Plan = (Positions(), Attention(heads=2, activation="relu", expansion=expansion))
    cost = measure(plan, (7, 6))
    model = build(plan, (7, 6))
    assert cost.shape == (7, 6)
    assert model.output_shape[1:] == (7, 6)
    assert model.count_params() == cost.params


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (Dense(units=2), (5, 3), 5 * 3 * 2),
        (Conv(filters=4, kernel_size=3), (10, 2), 10 * 3 * 2 * 4),
        (Conv(filters=4, kernel_size=3, stride=2), (8, 8, 2), 4 * 4 * 9 * 2 * 4),
        (Recurrent(cell="lstm", units=2), (7, 3), 7 * 4 * 2 * (3 + 2)),
        # Query, key, value and output; each step with each, twice; the dense pair, twice as wide.
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
    causal = Conv(filters=2, kernel_size=3, padding="causal", dilation=2, activation=None)
    model = build((causal,), (10, 1))
    early = np.random.default_rng(0).normal(size=(1, 10, 1)).astype("float32")
    late = early.copy()
    late[0, 6:] += 1
    assert np.allclose(model(early)[0, :6], model(late)[0, :6])
    assert not np.allclose(model(early)[0, 6:], model(late)[0, 6:])


def test_sum_pooling_sums() -> None:
    model = build((Pool(kind="sum", size=2),), (4, 4, 1))
    assert np.allclose(model(np.ones((1, 4, 4, 1), "float32")), 4)


SMALL_VALID = Conv(filters=1, kernel_size=1, padding="valid")
VALID = Conv(filters=1, kernel_size=3, padding="valid")
WIDE_VALID = Conv(filters=1, kernel_size=5, padding="valid")
STRIDED_AND_DILATED = Conv(filters=1, kernel_size=3, stride=2, dilation=2)


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [
        (WIDE_VALID, (4, 4, 1), "does not fit into an extent of 4"),
        (Pool(kind="max", size=3), (2, 1), "does not fit into an extent of 2"),
        (STRIDED_AND_DILATED, (8, 1), "not both"),
        (Residual(body=(VALID,)), (8, 1), "padding that keeps extents"),
        (Parallel(branches=((SMALL_VALID,), (VALID,))), (8, 1), "inception"),
        (Attention(heads=4, activation="relu"), (5, 3), "Each attention head needs a channel"),
    ],
)
def test_what_no_network_can_have_is_refused_by_arithmetic(
    layer: Layer, shape: Shape, reason: str
) -> None:
    with pytest.raises(ImpossibleSpec, match=reason):
        measure((layer,), shape)
