"""The times of long rows: read in the form that all share, refused by line where one is none."""

import pandas as pd

from pipelines.errors import DataError
from pipelines.forecast.columns import Columns
from pipelines.forecast.long_rows import raise_for_long_rows
from pipelines.io import times
from pipelines.io.tables import Table


def parse_times(rows: pd.DataFrame, table: Table, columns: Columns, notes: list[str]) -> bool:
    """Turn `_time` of long rows into timestamps without time zone, in place.

    Returns whether it holds integer steps instead.

    Raises:
        DataError: a time is empty or cannot be read, and the message names its line; or the
            column allows two readings.
    """
    cells = rows["_time"]
    if cells.isna().any():
        raise_for_long_rows(
            table,
            rows[cells.isna()],
            "the time is empty",
            "Expected a timestamp on every line",
        )
    told = times.TimeFormat(format=columns.time_format, day_first=columns.day_first)
    read = times.parse_times(cells, told)
    if read.problem:
        raise DataError(f"{table.where}: {read.problem}")
    if read.wrong.any():
        _raise_for_wrong(rows, read, table)
    if read.note:
        notes.append(f"{table.where}: {read.note}")
    values = read.values.astype("int64") if read.is_numbered else read.values
    rows["_time"] = values
    return read.is_numbered


def _raise_for_wrong(rows: pd.DataFrame, read: times.ParsedTimes, table: Table) -> None:
    received = rows["_time"][read.wrong].iloc[0]
    if read.is_numbered:
        raise_for_long_rows(
            table,
            rows[read.wrong],
            f"the time is not a whole number. Received: {received}",
            "Expected timestamps, or whole numbers of steps",
        )
    raise_for_long_rows(
        table,
        rows[read.wrong],
        f"the time is not a date I can read. Received: {str(received)!r}",
        f"{times.EXPECTED}; or say how they are written: --time-format %d.%m.%Y",
    )
