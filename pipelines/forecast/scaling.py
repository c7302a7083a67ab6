"""Scales of series, by what train holds of them."""

import numpy as np

from pipelines.errors import DataError
from pipelines.forecast.panel import Panel

SHOWN_SERIES = 5
# A spread below this share of the mean is rounding error: the series is constant.
SMALLEST_SPREAD = 1e-8


def mean_and_std(
    values: np.ndarray, panel: Panel, is_train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and population standard deviation `(series,)` of each series on train.

    `values` is `(rows,)`. A constant series gets a standard deviation of 1.
    """
    count = len(panel.names)
    series = panel.series[is_train]
    size = np.bincount(series, minlength=count)
    mean = np.bincount(series, values[is_train], count) / size
    variance = np.bincount(series, (values[is_train] - mean[series]) ** 2, count) / size
    std = np.sqrt(variance)
    is_constant = std <= SMALLEST_SPREAD * np.maximum(np.abs(mean), 1)
    return mean, np.where(is_constant, 1.0, std)


def mase_scale(panel: Panel, is_train: np.ndarray, season: int, notes: list[str]) -> np.ndarray:
    """Return the mean absolute error `(series,)` of the seasonal naive forecast on train.

    There is one for each series, NaN where it would be 0 (Hyndman & Koehler 2006).

    Raises:
        DataError: it is 0 for all of them.
    """
    scale = np.full(len(panel.names), np.nan)
    for position in range(len(panel.names)):
        values = panel.target[is_train & (panel.series == position)]
        scale[position] = seasonal_error(values, season)
    has_none = np.isnan(scale)
    if has_none.all():
        raise DataError(
            f"No series changes from season to season (--season {season}) in the training part: "
            "nothing can be scored. Expected series longer than one season that are not constant"
        )
    if has_none.any():
        flat = [panel.names[position] for position in np.flatnonzero(has_none)]
        notes.append(
            f"{len(flat)} series are constant, or shorter than a season, in train; "
            f"MASE leaves them out: {', '.join(flat[:SHOWN_SERIES])}"
        )
    return scale


def seasonal_error(values: np.ndarray, season: int) -> float:
    """Return the mean absolute error of the seasonal naive forecast, NaN where there is none."""
    errors = np.abs(values[season:] - values[:-season])
    if len(errors) and errors.mean() > 0:
        return float(errors.mean())
    return float("nan")
