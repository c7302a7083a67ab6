"""What people bring to be answered: a table, a file of lines, a folder, an array."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.answers import ERROR
from pipelines.io.folders import FileKind, counted_endings, scan
from pipelines.io.paths import require_regular_file
from pipelines.io.progress import counted
from pipelines.io.table_folders import is_folder_of_tables, read_tables
from pipelines.io.tables import DELIMITED_SUFFIXES, TABLE_SUFFIXES, find_column, read_table
from pipelines.io.text_files import TEXT_SUFFIX, plain_suffix, read_lines, read_text
from pipelines.pipeline import RawInput
from pipelines.text.columns import TEXT_COLUMNS, text_columns
from pipelines.text.readers import FILES, HAS_TEXT
from pipelines.text.tables import text_cells
from pipelines.text.texts import objects

if TYPE_CHECKING:
    from pipelines.io.tables import Table

NO_TEXT = "no text"
SHOWN_NAMES = 6  # of usual columns
SHOWN_COLUMNS = 20  # of those that a table has
SHOWN_CHARACTERS = 60  # of a cell
UNNAMED = re.compile(r"column \d+")  # what a column without a name is called
MARKS = "\t;|"  # between the columns of lines, as commas of a text may be, too


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Texts `(n,)` to be answered, and what stands beside them in a table of `n` rows.

    `errors` `(n,)` say why a row cannot be answered, "" where it can.
    """

    texts: np.ndarray
    beside: pd.DataFrame
    errors: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads what is to be answered as the person and the model's training say.

    `columns` are those that the person named, `trained_on` those that the model has learned from.
    What was guessed or left out is appended to `notes`.
    """

    columns: str = ""
    trained_on: Sequence[str] = ()
    skip_unreadable: bool = False
    notes: list[str] = field(default_factory=list)

    def read(self, source: RawInput) -> Asked:
        """Return the texts of a table, of a file of lines or of a folder, or those given.

        Raises:
            DataError: the source cannot be read, or no column holds texts.
        """
        if isinstance(source, pd.DataFrame):
            return self._table(source.rename(columns=str), "the table")
        if not isinstance(source, str | Path):
            given = objects(_as_text(text) for text in np.ravel(objects(np.ravel(source))))
            return _asked(given, pd.DataFrame({"text": given}))
        path = Path(source)
        if path.is_dir():
            return self._folder(path)
        if not path.exists():
            raise DataError(
                f"{path}: no such file. Expected a table with a column of texts, a .txt file of a "
                "text on each line, a folder of .txt files, or - for texts on standard input"
            )
        try:
            return self._file(path)
        except DataError as error:
            if not self.skip_unreadable:
                raise
            self.notes.append(f"{path}: left unanswered")
            return _unreadable(str(path), str(error))

    def _file(self, path: Path) -> Asked:
        require_regular_file(path)
        suffix = plain_suffix(path)
        if suffix == TEXT_SUFFIX and not self.columns and not self._is_as_trained(path):
            lines = objects(read_lines(path))
            numbers = range(1, 1 + len(lines))
            return _asked(lines, pd.DataFrame({"line": numbers, "text": lines}))
        if suffix not in TABLE_SUFFIXES:
            raise DataError(
                f"{path}: expected a table ({', '.join(TABLE_SUFFIXES)}), a {TEXT_SUFFIX} file of "
                f"lines, or a folder of such files. Received: {suffix or 'no ending'!r}"
            )
        return self._of_table(path)

    def _of_table(self, path: Path) -> Asked:
        table = read_tables(path, drop_long=self.skip_unreadable)
        if self._unnamed() and table.has_header and self._unnamed() <= len(table.columns):
            # The few rows of a question do not tell that the first one is no header.
            names = [f"column {number}" for number in range(1, 1 + len(table.columns))]
            is_unknown = not set(self.trained_on) & set(table.columns)
            if plain_suffix(path) in DELIMITED_SUFFIXES and is_unknown:
                table = read_table(path, drop_long=self.skip_unreadable, names=names)
        self.notes.extend(table.notes)
        return self._table(table.frame, str(path), table)

    def _is_as_trained(self, path: Path) -> bool:
        """Return whether lines have columns without names, as those of the training had.

        These are such as a label and a tab before each text.
        """
        if not self._unnamed():
            return False
        lines = [line for line in read_lines(path) if line.strip()]
        for mark in MARKS:
            counts = {line.count(mark) for line in lines}
            if len(lines) > 1 and len(counts) == 1 and counts.pop() >= max(self._unnamed() - 1, 1):
                return True
        return False

    def _unnamed(self) -> int:
        """Return the last of the columns without names that were trained on, 0 for named ones."""
        if not all(UNNAMED.fullmatch(name) for name in self.trained_on):
            return 0
        return max((int(name.partition(" ")[2]) for name in self.trained_on), default=0)

    def _folder(self, root: Path) -> Asked:
        kind = FileKind(what="texts", suffixes=FILES.suffixes)
        tree = scan(root, kind)
        paths = tree.all_files()
        if not paths and is_folder_of_tables(root):
            return self._of_table(root)
        if not paths:
            raise DataError(f"{root}: holds no {TEXT_SUFFIX} files. Expected one for each text")
        others = sum((folder.others for folder in tree.walk()), start=tree.others.__class__())
        if others:
            self.notes.append(f"{root}: left out: {counted_endings(others)}")
        names, texts, errors = [], [], []
        for path in counted(paths, "texts", len(paths)):
            names.append(path.relative_to(root).as_posix())
            text, error = self._text_of(path)
            texts.append(text)
            errors.append(error)
        beside = pd.DataFrame({"file": names, "text": texts})
        return _asked(objects(texts), beside, objects(errors))

    def _text_of(self, path: Path) -> tuple[str, str]:
        """Return the text of a file and "", or "" and why it cannot be read."""
        try:
            return read_text(path), ""
        except DataError as error:
            if not self.skip_unreadable:
                raise DataError(f"{error}. Leave it out: --skip-unreadable") from None
            return "", str(error)

    def _table(self, frame: pd.DataFrame, where: str, table: "Table | None" = None) -> Asked:
        columns = self._columns(frame, where)
        if table is not None:
            self.notes.append(table.describe_columns({"text": columns}))
        return _asked(text_cells(frame, columns, table), frame)

    def _columns(self, frame: pd.DataFrame, where: str) -> Sequence[str]:
        """Return the columns that the person named, that the model knows, or that hold texts."""
        if self.columns:
            names = [self.columns] if self.columns in frame else self.columns.split(",")
            return [_found(frame, name.strip(), where) for name in names]
        known = []
        for name in self.trained_on:
            column = find_column(frame, "", (name,), role="text", flag="", where=where)
            if column is not None:
                known.append(column)
        if known:
            lacking = len(self.trained_on) - len(known)
            if lacking:
                self.notes.append(
                    f"{where}: the model was trained on {' + '.join(self.trained_on)}; "
                    f"only {' + '.join(known)} is here"
                )
            return known
        guessed = text_columns(frame, where)
        if not guessed:
            expected = ", ".join(TEXT_COLUMNS[:SHOWN_NAMES])
            raise DataError(
                f"{where}: has no column of texts. Expected one called {expected}, or "
                f"--text-column NAME. "
                f"Its columns: {shorten(list(frame.columns), SHOWN_COLUMNS)}"
            )
        self._refuse_text_as_name(frame, guessed[0], where)
        return guessed

    def _refuse_text_as_name(self, frame: pd.DataFrame, name: str, where: str) -> None:
        if len(frame.columns) == 1 and " " in name.strip() and name != "column 1":
            raise DataError(
                f"{where}: its first line looks like a text, not like the name of a column. "
                f"Write `text` above it, or call the file .txt, which has a text on each line. "
                f"Received: {name[:SHOWN_CHARACTERS]!r}"
            )


def _found(frame: pd.DataFrame, name: str, where: str) -> str:
    column = find_column(frame, name, (), role="text", flag="--text-column", where=where)
    return str(column)


def _as_text(value: Any) -> str:
    """Return a given value as a text; nothing, or no number, is an empty one."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _asked(texts: np.ndarray, beside: pd.DataFrame, errors: np.ndarray | None = None) -> Asked:
    """Return texts to be answered; those without a text cannot be."""
    found = []
    for position, text in enumerate(texts):
        error = "" if errors is None else errors[position]
        if not error and not HAS_TEXT.search(text):
            error = NO_TEXT
        found.append(error)
    return Asked(texts=texts, beside=beside, errors=objects(found))


def _unreadable(name: str, error: str) -> Asked:
    beside = pd.DataFrame({"file": [name]})
    return Asked(texts=objects([""]), beside=beside, errors=objects([error]))


def add_errors(
    answers: pd.DataFrame, errors: np.ndarray, notes: list[str], *, always: bool
) -> pd.DataFrame:
    """Return answers `(n rows)` emptied where there is an error, with the reason beside them.

    Without errors they are returned as they are, unless `always` asks for the column.
    """
    failed = np.asarray([bool(error) for error in errors])
    if not failed.any() and not always:
        return answers
    emptied = answers.astype(object)
    emptied.loc[failed] = None
    emptied = emptied.infer_objects()
    emptied[ERROR] = objects(error or None for error in errors)
    empty = int((errors == NO_TEXT).sum())
    if empty:
        notes.append(f"{count_of(empty, 'row')} without a text: no label, see the column {ERROR}")
    others = int(failed.sum()) - empty
    if others:
        notes.append(f"{count_of(others, 'file')} could not be read: see the column {ERROR}")
    return emptied
