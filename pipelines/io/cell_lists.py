"""Lists in one cell, as people's tools write them: JSON, Python's, or ids with marks between."""

import ast
import json
from collections.abc import Sequence

import numpy as np

from pipelines.io.tables import cell_text

QUOTES = "'\""


def read_list(cell: object) -> list[str] | None:
    """Return the entries of a list as texts, None where the cell holds no list.

    A list is one of JSON or Parquet, a text such as "['a', 'b']" or '["a", "b"]', or "[1 2 3]" as
    NumPy prints it.
    """
    if isinstance(cell, list | tuple | np.ndarray):
        return [cell_text(entry) for entry in cell]
    text = str(cell).strip()
    if not (text.startswith(("[", "(", "{")) and text.endswith(("]", ")", "}"))):
        return None
    entries = _parsed(text)
    if entries is None:
        inside = text[1:-1].replace(",", " ").split()
        entries = [entry.strip(QUOTES) for entry in inside]
    return [cell_text(entry) for entry in entries]


def is_list(cell: object) -> bool:
    """Return whether a cell holds a list."""
    return read_list(cell) is not None


def split_at(text: str, mark: str) -> list[str]:
    """Return what stands between the marks in a text, without blanks and quotes around it."""
    parts = [part.strip().strip(QUOTES) for part in text.split(mark)]
    return [part for part in parts if part]


def _parsed(text: str) -> Sequence[object] | None:
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | tuple | set):
            return list(value)
    return None
