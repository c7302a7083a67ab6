"""Delimited files as people save them: any delimiter, any encoding, with a header or without.

Every cell is a text as it is written, and empty cells are missing: only who asks for numbers or
times gets them. Messages name the line of the file, not what pandas calls a row.
"""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.io.above_header import without_lines_above
from pipelines.io.text_files import encoding_of, plain_suffix, read_raw, read_text, split_lines

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t|"
BLANKS = " \t\r\n"
FEWEST_STEPS = 3  # numbers in a header that are told to be steps or years
LOOKED_AT = 200  # rows from which delimiter and header are told
MOST_COLUMNS = 20_000  # pandas takes minutes for a million
SHOWN_CHARACTERS = 80  # of a line that is quoted in a message
QUOTED_BEHIND_BLANKS = 0.5  # the least share of lines, for blanks to be no part of cells
UNICODE = ("utf-8-sig", "utf-16")
# The least share of rows whose values recur for a column of labels.
RECURRING = 0.5
# Words that no row holds in the place where a header has them, written as `normal_name` does.
HEADER_WORDS = frozenset(
    [
        *("id", "text", "label", "class", "target", "value", "title", "category", "name", "x", "y"),
        *("date", "time", "timestamp", "ds", "user", "userid", "item", "itemid", "rating"),
        *("path", "file"),
    ]
)
# Excel's way to name the delimiter, on a line of its own before the header.
EXCEL_HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Delimited:
    """A delimited file that was read."""

    frame: "pd.DataFrame"
    delimiter: str
    has_header: bool
    has_quotes: bool
    escape: str | None  # what stands before a quote inside a text, where it is not another quote
    left_out: tuple[int, ...] = ()  # lines of rows that have more values than the header
    num_above: int = 0  # lines above the header, which are left out
    encoding: str = ""  # where it was guessed


@dataclass(frozen=True, kw_only=True)
class _Source:
    """The text of a file, and how its cells are told apart."""

    path: Path
    text: str
    delimiter: str
    has_header: bool
    escape: str | None = None
    has_quotes: bool = True  # whether quotes hold cells together


def normal_name(name: str) -> str:
    """Return a column's name without what people write differently: case, blanks, dashes."""
    return re.sub(r"[\s_\-.]+", "", name.strip().lower())


def read_delimited(path: Path, *, drop_long: bool = False) -> Delimited:
    """Return the rows of a delimited file as texts; see the top of this file.

    Without a header, columns are called `column 1`, `column 2` and so on. With `drop_long` rows of
    more values than the header are left out, unless they are the most: then the header is wrong.

    Raises:
        DataError: the file is empty, holds too many columns, or a row has more values than the
            header; the message names the line.
    """
    raw = read_raw(path)
    encoding = encoding_of(raw)
    text = raw.decode(encoding, "replace")
    if not text.strip():
        raise DataError(f"{path}: is empty. Expected a header and at least one row")
    text, num_above = without_lines_above(text, _has_header_word)
    source = _find_form(path, text)
    left_out: tuple[int, ...] = ()
    try:
        frame = _parse(source)
    except DataError:
        found = _without_long_rows(source) if drop_long else None
        if found is None:
            raise
        frame, left_out = found
    return Delimited(
        frame=frame,
        left_out=left_out,
        delimiter=source.delimiter,
        has_header=source.has_header,
        has_quotes=source.has_quotes,
        escape=source.escape,
        num_above=num_above,
        encoding="" if encoding in UNICODE else encoding,
    )


def read_header(path: Path) -> list[str]:
    """Return the names of the columns of a delimited file, none where it has no header.

    Its rows are not read.
    """
    source = _find_form(path, _text_of_table(path))
    if not source.has_header:
        return []
    return _first_rows(source.text, source.delimiter)[0]


def _text_of_table(path: Path) -> str:
    return without_lines_above(read_text(path), _has_header_word)[0]


def lines_with_text(path: Path) -> np.ndarray:
    """Return the numbers of the lines that are not blank, counted from 1."""
    lines = split_lines(_text_of_table(path))
    return np.asarray([number for number, line in enumerate(lines, start=1) if line.strip()])


def lines_of_rows(
    path: Path,
    delimiter: str,
    *,
    has_header: bool = True,
    escape: str | None = None,
    has_quotes: bool = True,
) -> np.ndarray:
    """Return the line on which each row of a delimited file begins; the header is no row."""
    records = _records(_text_of_table(path), delimiter, escape, has_quotes=has_quotes)
    begins = [begin for begin, _ in records]
    return np.asarray(begins[int(has_header) :], dtype=int)


