"""Tables that hold more than an interaction in a row, as a row for each: matrices and lists."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from pipelines.errors import DataError
from pipelines.io.cell_lists import is_list, read_list, split_at
from pipelines.io.headers import normal_name
from pipelines.io.numbers import is_numeric, parse_numbers
from pipelines.io.tables import DerivedTable, Table, cell_text, take_rows
from pipelines.recommend.columns import ITEMS, KNOWN_NAMES, USERS, ColumnNames

LOOKED_AT = 200  # rows from which it is told what a column holds
MOSTLY = 0.6  # the share of cells with a mark, above which they are lists
FEWEST_COLUMNS = 5  # of items in a matrix
POSITION = "position"  # the column of places in a list
LIST_MARKS = ("|", ";", ",", " ")


def one_item_a_row(table: Table, user: str, item: str, notes: list[str]) -> Table:
    """Return a row for each item where rows hold lists of items, as baskets and histories do.

    Where each user has one list, the new column `position` says where in it an item stood.
    """
    parse = _list_reader(table, user, item)
    if parse is None:
        return table
    _require_no_objects(table, item)
    entries = [parse(cell) for cell in table.frame[item]]
    rows = np.repeat(np.arange(len(entries)), [len(row) for row in entries])
    long = take_rows(table, rows)
    long.frame[item] = list(itertools.chain.from_iterable(entries))
    words = f"{table.where}: column {item!r} holds lists; each entry is read as a row"
    if table.frame[user].nunique() == len(table.frame):
        positions = itertools.chain.from_iterable(map(positions_in, entries))
        long.frame[POSITION] = list(map(str, positions))
        words += ", the first one as the oldest"
    notes.append(words)
    return long


def _require_no_objects(table: Table, item: str) -> None:
    """Refuse lists of objects, whose text would be taken for an id."""
    for row, cell in enumerate(table.frame[item]):
        entries = cell if isinstance(cell, list | np.ndarray) else ()
        for entry in entries:
            if isinstance(entry, dict):
                raise DataError(
                    f"{table.where}: line {table.lines[row]}: column {item!r} holds lists of "
                    f"objects with the keys {', '.join(map(str, entry))}. Expected lists of ids, "
                    'such as ["i1", "i2"], or a row for each item'
                )


def positions_in(entries: Sequence[object]) -> range:
    """Return the places in a list, from 1 on."""
    return range(1, 1 + len(entries))


def _list_reader(table: Table, user: str, item: str) -> Callable[[object], list[str]] | None:
    """Return what reads the lists in a column, None where it holds single items."""
    cells = list(table.frame[item].head(LOOKED_AT))
    if cells and all(is_list(cell) for cell in cells):
        return lambda cell: read_list(cell) or []
    # A user with a single row and a single item teaches nothing, so marks are looked for.
    users = table.identifiers(user)
    if len(set(users)) < len(users):
        return None
    texts = [cell_text(cell).strip() for cell in cells]
    for mark in LIST_MARKS:
        lists = [split_at(text, mark) for text in texts]
        several = [entries for entries in lists if len(entries) > 1]
        counts = Counter(itertools.chain.from_iterable(lists))
        recurs = len(counts) < sum(counts.values())
        if several and len(several) >= MOSTLY * len(lists) and recurs:
            return lambda cell: split_at(cell_text(cell), mark)
    return None


def unfold_matrix(table: Table, names: ColumnNames, notes: list[str]) -> Table | None:
    """Return the filled cells of a matrix of users by items as rows, None for another table.

    It is a matrix where behind the column of users all hold nothing but numbers, and none has the
    name of anything else. Zeros stand for nothing beside ones alone, and where most cells are zero.
    """
    import pandas as pd

    user = _first_column_of_users(table, names)
    items = [column for column in table.columns if column != user]
    if user is None or len(items) < FEWEST_COLUMNS or names.item:
        return None
    if any(normal_name(column) in KNOWN_NAMES for column in items):
        return None
    if not all(_is_number_or_empty(table, column) for column in items):
        return None
    values = np.stack(
        [parse_numbers(table.frame[column]).values.to_numpy(np.float64) for column in items]
    ).T
    is_filled = ~np.isnan(values)
    is_zero = values == 0
    is_yes_or_no = bool((is_zero | (values == 1) | ~is_filled).all())
    if is_yes_or_no or is_zero.sum() > is_filled.sum() / 2:
        is_filled &= ~is_zero
    rows, columns = np.nonzero(is_filled)
    frame = pd.DataFrame({"user": table.identifiers(user)[rows]})
    frame["item"] = np.asarray(items, dtype=object)[columns]
    filled = values[rows, columns]
    words = "each filled cell is an interaction"
    if len(np.unique(filled)) > 1:
        frame["rating"] = filled
        words = "each filled cell is a rating"
    notes.append(
        f"{table.where}: a matrix of {len(table.frame):,} users by {len(items):,} items; {words}"
    )
    return DerivedTable(frame, table.path, table.delimiter, origin=table, rows=rows)


def _first_column_of_users(table: Table, names: ColumnNames) -> str | None:
    if names.user:
        return table.find_column(names.user, (), role="user", flag="--user-column")
    known = table.find_column("", USERS, role="user", flag="")
    if known is not None or _has_items(table):
        return known
    names_of_rows = table.identifiers(table.columns[0])
    return table.columns[0] if len(set(names_of_rows)) == len(names_of_rows) else None


def _has_items(table: Table) -> bool:
    return table.find_column("", ITEMS, role="item", flag="") is not None


def _is_number_or_empty(table: Table, column: str) -> bool:
    cells = table.frame[column]
    return bool(cells.isna().all()) or is_numeric(cells)
