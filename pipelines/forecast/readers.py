"""From a table to series on a regular grid.

Rows that cannot be used are refused by line, and whatever was repaired is noted.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.forecast.column_names import named
from pipelines.forecast.columns import Columns, several_ids
from pipelines.forecast.frequency import Frequency, infer_frequency, parse_frequency
from pipelines.forecast.long_rows import long_rows
from pipelines.forecast.panel import Panel
from pipelines.forecast.regularize import (
    complete,
    note_sentinels,
    raise_for_duplicates,
    raise_for_infinite,
    raise_for_off_grid,
    split_off_future,
)
from pipelines.forecast.series_folders import read_folder
from pipelines.forecast.table_forms import to_long_form, with_one_id
from pipelines.forecast.times import read_times
from pipelines.forecast.tsf_files import is_tsf, read_tsf
from pipelines.io.tables import Table, read_table


@dataclass(frozen=True)
class TableInMemory(Table):
    """A table that is in no file: messages count its rows from 1."""

    @cached_property
    def lines(self) -> np.ndarray:
        return np.arange(1, 1 + len(self.frame))


def table_in_memory(frame: pd.DataFrame, name: str) -> Table:
    """Return a table that messages call `name`."""
    return TableInMemory(frame.rename(columns=str), Path(name))


def read_file(path: Path, *, drop_long: bool) -> Table:
    """Return the table of series in a file of any kind or in a folder of tables.

    See `read_table` for `drop_long`.
    """
    if path.is_dir():
        return read_folder(path, drop_long=drop_long)
    return read_tsf(path) if is_tsf(path) else read_table(path, drop_long=drop_long)


def read_panel(table: Table, columns: Columns) -> Panel:
    """Return the series that `table` holds; `columns` says which columns mean what.

    Raises:
        DataError: a column is missing, or a row cannot be used; the message names the line.
    """
    return _read(table, columns, needs_future=False)[0]


def read_with_future(table: Table, columns: Columns) -> tuple[Panel, Panel]:
    """Return what `read_panel` does, and the rows behind each series' last value.

    Those rows hold what is known in advance of the future.
    """
    return _read(table, columns, needs_future=True)


def _read(table: Table, columns: Columns, *, needs_future: bool) -> tuple[Panel, Panel]:
    notes: list[str] = list(table.notes)
    asked = columns.id
    table, columns = with_one_id(table, columns)
    given, source = table, columns
    table, columns = to_long_form(table, columns, notes)
    if table is given:
        source = named(columns, table)
    if several_ids(asked):
        source = replace(source, id=asked)
    rows = long_rows(table, columns, notes)
    timed = read_times(rows, table, columns, notes)
    rows = timed.rows
    if not _is_sorted(rows):
        notes.append(f"{table.where}: rows were not in the order of time; they were sorted")
    rows = rows.sort_values(["_series", "_time"], kind="stable")
    frequency = _frequency(rows, "" if timed.is_numbered else columns.freq)
    number, on_grid = frequency.numbers(rows["_time"])
    rows = rows.assign(_number=number)
    raise_for_off_grid(rows, on_grid, frequency, table)
    raise_for_duplicates(rows, table)
    covariates = tuple(name for name in rows.columns if not name.startswith("_"))
    values = ("_target", *covariates)
    raise_for_infinite(rows, values, table)
    rows, future = split_off_future(rows, table, notes, needs_future=needs_future)
    note_sentinels(rows, values, table, notes)
    rows = complete(rows, values, frequency, columns, table, notes)
    panel = replace(_panel(rows, source, frequency, notes), time_form=timed.form)
    return panel, _panel(future, source, frequency, [])


def _frequency(rows: pd.DataFrame, given: str) -> Frequency:
    if given:
        return parse_frequency(given, rows["_time"])
    return infer_frequency(rows["_time"], rows["_series"])


def _is_sorted(rows: pd.DataFrame) -> bool:
    by_series = rows.groupby("_series", sort=False)["_time"]
    return bool(by_series.apply(lambda times: times.is_monotonic_increasing).all())


def _panel(rows: pd.DataFrame, source: Columns, frequency: Frequency, notes: list[str]) -> Panel:
    covariates = [name for name in rows.columns if not name.startswith("_")]
    names, series = np.unique(rows["_series"].to_numpy(dtype=str), return_inverse=True)
    return Panel(
        names=tuple(map(str, names)),
        frequency=frequency,
        columns=tuple(covariates),
        series=series,
        number=rows["_number"].to_numpy(dtype=np.int64),
        target=rows["_target"].to_numpy(dtype=np.float64),
        covariates=rows[covariates].to_numpy(dtype=np.float64),
        known=source.known,
        source=source,
        notes=tuple(notes),
    )
