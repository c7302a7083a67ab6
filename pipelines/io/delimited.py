"""Delimited files as people save them: any delimiter, any encoding, with a header or without.

Every cell is a text as it is written, and empty cells are missing: only who asks for numbers or
times gets them. Messages name the line of the file, not what pandas calls a row.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.io.above_header import without_lines_above
from pipelines.io.blanks import divided_by_blanks
from pipelines.io.headers import has_header_word, looks_like_header
from pipelines.io.single_quotes import with_double_quotes
from pipelines.io.text_files import encoding_of, plain_suffix, read_raw, read_text, split_lines

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = ",;\t|"
# As MovieLens divides cells: `1::1193::5::978300760`. Such files have no quotes. They, and those of
# blanks, are read with another character in between, which no text holds.
COLONS, FOR_COLONS = "::", "\x1f"
FOR_BLANKS = "\x1e"
BLANKS = " \t\r\n"
LOOKED_AT = 200  # rows from which delimiter and header are told
MOST_COLUMNS = 20_000  # pandas takes minutes for a million
SHOWN_CHARACTERS = 80  # of a line that is quoted in a message
QUOTED_BEHIND_BLANKS = 0.5  # the least share of lines, for blanks to be no part of cells
UNICODE = ("utf-8-sig", "utf-16")
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

    @property
    def written(self) -> str:
        """The delimiter as it stands in the file."""
        return {FOR_COLONS: COLONS, FOR_BLANKS: " "}.get(self.delimiter, self.delimiter)


def read_delimited(path: Path, *, drop_long: bool = False, names: Sequence[str] = ()) -> Delimited:
    """Return the rows of a delimited file as texts; see the top of this file.

    Without a header, columns are called `column 1`, `column 2` and so on. With `names` there is
    none, and columns have the first of these. With `drop_long` rows of more values than the first
    one are left out, unless they are the most: then the header is wrong.

    Raises:
        DataError: the file is empty, holds too many columns, or a row has more values than the
            first one; the message names the line.
    """
    raw = read_raw(path)
    encoding = encoding_of(raw)
    text = raw.decode(encoding, "replace")
    if not text.strip():
        raise DataError(f"{path}: is empty. Expected a header and at least one row")
    text = with_double_quotes(text)
    num_above = 0
    if not names:
        text, num_above = without_lines_above(text, has_header_word)
    source = _find_form(path, text, names)
    left_out: tuple[int, ...] = ()
    try:
        frame = _parse(source)
    except DataError:
        found = _without_long_rows(source) if drop_long else None
        if found is None:
            raise
        frame, left_out = found
    if names:
        frame.columns = _first_names(source, names, len(frame.columns))
    return Delimited(
        frame=frame,
        left_out=left_out,
        delimiter=source.written,
        has_header=source.has_header,
        has_quotes=source.has_quotes,
        escape=source.escape,
        num_above=num_above,
        encoding="" if encoding in UNICODE else encoding,
    )


def _first_names(source: _Source, names: Sequence[str], count: int) -> list[str]:
    """Return the first `count` of these names of columns."""
    if not 2 <= count <= len(names):
        line = next(line for line in split_lines(source.text) if line.strip())
        shown = line.replace(source.delimiter, source.written)[:SHOWN_CHARACTERS]
        raise DataError(
            f"{source.path}: line 1: expected 2 to {len(names)} values, as in "
            f"{source.written.join(names)}. Received: {shown!r}"
        )
    return list(names[:count])


def first_cells(beginning: str) -> list[str]:
    """Return the cells of the first row of a delimited file, of which this is the beginning."""
    source = _find_form(Path(), beginning, ())
    return _first_rows(source.text, source.delimiter)[0]


def read_header(path: Path) -> list[str]:
    """Return the names of the columns of a delimited file, none where it has no header.

    Its rows are not read.
    """
    source = _find_form(path, _text_of_table(path), ())
    if not source.has_header:
        return []
    return _first_rows(source.text, source.delimiter)[0]


def _text_of_table(path: Path) -> str:
    return without_lines_above(with_double_quotes(read_text(path)), has_header_word)[0]


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


def _find_form(path: Path, text: str, names: Sequence[str]) -> _Source:
    """Find out what separates cells, and whether the first row is a header.

    With `names` it is none.
    """
    if _is_of_colons(text, is_sure=bool(names)):
        text = text.replace(COLONS, FOR_COLONS)
        first = _first_rows(text, FOR_COLONS)
        has_header = not names and looks_like_header(first[:1], first[1:])
        return _Source(
            path=path,
            text=text,
            delimiter=FOR_COLONS,
            has_header=has_header,
            has_quotes=False,
        )
    hint = EXCEL_HINT.fullmatch(text.partition("\n")[0].lstrip("\ufeff"))
    if hint:
        delimiter = hint.group(1)
    elif plain_suffix(path) == ".tsv":
        delimiter = "\t"
    else:
        delimiter = _best_delimiter(text)
    if not delimiter:
        divided = divided_by_blanks(text, FOR_BLANKS)
        delimiter = FOR_BLANKS if divided else DELIMITERS[0]
        text = divided or text
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
        has_header=not names and looks_like_header(first[:1], first[1:]),
        escape=_escape(text, delimiter),
        has_quotes='"' in text and not _quotes_are_letters(text, delimiter),
    )


def _is_of_colons(text: str, *, is_sure: bool) -> bool:
    """Return whether `::` divides the cells of a file.

    It does where it stands equally often in most lines, and no other delimiter does in all. Who
    `is_sure` that the file is one of MovieLens takes it where it stands in the first line.
    """
    beginning = itertools.islice(io.StringIO(text, newline=""), LOOKED_AT)
    lines = [line for line in beginning if line.strip()]
    if not lines or COLONS not in lines[0]:
        return False
    counts = [line.count(COLONS) for line in lines]
    others = [mark for mark in DELIMITERS if mark in lines[0]]
    is_other = any(len({line.count(mark) for line in lines}) == 1 for mark in others)
    return is_sure or (2 * counts.count(counts[0]) >= len(lines) and not is_other)


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

    Of several that do, the one with the most cells; "" where none does.
    """
    best, best_worth = "", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = [len(cells) for cells in _first_rows(text, delimiter)]
        if not widths or widths[0] < 2:
            continue
        agreeing = widths.count(widths[0]) / len(widths)
        worth = (round(agreeing, 1), widths[0])
        if worth > best_worth:
            best, best_worth = delimiter, worth
    return best


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
        frame.columns = _numbered(len(frame.columns))
    return frame


