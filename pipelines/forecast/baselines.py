"""Simple baselines, fitted in closed form: the last value, the last season, and a ridge regression of every step."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pipelines.forecast import calibration
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.pipeline import Baseline
from pipelines.splits import Part

LAMBDAS = tuple(float(value) for value in np.logspace(-2, 6, 17))


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """NLinear (Zeng et al. 2023) in closed form: the last value, plus a linear map of the history's differences to it.

    `weights` (lookback, horizon) and `bias` (horizon,), in scaled units, are shared by all series; `penalty` is lambda.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def __call__(self, history: np.ndarray) -> np.ndarray:
        """Return the forecasts (windows, horizon) after scaled histories (windows, lookback)."""
        last = history[:, -1:]
        return np.asarray(last + (history - last) @ self.weights + self.bias)


def fit_ridge(splits: ForecastSplits) -> Ridge:
    """Return the ridge regression of every step on the history; lambda, and whether there is a bias, chosen on val.

    Only X'X and X'Y are kept, summed chunk by chunk; they tell the squared error of every choice on val too.
    """
    train, val = _moments(splits, "train"), _moments(splits, "val")
    found = [
        _path(train, val, size) for size in (splits.lookback, splits.lookback + 1)
    ]  # the last row of X is ones
    _, penalty, weights = min(found, key=lambda candidate: candidate[0])
    bias = weights[splits.lookback] if len(weights) > splits.lookback else np.zeros(splits.horizon)
    return Ridge(
        weights=weights[: splits.lookback].astype(np.float32),
        bias=bias.astype(np.float32),
        penalty=penalty,
    )


def _path(train: "Moments", val: "Moments", size: int) -> tuple[float, float, np.ndarray]:
    """Return error on val, lambda and weights of the best ridge over the first `size` inputs: one decomposition serves every lambda."""
    values, vectors = np.linalg.eigh(train[0][:size, :size])
    rotated = vectors.T @ train[1][:size]
    candidates = []
    for penalty in LAMBDAS:
        weights = vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None])
        error = (
            val[2]
            - 2 * np.sum(weights * val[1][:size])
            + np.sum(weights * (val[0][:size, :size] @ weights))
        )
        candidates.append((float(error), penalty, weights))
    return min(candidates, key=lambda candidate: candidate[0])


Moments: TypeAlias = tuple[np.ndarray, np.ndarray, float]


def _moments(splits: ForecastSplits, part: Part) -> Moments:
    """Return X'X, X'Y and the sum of Y's squares: X (windows, lookback + 1) are differences to the last value, and ones."""
    gram = np.zeros((splits.lookback + 1, splits.lookback + 1))
    cross = np.zeros((splits.lookback + 1, splits.horizon))
    power = 0.0
    for _, history, truth in splits.chunks(part):
        last = history[:, -1:].astype(np.float64)
        x = np.hstack([history - last, np.ones_like(last)])
        y = truth - last
        gram += x.T @ x
        cross += x.T @ y
        power += float(np.sum(y * y))
    return gram, cross, power


def naive(splits: ForecastSplits) -> Callable[[np.ndarray], np.ndarray]:
    """Return the rule that repeats the last value."""
    return lambda history: np.repeat(history[:, -1:], splits.horizon, axis=1)


def seasonal_naive(splits: ForecastSplits, season: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the rule that repeats the last season."""
    steps = splits.lookback - season + np.arange(splits.horizon) % season
    return lambda history: history[:, steps]


def baselines(splits: ForecastSplits) -> Iterator[Baseline]:
    """Yield the baselines; their intervals are split-conformal on val, and calibrated on test as the network's are."""
    yield _rival("naive", lambda: (naive(splits), {}), splits)
    if splits.season <= splits.lookback:
        yield _rival("seasonal_naive", lambda: _best_season(splits), splits)
    yield _rival("ridge", lambda: (splits.ridge, {"lambda": splits.ridge.penalty}), splits)


def _best_season(
    splits: ForecastSplits,
) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, int]]:
    """Return the better one on val of a season and seven (a day and a week of hours)."""
    seasons = [season for season in (splits.season, 7 * splits.season) if season <= splits.lookback]
    errors = {season: _error(seasonal_naive(splits, season), splits) for season in seasons}
    best = min(errors, key=lambda season: errors[season])
    return seasonal_naive(splits, best), {"season": best}


def _error(rule: Callable[[np.ndarray], np.ndarray], splits: ForecastSplits) -> float:
    return float(
        sum(np.abs(truth - rule(history)).sum() for _, history, truth in splits.chunks("val"))
    )


def _rival(
    name: str,
    fit: Callable[[], tuple[Callable[[np.ndarray], np.ndarray], dict[str, float] | dict[str, int]]],
    splits: ForecastSplits,
) -> Baseline:
    started = time.perf_counter()
    rule, params = fit()
    errors = np.concatenate(
        [np.abs(truth - rule(history)) for _, history, truth in splits.chunks("val")]
    )
    spread = half_widths(errors)
    parts: tuple[Part, Part] = ("val", "test")
    predictions = {part: _with_quantiles(rule, splits, part, spread) for part in parts}
    calibration.rolling(predictions["val"], predictions["test"], splits)
    return Baseline(
        name=name, predictions=predictions, seconds=time.perf_counter() - started, params=params
    )


def half_widths(errors: np.ndarray) -> np.ndarray:
    """Return by how much each level lies above the point forecast, below it for low levels: (horizon, levels).

    The interval between the levels q and 1 - q is as wide as the 1 - 2q quantile of absolute errors (windows, horizon)
    makes it (split conformal prediction, Lei et al. 2018).
    """
    shares = np.abs(2 * np.array(LEVELS) - 1)
    return np.asarray(
        np.quantile(errors, shares, axis=0).T * np.sign(np.array(LEVELS) - 0.5), dtype=np.float32
    )


def _with_quantiles(
    rule: Callable[[np.ndarray], np.ndarray], splits: ForecastSplits, part: Part, spread: np.ndarray
) -> np.ndarray:
    """Return the rule's forecasts with its quantiles, in the target's units: (windows, horizon, 1 + levels)."""
    predictions = np.empty((len(splits.starts[part]), splits.horizon, 1 + len(LEVELS)), np.float32)
    done = 0
    for starts, history, _ in splits.chunks(part):
        point = rule(history)[..., None]
        chunk = np.concatenate([point, point + spread], axis=-1)
        predictions[done : done + len(starts)] = splits.unscale(chunk, starts)
        done += len(starts)
    return predictions
