"""Encoders: a scaled history (batch, lookback, channels) to what each step ahead gets of it, (batch, horizon, width)."""

import math
from typing import Any

import keras

from pipelines.forecast import plans
from pipelines.forecast.layers import Interpolate
from pipelines.forecast.spec import ForecastSpec
from pipelines.networks.plan import apply

KerasTensor = Any


def encode(spec: ForecastSpec, x: KerasTensor, horizon: int) -> KerasTensor:
    """Return what `spec.architecture` makes of the history."""
    match spec.architecture:
        case "nhits":
            return _nhits(spec, x, horizon)
        case "linear":
            x = _decomposed(spec, x[:, :, :1])  # covariates reach the decoder by themselves
        case "conv" | "patch_transformer" | "lstm" | "gru":
            x = apply(plans.encoder(spec), x, "encoder")
    x = apply(plans.bridge(spec, horizon), x, "bridge")
    return keras.layers.Reshape((horizon, spec.width), name="context")(x)


def _decomposed(spec: ForecastSpec, x: KerasTensor) -> KerasTensor:
    """Return trend and remainder side by side (DLinear, Zeng et al. 2023): the trend is a moving average over the kernel."""
    trend = keras.layers.AveragePooling1D(
        spec.conv.kernel_size, strides=1, padding="same", name="trend"
    )(x)
    return keras.layers.Flatten(name="decomposed")(
        keras.layers.Concatenate(name="parts")([trend, x - trend])
    )


def _nhits(spec: ForecastSpec, x: KerasTensor, horizon: int) -> KerasTensor:
    """Return the sum of blocks that look at the history ever more finely (N-HiTS, Challu et al. 2023).

    Block b pools over kernel_size / 2^b steps and speaks in horizon * 2^b / kernel_size knots; what it explains of the
    history is taken away before the next block.
    """
    lookback, channels = x.shape[1:]
    forecasts = []
    for block, size in enumerate(plans.pools(spec)):
        pooled = keras.layers.MaxPooling1D(size, padding="same", name=f"nhits_{block}_pool")(x)
        code = apply(
            plans.code(spec),
            keras.layers.Flatten(name=f"nhits_{block}_flat")(pooled),
            f"nhits_{block}",
        )
        forecasts.append(
            _knots(code, math.ceil(horizon / size), horizon, spec.width, f"nhits_{block}_forecast")
        )
        x = x - _knots(
            code, math.ceil(lookback / size), lookback, channels, f"nhits_{block}_backcast"
        )
    return keras.layers.Add(name="context")(forecasts) if len(forecasts) > 1 else forecasts[0]


def _knots(code: KerasTensor, knots: int, steps: int, channels: int, name: str) -> KerasTensor:
    x = keras.layers.Dense(knots * channels, name=f"{name}_knots")(code)
    return Interpolate(steps, name=name)(
        keras.layers.Reshape((knots, channels), name=f"{name}_shape")(x)
    )
