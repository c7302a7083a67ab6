"""Columns of a table of interactions as arrays: ids, ratings and times.

Cells that cannot be read are refused by line.
"""

import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError, shorten, suggest
from pipelines.io.numbers import parse_numbers
from pipelines.io.tables import SHOWN_COLUMNS, Table
from pipelines.io.times import TimeFormat, holds_times, parse_times

if TYPE_CHECKING:
    import pandas as pd

USERS = (
    "user",
    "user_id",
    "userid",
    "uid",
    "reviewerid",
    "reviewer_id",
    "customer",
    "customer_id",
    "customerid",
    "reviewer",
    "member",
    "visitor",
    "visitor_id",
    "session",
    "session_id",
    "account",
    "person",
)
ITEMS = (
    "item",
    "item_id",
    "itemid",
    "movieid",
    "movie_id",
    "product",
    "product_id",
    "productid",
    "asin",
    "isbn",
    "artist",
    "artist_id",
    "movie",
    "track",
    "track_id",
    "song",
    "song_id",
    "book",
    "book_id",
    "article",
    "article_id",
    "sku",
    "stockcode",
    "parent_asin",
    "business_id",
)
RATINGS = ("rating", "score", "stars", "value", "user_rating", "overall", "book_rating")
TIMES = ("timestamp", "time", "date", "datetime", "ts", "unixreviewtime", "invoicedate")
LARGEST_RATING = float(np.finfo(np.float32).max)
FIRST_DATE = 10**8  # smaller times are steps or places in a list, not seconds since 1970
LARGEST_TIME = 2.0**62  # of any unit: times are kept as 64-bit integers


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The columns that the user named.

    An empty text means that the column is found by its usual names.
    """

    user: str = ""
    item: str = ""
    rating: str = ""
    time: str = ""
    title: str = ""
    weight: str = ""
    time_format: str = ""
    day_first: bool = False
    drop_missing: bool = False


def find(table: Table, role: str, given: str, names: tuple[str, ...]) -> str | None:
    """Return the column of `table` for `role`, or None.

    It is the `given` one, else the first of `names` that the table has.
    """
    return table.find_column(given, names, role=role, flag=f"--{role}-column")


@dataclass(frozen=True, kw_only=True)
class FoundColumns:
    """The columns of a table by their roles; None where the table has none."""

    user: str
    item: str
    rating: str | None
    time: str | None
    weight: str | None


def find_all(table: Table, names: ColumnNames) -> FoundColumns:
    """Return which column is what: by its name, else where it is plain.

    A table of two columns holds users and items; a single column of times is that of times.

    Raises:
        DataError: there is no column of users or of items.
    """
    user = find(table, "user", names.user, USERS)
    item = find(table, "item", names.item, ITEMS)
    rating = find(table, "rating", names.rating, RATINGS)
    time = find(table, "time", names.time, TIMES)
    weight = None
    if names.weight:
        weight = find(table, "weight", names.weight, ())
    taken = {user, item, rating, time, weight}
    free = [column for column in table.columns if column not in taken]
    if time is None:
        dated = [column for column in free if holds_times(table.frame[column])]
        if len(dated) == 1:
            time = dated[0]
            free.remove(time)
    if user is None and item is None and len(table.columns) == 2 and not names.user:
        user, item = table.columns
    elif item is None and user is not None and len(free) == 1:
        item = free[0]
    elif user is None and item is not None and len(free) == 1:
        user = free[0]
    if user is None:
        refuse_columns(table, "user", USERS)
    if item is None:
        refuse_columns(table, "item", ITEMS)
    return FoundColumns(user=user, item=item, rating=rating, time=time, weight=weight)


def refuse_columns(table: Table, role: str, names: tuple[str, ...]) -> NoReturn:
    """Raise `DataError` because `table` has no column for `role`; a similar name is pointed out."""
    hint = ""
    for column in table.columns:
        hint = hint or suggest(column.strip().lower(), names)
    raise DataError(
        f"{table.where}: has no column for the {role}. Expected one called {', '.join(names)}."
        f"{hint} Its columns: {shorten(table.columns, SHOWN_COLUMNS)}. "
        f"Name it: --{role}-column NAME"
    )


def ids(table: Table, column: str) -> np.ndarray:
    """Return ids as texts (rows,), as they are written.

    Raises:
        DataError: a cell is empty.
    """
    names = table.identifiers(column)
    is_blank = is_empty(names)
    if is_blank.any():
        table.raise_for_rows(
            is_blank,
            f"column {column!r} is empty",
            "Expected an id on every line, or leave such rows out: --drop-missing",
        )
    return names


def is_empty(names: np.ndarray) -> np.ndarray:
    """Return which ids (rows,) hold nothing but blanks."""
    return np.array([not name.strip() for name in names], dtype=bool)


def numbers(table: Table, column: str, role: str) -> np.ndarray:
    """Return ratings or weights (rows,) float32.

    Raises:
        DataError: a cell is not a finite number.
    """
    cells = table.frame[column]
    read = parse_numbers(cells, delimiter=table.delimiter)
    numbers = read.values.to_numpy(dtype=np.float64, na_value=np.nan)
    checks = (
        (np.isnan(numbers), "is not a number"),
        (np.abs(numbers) > LARGEST_RATING, "is not a finite 32-bit number"),
    )
    for wrong, what in checks:
        if wrong.any():
            table.raise_for_rows(
                wrong,
                f"column {column!r} {what}. Received: {_shown(cells, wrong)}",
                "Expected a number on every line. Fix it, or name another column: "
                f"--{role}-column NAME",
            )
    return numbers.astype(np.float32)


def times(table: Table, column: str, names: ColumnNames, notes: list[str]) -> np.ndarray:
    """Return seconds since 1970 (or steps, where times have no calendar): (rows,) int64.

    Raises:
        DataError: a cell is neither a number nor a date, or the column has two readings.
    """
    cells = _without_fractions(table.frame[column])
    told = TimeFormat(format=names.time_format, day_first=names.day_first)
    read = parse_times(cells, told)
    if read.problem:
        raise DataError(f"{table.where}: column {column!r}: {read.problem}")
    if read.wrong.any():
        shown = _shown(cells, read.wrong.to_numpy())
        table.raise_for_rows(
            read.wrong,
            f"column {column!r} is not a date I can read. Received: {shown}",
            "Expected seconds since 1970, or e.g. 2024-01-31 18:30:00, "
            "written the same way on every line",
        )
    if read.note:
        notes.append(f"{table.where}: column {column!r}: {read.note}")
    if read.is_numbered:
        seconds = read.values.to_numpy(dtype=np.int64)
    else:
        seconds = read.values.to_numpy(dtype="datetime64[s]").astype(np.int64)
    future = seconds > clock.time()
    has_calendar = not read.is_numbered or np.median(seconds) > FIRST_DATE
    if has_calendar and future.any():
        first = int(future.argmax())
        notes.append(
            f"{table.where}: {int(future.sum()):,} times are in the future "
            f"(the first: line {table.lines[first]}, {cells.iloc[first]})"
        )
    return np.asarray(seconds)


def _without_fractions(cells: "pd.Series") -> "pd.Series":
    """Return seconds with fractions, as some clocks write them, as whole seconds."""
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce")
    is_sane = numbers.abs() < LARGEST_TIME
    if pd.api.types.is_datetime64_any_dtype(cells) or not bool(is_sane.all()):
        return cells
    whole: pd.Series = np.floor(numbers)
    return whole


def _shown(cells: "pd.Series", wrong: np.ndarray) -> str:
    """Return the first wrong cell as messages quote it."""
    import pandas as pd

    received = cells.iloc[int(wrong.argmax())]
    return "an empty cell" if pd.isna(received) else repr(received)