def _records(
    text: str, delimiter: str, escape: str | None = None, *, has_quotes: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its cells; blank lines are no rows."""
    # A cell may be longer than the module's own limit of 131,072 characters.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    lines = io.StringIO(text, newline="")
    seen: list[str] = []

    def remembered() -> Iterator[str]:
        for line in lines:
            seen.append(line)
            yield line

    # As pandas has it: a line of spaces is blank, one of delimiters is a row of empty cells.
    blank = BLANKS.replace(delimiter, "")
    reader = csv.reader(
        remembered(),
        delimiter=delimiter,
        escapechar=escape,
        quoting=csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE,
        skipinitialspace=_blanks_stand_before_quotes(text, delimiter),
    )
    begin = 1
    for cells in reader:
        is_hint = begin == 1 and EXCEL_HINT.fullmatch(seen[0]) is not None
        if seen[0].strip(blank) and not is_hint:
            yield begin, cells
        begin = reader.line_num + 1
        seen.clear()


def _find_form(path: Path, text: str) -> _Source:
    """Find out what separates cells, and whether the first row is a header."""
    hint = EXCEL_HINT.fullmatch(text.partition("\n")[0].lstrip("\ufeff"))
    if hint:
        delimiter = hint.group(1)
    elif plain_suffix(path) == ".tsv":
        delimiter = "\t"
    else:
        delimiter = _best_delimiter(text)
    first = _first_rows(text, delimiter)
    if first and len(first[0]) > MOST_COLUMNS:
        raise DataError(
            f"{path}: has {len(first[0]):,} columns. Expected at most {MOST_COLUMNS:,}, and a row "
            "for each example: is the table on its side?"
        )
    return _Source(
        path=path,
        text=text,
        delimiter=delimiter,
        has_header=looks_like_header(first[:1], first[1:]),
        escape=_escape(text, delimiter),
        has_quotes='"' in text and not _quotes_are_letters(text, delimiter),
    )


def _blanks_stand_before_quotes(text: str, delimiter: str) -> bool:
    """Return whether cells are written as `1, "a, b"`: with a blank that belongs to no cell."""
    lines = list(itertools.islice(io.StringIO(text, newline=""), LOOKED_AT))
    pattern = re.compile(rf'{re.escape(delimiter)} +"')
    num_found = sum(pattern.search(line) is not None for line in lines)
    return num_found > 0 and num_found >= QUOTED_BEHIND_BLANKS * (len(lines) - 1)


def _quotes_are_letters(text: str, delimiter: str) -> bool:
    """Return whether quotes in a file of tabs are characters like others, as in chats.

    They are where every line has as many cells as the first, and quotes would make one row of
    several lines.
    """
    if delimiter != "\t":
        return False
    lines = [line for line in split_lines(text) if line.strip()]
    if len({line.count(delimiter) for line in lines}) != 1:
        return False
    return sum(1 for _ in _records(text, delimiter)) < len(lines)


def _escape(text: str, delimiter: str) -> str | None:
    """Return a backslash where the file has one before a quote inside a text, as databases write.

    That is where the first quote of a quoted cell has one before it and does not end the cell.
    """
    mark = re.escape(delimiter)
    escaped = rf'(?:^|{mark})"[^"\n]*\\"(?!["\r\n]|{mark}|\Z)'
    return "\\" if re.search(escaped, text, re.MULTILINE) else None


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    # The beginning alone: an unclosed quote would run through the whole file.
    beginning = "".join(itertools.islice(io.StringIO(text, newline=""), 2 * LOOKED_AT))
    rows = [cells for _, cells in itertools.islice(_records(beginning, delimiter), LOOKED_AT)]
    return rows


def _best_delimiter(text: str) -> str:
    """Return the delimiter that divides most of the first rows into as many cells as the first.

    Of several that do, the one with the most cells, else the first of `DELIMITERS`.
    """
    best, best_worth = DELIMITERS[0], (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(cells) for cells in _first_rows(text, delimiter)]
        if not widths or widths[0] < 2:
            continue
        agreeing = widths.count(widths[0]) / len(widths)
        worth = (round(agreeing, 1), widths[0])
        if worth > best_worth:
            best, best_worth = delimiter, worth
    return best


def looks_like_header(first: Sequence[Sequence[str]], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names columns, judged by the rows below it.

    It does not where it holds a number, as names rarely are, unless its numbers are the years or
    steps of a wide table; nor where one of its cells recurs in a column of labels.
    """
    if not first or not below:
        return True
    header = [cell.strip() for cell in first[0]]
    if _has_header_word(header):
        return True
    numbers = [float(cell) for cell in header if _is_number(cell)]
    if numbers:
        # pandas calls a column without a name 0, behind an index that has none; otherwise a 0
        # that recurs is a label.
        is_label = any(_recurs(cell, place, below) for place, cell in enumerate(header))
        if len(numbers) < FEWEST_STEPS and header[0] and is_label:
            return False
        counts_on = len(numbers) == len(header) and _is_sequence_in_order(below)
        return _is_sequence(numbers) and not counts_on
    if list(first[0]) in list(map(list, below)):  # files that were glued together
        return True
    return not any(_recurs(cell, position, below) for position, cell in enumerate(header))


def _has_header_word(cells: Sequence[str]) -> bool:
    return any(normal_name(cell) in HEADER_WORDS for cell in cells)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", cell) is not None


def _is_sequence(numbers: Sequence[float]) -> bool:
    """Return whether numbers are steps or years: 0, or whole and each by as much above the last."""
    if len(numbers) < FEWEST_STEPS:
        return list(numbers) == [float(number) for number in range(len(numbers))]
    steps = set(np.diff(numbers))
    return len(steps) == 1 and steps.pop() > 0 and float(numbers[0]).is_integer()


def _is_sequence_in_order(below: Sequence[Sequence[str]]) -> bool:
    """Return whether the rows below are such sequences too, as in a file that counts."""
    row = [float(cell) for cell in below[0] if _is_number(cell.strip())]
    return len(row) > 2 and _is_sequence(row)


def _recurs(cell: str, position: int, below: Sequence[Sequence[str]]) -> bool:
    """Return whether a cell of the first row stands again in its column, one of few values."""
    column = [row[position].strip() for row in below if len(row) > position]
    counts = Counter(column)
    if not cell or cell not in counts:
        return False
    recurring = sum(count for count in counts.values() if count > 1)
    return recurring >= RECURRING * len(column)


def _parse(source: _Source) -> "pd.DataFrame":
    import pandas as pd

    text = source.text
    if EXCEL_HINT.fullmatch(text.partition("\n")[0].lstrip("\ufeff")):
        text = text.partition("\n")[2]
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=source.delimiter,
            header=0 if source.has_header else None,
            escapechar=source.escape,
            quoting=csv.QUOTE_MINIMAL if source.has_quotes else csv.QUOTE_NONE,
            skipinitialspace=_blanks_stand_before_quotes(text, source.delimiter),
            dtype=str,
            keep_default_na=False,
            na_values=[""],
        )
    except ValueError as error:
        raise _explained(source, error) from None
    frame = _without_empty_last_column(frame, source)
    if source.has_header:
        frame.columns = frame.columns.map(lambda name: str(name).strip())
    else:
        frame.columns = [f"column {number}" for number in range(1, 1 + len(frame.columns))]
    return frame


