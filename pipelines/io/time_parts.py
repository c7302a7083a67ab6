"""Times in several columns: year, month, day and hour, a year and a quarter, a date and a clock."""

import pandas as pd

from pipelines.io.month_names import month_number
from pipelines.io.tables import Table
from pipelines.io.times import holds_times, is_clock

YEARS, MONTHS, DAYS = ("year", "yr"), ("month", "mon", "mo"), ("day", "dayofmonth")
QUARTERS, WEEKS = ("quarter", "qtr", "q"), ("week", "weekofyear", "week_number", "isoweek")
HOURS = ("hour", "hr", "hourofday", "hour_ending", "stunde")


def times_in_parts(table: Table) -> tuple[list[str], pd.Series] | None:
    """Return the columns that hold parts of a time, and their cells as one text for each row."""
    return calendar_parts(table) or _parts_of_years(table) or _date_and_time_of_day(table)


def calendar_parts(table: Table) -> tuple[list[str], pd.Series] | None:
    year = table.find_column("", YEARS, role="year", flag="")
    month = table.find_column("", MONTHS, role="month", flag="")
    if year is None or month is None or _holds_dates(table, year) or _holds_dates(table, month):
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
    if year is None or _holds_dates(table, year):
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
    clocks = [name for name in table.columns if is_clock(table.frame[name])]
    hour = table.find_column("", HOURS, role="hour", flag="")
    if len(clocks) != 1 and hour is None:
        return None
    dates = [name for name in table.columns if holds_times(table.frame[name])]
    if len(dates) != 1:
        return None
    days = table.frame[dates[0]].astype(str).str.strip()
    if len(clocks) == 1:
        return [dates[0], clocks[0]], days + " " + table.frame[clocks[0]]
    if hour is None or days.str.contains(r"\d:\d", regex=True).any():
        return None
    hours = pd.to_numeric(table.frame[hour], errors="coerce")
    if not hours.between(0, 24).all() or (hours % 1 != 0).any():
        return None
    return [dates[0], hour], days + " " + hours.astype(int).astype(str).str.zfill(2) + ":00"


def _holds_dates(table: Table, column: str) -> bool:
    """Return whether a column that is called a year or a month holds whole dates."""
    cells = table.frame[column]
    if pd.api.types.is_numeric_dtype(cells):
        return False
    texts = cells.dropna().astype(str)
    return bool(texts.str.len().max() > len("september")) or bool(
        texts.str.contains(r"\d\D+\d", regex=True).any()
    )
