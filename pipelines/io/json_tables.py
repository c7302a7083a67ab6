"""Tables in JSON: an object on each line, a list of objects, or a list for each column."""

import ast
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.io.parts import PART_NAMES
from pipelines.io.text_files import plain_suffix, read_text, split_lines

if TYPE_CHECKING:
    import pandas as pd

SHOWN_CHARACTERS = 80  # of a line that is quoted in a message
SHOWN_KEYS = 5
EXPECTED = 'Expected an object on each line, {"column": "value", ...}, or a list of objects'


def read_json(path: Path) -> "tuple[pd.DataFrame, np.ndarray | None]":
    """Return the rows of a JSON file, and the line of each where every row has a line.

    Values keep their types; an object inside an object becomes columns `outer.inner`.

    Raises:
        DataError: a line is no JSON, or no object; the message names it.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(split_lines(text), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty. Expected a header and at least one row. {EXPECTED}")
    may_be_one_value = plain_suffix(path) == ".json" or text.lstrip().startswith("[")
    if may_be_one_value and _is_one_value(text, lines[0][1]):
        return _frame(_whole(path, text)), None
    rows = []
    parse = _parser(lines[0][1])
    for number, line in lines:
        rows.append(_row(path, number, line, parse))
    return _frame(rows), np.asarray([number for number, _ in lines])


def _is_one_value(text: str, first_line: str) -> bool:
    """Return whether the file is one JSON value over several lines, not an object on each."""
    try:
        json.loads(first_line)
    except (ValueError, RecursionError):
        return not first_line.startswith("{'")
    return first_line.strip() == text.strip()


def _parser(first_line: str) -> Callable[[str], Any]:
    """Return what reads a line: old exports hold Python's quotes, {'user': 'A1'}."""
    if first_line.lstrip().startswith("{'"):
        return ast.literal_eval
    return json.loads


def _row(path: Path, number: int, line: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    problem = "is no object"
    try:
        row = parse(line)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        row, problem = None, "is no JSON"
    if isinstance(row, Mapping):
        return _flat(row)
    if isinstance(row, list):
        return _of_list(row)
    shown = line[:SHOWN_CHARACTERS]
    raise DataError(f"{path}: line {number}: {problem}. {EXPECTED}. Received: {shown!r}")


def _whole(path: Path, text: str) -> list[dict[str, Any]]:
    """Return the rows of a file that is one JSON value."""
    try:
        value = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{path}: line {line}: is no JSON. {EXPECTED}") from None
    except RecursionError:
        raise DataError(f"{path}: is nested too deeply. {EXPECTED}") from None
    rows = _rows_in(value)
    if rows and all(isinstance(row, Mapping) for row in rows):
        return [_flat(row) for row in rows]
    if rows and all(isinstance(row, list) for row in rows):
        return [_of_list(row) for row in rows]
    found = ""
    if isinstance(value, Mapping):
        found = f" Found one object with the keys {shorten(list(value), SHOWN_KEYS)}"
    raise DataError(f"{path}: holds no list of objects. {EXPECTED}.{found}")


def _rows_in(value: Any) -> list[Any] | None:
    """Return the list of rows in a JSON value: itself, under its only list, or column by column.

    As pandas writes tables, columns may also be objects with a key for each row, and rows objects
    under their names.
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        return None
    if {"columns", "data"} <= set(value):
        return [dict(zip(value["columns"], cells, strict=True)) for cells in value["data"]]
    objects = [inner for inner in value.values() if isinstance(inner, Mapping)]
    if len(objects) == len(value) and len({frozenset(inner) for inner in objects}) == 1:
        keys = list(objects[0])
        if all(key.isdecimal() for key in keys):
            return [{name: inner[key] for name, inner in value.items()} for key in keys]
        if len(objects) > 1:
            return [{"index": name, **inner} for name, inner in value.items()]
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    if len(lists) == len(value) and "train" in value:
        return _rows_of_parts(value)
    if len(lists) == 1 and lists[0] and isinstance(lists[0][0], Mapping):
        return lists[0]
    lengths = {len(inner) for inner in lists}
    if len(lists) == len(value) and len(lengths) == 1:
        return [dict(zip(value, cells, strict=True)) for cells in zip(*lists, strict=True)]
    return None


def _rows_of_parts(value: Mapping[str, list[Any]]) -> list[Any]:
    """Return the rows of all parts of a data set, each with its part in `split`.

    Lists that are called otherwise are left out.
    """
    rows: list[Any] = []
    for name, inner in value.items():
        for row in inner if name in PART_NAMES else []:
            named = _of_list(row) if isinstance(row, list) else row
            rows.append({**named, "split": name} if isinstance(named, Mapping) else named)
    return rows


def _of_list(row: list[Any]) -> dict[str, Any]:
    return {f"column {position}": value for position, value in enumerate(row, start=1)}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the values of objects in it as `outer.inner`."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            for inner, deep in value.items():
                flat[f"{key}.{inner}"] = deep
        else:
            flat[str(key)] = value
    return flat


def _frame(rows: list[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    # Objects: a gap must not make a float, and so another id, of a large whole number.
    return pd.DataFrame(rows, dtype=object)
