"""Lines above the header of a delimited file: a title, the name of a station, comments."""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Sequence

DELIMITERS = ",;\t|"
LOOKED_AT = 200  # lines from which it is told how many values a row has
MOST_LINES_ABOVE = 30
AGREEING = 0.9  # the least share of rows that have as many values as the header
COMMENT = "#"
FEWEST_COMMENTS = 2  # lines that begin so; a single one may be a header


def without_lines_above(text: str, is_header: Callable[[Sequence[str]], bool]) -> tuple[str, int]:
    """Return a text with blank lines in place of those above its header, and how many these are.

    Rows keep their lines, so that messages name them rightly. `is_header` says of the cells of a
    line whether they are plainly names of columns.
    """
    lines = list(itertools.islice(io.StringIO(text, newline=""), LOOKED_AT))
    most = 0
    for delimiter in DELIMITERS:
        most = max(most, _num_above(lines, delimiter, is_header))
    if not most:
        return text, 0
    num_characters = sum(len(line) for line in lines[:most])
    num_with_text = sum(bool(line.strip()) for line in lines[:most])
    return "\n" * most + text[num_characters:], num_with_text


def _num_above(
    lines: Sequence[str], delimiter: str, is_header: Callable[[Sequence[str]], bool]
) -> int:
    """Return how many lines stand above a header whose cells `delimiter` divides; 0 for none."""
    rows = [_cells(line, delimiter) for line in lines]
    below = Counter(len(row) for row in rows[len(rows) // 2 :] if row)
    if not below:
        return 0
    width = below.most_common(1)[0][0]
    comments = sum(1 for _ in itertools.takewhile(lambda row: row and _is_comment(row), rows))
    if comments >= FEWEST_COMMENTS and comments < len(rows):
        return comments if len(rows[comments]) == width else 0
    first = next((place for place, row in enumerate(rows) if len(row) == width), 0)
    if width < 2 or not 0 < first <= MOST_LINES_ABOVE:
        return 0
    filled = [row for row in rows[first:] if row]
    if sum(len(row) == width for row in filled) < AGREEING * len(filled):
        return 0
    above = [row for row in rows[:first] if row]
    is_other_table = not rows[first - 1] and is_header(rows[first])
    is_wide = any(len(row) > max(1, width // 2) for row in above if not _is_comment(row))
    if is_wide and not is_other_table:
        return 0
    stands_apart = not rows[first - 1] or all(map(_is_comment, above))
    return first if above and (stands_apart or is_header(rows[first])) else 0


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].startswith(COMMENT)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line, [] of a blank one."""
    if not line.strip():
        return []
    try:
        return next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
    except csv.Error:  # a cell longer than the module reads
        return line.split(delimiter)
