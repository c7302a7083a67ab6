"""Tables in forms that are not long: a column for each date, month or step; times in parts.

Each is turned into a table with one column of times; messages still name the lines of the file.
"""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipelines.forecast.columns import SERIES_MARK, Columns, several_ids
from pipelines.forecast.value_lists import with_values_in_rows
from pipelines.io.month_names import month_number
from pipelines.io.numbers import is_numeric
from pipelines.io.tables import DerivedTable, Table
from pipelines.io.time_parts import YEARS, times_in_parts
from pipelines.io.times import holds_times, parse_times

TIME, TARGET, SERIES = "time", "value", "series"
FEWEST_DATES = 3  # columns whose names are dates, in a table that is wide by dates
FEWEST_STEPS = 10  # columns whose names count, as d_1 to d_1941


def to_long_form(table: Table, columns: Columns, notes: list[str]) -> tuple[Table, Columns]:
    """Return the table with one column of times, and what is said of its columns.

    A table that has one already, or whose column of times a person has named, stays as it is.
    """
    table, columns = with_values_in_rows(table, columns, notes)
    if columns.time:
        return table, columns
    for reshape in (_years_of_months, _wide_by_dates, _times_in_parts):
        reshaped = reshape(table, columns, notes)
        if reshaped is not None:
            return reshaped
    return table, columns


def with_one_id(table: Table, columns: Columns) -> tuple[Table, Columns]:
    """Return the table with one column in place of several that tell series apart together."""
    names = several_ids(columns.id)
    if not names or columns.id in table.columns:
        return table, columns
    found = []
    for name in names:
        column = table.find_column(name, (), role="series", flag="--id-column")
        assert column is not None  # a name that was given is there, or was refused
        found.append(column)
    cells = zip(*(table.identifiers(column) for column in found), strict=True)
    joined = [SERIES_MARK.join(row) if all(row) else "" for row in cells]
    identity = SERIES_MARK.join(found)
    frame = table.frame.drop(columns=found).assign(**{identity: joined})
    return _reshaped(table, frame, np.arange(len(frame))), replace(columns, id=identity)


def _reshaped(table: Table, frame: pd.DataFrame, rows: np.ndarray) -> Table:
    return DerivedTable(
        frame.reset_index(drop=True), table.path, table.delimiter, origin=table, rows=rows
    )


def _melted(
    table: Table, columns: Columns, values: list[str], names: dict[str, str], time: str
) -> tuple[Table, Columns]:
    """Return a row for each of the columns `values` of each row; `names` are their times.

    With `{year}` in a name stands the year of the row, which is in the column `time`.
    """
    kept = []
    for column in table.columns:
        if column not in values and table.frame[column].notna().any():
            kept.append(column)
    texts = [name for name in kept if name != time]
    rows = np.repeat(np.arange(len(table.frame)), len(values))
    base = table.frame[kept]
    if texts and not columns.id:
        names_of_rows = _names_of_rows(table, texts)
        base = base.drop(columns=texts).assign(_new_series=names_of_rows)
    times = [names[column] for column in values] * len(table.frame)
    if time:
        years = table.identifiers(time)[rows]
        times = [text.format(year=year) for text, year in zip(times, years, strict=True)]
        base = base.drop(columns=time)
    cells = table.frame[values]
    frame = base.iloc[rows].reset_index(drop=True)
    # In the order of time within each row.
    frame[TARGET] = pd.Series(cells.to_numpy().ravel(), dtype=_common_type(cells))
    frame = frame.assign(_new_time=times)
    frame = frame.rename(columns={"_new_time": TIME, "_new_series": SERIES})
    identity = columns.id or (SERIES if SERIES in frame else "")
    new = replace(columns, time=TIME, target=TARGET, id=identity)
    return _reshaped(table, frame, rows), new


