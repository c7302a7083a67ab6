"""Rows on a regular grid: what does not fit is refused by line, or filled on demand.

That is: rows off the grid, duplicates, and missing or infinite values. Rows are long rows (see
`long_rows`), sorted by series and time, with `_number`: their step on the grid.
"""

import itertools
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of
from pipelines.forecast.columns import Columns, Fill
from pipelines.forecast.frequency import Frequency
from pipelines.forecast.long_rows import FEWEST_TIMES, raise_for_long_rows
from pipelines.io.tables import Table

SUNDAY = 6
MOST_COMPARED = 8  # columns among which the two are looked for that tell series apart
AUTUMN = (4, 9, 10, 11)  # the months in which clocks are put back, south and north
SMALLEST_SENTINEL = 99  # as -99, -999 and 9999 stand for missing values
LARGEST = float(np.finfo(np.float32).max)
FAR = 5  # times as far from other values as these are from each other
REMEDY = (
    "Expected every step once. Say what to put in its place: "
    "--fill ffill, --fill interpolate or --fill zero"
)


def raise_for_off_grid(
    rows: pd.DataFrame, on_grid: np.ndarray, frequency: Frequency, table: Table
) -> None:
    """Raise `DataError` for times that are no whole number of steps after the first."""
    if on_grid.all():
        return
    off = rows[~on_grid]
    first = frequency.times(np.array([0]))[0]
    raise_for_long_rows(
        table,
        off,
        f"{off['_time'].iloc[0]} is not a whole number of steps of {frequency.label} after {first}",
        "Expected regular times: put them on a grid first, or name the step: --freq 15min",
    )


def raise_for_duplicates(rows: pd.DataFrame, table: Table) -> None:
    """Raise `DataError` for times that a series has twice."""
    is_twice = rows.duplicated(["_series", "_number"], keep=False)
    if is_twice.any():
        first = rows[is_twice].iloc[0]
        expected = (
            "Expected one row for each time; sum or average them first, or name the column that "
            f"tells series apart: --id-column {_telling_apart(rows, table)}"
        )
        if _is_of_autumn(rows["_time"][is_twice]):
            expected = (
                "Were clocks put back then? Write times in UTC or with their offset "
                "(2023-10-29 02:00+02:00), so that the hour is not there twice"
            )
        raise_for_long_rows(
            table,
            rows[is_twice],
            f"the same time {_shown(first['_time'])}{_of_series(rows, first)} again",
            expected,
        )


def _shown(time: object) -> str:
    """Return a time as messages write it: no midnight."""
    return str(time).removesuffix(" 00:00:00")


def _telling_apart(rows: pd.DataFrame, table: Table) -> str:
    """Return the two columns that only together tell series apart, NAME without such."""
    cells = table.frame.iloc[rows["_row"].to_numpy()].reset_index(drop=True)
    times = rows["_number"].reset_index(drop=True)
    few = []
    for name in cells.columns:
        alone = cells[[name]].assign(_number=times)
        has_several_times = 1 < cells[name].nunique() <= len(cells) / FEWEST_TIMES
        if has_several_times and alone.duplicated().any():
            few.append(str(name))
    for pair in itertools.combinations(few[:MOST_COMPARED], 2):
        together = cells[list(pair)].assign(_number=times)
        if not together.duplicated().any():
            return shlex.quote(",".join(pair))
    return "NAME"


def _is_of_autumn(times: pd.Series) -> bool:
    """Return whether all times are in the small hours of Sundays in autumn, north or south."""
    if not pd.api.types.is_datetime64_any_dtype(times):
        return False
    is_sunday = times.dt.day_of_week == SUNDAY
    return bool((is_sunday & times.dt.hour.between(0, 3) & times.dt.month.isin(AUTUMN)).all())


def raise_for_infinite(rows: pd.DataFrame, names: Sequence[str], table: Table) -> None:
    """Raise `DataError` for infinite values in the columns `names`."""
    for name in names:
        is_infinite = np.abs(rows[name].to_numpy()) > LARGEST
        if is_infinite.any():
            raise_for_long_rows(
                table,
                rows[is_infinite],
                f"{_column_text(name)} is infinite, or too large for 32 bits",
                "Expected a finite number, or an empty cell",
            )


def _of_series(rows: pd.DataFrame, row: "pd.Series") -> str:
    has_several = rows["_series"].nunique() > 1
    return f" of series {row['_series']!r}" if has_several else ""


def _column_text(name: str) -> str:
    return "the target" if name == "_target" else f"column {name!r}"


