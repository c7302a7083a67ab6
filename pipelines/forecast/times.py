"""The times of a table: timestamps in one time zone, days written as numbers, or whole steps."""

import pandas as pd

from pipelines.errors import DataError
from pipelines.forecast.long_rows import raise_for_long_rows
from pipelines.io.tables import Table

# Whole numbers between these are read as days, 20240131 as the last of January 2024.
FIRST_DAY, LAST_DAY = 19_000_101, 21_001_231


def parse_times(rows: pd.DataFrame, table: Table) -> bool:
    """Turn `_time` of long rows into timestamps without time zone, in place.

    Returns whether it holds integer steps instead.

    Raises:
        DataError: a time is empty or cannot be read; the message names its line.
    """
    times = rows["_time"]
    if times.isna().any():
        raise_for_long_rows(
            table,
            rows[times.isna()],
            "the time is empty",
            "Expected a timestamp on every line",
        )
    if pd.api.types.is_numeric_dtype(times):
        return _parse_numbers(rows, table)
    rows["_time"] = _parse_texts(rows, table)
    return False


def _parse_texts(rows: pd.DataFrame, table: Table) -> pd.Series:
    times = rows["_time"]
    try:
        parsed = pd.to_datetime(times, errors="coerce", format="ISO8601")
        if parsed.isna().any():
            parsed = pd.to_datetime(times, errors="coerce")
    except ValueError as error:  # pandas 3: "Mixed timezones detected"
        raise DataError(
            f"{table.where}: its times are in several time zones. "
            f"Expected one: write them in UTC ({error})"
        ) from error
    wrong = parsed.isna()
    if wrong.any():
        raise_for_long_rows(
            table,
            rows[wrong],
            f"the time is not a date I can read. Received: {times[wrong].iloc[0]!r}",
            "Expected e.g. 2024-01-31 or 2024-01-31 18:30:00, the same form on all lines",
        )
    if parsed.dt.tz is None:
        return parsed
    return parsed.dt.tz_convert("UTC").dt.tz_localize(None)


def _parse_numbers(rows: pd.DataFrame, table: Table) -> bool:
    """Do what `parse_times` does for numbers.

    Days such as 20240131 are timestamps; other whole numbers are steps.
    """
    times = rows["_time"]
    is_broken = times % 1 != 0
    if is_broken.any():
        raise_for_long_rows(
            table,
            rows[is_broken],
            f"the time is not a whole number. Received: {times[is_broken].iloc[0]}",
            "Expected timestamps, or whole numbers of steps",
        )
    rows["_time"] = times.astype("int64")
    if not times.between(FIRST_DAY, LAST_DAY).all():
        return True
    dates = pd.to_datetime(rows["_time"].astype(str), format="%Y%m%d", errors="coerce")
    if dates.isna().any():
        return True
    rows["_time"] = dates
    return False
