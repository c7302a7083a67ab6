"""Scores in NumPy: every formula once, with its source, tested against numbers computed by hand.

Truth and point forecasts are `(windows, horizon)`, quantile forecasts `(windows, horizon, levels)`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

NO_SCORE = float("nan")  # where there is nothing to divide by


def mase(truth: np.ndarray, point: np.ndarray, scale: np.ndarray) -> float:
    """Return the mean absolute scaled error (Hyndman & Koehler 2006).

    Every window has the same weight. `scale` `(windows,)` is the mean absolute error of the
    seasonal naive forecast on the training part of the window's series. It is NaN for a constant
    series, which has no such error: those windows are left out.
    """
    scaled = np.abs(truth - point).mean(axis=1) / scale
    return float(np.mean(scaled[~np.isnan(scaled)])) if not np.isnan(scaled).all() else NO_SCORE


def pinball(truth: np.ndarray, quantile: np.ndarray, level: float) -> float:
    """Return the mean quantile loss of one level (Koenker & Bassett 1978)."""
    error = truth - quantile
    return float(np.mean(np.maximum(level * error, (level - 1) * error)))


def wql(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> float:
    """Return the weighted quantile loss, as GluonTS defines it.

    It is twice the pinball loss divided by the mean absolute truth, averaged over the levels.
    """
    losses = []
    for position, level in enumerate(levels):
        losses.append(pinball(truth, quantiles[..., position], level))
    return _ratio(2 * np.mean(losses), np.mean(np.abs(truth)))


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the share of values inside their interval, borders included."""
    return float(np.mean((low <= truth) & (truth <= high)))


def wape(truth: np.ndarray, point: np.ndarray) -> float:
    """Return the sum of absolute errors divided by the sum of absolute truths."""
    return _ratio(np.abs(truth - point).sum(), np.abs(truth).sum())


def smape(truth: np.ndarray, point: np.ndarray) -> float:
    """Return the symmetric mean absolute percentage error, 0 to 200 (Makridakis 1993).

    It is 0 where both values are 0.
    """
    size = np.abs(truth) + np.abs(point)
    error = np.abs(truth - point)
    relative = np.divide(error, size, out=np.zeros_like(size), where=size > 0)
    return float(200 * np.mean(relative))


def mae(truth: np.ndarray, point: np.ndarray) -> float:
    """Return the mean absolute error, in the units of the truth."""
    return float(np.mean(np.abs(truth - point)))


def rmse(truth: np.ndarray, point: np.ndarray) -> float:
    """Return the root of the mean squared error, in the units of the truth."""
    return float(np.sqrt(np.mean((truth - point) ** 2)))


def _ratio(part: float | np.floating[Any], whole: float | np.floating[Any]) -> float:
    return float(part / whole) if whole else NO_SCORE