def split_off_future(
    rows: pd.DataFrame, table: Table, notes: list[str], *, needs_future: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows from each series' first value to its last, and those after it.

    Wide panels are full of empty ends. Those after it are left out unless somebody `needs_future`.
    """
    has_value = rows["_target"].notna().astype(int)
    has_begun = has_value.groupby(rows["_series"]).cummax().astype(bool)
    is_going = has_value[::-1].groupby(rows["_series"]).cummax()[::-1].astype(bool)
    kept = rows[has_begun & is_going]
    if kept.empty:
        raise DataError(f"{table.where}: the target has no values")
    where = "before a series begins" if needs_future else "before a series begins or after it ends"
    left_out = len(rows) - len(kept)
    if needs_future:
        left_out = int((is_going & ~has_begun).sum())
    if left_out:
        notes.append(f"{table.where}: {left_out:,} rows without a target {where} are left out")
    return kept, rows[~is_going]


def complete(
    rows: pd.DataFrame,
    names: Sequence[str],
    frequency: Frequency,
    columns: Columns,
    table: Table,
    notes: list[str],
) -> pd.DataFrame:
    """Return rows without a gap in the columns `names`, the target first: filled as `--fill` says.

    Raises:
        DataError: steps or cells are missing, and `fill` is none.
    """
    gaps = rows.groupby("_series")["_number"].diff().fillna(1).to_numpy() - 1
    is_empty = rows[list(names)].isna()
    num_steps, num_cells = int(gaps.sum()), int(is_empty.to_numpy().sum())
    if not num_steps and not num_cells:
        return rows
    made_up = max(num_steps / (len(rows) + num_steps), float(is_empty.mean().max()))
    if made_up > columns.fill_limit:
        _raise_for_too_many(num_steps, num_cells, len(rows), frequency, columns, table)
    if columns.fill == "none":
        _raise_for_gaps(rows, gaps, frequency, table)
        _raise_for_empty(rows, is_empty, table)
    notes.append(
        f"{table.where}: {count_of(num_steps, 'missing step')} and "
        f"{count_of(num_cells, 'empty cell')} filled (--fill {columns.fill})"
    )
    return _filled(rows, list(names), columns.fill)


def _raise_for_too_many(
    num_steps: int,
    num_cells: int,
    num_rows: int,
    frequency: Frequency,
    columns: Columns,
    table: Table,
) -> None:
    """Refuse data most of which would be invented: something else is wrong with it."""
    share = num_steps / (num_rows + num_steps)
    limit = f"--fill makes up at most {columns.fill_limit:.0%} of the values (--fill-limit)"
    if not num_steps:
        raise DataError(
            f"{table.where}: {num_cells:,} of the cells in {count_of(num_rows, 'row')} "
            f"{'is' if num_cells == 1 else 'are'} empty. {limit}"
        )
    raise DataError(
        f"{table.where}: {num_steps:,} of {num_rows + num_steps:,} steps ({share:.0%}) are missing "
        f"if times follow each other by {frequency.label}. Are days and months swapped "
        "(--day-first, --time-format)? Does the file hold several series (--id-column NAME)? Is "
        f"the step another (--freq)? {limit}"
    )


def note_sentinels(
    rows: pd.DataFrame, names: Sequence[str], table: Table, notes: list[str]
) -> None:
    """Note values that recur far outside of all others: -9999 often stands for a missing value."""
    for name in names:
        values = rows[name].dropna()
        for value in (values.min(), values.max()):
            others = values[values != value]
            count = len(values) - len(others)
            if others.empty or abs(value) < SMALLEST_SENTINEL:
                continue
            spread = others.max() - others.min()
            distance = np.abs(others - value).min()
            if distance > FAR * max(spread, abs(others).max()):
                line = table.lines[int(rows["_row"][values[values == value].index[0]])]
                times = "once" if count == 1 else f"{count:,} times"
                notes.append(
                    f"{table.where}: {_column_text(name)} is {value:g} {times} (line {line}), far "
                    "from all other values. Does it stand for a missing one? Leave those cells "
                    "empty"
                )


def _raise_for_gaps(
    rows: pd.DataFrame, gaps: np.ndarray, frequency: Frequency, table: Table
) -> None:
    is_after_gap = gaps > 0
    if is_after_gap.any():
        first = rows[is_after_gap].iloc[0]
        missing = count_of(int(gaps[is_after_gap][0]), "step")
        raise_for_long_rows(
            table,
            rows[is_after_gap],
            f"{missing} of {frequency.label} missing before {_shown(first['_time'])}"
            f"{_of_series(rows, first)}",
            REMEDY,
        )


def _raise_for_empty(rows: pd.DataFrame, is_empty: pd.DataFrame, table: Table) -> None:
    for name in is_empty.columns[is_empty.any()]:
        raise_for_long_rows(table, rows[is_empty[name]], f"{_column_text(name)} is empty", REMEDY)


def _filled(rows: pd.DataFrame, names: list[str], fill: Fill) -> pd.DataFrame:
    covariates = names[1:]
    parts = []
    for series, part in rows.groupby("_series"):
        every_step = range(part["_number"].iloc[0], part["_number"].iloc[-1] + 1)
        whole: Any = part.set_index("_number").reindex(every_step)
        whole["_series"] = series
        whole[covariates] = whole[covariates].ffill().bfill()
        whole["_target"] = _filled_target(whole["_target"], fill)
        parts.append(whole.rename_axis("_number").reset_index())
    filled: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return filled


def _filled_target(target: Any, fill: Fill) -> Any:
    if fill == "zero":
        return target.fillna(0.0)
    return target.ffill() if fill == "ffill" else target.interpolate()
