"""Tables of texts: columns of texts, of labels, and perhaps of parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.delimited import DELIMITERS
from pipelines.io.table_folders import read_tables
from pipelines.io.tables import Table, cell_text
from pipelines.splits import Part
from pipelines.text.columns import TextColumns, choose_columns
from pipelines.text.label_cells import Labels, read_labels
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts, TextSource, objects

if TYPE_CHECKING:
    import pandas as pd

SHOWN_CHARACTERS = 60  # of a cell
SHOWN_LINES = 5


def read(path: Path, options: TextOptions, text_columns: Sequence[str] = ()) -> TextSource:
    """Read a table with columns of texts, labels and perhaps parts; a text may still be empty.

    Where no column of texts is asked for, `text_columns` are taken, if the table has them all.

    Raises:
        DataError: a column is missing, or a cell cannot be used; the message names its line.
    """
    table = read_tables(path, drop_long=options.drop_missing)
    columns = choose_columns(table, options, text_columns)
    texts = text_cells(table.frame, columns.text, table)
    if not any(text.strip() for text in texts):
        raise DataError(
            f"{path}: the column {columns.text[0]!r} is empty in all {len(texts):,} rows. "
            "Choose another: --text-column NAME"
        )
    labels = read_labels(table, columns.labels, options)
    kept, dropped = _with_labels(table, columns, labels, drop=options.drop_missing)
    part_of_row = objects(table.parts(columns.split))
    groups = None
    if columns.group is not None:
        groups = table.identifiers(columns.group)
    parts: dict[Part, Texts] = {}
    for part in dict.fromkeys(part_of_row[kept]):
        rows = np.flatnonzero(kept & (part_of_row == part))
        parts[part] = Texts(
            x=texts[rows],
            labels=labels.values[rows],
            origin=objects(table.lines[rows]),
            groups=None if groups is None else groups[rows],
        )
    notes = [*table.notes, *columns.notes, *labels.notes, *dropped]
    return TextSource(
        name=_name(path),
        where=str(path),
        parts=parts,
        several=labels.several,
        text_columns=columns.text,
        notes=(*notes, *_swallowed_rows(table, texts, labels)),
    )


def _name(path: Path) -> str:
    """Return the name of a data set: that of its file, without the endings."""
    return path.name.removesuffix(path.suffix).removesuffix(".csv")


def _with_labels(
    table: Table, columns: TextColumns, labels: Labels, *, drop: bool
) -> tuple[np.ndarray, list[str]]:
    """Return which rows `(rows,)` have a label, and a note on the others.

    Raises:
        DataError: rows lack one, and are not to be left out.
    """
    missing = labels.missing
    if not missing.any():
        return ~missing, []
    count = int(missing.sum())
    listed = shorten(list(table.lines[missing][: SHOWN_LINES + 1]), SHOWN_LINES)
    word = "line" if count == 1 else "lines"
    if missing.all():
        drop = False
    if not drop:
        or_none = ""
        if len(columns.labels) == 1:
            or_none = ". Or they have none of the labels: --multi-label"
        where = "column " + " + ".join(map(repr, columns.labels[:SHOWN_LINES]))
        raise DataError(
            f"{table.where}: line {table.lines[int(missing.argmax())]}: no label in {where} "
            f"({count:,} such rows). Leave them out: --drop-missing{or_none}"
        )
    return ~missing, [f"{count_of(count, 'row')} without a label left out ({word} {listed})"]


def text_cells(
    frame: "pd.DataFrame", columns: Sequence[str], table: Table | None = None
) -> np.ndarray:
    """Return texts `(rows,)`: the cells of these columns, one after the other; gaps are empty.

    A list of words or sentences is a text too.

    Raises:
        DataError: a cell holds an object.
    """
    joined = []
    for row, cells in enumerate(zip(*(frame[column] for column in columns), strict=True)):
        pieces = []
        for cell in cells:
            if isinstance(cell, dict):
                where = f"{table.where}: line {table.lines[row]}" if table else f"row {row + 1}"
                raise DataError(
                    f"{where}: the text is an object. Expected one value in a cell. "
                    f"Received: {str(cell)[:SHOWN_CHARACTERS]}"
                )
            if isinstance(cell, list | tuple | np.ndarray):
                cell = " ".join(map(cell_text, cell))
            pieces.append(_as_text(cell))
        joined.append(" ".join(piece for piece in pieces if piece))
    return objects(joined)


def _as_text(cell: object) -> str:
    """Return a cell as text, the 1.0 of a file with types as 1.0."""
    if isinstance(cell, float | np.floating) and not np.isnan(cell):
        return str(cell)
    return cell_text(cell)


def _swallowed_rows(table: Table, texts: np.ndarray, labels: Labels) -> tuple[str, ...]:
    """Note texts that hold other rows.

    A quote at the beginning of a text makes one text of all rows up to the next quote.
    """
    if table.path.suffix.lower() == ".tsv":
        swallows = np.asarray(["\t" in text and "\n" in text for text in texts])
        what = "contain tabs and line breaks"
    else:
        row_marks = _RowMarks.of(_names(labels))
        swallows = np.asarray([row_marks.occur_in(text) for text in texts])
        what = "contain whole rows of the table"
    if not swallows.any():
        return ()
    line = table.lines[int(swallows.argmax())]
    return (
        f"{table.where}: {int(swallows.sum()):,} texts {what} (the first on line {line}). "
        "Are there stray quotes?",
    )


def _names(labels: Labels) -> set[str]:
    if not labels.several:
        return set(labels.values) - {""}
    return {name for label in labels.values for name in label}


@dataclass(frozen=True)
class _RowMarks:
    """How a row of the table may end or begin: with a delimiter and a label."""

    ends: tuple[str, ...]
    begins: tuple[str, ...]

    @classmethod
    def of(cls, labels: set[str]) -> "_RowMarks":
        ends: list[str] = []
        begins: list[str] = []
        for delimiter in DELIMITERS:
            ends += [f"{delimiter}{label}" for label in labels]
            begins += [f"{label}{delimiter}" for label in labels]
        return cls(tuple(ends), tuple(begins))

    def occur_in(self, text: str) -> bool:
        """Whether a line of `text` ends as a row, or one behind the first begins as a row."""
        if "\n" not in text:
            return False
        lines = [line.strip('\r"') for line in text.split("\n")]
        ends = any(line.endswith(self.ends) for line in lines[:-1])
        return ends or any(line.startswith(self.begins) for line in lines[1:])
