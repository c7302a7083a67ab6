"""One reader for tables of any kind, which knows the true line of each row for messages.

Identifiers and labels stay as they are written; who needs numbers or times asks for them.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError, count_of, shorten, suggest
from pipelines.io import delimited, json_tables, workbooks
from pipelines.io.class_names import with_class_names
from pipelines.io.header_levels import joined_header
from pipelines.io.headers import normal_name
from pipelines.io.other_files import require_table
from pipelines.io.parts import NO, PART_NAMES, SPLIT_COLUMNS, YES, YES_COLUMNS, part_of_yes
from pipelines.io.paths import require_regular_file
from pipelines.io.text_files import PACKED, plain_suffix
from pipelines.splits import Part

if TYPE_CHECKING:
    import pandas as pd

DELIMITED_SUFFIXES = (".csv", ".tsv", ".txt")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (*DELIMITED_SUFFIXES, *JSON_SUFFIXES, ".parquet", *workbooks.SUFFIXES, PACKED)
SHOWN_LINES = 5
SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Table:
    """A table that was read from a file: its rows, and what messages call them.

    A table that no file holds has the name of its data set for a path.
    """

    frame: "pd.DataFrame"
    path: Path
    delimiter: str = ""  # empty where there is none: JSONL, Parquet
    has_header: bool = True
    has_quotes: bool = False  # whether the file holds a quote anywhere; only of delimited files
    escape: str | None = None  # what stands before quotes inside a text, if not another quote
    notes: tuple[str, ...] = ()  # on what was guessed
    known_lines: np.ndarray | None = None  # of the rows of a workbook, or of JSON on lines
    left_out: tuple[int, ...] = ()  # lines of a delimited file that are no rows of the table

    @property
    def where(self) -> str:
        """The name of the table in messages."""
        return str(self.path)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(map(str, self.frame.columns))

    @cached_property
    def lines(self) -> np.ndarray:
        """The line of the file on which each row begins `(rows,)`, counted from 1.

        For Parquet, and where there is no file, the number of the row. The lines are found by
        reading the file once more, so only where a message needs them.
        """
        if self.known_lines is not None:
            return self.known_lines
        rows = len(self.frame)
        if not self.delimiter or not self.path.is_file():
            return np.arange(1, 1 + rows)
        if len(self.delimiter) > 1:  # as MovieLens has it: without quotes, so a row is a line
            return delimited.lines_with_text(self.path)[:rows]
        lines = delimited.lines_of_rows(
            self.path,
            self.delimiter,
            has_header=self.has_header,
            escape=self.escape,
            has_quotes=self.has_quotes,
        )
        return lines[~np.isin(lines, self.left_out)][:rows]

    @cached_property
    def num_swallowed_lines(self) -> int:
        """How many lines with text begin no row, because they are between quotes, inside a cell.

        A stray quote makes one cell of everything up to the next quote.
        """
        if not self.has_quotes:
            return 0
        own_lines = len(self.lines) + len(self.left_out) + int(self.has_header)
        return len(delimited.lines_with_text(self.path)) - own_lines

    def find_column(self, given: str, names: Iterable[str], *, role: str, flag: str) -> str | None:
        """Return the column for `role`, None where there is none.

        It is the column that the user gave, or the first of `names` that the table has.

        Raises:
            DataError: the user named a column that is not there.
        """
        return find_column(self.frame, given, names, role=role, flag=flag, where=self.where)

    def describe_columns(self, roles: Mapping[str, "str | Sequence[str] | None"]) -> str:
        """Return in a sentence which column was taken for what, and which were not used."""
        taken: list[str] = []
        words = []
        for role, given in roles.items():
            columns = [given] if isinstance(given, str) else list(given or ())
            if columns:
                words.append(f"{role}={'+'.join(columns)}")
            taken += columns
        unused = [column for column in self.columns if column not in taken]
        sentence = f"columns: {', '.join(words)}"
        if unused:
            sentence += f"; not used: {shorten(unused, SHOWN_COLUMNS)}"
        return sentence

    def identifiers(self, column: str) -> np.ndarray:
        """Return a column as identifiers or labels `(rows,)`: texts as they are written.

        Blanks around them are no part of them. A gap is the empty text. In a column of numbers that
        once had gaps, 12 and 12.0 are the same.
        """
        import pandas as pd

        cells = self.frame[column]
        codes, values = pd.factorize(cells)
        names = [cell_text(value).strip() for value in values]
        is_typed = pd.api.types.is_numeric_dtype(cells)
        if is_typed or (names and all(_is_whole_float(name) for name in names)):
            names = [name.removesuffix(".0") for name in names]
        names.append("")  # the code of an empty cell is -1: the last
        texts: np.ndarray = np.array(names, dtype=object)[codes]
        return texts

    def split_column(self) -> str | None:
        """Return the column that says which part a row belongs to, None where there is none.

        It is called so, or says yes or no to one part as `is_valid` does.
        """
        column = self.find_column("", SPLIT_COLUMNS, role="split", flag="")
        if column is not None:
            return column
        yes_or_no = self.find_column("", YES_COLUMNS, role="split", flag="")
        if yes_or_no is None:
            return None
        words = {cell_text(cell).strip().lower() for cell in self.frame[yes_or_no].unique()}
        return yes_or_no if words <= YES | NO else None

    def parts(self, column: str | None) -> list[Part]:
        """Return train, val or test for each row; without a column, train for all.

        Raises:
            DataError: another word; the message names its line.
        """
        if column is None:
            return ["train"] * len(self.frame)
        parts: list[Part] = []
        of_yes = part_of_yes(column)
        if of_yes is not None:
            for cell in self.frame[column]:
                parts.append(of_yes if cell_text(cell).strip().lower() in YES else "train")
            return parts
        for row, cell in enumerate(self.frame[column]):
            word = cell_text(cell).strip().lower()
            if word not in PART_NAMES:
                problem = f"column {column!r} is empty."
                if word:
                    problem = f"unknown split {word!r}.{suggest(word, PART_NAMES)}"
                raise DataError(
                    f"{self.where}: line {self.lines[row]}: {problem} Expected train, val or test"
                )
            parts.append(PART_NAMES[word])
        return parts

    def raise_for_rows(self, rows: "np.ndarray | pd.Series", what: str, expected: str) -> NoReturn:
        """Raise `DataError` for the rows where `rows` is true, naming the first five lines."""
        raise_for_lines(self.where, self.lines[np.asarray(rows, dtype=bool)], what, expected)


@dataclass(frozen=True)
class DerivedTable(Table):
    """A table that was made of another one; `rows` says of which row of `origin` each row is."""

    origin: Table | None = None
    rows: np.ndarray | None = None

    @cached_property
    def lines(self) -> np.ndarray:
        assert self.origin is not None
        assert self.rows is not None
        return np.asarray(self.origin.lines[self.rows])


def take_rows(table: Table, rows: np.ndarray) -> Table:
    """Return some rows of a table, by their positions; messages still name their lines."""
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return DerivedTable(frame, table.path, table.delimiter, origin=table, rows=rows)


def _is_whole_float(name: str) -> bool:
    return name.endswith(".0") and name[:-2].isdecimal()


def read_table(path: Path, *, drop_long: bool = False, names: Sequence[str] = ()) -> Table:
    """Return the table in a CSV, TSV, JSON, JSONL, Parquet or Excel file, or in a .gz of text.

    The delimiter is sniffed, the encoding guessed where it is not UTF-8, and whether there is a
    header is told from the rows. Columns have the names of the header, and empty cells are missing.
    Nothing in a delimited file is a number: "007" stays "007" and a column of years stays a column
    of texts. JSON and Parquet keep their types. With `drop_long` the rows of a delimited file that
    have more values than its header are left out and counted in the notes. With `names` a
    delimited file has no header, and its columns have the first of these names.

    Raises:
        DataError: the file is empty, holds only a header, or is no such table; the message names
            the row.
    """
    require_regular_file(path)
    require_table(path)
    suffix = plain_suffix(path)
    try:
        if suffix == ".parquet":
            table = Table(_read_parquet(path), path)
        elif suffix in JSON_SUFFIXES:
            frame, lines = json_tables.read_json(path)
            table = Table(frame, path, known_lines=lines)
        elif suffix in workbooks.SUFFIXES:
            sheet = workbooks.read_workbook(path)
            table = Table(sheet.frame, path, notes=sheet.notes, known_lines=sheet.lines)
        else:
            table = _read_delimited(path, drop_long=drop_long, names=names)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    table.frame.columns = table.frame.columns.map(str)
    if table.frame.empty:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    return table


def read_header(path: Path) -> list[str]:
    """Return the names of the columns of a table in a file, without its rows.

    There are none where a header alone does not tell them: JSON, Excel, files without a header.

    Raises:
        DataError: the file cannot be read.
    """
    require_regular_file(path)
    suffix = plain_suffix(path)
    if suffix == ".parquet":
        import pyarrow.parquet

        try:
            return list(pyarrow.parquet.read_schema(path).names)
        except ValueError:  # it is none, which the reader of the whole says
            return []
    if suffix in DELIMITED_SUFFIXES:
        return delimited.read_header(path)
    return []


def _read_delimited(path: Path, *, drop_long: bool, names: Sequence[str]) -> Table:
    read = delimited.read_delimited(path, drop_long=drop_long, names=names)
    frame = read.frame
    notes = []
    if read.encoding:
        notes.append(
            f"{path.name}: is not UTF-8 and read as {read.encoding}. Where letters look wrong, "
            f"convert it: iconv -f ENCODING -t UTF-8 {shlex.quote(path.name)} > NEW"
        )
    if read.num_above:
        notes.append(f"{path.name}: {count_of(read.num_above, 'line')} above the header left out")
    if not read.has_header and not names:
        notes.append(
            f"{path.name}: no header (its first line holds data); its columns are called "
            f"{shorten(list(frame.columns), 3)}"
        )
    if read.left_out:
        notes.append(
            f"{count_of(len(read.left_out), 'row')} with more values than "
            f"{'the header' if read.has_header else 'the first line'} left out "
            f"({lines_text(read.left_out)})"
        )
    table = Table(
        frame,
        path,
        read.delimiter,
        has_header=read.has_header,
        has_quotes=read.has_quotes,
        escape=read.escape,
        notes=tuple(notes),
        left_out=read.left_out,
    )
    header = joined_header(frame)
    if header is None:
        return table
    rest = take_rows(table, np.arange(header.num_rows, len(frame)))
    rest.frame.columns = header.names
    note = f"{path.name}: {1 + header.num_rows} rows of names are read as one header"
    return replace(rest, notes=(*notes, note))


def _read_parquet(path: Path) -> "pd.DataFrame":
    """Return the rows of a Parquet file; categories become their values."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ValueError:  # ArrowInvalid is one; its words name bytes and buffers
        raise DataError(
            f"{path}: cannot be read as Parquet: it is truncated, or another kind of file. "
            "Write it again, or save it as CSV"
        ) from None
    for column in frame.select_dtypes("category"):
        frame[column] = frame[column].astype(object)
    return _with_index_as_columns(with_class_names(frame, path))


