"""The forecasting network: a closed form that is kept, an encoder of the history, and a decoder of every step ahead.

Inputs are scaled: `history` (batch, lookback, channels), its first channel the target, and, where anything is known
in advance, `future` (batch, horizon, known). The output is (batch, horizon, 1 + levels): mean, then quantiles.
Series are folded into the batch: one network serves them all.
"""

from typing import Any

import keras
import numpy as np

from pipelines.forecast import plans
from pipelines.forecast.encoders import encode
from pipelines.forecast.layers import QuantileSpread, WindowScale
from pipelines.forecast.spec import ForecastSpec
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.networks.plan import apply

KerasTensor = Any
SAMPLED = 2_000  # windows whose errors say how wide the quantiles begin


def build(spec: ForecastSpec, splits: ForecastSplits) -> keras.Model:
    """Return the network. With `start_from=ridge` its mean and median equal the ridge regression before training."""
    history = keras.Input((splits.lookback, splits.num_channels), name="history")
    future = (
        keras.Input((splits.horizon, splits.num_future), name="future")
        if splits.num_future
        else None
    )

    target = history[:, :, :1]
    last = target[:, -1:, :]
    scale = WindowScale(name="scale")(target) if spec.window_norm else None
    level = keras.layers.Identity(name="level")(_level(target - last, last, spec, splits))

    seen = _normalised(history, last, scale)
    context = encode(spec, seen, splits.horizon)
    known = [tensor for tensor in (context, _echo(seen, splits), future) if tensor is not None]
    ahead = keras.layers.Concatenate(name="steps")(known) if len(known) > 1 else context
    raw = apply(plans.head(), apply(plans.decoder(spec), ahead, "decoder"), "head")

    spread = QuantileSpread(name="quantiles")
    shape = spread(raw)
    output = level + (shape * scale if scale is not None else shape)
    inputs = {"history": history, "future": future} if future is not None else {"history": history}
    model = keras.Model(inputs, output, name=spec.architecture)
    _start(model, spread, spec, splits)
    return model


def _level(
    steps: KerasTensor, last: KerasTensor, spec: ForecastSpec, splits: ForecastSplits
) -> KerasTensor:
    """Return what the network corrects (batch, horizon, 1): the ridge regression, or the last value."""
    if spec.start_from == "none":
        return last
    # The regression is a layer that is not trained, so that a saved model is complete.
    ridge = keras.layers.Dense(splits.horizon, trainable=False, name="ridge")
    return (
        keras.layers.Reshape((splits.horizon, 1), name="ridge_steps")(ridge(steps[:, :, 0])) + last
    )


def _normalised(history: KerasTensor, last: KerasTensor, scale: KerasTensor | None) -> KerasTensor:
    """Return the history with its target as differences to the last value, in units of the window's own spread."""
    steps = history[:, :, :1] - last
    target = steps / scale if scale is not None else steps
    return (
        keras.layers.Concatenate(name="normalised")([target, history[:, :, 1:]])
        if history.shape[-1] > 1
        else target
    )


def _echo(seen: KerasTensor, splits: ForecastSplits) -> KerasTensor | None:
    """Return for each step ahead the row of the same place in the last season, and seven seasons ago where that is in sight.

    So the decoder can tell a working day that follows a holiday from one that follows its like.
    """
    ahead = np.arange(splits.horizon)
    back = [
        splits.lookback + ahead - season * (ahead // season + 1) for season in plans.seasons(splits)
    ]
    rows = [keras.ops.take(seen, one, axis=1) for one in back]
    return (
        keras.layers.Concatenate(name="echo")(rows)
        if len(rows) > 1
        else (rows[0] if rows else None)
    )


def _start(
    model: keras.Model, spread: QuantileSpread, spec: ForecastSpec, splits: ForecastSplits
) -> None:
    """Set the ridge layer, and quantiles as far apart as those of the errors that the start makes on train."""
    from pipelines.forecast.baselines import naive

    rule = splits.ridge if spec.start_from == "ridge" else naive(splits)
    if spec.start_from == "ridge":
        model.get_layer("ridge").set_weights([splits.ridge.weights, splits.ridge.bias])
    every = -(-len(splits.starts["train"]) // SAMPLED)
    starts = splits.starts["train"][::every]
    history = splits.windows(splits.rows[:, 0], starts, -splits.lookback, 0)
    errors = splits.windows(splits.rows[:, 0], starts, 0, splits.horizon) - rule(history)
    if spec.window_norm:
        errors = errors / np.sqrt(history.var(axis=1, keepdims=True) + WindowScale.floor**2)
    errors -= np.median(errors, axis=0)
    gaps = np.diff(np.quantile(errors, LEVELS, axis=0), axis=0).T
    spread.start_at(np.maximum(gaps, 1e-3).astype(np.float32))


def loss(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return pinball loss of all quantiles, doubled, plus squared error of the mean: (batch, horizon)."""
    return 2 * pinball(truth, output) + 0.5 * squared_error(truth, output)


def pinball(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the mean quantile loss over all levels: (batch, horizon)."""
    error = truth - output[..., 1:]
    levels = keras.ops.convert_to_tensor(LEVELS, dtype=error.dtype)
    return keras.ops.mean(keras.ops.maximum(levels * error, (levels - 1) * error), axis=-1)


def squared_error(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the squared error of the mean: (batch, horizon)."""
    return keras.ops.square(truth[..., 0] - output[..., 0])


def absolute_error(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the absolute error of the median: (batch, horizon)."""
    return keras.ops.abs(truth[..., 0] - output[..., 1 + LEVELS.index(0.5)])
