"""Tables in forms that are not long: a column for each date, month or step; times in parts.

Each is turned into a table with one column of times; messages still name the lines of the file.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from pipelines.forecast.columns import Columns
from pipelines.io.month_names import month_number
from pipelines.io.tables import DerivedTable, Table
from pipelines.io.times import holds_times, is_clock, parse_times

TIME, TARGET, SERIES = "time", "value", "series"
FEWEST_DATES = 3  # columns whose names are dates, in a table that is wide by dates
FEWEST_STEPS = 10  # columns whose names count, as d_1 to d_1941
YEARS, MONTH_COLUMNS, DAYS = ("year", "yr"), ("month", "mon", "mo"), ("day", "dayofmonth")
QUARTERS, WEEKS = ("quarter", "qtr", "q"), ("week", "weekofyear", "week_number", "isoweek")
HOURS = ("hour", "hr", "hourofday", "hour_ending", "stunde")


def to_long_form(table: Table, columns: Columns, notes: list[str]) -> tuple[Table, Columns]:
    """Return the table with one column of times, and what is said of its columns.

    A table that has one already, or whose column of times a person has named, stays as it is.
    """
    if columns.time:
        return table, columns
    for reshape in (_years_of_months, _wide_by_dates, _times_in_parts):
        reshaped = reshape(table, columns, notes)
        if reshaped is not None:
            return reshaped
    return table, columns


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
    kept = [column for column in table.columns if column not in values]
    texts = [name for name in kept if name != time]
    parts, rows = [], []
    for column in values:
        part = table.frame[kept].copy()
        part[TARGET] = table.frame[column]
        part["_new_time"] = names[column]
        if time:
            years = table.identifiers(time)
            part["_new_time"] = [names[column].format(year=year) for year in years]
        if texts and not columns.id:
            ids = [table.identifiers(name) for name in texts]
            part["_new_series"] = ["/".join(row) for row in zip(*ids, strict=True)]
        parts.append(part)
        rows.append(np.arange(len(part)))
    frame = pd.concat(parts)
    if "_new_series" in frame:
        frame = frame.drop(columns=texts)
    if time:
        frame = frame.drop(columns=time)
    frame = frame.rename(columns={"_new_time": TIME, "_new_series": SERIES})
    identity = columns.id or (SERIES if SERIES in frame else "")
    new = replace(columns, time=TIME, target=TARGET, id=identity)
    return _reshaped(table, frame, np.concatenate(rows)), new


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
    dated = [name for name in table.columns if _is_date(name)]
    if len(dated) >= FEWEST_DATES and len(dated) >= len(table.columns) / 2:
        notes.append(f"{table.where}: {len(dated):,} columns are read as the times of a series")
        return _melted(table, columns, dated, {name: name for name in dated}, "")
    counted = [name for name in table.columns if re.fullmatch(r"[A-Za-z]+_?\d+", name)]
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


def _is_date(name: str) -> bool:
    if not re.search(r"\d", name) or len(name) < 4:
        return False
    read = parse_times(pd.Series([name]))
    return not read.is_numbered and not bool(read.wrong.iloc[0])


def _has_times(table: Table, besides: list[str]) -> bool:
    others = [name for name in table.columns if name not in besides]
    return any(holds_times(table.frame[name]) for name in others)


def _times_in_parts(
    table: Table, columns: Columns, notes: list[str]
) -> tuple[Table, Columns] | None:
    """Read a time from columns of year, month, day and hour, or of a date and a time of day."""
    parts = _calendar_parts(table) or _parts_of_years(table) or _date_and_time_of_day(table)
    if parts is None:
        return None
    used, texts = parts
    notes.append(f"{table.where}: times are read from the columns {', '.join(used)}")
    frame = table.frame.drop(columns=used).assign(**{TIME: texts})
    return _reshaped(table, frame, np.arange(len(frame))), replace(columns, time=TIME)


def _calendar_parts(table: Table) -> tuple[list[str], pd.Series] | None:
    year = table.find_column("", YEARS, role="year", flag="")
    month = table.find_column("", MONTH_COLUMNS, role="month", flag="")
    if year is None or month is None or holds_dates(table, year) or holds_dates(table, month):
        return None
    names = table.frame[month].astype(str).str.strip().str.lower()
    numbers = pd.to_numeric(names, errors="coerce").fillna(names.map(month_number))
    if not numbers.between(1, 12).all():
        return None
    used = [year, month]
    years = pd.Series(table.identifiers(year), index=table.frame.index)
    texts = years + "-" + numbers.astype(int).map("{:02}".format)
    day = table.find_column("", DAYS, role="day", flag="")
    hour = table.find_column("", HOURS, role="hour", flag="")
    if day is not None:
        used.append(day)
        texts = texts + "-" + pd.Series(table.identifiers(day), index=texts.index).str.zfill(2)
        if hour is not None:
            used.append(hour)
            hours = pd.Series(table.identifiers(hour), index=texts.index).str.zfill(2)
            texts = texts + " " + hours + ":00"
    return used, texts


def _parts_of_years(table: Table) -> tuple[list[str], pd.Series] | None:
    """Read a year and the number of a quarter or of a week of ISO 8601."""
    year = table.find_column("", YEARS, role="year", flag="")
    if year is None or holds_dates(table, year):
        return None
    years = pd.Series(table.identifiers(year), index=table.frame.index)
    for names, mark, most in ((QUARTERS, "Q", 4), (WEEKS, "W", 53)):
        part = table.find_column("", names, role="part of the year", flag="")
        if part is None:
            continue
        cells = pd.Series(table.identifiers(part), index=table.frame.index)
        numbers = pd.to_numeric(cells.str.upper().str.removeprefix(mark), errors="coerce")
        if numbers.between(1, most).all() and bool((numbers % 1 == 0).all()):
            width = len(str(most))
            return [year, part], years + f"-{mark}" + numbers.astype(int).astype(str).str.zfill(
                width
            )
    return None


def _date_and_time_of_day(table: Table) -> tuple[list[str], pd.Series] | None:
    """Read a column of dates, and one of times of day or of hours from 0 to 23 or from 1 to 24."""
    dates = [name for name in table.columns if holds_times(table.frame[name])]
    if len(dates) != 1:
        return None
    days = table.frame[dates[0]].astype(str).str.strip()
    clocks = [name for name in table.columns if is_clock(table.frame[name])]
    if len(clocks) == 1:
        return [dates[0], clocks[0]], days + " " + table.frame[clocks[0]]
    hour = table.find_column("", HOURS, role="hour", flag="")
    if hour is None or days.str.contains(r"\d:\d", regex=True).any():
        return None
    hours = pd.to_numeric(table.frame[hour], errors="coerce")
    if not hours.between(0, 24).all() or (hours % 1 != 0).any():
        return None
    return [dates[0], hour], days + " " + hours.astype(int).astype(str).str.zfill(2) + ":00"


def holds_dates(table: Table, column: str) -> bool:
    """Return whether a column that is called a year or a month holds whole dates."""
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells):
        return False
    texts = cells.dropna().astype(str)
    return bool(texts.str.len().max() > len("september")) or bool(
        texts.str.contains(r"\d\D+\d", regex=True).any()
    )
