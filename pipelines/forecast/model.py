"""The forecasting network in Keras: a start that is kept, an encoder and a decoder.

The encoder reads the history, and the decoder corrects every step ahead. Inputs are scaled:
`history` `(batch, lookback, channels)`, its first channel the target, and, where anything is known
in advance, `future` `(batch, horizon, known)`. The output is `(batch, horizon, 1 + levels)`: mean,
then quantiles. Series are folded into the batch: one network serves them all.
"""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipelines.forecast.architectures import architecture_of, quantile_head
from pipelines.forecast.baselines import Ridge, Rule
from pipelines.forecast.layers import QuantileSpread, ShrinkToLevel, WindowScale
from pipelines.forecast.quantiles import LEVELS, MEDIAN
from pipelines.forecast.spec import ForecastSpec
from pipelines.networks.plan import KerasTensor, apply

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

MOST_WINDOWS = 2_000  # whose errors say how wide the quantiles begin
SMALLEST_GAP = 1e-3  # between neighbouring quantiles before training, in scaled units
RIDGE = "ridge"  # the layer that is the ridge regression, where the network starts from it
LEVEL = "level"  # the layer whose output the network corrects
SHRINK = "shrink_to_level"  # the layer that holds how far the correction is taken back


def build(spec: ForecastSpec, splits: "ForecastSplits", start: Rule) -> keras.Model:
    """Return the network; its mean and median equal the forecasts of `start` before training.

    `start` is a ridge regression, which stays a part of the network, or the rule that repeats the
    last value.
    """
    # --- inputs
    history = keras.Input((splits.lookback, splits.num_channels), name="history")
    inputs = {"history": history}
    if splits.num_future:
        inputs["future"] = keras.Input((splits.horizon, splits.num_future), name="future")

    # --- what is corrected
    target = history[:, :, :1]
    last = target[:, -1:, :]
    scale = WindowScale(name="scale")(target) if spec.window_norm else None
    level = keras.layers.Identity(name=LEVEL)(_level(target - last, last, splits, start))

    # --- the context of each step ahead
    entry = architecture_of(spec)
    normalized = _normalize(history, last, scale)
    of_step = [entry.context(spec, normalized, splits.horizon)]
    of_step += _echoes(normalized, splits)
    if "future" in inputs:
        of_step.append(inputs["future"])

    # --- mean and quantiles
    x = _concatenate(of_step, "steps")
    raw = apply(quantile_head(), apply(entry.decoder(spec), x, "decoder"), "head")
    spread = QuantileSpread(name="quantiles")
    correction = spread(raw)
    if scale is not None:
        correction = correction * scale
    output = ShrinkToLevel(name=SHRINK)(level + correction, level)

    # TensorFlow rounds differently under another name: weights would differ in their last digit.
    network = keras.Model(inputs, output, name=spec.architecture)
    if isinstance(start, Ridge):
        network.get_layer(RIDGE).set_weights([start.weights, start.bias])
    spread.start_at(_first_gaps(splits, start, window_norm=spec.window_norm))
    return network


def _level(
    steps: KerasTensor, last: KerasTensor, splits: "ForecastSplits", start: Rule
) -> KerasTensor:
    """Return what the network corrects: `(batch, horizon, 1)`.

    It is `(batch, 1, 1)` where that is the last value.
    """
    if not isinstance(start, Ridge):
        return last
    # The regression is a layer that is not trained, so that a saved model is complete.
    ridge = keras.layers.Dense(splits.horizon, trainable=False, name=RIDGE)
    differences = ridge(steps[:, :, 0])
    by_step = keras.layers.Reshape((splits.horizon, 1), name="ridge_steps")(differences)
    return by_step + last


def _normalize(history: KerasTensor, last: KerasTensor, scale: KerasTensor | None) -> KerasTensor:
    """Return the history with its target as differences to the last value.

    The differences are in units of the window's own spread.
    """
    target = history[:, :, :1] - last
    if scale is not None:
        target = target / scale
    if history.shape[-1] == 1:
        return target
    return keras.layers.Concatenate(name="normalised")([target, history[:, :, 1:]])


def _echoes(normalized: KerasTensor, splits: "ForecastSplits") -> list[KerasTensor]:
    """Return the rows at the same position one season ago, and seven seasons ago, for each step.

    Seven seasons are used where the history is long enough. The list holds one tensor or none. So
    the decoder can tell a working day that follows a holiday from one that follows another working
    day.
    """
    ahead = np.arange(splits.horizon)
    rows = []
    for season in splits.seasons_in_sight:
        positions = splits.lookback + ahead - season * (ahead // season + 1)
        rows.append(keras.ops.take(normalized, positions, axis=1))
    if not rows:
        return []
    return [_concatenate(rows, "echo")]


def _concatenate(tensors: list[KerasTensor], name: str) -> KerasTensor:
    if len(tensors) == 1:
        return tensors[0]
    return keras.layers.Concatenate(name=name)(tensors)


def _first_gaps(splits: "ForecastSplits", start: Rule, *, window_norm: bool) -> np.ndarray:
    """Return how far apart the quantiles begin: `(horizon, levels - 1)`.

    They begin as far apart as those of the errors that the start makes on train.
    """
    starts = splits.starts["train"]
    every = -(-len(starts) // MOST_WINDOWS)
    starts = starts[::every]
    history = splits.scaled_history(starts)
    errors = splits.scaled_truth(starts) - start(history)
    if window_norm:
        variance = history.var(axis=1, keepdims=True)
        errors = errors / np.sqrt(variance + WindowScale.floor**2)
    errors -= np.median(errors, axis=0)
    gaps = np.diff(np.quantile(errors, LEVELS, axis=0), axis=0).T
    return np.asarray(np.maximum(gaps, SMALLEST_GAP), np.float32)


def compile_arguments() -> dict[str, Any]:
    """Return loss and metrics: pinball loss of the quantiles, squared error of the mean."""
    functions = {"pinball": pinball, "scaled_mae": absolute_error, "scaled_mse": squared_error}
    metrics = []
    for name, function in functions.items():
        metrics.append(keras.metrics.MeanMetricWrapper(function, name=name))
    return {"loss": loss, "metrics": metrics}


def loss(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return twice the pinball loss of all quantiles plus half the squared error of the mean.

    The shape is `(batch, horizon)`.
    """
    return 2 * pinball(truth, output) + 0.5 * squared_error(truth, output)


def pinball(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the mean quantile loss of all levels: `(batch, horizon)` (Koenker & Bassett 1978)."""
    error = truth - output[..., 1:]
    levels = keras.ops.convert_to_tensor(LEVELS, dtype=error.dtype)
    return keras.ops.mean(keras.ops.maximum(levels * error, (levels - 1) * error), axis=-1)


def squared_error(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the squared error of the mean: `(batch, horizon)`."""
    return keras.ops.square(truth[..., 0] - output[..., 0])


def absolute_error(truth: KerasTensor, output: KerasTensor) -> KerasTensor:
    """Return the absolute error of the median: `(batch, horizon)`."""
    return keras.ops.abs(truth[..., 0] - output[..., 1 + MEDIAN])
