"""Logs as people keep them, brought into a row for each interaction with named columns.

Rows of histories or baskets in a text file, files of blanks, a JSON object of users. What was
recognised is noted. Tables that hold more than an interaction in a row: see `unfold`.
"""

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import DataError, count_of
from pipelines.io.beside import typed
from pipelines.io.delimited import first_cells
from pipelines.io.headers import looks_like_header, normal_name
from pipelines.io.table_folders import is_folder_of_tables, read_tables
from pipelines.io.tables import TABLE_SUFFIXES, Table, cell_text, read_table
from pipelines.io.text_files import PACKED, plain_suffix, read_text, split_lines
from pipelines.recommend.columns import (
    ITEMS,
    KNOWN_NAMES,
    MOST_GRADES,
    USERS,
    holds_times_of_a_log,
    may_be_ids,
)
from pipelines.recommend.unfold import POSITION, positions_in

HEADERLESS_SUFFIXES = (".dat", ".data")  # of MovieLens, which never writes a header
HEADERLESS_COLUMNS = ("user", "item", "rating", "timestamp")
TEXT_SUFFIXES = (".txt", ".csv", ".tsv", ".dat", ".data", ".inter")
LOG_SUFFIXES = (*TABLE_SUFFIXES, *TEXT_SUFFIXES)
LOG_WORDS = ("rating", "interaction", "event", "log", "click", "purchase", "transaction")
UNDER_ITEMS = ("user", "rating", "timestamp")
ITEM_LINE = re.compile(r"[^\s,;:|]+:")
DELIMITERS = ",;\t|"
SHOWN_CHARACTERS = 80  # of a line that is quoted in a message
BEGINNING = 2**18  # bytes of a file in which its first rows are looked for
LOOKED_AT = 200  # rows from which the form of a log is told
FEWEST_LINES = 2  # of a log
FEWEST_WIDTHS = 3  # of rows of several lengths; fewer may be a broken table
MOSTLY = 0.6  # the share of rows with the same length, above which a log is a table


def read_log(path: Path, notes: list[str], *, drop_long: bool = False) -> Table:
    """Return the rows of a log in a file of any kind; see `read_table` for `drop_long`.

    Raises:
        DataError: the file cannot be read; the message names the line.
    """
    if is_folder_of_tables(path):
        return with_plain_names(read_tables(path, drop_long=drop_long))
    if path.is_dir():
        logs = sorted(file for file in path.iterdir() if plain_suffix(file) in LOG_SUFFIXES)
        logs.sort(key=lambda file: not any(word in file.stem.lower() for word in LOG_WORDS))
        hint = f". Give the one of the log: --data {typed(logs[0])}" if logs else ""
        raise DataError(
            f"{path}: is a folder. Expected a file with the columns user, item[, rating]"
            f"[, timestamp]{hint}"
        )
    suffix = plain_suffix(path)
    if suffix == ".json":
        table = _json_of_users(path, notes)
        if table is not None:
            return table
    if suffix in TEXT_SUFFIXES:
        first = _first_lines(path)
        table = _text_rows(path, first, notes)
        if table is not None:
            return table
        if _is_without_header(first):
            return _headerless(path, notes, drop_long=drop_long)
    return with_plain_names(read_table(path, drop_long=drop_long))


def holds_a_log(path: Path) -> bool:
    """Return whether a text file plainly holds interactions, not users or histories.

    It does where its header names users and items, where each line has a user, an item and numbers
    between tabs or `::`, and where users stand below the line of an item.
    """
    if plain_suffix(path) not in TEXT_SUFFIXES:
        return False
    first = _first_lines(path)
    if len(first) < FEWEST_LINES:
        return False
    if _stand_under_items(first):
        return True
    names = {normal_name(cell.partition(":")[0]) for cell in first_cells("\n".join(first))}
    if names & _normal(USERS) and names & _normal(ITEMS):
        return True
    is_divided = "\t" in first[0] or "::" in first[0]
    return is_divided and len(first_cells("\n".join(first))) > 2 and _is_without_header(first)


def _normal(names: Sequence[str]) -> set[str]:
    return set(map(normal_name, names))


def with_plain_names(table: Table) -> Table:
    """Return the table without the types that RecBole writes behind names: `user_id:token`."""
    table.frame.columns = [str(name).partition(":")[0] for name in table.frame.columns]
    return table