def _with_index_as_columns(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows with the names or times that pandas kept beside them as columns.

    An index of numbers without a name only counts rows.
    """
    import pandas as pd

    index = frame.index
    is_unnamed = all(name is None for name in index.names)
    if is_unnamed and pd.api.types.is_numeric_dtype(index):
        return frame
    if set(index.names) & set(frame.columns):
        return frame
    return frame.reset_index()


def find_column(
    frame: "pd.DataFrame", given: str, names: Iterable[str], *, role: str, flag: str, where: str
) -> str | None:
    """Return the column of `frame` for `role`, None where there is none.

    It is the column that the user gave, or the first of `names` that the table has.

    Raises:
        DataError: the user named a column that is not there.
    """
    columns = list(map(str, frame.columns))
    if given:
        return require_column(columns, given, role=role, flag=flag, where=where)
    by_name = _by_normal_name(columns)
    for name in names:
        if normal_name(name) in by_name:
            return by_name[normal_name(name)]
    return None


def require_column(
    columns: Sequence[str], given: str, *, role: str, flag: str = "", where: str
) -> str:
    """Return the one of `columns` that a person named by `flag`, `--<role>-column` unless said.

    Raises:
        DataError: there is none; the message gives the nearest one.
    """
    by_name = _by_normal_name(columns)
    if given in columns:
        return given
    if normal_name(given) in by_name:
        return by_name[normal_name(given)]
    raise DataError(
        f"{where}: has no column {given!r} for the {role}.{suggest(given, columns)} "
        f"Its columns: {shorten(columns, SHOWN_COLUMNS)}. "
        f"Choose one: {flag or f'--{role}-column'} NAME"
    )


def _by_normal_name(columns: Sequence[str]) -> dict[str, str]:
    # Of several that differ in case alone the first is taken.
    return {normal_name(column): column for column in reversed(columns)}


def raise_for_lines(
    where: str, lines: "Sequence[int] | np.ndarray | pd.Series", what: str, expected: str
) -> NoReturn:
    """Raise `DataError` for the lines of a table that cannot be used, the first five named."""
    raise DataError(f"{where}: {lines_text(lines)}: {what}. {expected}")


def lines_text(lines: "Sequence[int] | np.ndarray | pd.Series") -> str:
    """Return lines of a file for people, the first five named: "lines 2, 5"."""
    word = "line" if len(lines) == 1 else "lines"
    return f"{word} {shorten(list(lines), SHOWN_LINES)}"


def cell_text(value: object) -> str:
    """Return a cell as a label or an id; a gap is the empty text.

    The 12.0 of a column of numbers with gaps is "12".
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return ""
        if float(value).is_integer():
            return str(int(value))
    return str(value)
