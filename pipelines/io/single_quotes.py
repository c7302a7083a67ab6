"""Cells between single quotes, as Weka and some databases write them."""

import io
import itertools
import re

LOOKED_AT = 200  # lines from which it is told
MOSTLY = 0.5  # the least share of lines with such a cell
CELL = re.compile(r"(^|[,;\t|])'((?:[^'\n\\]|\\.)*)'(?=[,;\t|]|\r?$)", re.MULTILINE)


def with_double_quotes(text: str) -> str:
    """Return a text whose cells between single quotes stand between double ones.

    It is the same text where few of its lines have such cells, or it has double quotes too.
    """
    if '"' in text or "'" not in text:
        return text
    lines = list(itertools.islice(io.StringIO(text, newline=""), LOOKED_AT))
    num_quoted = sum(CELL.search(line) is not None for line in lines)
    if num_quoted < MOSTLY * len(lines):
        return text
    return CELL.sub(lambda match: f'{match[1]}"{match[2]}"'.replace("\\'", "'"), text)