def _names_of_rows(table: Table, columns: list[str]) -> list[str]:
    """Return what rows are called by these columns together: by words alone where these suffice.

    A column that is the same in all rows tells nothing, and a gap is left out.
    """
    telling = [name for name in columns if table.frame[name].nunique(dropna=False) > 1] or columns
    words = [name for name in telling if not is_numeric(table.frame[name])]
    for chosen in (words, telling, columns):
        ids = [table.identifiers(name) for name in chosen]
        names = [SERIES_MARK.join(filter(None, row)) for row in zip(*ids, strict=True)]
        if len(set(names)) == len(table.frame):
            break
    return names


def _common_type(cells: pd.DataFrame) -> Any:
    """Return the type that all columns have, None where they differ."""
    types = set(cells.dtypes)
    return types.pop() if len(types) == 1 else None


def _years_of_months(
    table: Table, columns: Columns, notes: list[str]
) -> tuple[Table, Columns] | None:
    """Read a row for each year with a column for each month."""
    year = table.find_column("", YEARS, role="year", flag="")
    months = {}
    for column in table.columns:
        number = month_number(column)
        if number is not None:
            months[column] = number
    if year is None or sorted(months.values()) != list(range(1, 13)):
        return None
    notes.append(f"{table.where}: each row is read as a year of twelve months")
    names = {column: f"{{year}}-{number:02}" for column, number in months.items()}
    others = [name for name in table.columns if name not in (year, *months)]
    if others:
        # Totals and the like stand beside the months; they are no names of series.
        frame = table.frame.drop(columns=[name for name in others if name != columns.id])
        table = replace(table, frame=frame)
    return _melted(table, columns, list(months), names, year)


def _wide_by_dates(
    table: Table, columns: Columns, notes: list[str]
) -> tuple[Table, Columns] | None:
    """Read a row for each series with a column for each date, or for each step as d_1, d_2."""
    dated = _dates_among(table)
    if len(dated) >= FEWEST_DATES and len(dated) >= len(table.columns) / 2:
        notes.append(f"{table.where}: {len(dated):,} columns are read as the times of a series")
        return _melted(table, columns, dated, {name: name for name in dated}, "")
    counted = [name for name in table.columns if re.fullmatch(r"[A-Za-z]+_?\d+", name)]
    if counted and not is_numeric(table.frame[counted[0]]):
        counted = counted[1:]  # in files of the M4 competition V1 holds the names of series
    numbers = [int(re.sub(r"\D", "", name)) for name in counted]
    steps_on = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False
    if len(counted) >= FEWEST_STEPS and steps_on and not _has_times(table, counted):
        notes.append(
            f"{table.where}: the columns {counted[0]} to {counted[-1]} are read as the steps of a "
            "series"
        )
        names = {name: str(number) for name, number in zip(counted, numbers, strict=True)}
        return _melted(table, columns, counted, names, "")
    return None


def _dates_among(table: Table) -> list[str]:
    """Return the columns whose names are dates, or years where no other column holds times.

    They are read together: one by one a thousand of them take minutes.
    """
    numbers = [name for name in table.columns if re.fullmatch(r"\d{4,14}", name)]
    texts = []
    for name in table.columns:
        if name not in numbers and len(name) >= 4 and re.search(r"\d", name):
            texts.append(name)
    dated = set()
    for names in (numbers, texts):
        if not names:
            continue
        read = parse_times(pd.Series(names))
        if not read.is_numbered:
            dated |= {name for name, wrong in zip(names, read.wrong, strict=True) if not wrong}
    if dated <= set(numbers) and _has_times(table, numbers):
        return []
    return [name for name in table.columns if name in dated]


def _has_times(table: Table, besides: list[str]) -> bool:
    others = [name for name in table.columns if name not in besides]
    return any(holds_times(table.frame[name]) for name in others)


def _times_in_parts(
    table: Table, columns: Columns, notes: list[str]
) -> tuple[Table, Columns] | None:
    """Read a time from columns of year, month, day and hour, or of a date and a time of day."""
    parts = times_in_parts(table)
    if parts is None:
        return None
    used, texts = parts
    notes.append(f"{table.where}: times are read from the columns {', '.join(used)}")
    frame = table.frame.drop(columns=used).assign(**{TIME: texts})
    return _reshaped(table, frame, np.arange(len(frame))), replace(columns, time=TIME)