def _is_without_header(first: Sequence[str]) -> bool:
    """Return whether the first line of a log holds data, not column names.

    It does when it has two to four cells, and all from the third on (of two, both) are numbers.
    """
    cells = first_cells("\n".join(first)) if first else []
    if not 2 <= len(cells) <= len(HEADERLESS_COLUMNS):
        return False
    return all(re.fullmatch(r"-?\d+(\.\d*)?", cell.strip()) for cell in cells[2:] or cells)


def _headerless(path: Path, notes: list[str], *, drop_long: bool) -> Table:
    """Return a table without a header, whose columns are in MovieLens' order.

    Where the second one holds times, as those of clicks do, the item is the one behind it.
    """
    table = read_table(path, drop_long=drop_long, names=HEADERLESS_COLUMNS)
    names = list(table.columns)
    is_third_an_item = len(names) > 2 and may_be_ids(table, names[2])
    if is_third_an_item and holds_times_of_a_log(table, "item"):
        names = ["user", "timestamp", "item", "column 4"][: len(names)]
        table.frame.columns = names
    if path.suffix not in HEADERLESS_SUFFIXES or names[1] != "item":
        notes.append(
            f"{path.name}: no header (its first line holds numbers); its columns are read as "
            f"{', '.join(names)}"
        )
    return table


# ------------------------------------------------------------------------------------ rows of text


def _text_rows(path: Path, first: Sequence[str], notes: list[str]) -> Table | None:
    """Return the log in a file of blanks, or with rows of several lengths; None for a table.

    `first` are its first lines.
    """
    if _stand_under_items(first):
        return _under_items(path, notes)
    split = _splitter(first)
    if split is None:
        return None
    lines = split_lines(read_text(path))
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    rows = [(number, split(line)) for number, line in numbered]
    widths = {len(split(line)) for line in first}
    if len(widths) == 1 and not _are_histories([split(line) for line in first]):
        return _rows_of_blanks(path, rows)
    return _histories(path, rows, notes)


def _stand_under_items(first: Sequence[str]) -> bool:
    """Return whether the first lines are an item and its users below it."""
    return len(first) > 1 and bool(ITEM_LINE.fullmatch(first[0].strip())) and "," in first[1]


def _under_items(path: Path, notes: list[str]) -> Table:
    """Return a row for each user below the line of an item, as the Netflix prize has them.

    `1:` and below it `1488844,3,2005-09-06`: user, rating, date.
    """
    import pandas as pd

    # Netflix has 24 million lines in a file.
    lines = pd.Series(map(str.strip, split_lines(read_text(path))), dtype="str")
    lines.index += 1
    lines = lines[lines != ""]
    is_item = lines.str.fullmatch(ITEM_LINE.pattern)
    below = lines[~is_item]
    width = below.iloc[0].count(",") + 1
    wrong = below[below.str.count(",") != width - 1]
    if len(wrong) or not 2 <= width <= len(UNDER_ITEMS):
        line = wrong.index[0] if len(wrong) else below.index[0]
        raise DataError(
            f"{path}: line {line}: expected an item such as 17: or, below it, "
            f"{','.join(UNDER_ITEMS)}. Received: {lines[line][:SHOWN_CHARACTERS]!r}"
        )
    rows = below.str.split(",", expand=True).astype(object)
    rows.columns = list(UNDER_ITEMS[:width])
    rows["item"] = lines.where(is_item).ffill().str[:-1][~is_item].astype(object)
    notes.append(f"{path.name}: lines such as {lines.iloc[0]} are the item of the lines below")
    return Table(rows.reset_index(drop=True), path, known_lines=rows.index.to_numpy())


