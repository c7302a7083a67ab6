"""Cells of a log as arrays: ids, ratings, quantities and times.

What cannot be read is refused by line.
"""

import time as clock
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.io.numbers import ParsedNumbers, parse_numbers
from pipelines.io.parsed_times import ParsedTimes, TimeFormat
from pipelines.io.tables import Table
from pipelines.io.times import parse_times
from pipelines.recommend.columns import ColumnNames, FoundColumns

if TYPE_CHECKING:
    import pandas as pd

# What programs write where there is no id. NA is one: a country, an airline.
NO_ID = frozenset(["", "NULL", "null", "NaN", "nan", "None", "#N/A", "<NA>", "\\N"])
LARGEST_RATING = float(np.finfo(np.float32).max)
FIRST_DATE = 10**8  # smaller times are steps or places in a list, not seconds since 1970
LARGEST_TIME = 2.0**62  # of any unit: times are kept as 64-bit integers


def ids(table: Table, column: str) -> np.ndarray:
    """Return ids as texts (rows,), as they are written.

    Raises:
        DataError: a cell is empty.
    """
    names = table.identifiers(column)
    is_blank = is_empty(names)
    if is_blank.any():
        table.raise_for_rows(
            is_blank,
            f"column {column!r} is empty, or NULL",
            "Expected an id on every line, or leave such rows out: --drop-missing",
        )
    return names


def is_empty(names: np.ndarray) -> np.ndarray:
    """Return which ids (rows,) hold nothing but blanks, or what programs write for nothing."""
    import pandas as pd

    codes, distinct = pd.factorize(names)
    is_none = np.array([name.strip() in NO_ID for name in distinct], dtype=bool)
    return np.asarray(is_none[codes])


def numbers(table: Table, column: str, role: str, notes: list[str]) -> np.ndarray:
    """Return ratings or weights (rows,) float32; how they are read is noted where it is not plain.

    Raises:
        DataError: a cell is not a finite number.
    """
    cells = table.frame[column]
    read = _read_numbers(table, column)
    if read.note:
        notes.append(f"{table.where}: column {column!r}: {read.note}")
    numbers = read.values.to_numpy(dtype=np.float64, na_value=np.nan)
    checks = (
        (np.isnan(numbers), "is not a number"),
        (np.abs(numbers) > LARGEST_RATING, "is not a finite 32-bit number"),
    )
    for wrong, what in checks:
        if wrong.any():
            table.raise_for_rows(
                wrong,
                f"column {column!r} {what}. Received: {_shown(cells, wrong)}",
                "Expected a number on every line. Fix it, leave such rows out with "
                f"--drop-missing, or name another column: --{role}-column NAME",
            )
    return numbers.astype(np.float32)


def _read_numbers(table: Table, column: str) -> ParsedNumbers:
    cells = table.frame[column]
    read = parse_numbers(cells, delimiter=table.delimiter)
    if read.ambiguous:
        read = parse_numbers(cells, decimal=".")  # 3.125 is no rating of thousands
    return read


def unreadable(table: Table, found: FoundColumns, names: ColumnNames) -> np.ndarray:
    """Return which rows lack an id, or a rating, quantity or time that can be read: (rows,)."""
    wrong = np.zeros(len(table.frame), dtype=bool)
    for column in (found.user, found.item):
        wrong |= is_empty(table.identifiers(column))
    for numeric in (found.rating, found.weight):
        if numeric:
            values = _read_numbers(table, numeric).values
            wrong |= ~(values.abs() <= LARGEST_RATING).to_numpy(dtype=bool)
    if found.time:
        read = _read_times(table, found.time, names)
        wrong |= read.wrong.to_numpy(dtype=bool) | table.frame[found.time].isna().to_numpy()
    return wrong


def times(table: Table, column: str, names: ColumnNames, notes: list[str]) -> np.ndarray:
    """Return seconds since 1970 (or steps, where times have no calendar): (rows,) int64.

    Raises:
        DataError: a cell is neither a number nor a date, or the column has two readings.
    """
    cells = table.frame[column]
    read = _read_times(table, column, names)
    if read.problem:
        raise DataError(f"{table.where}: column {column!r}: {read.problem}")
    if read.wrong.any():
        shown = _shown(cells, read.wrong.to_numpy())
        table.raise_for_rows(
            read.wrong,
            f"column {column!r} is not a date I can read. Received: {shown}",
            "Expected seconds since 1970, or e.g. 2024-01-31 18:30:00, "
            "written the same way on every line; --drop-missing leaves such rows out",
        )
    if read.note:
        notes.append(f"{table.where}: column {column!r}: {read.note}")
    if read.is_numbered:
        seconds = read.values.to_numpy(dtype=np.int64)
    else:
        seconds = read.values.to_numpy(dtype="datetime64[s]").astype(np.int64)
    future = seconds > clock.time()
    has_calendar = not read.is_numbered or np.median(seconds) > FIRST_DATE
    if has_calendar and future.any():
        first = int(future.argmax())
        notes.append(
            f"{table.where}: {int(future.sum()):,} times are in the future "
            f"(the first: line {table.lines[first]}, {cells.iloc[first]})"
        )
    return np.asarray(seconds)


def _read_times(table: Table, column: str, names: ColumnNames) -> ParsedTimes:
    told = TimeFormat(format=names.time_format, day_first=names.day_first)
    return parse_times(_without_fractions(table.frame[column]), told)


def _without_fractions(cells: "pd.Series") -> "pd.Series":
    """Return seconds with fractions, as some clocks write them, as whole seconds."""
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce")
    is_sane = numbers.abs() < LARGEST_TIME
    if pd.api.types.is_datetime64_any_dtype(cells) or not bool(is_sane.all()):
        return cells
    whole: pd.Series = np.floor(numbers)
    return whole


def _shown(cells: "pd.Series", wrong: np.ndarray) -> str:
    """Return the first wrong cell as messages quote it."""
    import pandas as pd

    received = cells.iloc[int(wrong.argmax())]
    return "an empty cell" if pd.isna(received) else repr(received)
