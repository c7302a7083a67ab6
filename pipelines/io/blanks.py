"""Tables whose cells stand between blanks, as R and statistics programs write them."""

import csv
import io
import itertools
import re

LOOKED_AT = 200  # lines from which it is told
QUOTE = '"'
NUMBER = re.compile(r"[-+]?\d[\d.:/-]*([eE][-+]?\d+)?")  # or a date


def divided_by_blanks(text: str, delimiter: str) -> str:
    """Return a text with `delimiter` in place of the blanks between cells, "" where it has none.

    It has cells where each line has as many of them as the first, or one more, which is the name of
    the row; and where these are not just words: some are numbers in each row, or between quotes.
    """
    beginning = itertools.islice(io.StringIO(text, newline=""), LOOKED_AT)
    rows = [_cells(line) for line in beginning if line.strip()]
    if len(rows) < 2 or len(rows[0]) < 2:
        return ""
    widths = {len(row) for row in rows[1:]}
    is_table = len(widths) == 1 and widths <= {len(rows[0]), len(rows[0]) + 1}
    if not is_table or not (QUOTE in text.partition("\n")[0] or _have_numbers(rows[1:])):
        return ""
    lines = (delimiter.join(_cells(line)) for line in io.StringIO(text, newline=""))
    return "\n".join(lines)


def _have_numbers(rows: list[list[str]]) -> bool:
    return all(any(NUMBER.fullmatch(cell) for cell in row) for row in rows)


def _cells(line: str) -> list[str]:
    """Return the cells of a line, [] of a blank one or one with an open quote."""
    try:
        cells = csv.reader([line.strip()], delimiter=" ", skipinitialspace=True, strict=True)
        return next(cells, [])
    except csv.Error:
        return []