def _are_histories(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether lines of one length hold a user and items, not the cells of a matrix.

    More columns than a log has begin with a number of their own, and then hold more numbers than
    there are grades.
    """
    if len(rows[0]) <= len(HEADERLESS_COLUMNS) or len({row[0] for row in rows}) < len(rows):
        return False
    cells = [cell for row in rows for cell in row[1:]]
    is_whole = all(cell.isdecimal() for row in rows for cell in row)
    return is_whole and len(set(cells)) > MOST_GRADES


def _first_lines(path: Path) -> list[str]:
    """Return the first lines that hold something, without reading all of a large file."""
    if path.suffix == PACKED:
        lines = split_lines(read_text(path))
    else:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
        lines = beginning.decode("latin-1").splitlines()
        if len(beginning) == BEGINNING:
            lines = lines[:-1]  # the last one is torn
    return [line for line in lines if line.strip()][:LOOKED_AT]


def _splitter(first: Sequence[str]) -> Callable[[str], list[str]] | None:
    """Return what splits the lines of such a file, judged by its first lines."""
    if not first:
        return None
    has_marks = any(mark in line for line in first for mark in (*DELIMITERS, "::", '"'))
    if not has_marks and not _has_names_of_rows(first):
        widths = [len(line.split()) for line in first]
        return str.split if min(widths) > 1 else None
    for delimiter in DELIMITERS:
        widths = [line.count(delimiter) + 1 for line in first]
        counts = Counter(widths)
        is_ragged = max(counts.values()) < MOSTLY * len(first) and len(counts) >= FEWEST_WIDTHS
        if is_ragged and '"' not in first[0]:
            return lambda line: next(csv.reader([line], delimiter=delimiter))
    return None


def _has_names_of_rows(first: Sequence[str]) -> bool:
    """Return whether rows have a cell more than their header of usual names, as R writes them."""
    names = first[0].split()
    are_usual = all(normal_name(name) in KNOWN_NAMES for name in names)
    return are_usual and {len(line.split()) for line in first[1:]} == {1 + len(names)}


def _rows_of_blanks(path: Path, rows: Sequence[tuple[int, list[str]]]) -> Table:
    import pandas as pd

    cells = [row for _, row in rows]
    lines = np.array([number for number, _ in rows])
    has_header = looks_like_header(cells[:1], cells[1:LOOKED_AT])
    names = [f"column {number}" for number in range(1, 1 + len(cells[0]))]
    if has_header:
        names, cells, lines = cells[0], cells[1:], lines[1:]
    for number, row in zip(lines, cells, strict=True):
        if len(row) != len(names):
            raise DataError(
                f"{path}: line {number}: has {len(row)} values, the first line has {len(names)}. "
                "Expected as many, with blanks between them"
            )
    frame = pd.DataFrame(cells, columns=names)
    return with_plain_names(Table(frame, path, has_header=has_header, known_lines=lines))


def _histories(path: Path, rows: Sequence[tuple[int, list[str]]], notes: list[str]) -> Table:
    """Return a row for each item of files whose lines are histories or baskets.

    Lines begin with their user where these first values are all different numbers, as LightGCN
    writes them; otherwise each line is somebody's.
    """
    import pandas as pd

    firsts = [row[0].strip() for _, row in rows]
    has_users = len(set(firsts)) == len(firsts) and all(name.isdecimal() for name in firsts)
    users: list[str] = []
    items: list[str] = []
    lines: list[int] = []
    positions: list[str] = []
    for number, row in rows:
        own = [cell.strip() for cell in row[int(has_users) :] if cell.strip()]
        users += [row[0].strip() if has_users else str(number)] * len(own)
        items += own
        lines += [number] * len(own)
        positions += map(str, positions_in(own))
    form = (
        "a user and their items"
        if has_users
        else "the items of somebody, who is called by its number"
    )
    notes.append(f"{path.name}: each line is read as {form}, the oldest first")
    frame = pd.DataFrame({"user": users, "item": items, POSITION: positions})
    return Table(frame, path, known_lines=np.array(lines))


def _json_of_users(path: Path, notes: list[str]) -> Table | None:
    """Return the log in a JSON object of users with their items, None for other JSON."""
    import pandas as pd

    first = _first_lines(path)
    if not first or not first[0].lstrip().startswith("{") or _is_one_of_many(first):
        return None
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return None  # the reader of tables says what is wrong
    if not isinstance(value, dict) or not value:
        return None
    if not all(isinstance(items, list) for items in value.values()):
        return None
    cells = itertools.chain.from_iterable(value.values())
    is_plain = all(isinstance(cell, str | int | float) for cell in cells)
    if not is_plain or any(normal_name(name) in KNOWN_NAMES for name in value):
        return None
    rows = list(value.values())
    users = [user for user, items in value.items() for _ in items]
    items = list(map(cell_text, itertools.chain.from_iterable(rows)))
    positions = list(map(str, itertools.chain.from_iterable(map(positions_in, rows))))
    notes.append(
        f"{path.name}: an object of {count_of(len(value), 'user')} with their items, the oldest "
        "first"
    )
    return Table(pd.DataFrame({"user": users, "item": items, POSITION: positions}), path)


def _is_one_of_many(first: Sequence[str]) -> bool:
    """Return whether a file of JSON holds an object on each line."""
    return len(first) > 1 and first[0].rstrip().endswith("}") and first[1].startswith("{")
