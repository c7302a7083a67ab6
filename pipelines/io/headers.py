"""Names of columns: how they are compared, and whether the first row of a file holds them."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

FEWEST_STEPS = 3  # numbers in a header that are told to be steps or years
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


def normal_name(name: str) -> str:
    """Return a column's name without what people write differently: case, blanks, dashes."""
    return re.sub(r"[\s_\-.]+", "", name.strip().lower())


def looks_like_header(first: Sequence[Sequence[str]], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names columns, judged by the rows below it.

    It does not where it holds a number, as names rarely are, unless its numbers are the years or
    steps of a wide table; nor where one of its cells recurs in a column of labels.
    """
    if not first or not below:
        return True
    header = [cell.strip() for cell in first[0]]
    if has_header_word(header):
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


def has_header_word(cells: Sequence[str]) -> bool:
    """Return whether one of these cells is a word that stands in headers alone."""
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
