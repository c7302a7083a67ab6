"""The times of long rows: read in the form that all share, refused by line where one is none."""

from dataclasses import dataclass

import pandas as pd

from pipelines.errors import DataError, count_of
from pipelines.forecast.columns import Columns
from pipelines.forecast.long_rows import raise_for_long_rows
from pipelines.io import times
from pipelines.io.parsed_times import ParsedTimes, TimeFormat
from pipelines.io.tables import Table, lines_text
from pipelines.io.time_forms import written_form


@dataclass(frozen=True)
class TimedRows:
    """Long rows whose `_time` was read: as timestamps, or as integers where `is_numbered`.

    `form` is how the table writes them (see `written_form`).
    """

    rows: pd.DataFrame
    is_numbered: bool
    form: str


def read_times(rows: pd.DataFrame, table: Table, columns: Columns, notes: list[str]) -> TimedRows:
    """Return long rows with `_time` as timestamps without time zone, or as numbers of steps.

    Raises:
        DataError: a time is empty or cannot be read, and the message names its line; or the
            column allows two readings.
    """
    cells = rows["_time"]
    told = TimeFormat(format=columns.time_format, day_first=columns.day_first)
    read = times.parse_times(cells, told)
    if columns.drop_missing and not read.problem:
        lacks = read.wrong | cells.isna() | (rows["_series"].astype(str).str.strip() == "")
        if lacks.any() and not lacks.all():
            rows = _without(rows, lacks, table, notes)
            cells = rows["_time"]
            read = times.parse_times(cells, told)
    if cells.isna().any():
        raise_for_long_rows(
            table,
            rows[cells.isna()],
            "the time is empty",
            "Expected a timestamp on every line",
        )
    if read.problem:
        raise DataError(f"{table.where}: {read.problem}")
    if read.wrong.any():
        _raise_for_wrong(rows, read, table)
    if read.note:
        notes.append(f"{table.where}: {read.note}")
    if read.is_numbered:
        return TimedRows(rows.assign(_time=read.values.astype("int64")), True, "")
    form = written_form(cells, read.values)
    return TimedRows(rows.assign(_time=read.values), False, form)


def _without(rows: pd.DataFrame, lacks: pd.Series, table: Table, notes: list[str]) -> pd.DataFrame:
    positions = rows.loc[lacks, "_row"].unique()
    lines = lines_text(table.lines[positions])
    notes.append(
        f"{table.where}: {count_of(len(positions), 'row')} without a series or a time that can be "
        f"read left out ({lines})"
    )
    return rows[~lacks].reset_index(drop=True)


def _raise_for_wrong(rows: pd.DataFrame, read: ParsedTimes, table: Table) -> None:
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
        f"{times.EXPECTED}; or say how they are written: --time-format %d.%m.%Y. Rows that are "
        "none, such as totals below a table, are left out by --drop-missing",
    )
