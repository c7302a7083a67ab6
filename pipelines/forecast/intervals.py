"""Intervals with the promised coverage: scaled by what lately came true (conformal prediction).

Forecasts are `(windows, horizon, 1 + levels)` in the target's own units: mean, then quantiles.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.forecast.quantiles import LEVELS, MEDIAN
from pipelines.splits import SCORED_PARTS, Part

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

# Windows that are enough to calibrate on; more are thinned out, neighbours being nearly the same.
MOST_WINDOWS = 4_000
# What a 95 % interval needs: the next window is one of 20 (Lei et al. 2018).
FEWEST_WINDOWS = 19
SMALLEST_WIDTH = 1e-9


def calibrate_rolling(
    forecasts: np.ndarray,
    splits: "ForecastSplits",
    part: Part,
    earlier: np.ndarray | None = None,
    until_then: np.ndarray | None = None,
) -> np.ndarray:
    """Return the forecasts of `part`, calibrated on what had come true by each origin.

    This is what someone can do who forecasts day after day. The forecasts from an origin are scaled
    by what was needed by the windows that lie wholly before it and at most one validation part
    back. Without that the intervals age: those of a mild season are too narrow for a hot one (Gibbs
    & Candès 2021 on why a fixed calibration fails). `earlier` are the forecasts of val where `part`
    is test. Val has nothing before it: its intervals are those of the network until enough of its
    own windows have come true. `until_then` are the forecasts of `part` that hold until then, where
    they are others.
    """
    parts: list[Part] = [part]
    forecasts_by_part = [forecasts]
    fewest = FEWEST_WINDOWS
    if earlier is not None:
        parts.insert(0, "val")
        forecasts_by_part.insert(0, earlier)
        fewest = 1  # test has all of val before it, however little that is
    number = np.concatenate([_origins(splits, other) for other in parts])
    truth = np.concatenate([splits.truth(other) for other in parts])
    ends = number + splits.horizon
    origin = _origins(splits, part)
    calibrated = (forecasts if until_then is None else until_then).copy()
    for now in range(int(origin.min()), int(origin.max()) + 1, splits.horizon):
        is_ahead = (now <= origin) & (origin < now + splits.horizon)
        came_true = np.flatnonzero((ends <= now) & (ends > now - splits.val_steps))
        if not is_ahead.any() or len(came_true) < fewest:
            continue
        came_true = _thinned(came_true)
        factors = interval_factors(truth[came_true], _rows(forecasts_by_part, came_true))
        calibrated[is_ahead] = scale_intervals(forecasts[is_ahead], factors)
    return calibrated


def latest_factors(forecasts: dict[Part, np.ndarray], splits: "ForecastSplits") -> np.ndarray:
    """Return the factors `(horizon, levels)` of the latest windows of val and test.

    They come from as many windows as the validation part has. A served model begins with them.
    """
    number = np.concatenate([_origins(splits, part) for part in SCORED_PARTS])
    truth = np.concatenate([splits.truth(part) for part in SCORED_PARTS])
    latest = _thinned(np.flatnonzero(number > number.max() - splits.val_steps))
    rows = _rows([forecasts[part] for part in SCORED_PARTS], latest)
    return interval_factors(truth[latest], rows)


def _origins(splits: "ForecastSplits", part: Part) -> np.ndarray:
    """Return the step `(windows,)` at which each window begins to forecast."""
    return np.asarray(splits.number[splits.starts[part]])


def _thinned(positions: np.ndarray) -> np.ndarray:
    return positions[:: -(-len(positions) // MOST_WINDOWS)]


def _rows(arrays: Sequence[np.ndarray], positions: np.ndarray) -> np.ndarray:
    """Return the rows at these positions, in order, of arrays laid end to end.

    The arrays may be too large to be copied whole.
    """
    taken = []
    begin = 0
    for array in arrays:
        end = begin + len(array)
        inside = positions[(begin <= positions) & (positions < end)]
        taken.append(array[inside - begin])
        begin = end
    return np.concatenate(taken)


def interval_factors(truth: np.ndarray, forecasts: np.ndarray) -> np.ndarray:
    """Return the factors by which intervals must be scaled at each step: `(horizon, levels)`.

    The score of a window is the distance of the truth `(windows, horizon)` from the median in units
    of the predicted half-width on its side, and the factor its quantile (Romano et al. 2019, Sesia
    & Candès 2020: a factor rather than a sum keeps wide intervals wide).
    """
    quantiles = forecasts[..., 1:]
    median = quantiles[..., MEDIAN]
    deviation = truth - median
    count = len(truth)
    factors = np.ones((truth.shape[1], len(LEVELS)), np.float32)
    for low in range(MEDIAN):
        high = len(LEVELS) - 1 - low
        below, above = median - quantiles[..., low], quantiles[..., high] - median
        width = np.where(deviation < 0, below, above)
        scores = np.abs(deviation) / np.maximum(width, SMALLEST_WIDTH)
        # A little more than the coverage: the next window is one of count + 1.
        coverage = min((LEVELS[high] - LEVELS[low]) * (1 + 1 / count), 1.0)
        factors[:, [low, high]] = np.quantile(scores, coverage, axis=0)[:, None]
    return factors


def scale_intervals(forecasts: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return forecasts with intervals scaled by `factors`, without crossing.

    `factors` is `(horizon, levels)`.
    """
    median = forecasts[..., 1 + MEDIAN, None]
    quantiles = median + (forecasts[..., 1:] - median) * factors
    # A scaled inner interval may reach beyond an outer one: sorting fixes that (Chernozhukov et al.
    # 2010).
    quantiles.sort(axis=-1)
    return np.concatenate([forecasts[..., :1], quantiles], axis=-1)