def _without_empty_last_column(frame: "pd.DataFrame", source: _Source) -> "pd.DataFrame":
    """Return rows that end in a delimiter, as the header does not, without the empty cell there.

    pandas takes the first values of such rows for their names.

    Raises:
        DataError: the rows have more values than the header.
    """
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex):
        return frame
    names = list(frame.columns)
    if frame.index.nlevels == 1 and frame[names[-1]].isna().all():
        shifted = frame.reset_index()
        shifted.columns = [*names, "empty"]
        return shifted.drop(columns="empty")
    raise _explained(source, ValueError("rows are longer than the header"))


def _without_long_rows(source: _Source) -> "tuple[pd.DataFrame, tuple[int, ...]] | None":
    """Return the rows that have no more values than the header, and the lines of the others.

    None where these are none, or the most.
    """
    import pandas as pd

    records = _records(source.text, source.delimiter, source.escape, has_quotes=source.has_quotes)
    _, header = next(records)
    rows, left_out = [], []
    for line, cells in records:
        if len(cells) > len(header):
            left_out.append(line)
        else:
            rows.append([*cells, *[""] * (len(header) - len(cells))])
    if not source.has_header or not left_out or len(left_out) >= len(rows):
        return None
    frame = pd.DataFrame(rows, columns=[name.strip() for name in header], dtype=object)
    return frame.mask(frame == ""), tuple(left_out)


def _explained(source: _Source, error: ValueError) -> DataError:
    """Return what is wrong with a file that pandas cannot read, with the line on which it is."""
    path = source.path
    records = list(
        _records(source.text, source.delimiter, source.escape, has_quotes=source.has_quotes)
    )
    header_line, header = records[0]
    if len(header) == 1:
        shown = source.text.splitlines()[header_line - 1][:SHOWN_CHARACTERS]
        return DataError(
            f"{path}: line {header_line}: columns are separated by something other than "
            f"a comma, ; | or a tab, or there is one column alone. The first line: {shown!r}"
        )
    for line, cells in records[1:]:
        if len(cells) > len(header):
            return DataError(
                f"{path}: line {line}: has {len(cells)} values, the header has {len(header)}. "
                f"Expected as many: write values that hold {_word(source.delimiter)} in quotes. "
                "Or is a quote missing on a line before?"
            )
    last_line, _ = records[-1]
    if "EOF inside string" in str(error):
        return DataError(
            f"{path}: line {last_line}: a quote is opened here and never closed. Expected a second "
            'quote, or "" for one inside a text'
        )
    return DataError(f"{path}: cannot be read as a table. Expected a header and rows like it")


def _word(delimiter: str) -> str:
    return {",": "a comma", "\t": "a tab"}.get(delimiter, delimiter)
