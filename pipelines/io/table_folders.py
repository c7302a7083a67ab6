"""Folders with a table or several for each part, as the Hugging Face hub and contests have them.

`train.csv` and `test.csv` are one data set, and so are `data/train-00000-of-00002.parquet`,
`data/train-00001-of-00002.parquet` and `data/validation-00000-of-00001.parquet`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.folders import FileKind
from pipelines.io.label_patterns import LabelPattern
from pipelines.io.layouts import Layout, read_layout
from pipelines.io.parts import SPLIT_COLUMNS, whole_part
from pipelines.io.tables import TABLE_SUFFIXES, Table, read_table
from pipelines.io.text_files import plain_suffix
from pipelines.splits import PARTS, Part

# What stands behind the name of a part where it is written in several files.
SHARD = re.compile(r"[-_.]\d+([-_]of[-_]\d+)?([-_][0-9a-f]+)?$")
# Not .txt: such a file may be a text.
SUFFIXES = frozenset(TABLE_SUFFIXES) - {".txt"}
FOLDER = "data"  # in which the hub keeps them
SHOWN_FILES = 4


@dataclass(frozen=True)
class JoinedTable(Table):
    """Tables below each other: messages name the file of a row beside its line."""

    tables: tuple[Table, ...] = ()

    @cached_property
    def lines(self) -> np.ndarray:
        lines: list[str] = []
        for table in self.tables:
            lines += [f"{line} of {table.path.name}" for line in table.lines]
        return np.asarray(lines, dtype=object)


def tables_by_part(folder: Path) -> Mapping[Part, Sequence[Path]]:
    """Return the tables of each part in a folder, or in its folder `data`.

    There are none where no table is for training, and where several kinds of files could be meant,
    as `train.csv` beside `train.parquet`.
    """
    for place in (folder, folder / FOLDER):
        found: dict[Part, list[Path]] = {}
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            part = whole_part(SHARD.sub("", path.name.partition(".")[0]))
            if part and plain_suffix(path) in SUFFIXES and path.is_file():
                found.setdefault(part, []).append(path)
        endings = {plain_suffix(path) for paths in found.values() for path in paths}
        if "train" in found and len(endings) == 1:
            return found
    return {}


def is_folder_of_tables(path: Path) -> bool:
    """Return whether a path is a folder that `read_tables` reads."""
    return path.is_dir() and bool(tables_by_part(path))


def layout_or_tables(
    root: Path, kind: FileKind, pattern: LabelPattern | None, *, drop_missing: bool
) -> Layout | None:
    """Return the labelled files of a folder (see `read_layout`), None where it holds tables.

    Raises:
        DataError: it holds neither.
    """
    try:
        return read_layout(root, kind, pattern, drop_missing=drop_missing)
    except DataError:
        if pattern is None and is_folder_of_tables(root):
            return None
        raise


def read_tables(path: Path, *, drop_long: bool = False) -> Table:
    """Return the table in a file, or those of the parts in a folder as one with a column `split`.

    A part whose tables lack a column of those for training is left out, as competitions keep the
    labels of theirs. See `read_table` for `drop_long`.

    Raises:
        DataError: a table cannot be read.
    """
    paths = tables_by_part(path) if path.is_dir() else {}
    if not paths:
        return read_table(path, drop_long=drop_long)
    kept: list[Table] = []
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    for part in [part for part in PARTS if part in paths]:
        tables = [read_table(file, drop_long=drop_long) for file in paths[part]]
        names = shorten([table.path.name for table in tables], SHOWN_FILES)
        missing = _missing_columns(kept or tables, tables)
        if missing:
            verb = "has" if len(tables) == 1 else "have"
            notes.append(f"{names} {verb} no column {shorten(missing, SHOWN_FILES)}: left out")
            continue
        rows = sum(len(table.frame) for table in tables)
        notes.append(f"{part} is {names}: {count_of(rows, 'row')}")
        for table in tables:
            notes += [note for note in table.notes if note not in notes]
            frames.append(table.frame.assign(**{SPLIT_COLUMNS[0]: part}))
        kept += tables
    return JoinedTable(
        pd.concat(frames, ignore_index=True),
        path,
        kept[0].delimiter,
        has_header=all(table.has_header for table in kept),
        notes=tuple(notes),
        tables=tuple(kept),
    )


def _missing_columns(of_training: Sequence[Table], tables: Sequence[Table]) -> list[str]:
    """Return the columns of the first table for training that one of `tables` lacks."""
    missing = []
    for column in of_training[0].columns:
        if any(column not in table.columns for table in tables):
            missing.append(column)
    return missing
