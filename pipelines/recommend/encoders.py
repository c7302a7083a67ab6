"""Encoders: histories (batch, history, width) to what may come after each of their items, (batch, history, width).

None looks ahead, so all positions of a history are trained at once: expanding every prefix costs as many times more
as histories are long.
"""

from typing import Any

import keras

from pipelines.networks.plan import apply
from pipelines.recommend import plans
from pipelines.recommend.layers import RunningMean
from pipelines.recommend.plans import PLACES, WINDOW
from pipelines.recommend.spec import RecommendSpec

KerasTensor = Any


def encode(
    spec: RecommendSpec, x: KerasTensor | None, user: KerasTensor | None, real: KerasTensor | None
) -> KerasTensor:
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
            return apply(plans.recurrent(spec), x, "gru")
        case "sasrec":
            return apply(plans.attended(spec), x, "attention", seen=real)


def _tower(
    spec: RecommendSpec, x: KerasTensor, user: KerasTensor, real: KerasTensor
) -> KerasTensor:
    """Return the user's vector and the mean of the items so far, through two dense layers (Covington et al. 2016)."""
    mean = RunningMean(name="running_mean")(x, real)
    both = keras.layers.Concatenate(name="tower")([mean, _everywhere(user, x)])
    return apply(plans.tower(spec), both, "tower")


def _dilated(spec: RecommendSpec, x: KerasTensor) -> KerasTensor:
    """Return causal convolutions whose taps lie ever further apart (Yuan et al. 2019).

    With a stride, a coarser view is added first: one strided convolution, each of its steps repeated until the next.
    """
    if coarse := plans.coarse(spec):
        repeated = keras.layers.UpSampling1D(spec.conv.stride, name="coarse_repeated")(
            apply(coarse, x, "coarse")
        )
        x = x + repeated[:, : x.shape[1]]
    return apply(plans.dilated(spec), x, "body")


def _caser(spec: RecommendSpec, x: KerasTensor, user: KerasTensor) -> KerasTensor:
    """Return what runs of items and each of the last places say, with the user's vector (Tang & Wang 2018).

    At every position at once: a run's strongest answer in a window is a moving maximum.
    """
    seen = []
    for number, one in enumerate(plans.runs(spec), start=1):
        found = keras.layers.ZeroPadding1D((WINDOW - 1, 0), name=f"run_{number}_pad")(
            apply((one,), x, f"run_{number}")
        )
        seen.append(keras.layers.MaxPooling1D(WINDOW, strides=1, name=f"run_{number}_max")(found))
    padded = keras.layers.ZeroPadding1D((WINDOW - 1, 0), name="places_pad")(x)
    seen.append(
        keras.layers.DepthwiseConv1D(WINDOW, depth_multiplier=PLACES, name="places")(padded)
    )
    mixed = apply(plans.mix(spec), keras.layers.Concatenate(name="views")(seen), "mix")
    return mixed + _everywhere(user, x)


def _everywhere(user: KerasTensor, x: KerasTensor) -> KerasTensor:
    return keras.layers.RepeatVector(x.shape[1], name="user_everywhere")(user)
