"""Encoders: histories (batch, history, width) to what may come after each of their items, (batch, history, width).

None looks ahead, so all positions of a history are trained at once: expanding every prefix costs as many times more
as histories are long.
"""

import dataclasses
from typing import Any

import keras

from pipelines import blocks
from pipelines.errors import ImpossibleSpec
from pipelines.layers import PositionEmbedding, RunningMean
from pipelines.plan import Conv, Dense, Plan, Recurrent, Residual, conv
from pipelines.recommend.spec import RecommendSpec

KerasTensor = Any
WINDOW = 5  # items that caser looks at (Tang & Wang 2018 have 5 too)
BY_USER = ("mf", "two_tower", "caser")  # networks that know users by a vector of their own
BY_HISTORY = ("two_tower", "conv", "caser", "gru4rec", "sasrec")


def check(spec: RecommendSpec) -> None:
    """Raise `ImpossibleSpec` for what no network can have."""
    if spec.conv.padding != "causal":
        raise ImpossibleSpec(f"A recommender must not look ahead: conv.padding is causal. Received: {spec.conv.padding}")
    if spec.architecture == "sasrec" and spec.conv.filters % spec.heads:
        raise ImpossibleSpec(f"conv.filters must be a multiple of heads. Received: conv.filters={spec.conv.filters}, heads={spec.heads}")


def encode(spec: RecommendSpec, x: KerasTensor | None, user: KerasTensor | None, real: KerasTensor | None) -> KerasTensor:
    """Return what `spec.architecture` makes of the items' vectors `x` and the user's vector (batch, width), each None where unused.

    `real` (batch, history) is false where a history is padded.
    """
    match spec.architecture:
        case "mf":
            return keras.layers.Reshape((1, spec.conv.filters), name="user_state")(user)
        case "two_tower":
            return _tower(spec, x, user, real)
        case "conv":
            return _dilated(spec, x)
        case "caser":
            return _caser(spec, x, user)
        case "gru4rec":
            plan: list[Recurrent] = [Recurrent(cell="gru", units=spec.recurrent.units, sequences=True)] * spec.recurrent.layers
            return blocks.apply((*plan, Dense(units=spec.conv.filters)), x, "gru")
        case "sasrec":
            return _attended(spec, x, real)


def _tower(spec: RecommendSpec, x: KerasTensor, user: KerasTensor, real: KerasTensor) -> KerasTensor:
    """Return the user's vector and the mean of the items so far, through two dense layers (Covington et al. 2016)."""
    width = spec.conv.filters
    mean = RunningMean(name="running_mean")(x, real)
    both = keras.layers.Concatenate(name="tower")([mean, _everywhere(user, x)])
    return blocks.apply((Dense(units=2 * width, activation=spec.conv.activation), Dense(units=width)), both, "tower")


def _dilated(spec: RecommendSpec, x: KerasTensor) -> KerasTensor:
    """Return causal convolutions whose taps lie ever further apart (Yuan et al. 2019).

    With a stride, a coarser view is added first: one strided convolution, each of its steps repeated until the next.
    """
    if spec.conv.stride > 1:
        coarse = blocks.apply((conv(spec.conv, stride=spec.conv.stride),), x, "coarse")
        repeated = keras.layers.UpSampling1D(spec.conv.stride, name="coarse_repeated")(coarse)
        x = x + repeated[:, : x.shape[1]]
    body: list[Residual] = []
    for block in range(spec.conv.blocks):
        first: Conv = conv(spec.conv, dilation=spec.conv.dilation * 2**block)
        second = dataclasses.replace(first, kernel_size=1, dilation=1, activation=None, norm="none")
        body.append(Residual(body=(first, second)))
    return keras.layers.LayerNormalization(name="last_norm")(blocks.apply(tuple(body), x, "body"))


def _caser(spec: RecommendSpec, x: KerasTensor, user: KerasTensor) -> KerasTensor:
    """Return what runs of items and each of the last places say, with the user's vector (Tang & Wang 2018).

    At every position at once: a run's strongest answer in a window is a moving maximum.
    """
    width = spec.conv.filters
    runs: Plan = tuple(conv(spec.conv, filters=max(8, width // 4), kernel_size=size) for size in range(2, 2 + spec.conv.kernel_size))
    seen = []
    for number, one in enumerate(runs, start=1):
        found = keras.layers.ZeroPadding1D((WINDOW - 1, 0), name=f"run_{number}_pad")(blocks.apply((one,), x, f"run_{number}"))
        seen.append(keras.layers.MaxPooling1D(WINDOW, strides=1, name=f"run_{number}_max")(found))
    padded = keras.layers.ZeroPadding1D((WINDOW - 1, 0), name="places_pad")(x)
    seen.append(keras.layers.DepthwiseConv1D(WINDOW, depth_multiplier=2, name="places")(padded))
    mixed = blocks.apply((Dense(units=width, activation=spec.conv.activation),), keras.layers.Concatenate(name="views")(seen), "mix")
    return mixed + _everywhere(user, x)


def _attended(spec: RecommendSpec, x: KerasTensor, real: KerasTensor) -> KerasTensor:
    """Return each item after it has seen those before it (Kang & McAuley 2018)."""
    x = PositionEmbedding(name="positions")(x)
    for number in range(1, spec.conv.blocks + 1):
        x = blocks.attention(
            x,
            spec.heads,
            2 * spec.conv.filters,
            activation=spec.conv.activation,
            dropout=spec.dropout,
            name=f"attention_{number}",
            seen=real,
            causal=True,
        )
    return keras.layers.LayerNormalization(name="last_norm")(x)


def _everywhere(user: KerasTensor, x: KerasTensor) -> KerasTensor:
    return keras.layers.RepeatVector(x.shape[1], name="user_everywhere")(user)