def _without_empty_last_column(frame: "pd.DataFrame", source: _Source) -> "pd.DataFrame":
    """Return rows that have a value more than the header without it: an empty one, or row names.

    Rows end in a delimiter, as the header does not, or begin with their number, as R writes it.

    pandas takes the first values of such rows for their names.

    Raises:
        DataError: the rows have more values than the header.
    """
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex):
        return frame
    names = list(frame.columns)
    if frame.index.nlevels == 1 and list(frame.index) == list(map(str, range(1, 1 + len(frame)))):
        return frame.reset_index(drop=True)  # the row names of R, which have none themselves
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
    if not left_out or len(left_out) >= len(rows):
        return None
    if source.has_header:
        names = [name.strip() for name in header]
    else:
        names = _numbered(len(header))
        rows.insert(0, header)
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    return frame.mask(frame == ""), tuple(left_out)


def _numbered(count: int) -> list[str]:
    """Return what columns without names are called."""
    return [f"column {number}" for number in range(1, 1 + count)]


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
    first = "the header" if source.has_header else "the first line"
    advice = ""
    if source.delimiter != FOR_COLONS:
        advice = (
            f": write values that hold {_word(source.delimiter)} in quotes. "
            "Or is a quote missing on a line before?"
        )
    for line, cells in records[1:]:
        if len(cells) > len(header):
            return DataError(
                f"{path}: line {line}: has {len(cells)} values, {first} has {len(header)}. "
                f"Expected as many{advice}"
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
