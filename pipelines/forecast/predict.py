"""Forecasts by a trained network, and how far it is trusted: chosen once on val, kept inside."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines.blend import NETWORK, Blend
from pipelines.forecast.batches import batches
from pipelines.forecast.intervals import calibrate_rolling
from pipelines.forecast.model import RIDGE, SHRINK
from pipelines.forecast.quantiles import LEVELS
from pipelines.io.progress import counted
from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

BATCH_SIZE = 1024
SMALLEST_POWER = 1e-12  # of the network's correction, where it corrects nothing


def predict(network: keras.Model, splits: "ForecastSplits", part: Part) -> np.ndarray:
    """Return mean and quantiles in the target's own units: `(windows, horizon, 1 + levels)`.

    Intervals are calibrated on what had come true by then (see `intervals.calibrate_rolling`); on
    train nothing is.
    """
    forecasts = uncalibrated(network, splits, part)
    if part == "train":
        return forecasts
    earlier = uncalibrated(network, splits, "val") if part == "test" else None
    return calibrate_rolling(forecasts, splits, part, earlier)


def predict_alone(network: keras.Model, splits: "ForecastSplits", part: Part) -> np.ndarray:
    """Return what `predict` does, with all of the network's correction to its start."""
    shrink = network.get_layer(SHRINK)
    chosen = shrink.get_weights()
    shrink.set_weights([np.zeros(())])
    try:
        return predict(network, splits, part)
    finally:
        shrink.set_weights(chosen)


def uncalibrated(network: keras.Model, splits: "ForecastSplits", part: Part) -> np.ndarray:
    """Return the network's forecasts in the target's units: `(windows, horizon, 1 + levels)`."""
    count = len(splits.starts[part])
    # Filled batch by batch: it may be large.
    scaled = np.empty((count, splits.horizon, 1 + len(LEVELS)), np.float32)
    remaining = counted(batches(splits, part, BATCH_SIZE, None), "batches", -(-count // BATCH_SIZE))
    for number, (inputs, _) in enumerate(remaining):
        begin = number * BATCH_SIZE
        scaled[begin : begin + BATCH_SIZE] = network.predict_on_batch(inputs)
    return splits.unscale(scaled, splits.starts[part])


def calibrate(
    network: keras.Model, splits: "ForecastSplits", like: keras.Model | None = None
) -> None:
    """Choose how far the network's correction to its start is taken back, and store that in it.

    It is the share with the least squared error on val, from 0 to 1: where the network has learned
    nothing that holds, what it started from remains.
    With `like`, the share of that network is taken over.
    """
    shrink = network.get_layer(SHRINK)
    if like is not None:
        shrink.set_weights(like.get_layer(SHRINK).get_weights())
        return
    before_shrinking = keras.Model(network.input, shrink.input)
    correction, error = [], []
    starts = splits.starts["val"]
    for number, (inputs, _) in enumerate(batches(splits, "val", BATCH_SIZE, None)):
        forecasts, level = before_shrinking.predict_on_batch(inputs)
        begin = number * BATCH_SIZE
        truth = splits.scaled_truth(starts[begin : begin + BATCH_SIZE])
        correction.append(forecasts[..., 0] - level[..., 0])
        error.append(truth - level[..., 0])
    shrink.set_weights([np.array(1 - _kept(np.concatenate(correction), np.concatenate(error)))])


def _kept(correction: np.ndarray, error: np.ndarray) -> float:
    """Return the share of the correction, from 0 to 1, that fits the start's error best.

    The fit is by least squares; `correction` and `error` are `(windows, horizon)`.
    """
    x, y = correction.ravel(), error.ravel()
    power = max(float(np.dot(x, x)), SMALLEST_POWER)
    return float(np.clip(np.dot(x, y) / power, 0, 1))


def blend(network: keras.Model) -> Blend:
    """Return how much of a calibrated network's forecasts is its own, the rest being its start's.

    The network alone is its start with all of the correction.
    """
    kept = kept_share(network)
    return Blend(
        weights={_start_name(network): 1 - kept, NETWORK: kept},
        beside="the intervals are the network's",
    )


def kept_share(network: keras.Model) -> float:
    """Return the share of its correction that a calibrated network keeps, from 0 to 1."""
    return 1 - float(network.get_layer(SHRINK).shrinkage)


def _start_name(network: keras.Model) -> str:
    has_ridge = any(layer.name == RIDGE for layer in network.layers)
    return "ridge" if has_ridge else "the last value"


def kept_note(network: keras.Model) -> str:
    """Return a sentence on how much of its correction a calibrated network keeps."""
    kept = 100 * kept_share(network)
    return f"validation kept {kept:.0f} % of the network's correction to {_start_name(network)}"
