"""What a forecast is worth: point scores, quantile scores, and the units that an error bar is computed from."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipelines.forecast import metrics
from pipelines.forecast.calibration import COVERAGES, interval
from pipelines.forecast.splits import LEVELS, MEDIAN, ForecastSplits
from pipelines.splits import Part

if TYPE_CHECKING:
    import pandas as pd

DECILES = tuple(position for position, level in enumerate(LEVELS) if 0.1 <= level <= 0.9)


def point_of(predictions: np.ndarray, point: str) -> np.ndarray:
    """Return the point forecasts (windows, horizon) out of (windows, horizon, 1 + levels)."""
    return np.asarray(predictions[..., 0 if point == "mean" else 1 + MEDIAN])


def score(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str
) -> dict[str, float]:
    """Return all scores; `mse` and `mae` are of values in units of each series' standard deviation on train, so are widths."""
    truth = splits.truth(part)
    forecast = point_of(predictions, point)
    series = splits.series[splits.starts[part]]
    std = splits.raw_std[series][:, None]
    error = (truth - forecast) / std
    found = {
        "mase": metrics.mase(truth, forecast, splits.mase_scale[series]),
        "wql": metrics.wql(
            truth, predictions[..., 1:][..., DECILES], [LEVELS[position] for position in DECILES]
        ),
        "mse": float(np.mean(error**2)),
        "mae": float(np.mean(np.abs(error))),
        "wape": metrics.wape(truth, forecast),
        "smape": metrics.smape(truth, forecast),
    }
    for cover in COVERAGES:
        low, high = (predictions[..., 1 + position] for position in interval(cover))
        found[f"coverage_{cover}"] = metrics.coverage(truth, low, high)
        found[f"width_{cover}"] = float(np.mean((high - low) / std))
    return found


def window_mase(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str
) -> np.ndarray:
    """Return the MASE of each window: (windows,), NaN where the series has no scale."""
    series = splits.series[splits.starts[part]]
    errors = np.abs(splits.truth(part) - point_of(predictions, point)).mean(axis=1)
    return np.asarray(errors / splits.mase_scale[series])


def units(splits: ForecastSplits, part: Part) -> np.ndarray:
    """Return the independent unit (windows,) that each window belongs to.

    Windows one step apart are nearly the same, so a unit is a stretch of time at least one horizon long, across all
    series; or a series, where there are more of those than such stretches.
    """
    number = splits.number[splits.starts[part]] - splits.number[splits.starts[part]].min()
    blocks = max((int(number.max()) + 1) // splits.horizon, 1)
    series = splits.series[splits.starts[part]]
    if len(np.unique(series)) > blocks:
        return np.asarray(np.unique(series, return_inverse=True)[1])
    return np.asarray(np.minimum(number // splits.horizon, blocks - 1))


def losses(predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str) -> np.ndarray:
    """Return the MASE of each unit, weighted by its windows so that the plain mean is the MASE of all windows."""
    each = window_mase(predictions, splits, part, point)
    scored = ~np.isnan(each)
    unit = np.unique(units(splits, part)[scored], return_inverse=True)[1]
    sums = np.bincount(unit, each[scored])
    return np.asarray(sums * len(sums) / scored.sum())


def backtest(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str, folds: int
) -> "pd.DataFrame":
    """Return scores of consecutive stretches of origins: one row for each of `folds`, its first and last origin in front.

    The spread over rows is how much the scores depend on when one happens to look; `se` is the standard error of
    `mase` inside a fold, over its independent units.
    """
    import pandas as pd

    number = splits.number[splits.starts[part]]
    edges = np.linspace(number.min(), number.max() + 1, folds + 1).astype(int)
    rows = []
    for begin, end in pairwise(edges):
        inside = (begin <= number) & (number < end)
        if not inside.any():
            continue
        fold = splits.only(part, inside)
        each = losses(predictions[inside], fold, part, point)
        origins = splits.step.times(np.array([number[inside].min(), number[inside].max()]))
        error = float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else float("nan")
        rows.append(
            {
                "first": origins[0],
                "last": origins[1],
                **score(predictions[inside], fold, part, point),
                "se": error,
            }
        )
    return pd.DataFrame(rows)
