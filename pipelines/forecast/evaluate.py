"""Scores of forecasts, their error bars, and tables and figures for people.

There are point scores and quantile scores; error bars are computed from units. Predictions are
`(windows, horizon, 1 + levels)` in the target's own units: mean, then quantiles.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.forecast import metrics
from pipelines.forecast import plots as figures
from pipelines.forecast.answers import significant
from pipelines.forecast.column_names import as_written, beside_history
from pipelines.forecast.quantiles import (
    COVERAGES,
    LEVELS,
    Point,
    interval_positions,
    point_forecasts,
)
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.forecast.data import ForecastSplits

# Positions of the levels that the weighted quantile loss is computed from.
DECILES = tuple(position for position, level in enumerate(LEVELS) if 0.1 <= level <= 0.9)
MOST_ROWS = 5_000  # of the table of predictions
MOST_FOLDS = 12  # of the figure of errors by time
TABLE_LEVELS = (0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975)


# ------------------------------------------------------------------------------------------- scores


def score(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point
) -> dict[str, float]:
    """Return all scores.

    `mae` and `rmse` are in the target's own units; `scaled_mae`, `scaled_mse` and the widths are of
    values in units of each series' standard deviation on train.
    """
    truth = splits.truth(part)
    forecast = point_forecasts(predictions, point)
    series = splits.series[splits.starts[part]]
    std = splits.raw_std[series][:, None]
    error = (truth - forecast) / std
    quantiles = predictions[..., 1:]
    decile_levels = [LEVELS[position] for position in DECILES]
    scores = {
        "mase": metrics.mase(truth, forecast, splits.mase_scale[series]),
        "wql": metrics.wql(truth, quantiles[..., DECILES], decile_levels),
        "mae": metrics.mae(truth, forecast),
        "rmse": metrics.rmse(truth, forecast),
        "scaled_mae": float(np.mean(np.abs(error))),
        "scaled_mse": float(np.mean(error**2)),
        "wape": metrics.wape(truth, forecast),
        "smape": metrics.smape(truth, forecast),
    }
    for cover in COVERAGES:
        low_position, high_position = interval_positions(cover)
        low, high = quantiles[..., low_position], quantiles[..., high_position]
        scores[f"coverage_{cover}"] = metrics.coverage(truth, low, high)
        scores[f"width_{cover}"] = float(np.mean((high - low) / std))
    return scores


def score_tables(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point
) -> dict[str, pd.DataFrame]:
    """Return the scores by step ahead, and by series, the one with the largest WAPE first.

    `mae` and `rmse` are in the target's own units, as `mean_truth` is; `mase` and `wape` have none.
    """
    truth = splits.truth(part)
    forecast = point_forecasts(predictions, point)
    series = splits.series[splits.starts[part]]
    scale = splits.mase_scale[series]
    by_step = []
    for step in range(splits.horizon):
        column = slice(step, step + 1)
        scores = _plain_scores(truth[:, column], forecast[:, column], scale)
        by_step.append({"step": step + 1, **scores})
    by_series = []
    order = np.argsort(series, kind="stable")
    numbers, begins = np.unique(series[order], return_index=True)
    for number, rows in zip(numbers, np.split(order, begins[1:]), strict=True):
        scores = _plain_scores(truth[rows], forecast[rows], scale[rows])
        by_series.append({"series": splits.names[number], **scores})
    of_series = pd.DataFrame(by_series).sort_values(
        "wape", ascending=False, kind="stable", ignore_index=True
    )
    return {"by_step": pd.DataFrame(by_step), "by_series": of_series}


def _plain_scores(truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    return {
        "windows": len(truth),
        "mae": metrics.mae(truth, forecast),
        "rmse": metrics.rmse(truth, forecast),
        "wape": metrics.wape(truth, forecast),
        "mase": metrics.mase(truth, forecast, scale),
        "mean_truth": float(np.mean(truth)),
    }


def losses(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point
) -> np.ndarray:
    """Return the MASE of each unit: `(units,)`.

    Each is weighted by its windows, so that the plain mean is the MASE of all windows.
    """
    each = window_mase(predictions, splits, part, point)
    is_scored = ~np.isnan(each)
    unit = np.unique(units(splits, part)[is_scored], return_inverse=True)[1]
    sums = np.bincount(unit, each[is_scored])
    return np.asarray(sums * len(sums) / is_scored.sum())


def window_mase(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point
) -> np.ndarray:
    """Return the MASE of each window: `(windows,)`, NaN where the series has no scale."""
    series = splits.series[splits.starts[part]]
    errors = np.abs(splits.truth(part) - point_forecasts(predictions, point)).mean(axis=1)
    return np.asarray(errors / splits.mase_scale[series])


def units(splits: "ForecastSplits", part: Part) -> np.ndarray:
    """Return the independent unit `(windows,)` that each window belongs to.

    Windows one step apart are nearly the same, so a unit is a stretch of time at least one horizon
    long, across all series; or a series, where there are more of those than such stretches.
    """
    starts = splits.starts[part]
    number = splits.number[starts] - splits.number[starts].min()
    blocks = max((int(number.max()) + 1) // splits.horizon, 1)
    series = splits.series[starts]
    if len(np.unique(series)) > blocks:
        return np.asarray(np.unique(series, return_inverse=True)[1])
    return np.asarray(np.minimum(number // splits.horizon, blocks - 1))


def backtest(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point, folds: int
) -> pd.DataFrame:
    """Return the scores of consecutive stretches of origins.

    There is one row for each of `folds`; its first two columns are its first and last origin. The
    spread over rows is how much the scores depend on when one happens to look; `se` is the standard
    error of `mase` inside a fold, over its independent units.
    """
    number = splits.number[splits.starts[part]]
    edges = np.linspace(number.min(), number.max() + 1, folds + 1).astype(int)
    rows = []
    for begin, end in pairwise(edges):
        inside = (begin <= number) & (number < end)
        if not inside.any():
            continue
        fold = splits.only(part, inside)
        first, last = splits.frequency.times(np.array([number[inside].min(), number[inside].max()]))
        scores = score(predictions[inside], fold, part, point)
        se = _standard_error(losses(predictions[inside], fold, part, point))
        rows.append({"first": first, "last": last, **scores, "se": se})
    return pd.DataFrame(rows)


def _standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of values `(n,)`; NaN for a single one."""
    if len(values) < 2:
        return float("nan")
    return float(values.std(ddof=1) / len(values) ** 0.5)


