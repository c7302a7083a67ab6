"""Lists in one cell, as people's tools write them: JSON, Python's, or ids with marks between.

Entries stay as they are written: 1.10 is not 1.1, 007 is not 7.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator

import numpy as np

from pipelines.io.tables import cell_text

QUOTES = "'\""
# Lists that were written as text: by Python or NumPy, as JSON, by Postgres.
LIST = re.compile(r"\s*(\[.*\]|\{.*\}|\(.*\))\s*", re.DOTALL)
TAGS = re.compile(r"\s*(<[^<>\s]+>)+\s*")  # <python><pandas>, as Stack Overflow has them
QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def read_list(cell: object) -> list[str] | None:
    """Return the entries of a list as texts, None where the cell holds no list.

    A list is one of JSON or Parquet, or a text: `["a", "b"]`, `['a', 'b']`, `['a' 'b']` and `[1 2]`
    as NumPy prints them, `{a,b}` as Postgres does, `<a><b>` as Stack Overflow does. An entry that
    is empty is the empty text.
    """
    if isinstance(cell, list | tuple | np.ndarray):
        return [cell_text(entry) for entry in cell]
    text = str(cell).strip()
    if TAGS.fullmatch(text):
        return text[1:-1].split("><")
    if not LIST.fullmatch(text):
        return None
    entries = _json_entries(text)
    if entries is None:
        entries = _python_entries(text)
    if entries is None:
        entries = list(_entries_between_marks(text[1:-1]))
    return entries


def is_list(cell: object) -> bool:
    """Return whether a cell holds a list."""
    return read_list(cell) is not None


def split_at(text: str, mark: str) -> list[str]:
    """Return what stands between the marks in a text, without blanks and quotes around it."""
    parts = [part.strip().strip(QUOTES) for part in text.split(mark)]
    return [part for part in parts if part]


def _json_entries(text: str) -> list[str] | None:
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    return [cell_text(entry) for entry in value] if isinstance(value, list) else None


def _python_entries(text: str) -> list[str] | None:
    line = text.replace("\n", " ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that Python does not know
            node = ast.parse(line, mode="eval").body
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    if any(isinstance(entry, ast.BinOp) for entry in node.elts):
        return None  # [1 -2] is an array of NumPy, A-1 a name
    written = line.encode()  # in which Python counts columns
    entries: list[str] = []
    for entry in node.elts:
        source = written[entry.col_offset : entry.end_col_offset].decode()
        entries += _texts_of(entry, source)
    return entries


def _texts_of(entry: ast.expr, source: str) -> list[str]:
    """Return an entry of a list as texts: of 'a' 'b', which Python would join, there are two."""
    if not isinstance(entry, ast.Constant):
        return [source]
    if entry.value is None:
        return [""]
    if not isinstance(entry.value, str):
        return [source]
    if source[0] == source[-1] and source.count(source[0]) == 2:  # as of nearly all
        return [entry.value]
    quoted = _between_quotes(source)
    return quoted if len(quoted) > 1 else [entry.value]


def _between_quotes(text: str) -> list[str]:
    quoted = [single or double for single, double in QUOTED.findall(text)]
    return [re.sub(r"\\(.)", r"\1", entry) for entry in quoted]


def _entries_between_marks(inside: str) -> Iterator[str]:
    """Yield what stands between commas, in quotes, or between the blanks of an array of numbers."""
    pieces = inside.split()
    if "," in inside:
        yield from split_at(inside, ",")
    elif _between_quotes(inside):
        yield from _between_quotes(inside)
    elif all(re.fullmatch(r"[-+]?[\d.]+", piece) for piece in pieces):
        yield from pieces
    else:
        yield inside.strip()
