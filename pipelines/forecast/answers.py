"""Forecasts as a table that can be joined with the history they continue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.forecast.column_names import as_written, beside_history, names_of_series
from pipelines.io.answers import ERROR

if TYPE_CHECKING:
    from pipelines.forecast.histories import History

DIGITS = 7  # of a forecast: networks compute with no more
SMALLEST = 1e-30  # nearer to 0 no digit is asked for


def table(
    history: "History",
    forecasts: np.ndarray,
    beside: Mapping[str, np.ndarray],
    *,
    with_errors: bool,
) -> pd.DataFrame:
    """Return one row a series and step: series, time, `mean`, the quantiles, and what is `beside`.

    That are columns `(series, horizon)`, or `(series,)` of which each step has the value of its
    series.
    With errors, each series that is left out has a row with the reason in the column `error`.
    """
    ahead = history.steps_ahead
    series = np.repeat(_cells(history, history.panel.names), history.facts.horizon)
    times = history.panel.frequency.times(ahead.ravel())
    values = pd.DataFrame(_by_level(history.facts.levels, forecasts))
    for name, cells in beside.items():
        if cells.ndim > 1:
            values[name] = significant(cells.ravel())
        else:
            values[name] = np.repeat(cells, history.facts.horizon)
    if with_errors:
        values[ERROR] = pd.Series("", index=values.index, dtype=object)
    written = as_written(times, history.panel.time_form)
    answers = beside_history(history.columns, series, written, values)
    if with_errors and history.left_out:
        answers = pd.concat([answers, _errors(history, list(answers.columns))], ignore_index=True)
    return answers.infer_objects()


def _by_level(levels: list[float], forecasts: np.ndarray) -> dict[str, np.ndarray]:
    columns = {"mean": significant(forecasts[..., 0].ravel())}
    for position, level in enumerate(levels, start=1):
        columns[f"q{level:g}"] = significant(forecasts[..., position].ravel())
    return columns


def significant(values: np.ndarray) -> np.ndarray:
    """Return values as double numbers, rounded to the digits that a forecast has."""
    exact = values.astype(np.float64)
    size = np.floor(np.log10(np.maximum(np.abs(exact), SMALLEST)))
    # Powers of ten above 1 are exact numbers and those below are not: divide by them instead.
    decimals = DIGITS - 1 - size
    larger, smaller = 10.0 ** np.maximum(decimals, 0), 10.0 ** np.maximum(-decimals, 0)
    rounded = np.round(exact * larger / smaller) / larger * smaller
    return np.where(np.isfinite(rounded), rounded, exact)


def _cells(history: "History", names: tuple[str, ...]) -> np.ndarray:
    """Return series as the cells of the table they came from."""
    cells = np.empty(len(names), dtype=object)
    for position, name in enumerate(names):
        cells[position] = history.cells.get(name, name)
    return cells


def _errors(history: "History", columns: list[str]) -> pd.DataFrame:
    """Return a row for each series without a forecast; the reason is in the last column."""
    cells = _cells(history, tuple(history.left_out))
    names = names_of_series(history.columns.id, cells)
    reasons = list(history.left_out.values())
    return pd.DataFrame({**names, columns[-1]: reasons}, columns=columns)