# --------------------------------------------------------------------------------------- for people


def table(predictions: np.ndarray, splits: "ForecastSplits", part: Part) -> pd.DataFrame:
    """Return forecasts that do not overlap, one row a step.

    The columns are series, time and target, called as in the data, then origin, step, mean and the
    quantiles. Only the latest rows are returned if there are many.
    """
    horizon = splits.horizon
    number = splits.number[splits.starts[part]]
    chosen = np.flatnonzero((number.max() - number) % horizon == 0)
    latest = np.argsort(-number[chosen], kind="stable")[: max(MOST_ROWS // horizon, 1)]
    chosen = np.sort(chosen[latest])
    starts = splits.starts[part][chosen]
    ahead = splits.number[starts][:, None] + np.arange(horizon)
    names = np.array(splits.names)[splits.series[starts]]
    origins = splits.frequency.times(splits.number[starts] - 1)
    columns = {
        "origin": as_written(np.repeat(origins, horizon), splits.time_form),
        "step": np.tile(np.arange(1, horizon + 1), len(starts)),
        "mean": significant(predictions[chosen, :, 0].ravel()),
    }
    for level in TABLE_LEVELS:
        values = predictions[chosen, :, 1 + LEVELS.index(level)]
        columns[f"q{level:g}"] = significant(values.ravel())
    return beside_history(
        splits.source,
        np.repeat(names, horizon),
        as_written(splits.frequency.times(ahead.ravel()), splits.time_form),
        pd.DataFrame(columns),
        truth=splits.windows(splits.raw, starts, 0, horizon).ravel(),
    )


def plots(
    predictions: np.ndarray, splits: "ForecastSplits", part: Part, point: Point
) -> Iterator[tuple[str, "Figure"]]:
    """Yield the figures: forecasts, error by step, error by origin, calibration, own units."""
    errors = window_mase(predictions, splits, part, point)
    number = splits.number[splits.starts[part]]
    folds = int(np.clip((np.ptp(number) + 1) // splits.horizon, 1, MOST_FOLDS))
    by_time = backtest(predictions, splits, part, point, folds)
    of_part = figures.Forecasts(predictions=predictions, splits=splits, part=part, point=point)
    yield "forecasts", figures.forecasts(of_part, errors)
    yield "error_by_step", figures.error_by_step(of_part)
    yield "error_by_origin", figures.error_by_origin(of_part, by_time, float(np.nanmean(errors)))
    yield "calibration", figures.calibration(of_part)
    tables = score_tables(predictions, splits, part, point)
    yield "error_in_units", figures.error_in_units(of_part, tables["by_step"], tables["by_series"])
