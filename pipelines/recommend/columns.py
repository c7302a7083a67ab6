"""Columns of a table of interactions as arrays: ids, ratings and times.

Cells that cannot be read are refused by line.
"""

import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.io.tables import Table, cell_text

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
)
RATINGS = ("rating", "score", "stars", "value", "user_rating", "overall")
TIMES = ("timestamp", "time", "date", "datetime", "ts", "unixreviewtime")
# Times above the border are in a smaller unit than seconds: as seconds they would be after the year
# 5000, as milliseconds, or microseconds, too. Then how many of the unit make a second.
UNITS = (
    (10**17, 10**9, "nanoseconds"),
    (10**14, 10**6, "microseconds"),
    (10**11, 10**3, "milliseconds"),
)
LARGEST_RATING = float(np.finfo(np.float32).max)
LARGEST_TIME = 2**63  # seconds are kept as 64-bit integers
# Where more of a column than this is no number, it is read as dates.
MOSTLY_DATES = 0.5


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


def find(table: Table, role: str, given: str, names: tuple[str, ...]) -> str | None:
    """Return the column of `table` for `role`, or None.

    It is the `given` one, else the first of `names` that the table has.
    """
    return table.find_column(given, names, role=role, flag=f"--{role}-column")


def require(table: Table, role: str, given: str, names: tuple[str, ...]) -> str:
    """Return what `find` finds.

    Raises:
        DataError: there is no such column.
    """
    column = find(table, role, given, names)
    if column is None:
        refuse_columns(table, role, names)
    return column


def refuse_columns(table: Table, role: str, names: tuple[str, ...]) -> NoReturn:
    """Raise `DataError` because `table` has no column for `role`; a similar name is pointed out."""
    hint = ""
    for column in table.columns:
        hint = hint or suggest(column.strip().lower(), names)
    raise DataError(
        f"{table.where}: has no column for the {role}. Expected one called {', '.join(names)}."
        f"{hint} Its columns: {', '.join(table.columns)}. Name it: --{role}-column NAME"
    )


def ids(table: Table, column: str) -> np.ndarray:
    """Return ids as texts (rows,), as they are written.

    In a column that once had gaps, 12 and 12.0 are the same.

    Raises:
        DataError: a cell is empty.
    """
    import pandas as pd

    codes, values = pd.factorize(table.frame[column])
    names = [cell_text(value) for value in values]
    if names and all(name.endswith(".0") and name[:-2].isdecimal() for name in names):
        names = [name[:-2] for name in names]
    names.append("")  # the code of an empty cell is -1: the last
    is_blank = np.array([not name.strip() for name in names])
    if is_blank[codes].any():
        table.raise_for_rows(
            is_blank[codes], f"column {column!r} is empty", "Expected an id on every line"
        )
    texts: np.ndarray = np.array(names, dtype=object)[codes]
    return texts


def ratings(table: Table, column: str) -> np.ndarray:
    """Return ratings (rows,) float32.

    Raises:
        DataError: a cell is not a finite number.
    """
    import pandas as pd

    cells = table.frame[column]
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
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
                "--rating-column NAME",
            )
    return numbers.astype(np.float32)


def times(table: Table, column: str, notes: list[str]) -> np.ndarray:
    """Return seconds since 1970 (or steps, where numbers are small): (rows,) int64.

    Raises:
        DataError: a cell is neither a number nor a date.
    """
    cells = table.frame[column]
    numbers = _seconds(cells).to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~(np.abs(numbers) < LARGEST_TIME)
    if wrong.any():
        table.raise_for_rows(
            wrong,
            f"column {column!r} is not a date I can read. Received: {_shown(cells, wrong)}",
            "Expected seconds since 1970, or e.g. 2024-01-31 18:30:00, "
            "written the same way on every line",
        )
    for border, units_per_second, unit in UNITS:
        if numbers.min() > border:
            numbers = numbers / units_per_second
            notes.append(f"{table.where}: times are so large that they are read as {unit}")
            break
    seconds = np.floor(numbers).astype(np.int64)
    future = seconds > clock.time()
    if future.any():
        first = int(future.argmax())
        notes.append(
            f"{table.where}: {int(future.sum()):,} times are in the future "
            f"(the first: line {table.lines[first]}, {cells.iloc[first]})"
        )
    return np.asarray(seconds)


def _seconds(cells: "pd.Series") -> "pd.Series":
    """Return numbers as they are and dates as seconds since 1970; other cells are missing."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(cells):
        numbers = pd.to_numeric(cells, errors="coerce")
        is_text = numbers.isna() & cells.notna()
        if is_text.mean() <= MOSTLY_DATES:
            return numbers
    dates = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
    seconds: pd.Series = (dates - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    return seconds.where(dates.notna())


def _shown(cells: "pd.Series", wrong: np.ndarray) -> str:
    """Return the first wrong cell as messages quote it."""
    import pandas as pd

    received = cells.iloc[int(wrong.argmax())]
    return "an empty cell" if pd.isna(received) else repr(received)
