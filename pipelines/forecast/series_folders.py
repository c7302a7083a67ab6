"""Folders of series: a table for each, as stock prices and sensors are often kept."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipelines.errors import DataError, shorten
from pipelines.io.beside import typed
from pipelines.io.table_folders import SHARD, SUFFIXES, JoinedTable
from pipelines.io.tables import Table, read_table
from pipelines.io.text_files import plain_suffix

SERIES = "series"  # the column of the files' names
SHOWN_FILES = 4
SHOWN_COLUMNS = 6


def read_folder(folder: Path, *, drop_long: bool = False) -> Table:
    """Return the tables in a folder as one, with the name of each file in the column `series`.

    Files that are numbered parts of one table are put together without it, and so are those that
    have such a column. See `read_table` for `drop_long`.

    Raises:
        DataError: there is no table, or their columns differ.
    """
    paths = [path for path in sorted(folder.iterdir()) if _is_table(path)]
    if not paths:
        raise DataError(
            f"{folder}: is a folder without tables. Expected a table of series, or a folder with "
            f"one for each series ({' '.join(sorted(SUFFIXES))})"
        )
    tables = [read_table(path, drop_long=drop_long) for path in paths]
    _require_same_columns(folder, tables)
    names = [path.name.partition(".")[0] for path in paths]
    are_parts = len({SHARD.sub("", name) for name in names}) == 1
    frames = [table.frame for table in tables]
    note = f"the rows of {len(paths):,} files are put together: {_listed(paths)}"
    if not are_parts and SERIES not in tables[0].columns:
        frames = [frame.assign(**{SERIES: name}) for frame, name in zip(frames, names, strict=True)]
        note = f"each of {len(paths):,} files is a series: {_listed(paths)}"
    notes = [note]
    for table in tables:
        notes += [note for note in table.notes if note not in notes]
    return JoinedTable(
        pd.concat(frames, ignore_index=True),
        folder,
        tables[0].delimiter,
        notes=tuple(notes),
        tables=tuple(tables),
    )


def named_by_its_file(table: Table, series: Collection[str]) -> Table:
    """Return a file of such a folder with the one of these `series` that its name stands for.

    Other tables are returned as they are.
    """
    name = table.path.name.partition(".")[0]
    if SERIES in table.columns or name not in series:
        return table
    return replace(table, frame=table.frame.assign(**{SERIES: name}))


def _is_table(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and plain_suffix(path) in SUFFIXES


def _listed(paths: Sequence[Path]) -> str:
    return shorten([path.name for path in paths], SHOWN_FILES)


def _require_same_columns(folder: Path, tables: Sequence[Table]) -> None:
    first = tables[0]
    for table in tables[1:]:
        if set(table.columns) != set(first.columns):
            columns = [shorten(one.columns, SHOWN_COLUMNS) for one in (first, table)]
            raise DataError(
                f"{folder}: {first.path.name} has the columns {columns[0]}, and {table.path.name} "
                f"{columns[1]}. Expected the same in all, each file a series. Give one of them: "
                f"--data {typed(first.path)}"
            )
