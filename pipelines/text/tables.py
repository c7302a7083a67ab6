"""Tables of texts: columns of texts, of labels, and perhaps of parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.io.delimited import DELIMITERS
from pipelines.io.parts import SPLIT_COLUMNS
from pipelines.io.tables import Table, cell_text, read_table
from pipelines.splits import Part
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts, TextSource

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = (
    "text",
    "sentence",
    "review",
    "content",
    "title",
    "message",
    "question",
    "query",
    "sequence",
    "document",
    "comment",
    "tweet",
)
LABEL_COLUMNS = ("label", "target", "class", "category", "sentiment", "intent", "topic", "y")
SHOWN_NAMES = 6  # of usual columns
SHOWN_CHARACTERS = 60  # of a cell
# So many distinct labels that are no whole numbers look like classes; more are measurements.
MOST_FRACTIONS = 20


@dataclass(frozen=True, kw_only=True)
class ReadTable:
    """The texts of a table, and the rows of each part there, for messages."""

    source: TextSource
    table: Table
    rows: Mapping[Part, np.ndarray]


def read(path: Path, options: TextOptions) -> ReadTable:
    """Read a table with columns of texts, labels and perhaps parts; a text may still be empty.

    Raises:
        DataError: a column is missing, or a cell cannot be used; the message names its line.
    """
    table = read_table(path, as_text=True)
    text_column = _column(table, options.text_column, TEXT_COLUMNS, role="text")
    label_column = _column(table, options.label_column, LABEL_COLUMNS, role="label")
    if text_column == label_column:
        raise DataError(
            f"{path}: the column {text_column!r} cannot hold both the text and the label. "
            "Choose another: --text-column NAME or --label-column NAME"
        )
    _require_single_values(table, text_column, role="text")
    _require_single_values(table, label_column, role="label")
    _require_labels(table, label_column)
    if table.frame[text_column].isna().all():
        raise DataError(
            f"{path}: the column {text_column!r} is empty in all {len(table.frame)} rows. "
            "Choose another: --text-column NAME"
        )
    split_column = table.find_column("", SPLIT_COLUMNS, role="split", flag="")
    part_of_row = np.asarray(table.parts(split_column), dtype=object)
    texts = table.frame[text_column].fillna("").astype(str).to_numpy(dtype=object)
    labels = _labels(table, label_column)
    parts: dict[Part, Texts] = {}
    rows: dict[Part, np.ndarray] = {}
    for part in dict.fromkeys(part_of_row):
        rows[part] = np.flatnonzero(part_of_row == part)
        parts[part] = Texts(x=texts[rows[part]], labels=labels[rows[part]])
    if "train" not in parts:
        raise DataError(f"{path}: the column {split_column!r} assigns no row to train")
    source = TextSource(
        name=path.stem, where=str(path), parts=parts, notes=_swallowed_rows(table, texts, labels)
    )
    return ReadTable(source=source, table=table, rows=rows)


def _column(table: Table, given: str, names: tuple[str, ...], *, role: str) -> str:
    """Return the column that plays `role`, which is also in the name of its flag."""
    flag = f"--{role}-column"
    column = table.find_column(given, names, role=role, flag=flag)
    if column is not None:
        return column
    hint = ""
    if len(table.columns) == 1:
        hint = ". Are columns separated by something other than , ; | or a tab?"
    raise DataError(
        f"{table.where}: has no column of {role}s. "
        f"Expected one called {', '.join(names[:SHOWN_NAMES])}, or {flag} NAME. "
        f"Its columns: {', '.join(table.columns)}{hint}"
    )


def _require_single_values(table: Table, column: str, *, role: str) -> None:
    for row, value in enumerate(table.frame[column]):
        if isinstance(value, list | dict | np.ndarray):
            raise DataError(
                f"{table.where}: line {table.lines[row]}: the {role} is a list or an object. "
                "Expected one value in a cell, several labels as a|b. "
                f"Received: {str(value)[:SHOWN_CHARACTERS]}"
            )


def _require_labels(table: Table, column: str) -> None:
    labels = table.frame[column]
    missing = (labels.isna() | (labels.astype(str).str.strip() == "")).to_numpy()
    if missing.any():
        line = table.lines[int(missing.argmax())]
        raise DataError(
            f"{table.where}: line {line}: no label in column {column!r} "
            f"({int(missing.sum())} such rows)"
        )


def _labels(table: Table, name: str) -> np.ndarray:
    """Return labels as texts, the 1.0 of a column of numbers as 1; refuse measurements."""
    import pandas as pd

    column: pd.Series = table.frame[name]
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        all_whole = bool((numbers % 1 == 0).all())
        if not all_whole and numbers.nunique() > MOST_FRACTIONS:
            raise DataError(
                f"{table.where}: the column {name!r} holds measurements "
                f"({column.iloc[0]}, {column.iloc[1]} ...), not classes. "
                "Expected a few distinct labels. Choose another column: --label-column NAME"
            )
        if all_whole and column.astype(str).str.contains(".", regex=False).any():
            return np.asarray([cell_text(float(value)) for value in numbers], dtype=object)
    return column.astype(str).str.strip().to_numpy(dtype=object)


def _swallowed_rows(table: Table, texts: np.ndarray, labels: np.ndarray) -> tuple[str, ...]:
    """Note texts that hold other rows.

    A quote at the beginning of a text makes one text of all rows up to the next quote.
    """
    if table.path.suffix.lower() == ".tsv":
        swallows = np.asarray(["\t" in text and "\n" in text for text in texts])
        what = "contain tabs and line breaks"
    else:
        row_marks = _RowMarks.of(set(labels))
        swallows = np.asarray([row_marks.occur_in(text) for text in texts])
        what = "contain whole rows of the table"
    if not swallows.any():
        return ()
    line = table.lines[int(swallows.argmax())]
    return (
        f"{table.where}: {int(swallows.sum())} texts {what} (the first on line {line}). "
        "Are there stray quotes?",
    )


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


def text_cells(frame: "pd.DataFrame", column: str) -> np.ndarray:
    """Return a column `(rows,)` as texts; a gap is an empty one."""
    return np.asarray(frame[column].fillna("").astype(str), dtype=object)
