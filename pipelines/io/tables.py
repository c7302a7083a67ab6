"""One reader for tables of any kind, which knows the true line of each row for messages."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pipelines.errors import DataError, shorten, suggest
from pipelines.io.parts import PART_NAMES
from pipelines.io.paths import require_regular_file
from pipelines.io.text_files import encoding_of, require_text
from pipelines.splits import Part

if TYPE_CHECKING:
    import pandas as pd

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet")
DELIMITERS = ",;\t|"
# Words that stand for a gap in a column whose other values are numbers.
GAPS = ("NA", "NaN", "nan", "null", "None", "N/A")
BLANKS = " \t\r\n"
SHOWN_LINES = 5


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
        suffix = self.path.suffix.lower()
        if suffix == ".parquet" or not self.path.is_file():
            return np.arange(1, 1 + len(self.frame))
        if suffix == ".jsonl" or not self.has_header:
            return _lines_with_text(self.path)[: len(self.frame)]
        return _lines_of_rows(self.path, self.delimiter)[: len(self.frame)]

    @cached_property
    def num_swallowed_lines(self) -> int:
        """How many lines with text begin no row, because they are between quotes, inside a cell.

        A stray quote makes one cell of everything up to the next quote.
        """
        if not self.has_quotes:
            return 0
        own_lines = len(self.lines) + int(self.has_header)
        return len(_lines_with_text(self.path)) - own_lines

    def find_column(self, given: str, names: Iterable[str], *, role: str, flag: str) -> str | None:
        """Return the column for `role`, None where there is none.

        It is the column that the user gave, or the first of `names` that the table has.

        Raises:
            DataError: the user named a column that is not there.
        """
        return find_column(self.frame, given, names, role=role, flag=flag, where=self.where)

    def parts(self, column: str | None) -> list[Part]:
        """Return train, val or test for each row; without a column, train for all.

        Raises:
            DataError: another word; the message names its line.
        """
        if column is None:
            return ["train"] * len(self.frame)
        parts = []
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


def _lines_with_text(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        return np.asarray([number for number, line in enumerate(file, start=1) if line.strip()])


def _lines_of_rows(path: Path, delimiter: str) -> np.ndarray:
    """Return the line on which each row of a delimited file begins; the header is no row."""
    raw = path.read_bytes()
    text = raw.decode(encoding_of(raw), "replace")
    # A cell may be longer than the module's own limit of 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    lines = list(io.StringIO(text, newline=""))
    # As pandas has it: a line of spaces is blank, one of delimiters is a row of empty cells.
    blank = BLANKS.replace(delimiter, "")
    reader = csv.reader(lines, delimiter=delimiter)
    begins = []
    begin = 1
    for _ in reader:
        if lines[begin - 1].strip(blank):
            begins.append(begin)
        begin = reader.line_num + 1
    return np.asarray(begins[1:], dtype=int)


def read_table(path: Path, *, as_text: bool = False) -> Table:
    """Return the table in a CSV, TSV, JSONL or Parquet file.

    The delimiter is sniffed, and the encoding guessed where it is not UTF-8. Columns have the names
    of the header, texts stay as they are, and empty cells are missing; "NA" and "null" are texts,
    unless every other value of their column is a number. With `as_text` nothing in a delimited file
    is a number: "007" stays "007" and a column of years stays a column of texts.

    Raises:
        DataError: the file is empty, holds only a header, or is no such table; the message names
            the row.
    """
    import pandas as pd

    require_regular_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            table = Table(pd.read_parquet(path), path)
        elif suffix == ".jsonl":
            dtype = False if as_text else None
            frame = pd.read_json(path, lines=True, encoding="utf-8-sig", dtype=dtype)
            table = Table(frame, path)
        else:
            table = _read_delimited(path, as_text)
    except DataError:
        raise
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    # Rows of JSON may be lists, whose columns have numbers for names.
    table.frame.columns = table.frame.columns.map(str)
    if table.frame.empty:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    return table


def _read_delimited(path: Path, as_text: bool) -> Table:
    import pandas as pd

    raw = path.read_bytes()
    if not raw.strip():
        raise DataError(f"{path}: is empty. Expected a header and at least one row")
    require_text(raw, path)
    encoding = encoding_of(raw)
    header = raw.partition(b"\n")[0].decode(encoding, "replace")
    delimiter = _sniff_delimiter(path, header)
    has_quotes = b'"' in raw
    kwargs: dict[str, Any] = {
        "sep": delimiter,
        "encoding": encoding,
        "keep_default_na": False,
        "na_values": [""],
    }
    if not as_text:
        frame = pd.read_csv(path, **kwargs).apply(_numbers_with_gaps)
        return Table(frame, path, delimiter, has_quotes=has_quotes)
    try:
        frame = pd.read_csv(path, dtype=str, **kwargs)
        if not isinstance(frame.index, pd.RangeIndex):
            # pandas takes the first values for names of rows.
            number = len(frame.columns)
            raise ValueError(
                f"rows have {number + frame.index.nlevels} values, the header has {number}. "
                "Is a quote missing?"
            )
    except ValueError as error:
        if delimiter in header:
            raise
        raise ValueError(
            f"{error}. Are columns separated by something other than , ; | or a tab? "
            f"The header: {header[:60]!r}"
        ) from error
    return Table(frame, path, delimiter, has_quotes=has_quotes)


def _sniff_delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    try:
        return csv.Sniffer().sniff(header, delimiters=DELIMITERS).delimiter
    except csv.Error:  # one column
        return ","


def _numbers_with_gaps(column: "pd.Series") -> "pd.Series":
    """Return the column as numbers if they are all it has besides gaps such as NA, NaN and null."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column
    gaps = column.isin(GAPS)
    numbers = pd.to_numeric(column.mask(gaps), errors="coerce")
    only_gaps_are_no_numbers = (numbers.isna() == (gaps | column.isna())).all()
    if numbers.notna().any() and only_gaps_are_no_numbers:
        return numbers
    return column


def find_column(
    frame: "pd.DataFrame", given: str, names: Iterable[str], *, role: str, flag: str, where: str
) -> str | None:
    """Return the column of `frame` for `role`, None where there is none.

    It is the column that the user gave, or the first of `names` that the table has.

    Raises:
        DataError: the user named a column that is not there.
    """
    # Of several that differ in case alone the first is taken.
    columns = {str(column).strip().lower(): str(column) for column in reversed(frame.columns)}
    if not given:
        for name in names:
            if name in columns:
                return columns[name]
        return None
    if given in map(str, frame.columns):
        return given
    listed = ", ".join(map(str, frame.columns))
    raise DataError(
        f"{where}: has no column {given!r} for the {role}.{suggest(given, columns.values())} "
        f"Its columns: {listed}. Choose one: {flag} NAME"
    )


def raise_for_lines(
    where: str, lines: "Sequence[int] | np.ndarray | pd.Series", what: str, expected: str
) -> NoReturn:
    """Raise `DataError` for the lines of a table that cannot be used, the first five named."""
    word = "line" if len(lines) == 1 else "lines"
    shown = shorten(list(lines), SHOWN_LINES)
    raise DataError(f"{where}: {word} {shown}: {what}. {expected}")


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
