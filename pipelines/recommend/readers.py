"""From `--data` to who had what: what cannot be used is refused by line, and what was found strange is noted."""

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.io import tables
from pipelines.io.parts import SPLIT_COLUMNS
from pipelines.io.paths import require_path
from pipelines.io.tables import cell_text, find_column, raise_for_lines
from pipelines.recommend.files import Table, read_file, read_tfds
from pipelines.recommend.samples import SAMPLES
from pipelines.splits import PARTS

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
TITLES = ("title", "name", "item_title", "movie_title", "movie")
FEATURES = ("genres", "genre", "movie_genres", "categories", "category", "tags")
NO_FEATURES = ("", "(no genres listed)")
# Larger times are in a smaller unit: as seconds they are after the year 5000, as milliseconds, as microseconds too.
UNITS = (
    (10**17, 10**9, "nanoseconds"),
    (10**14, 10**6, "microseconds"),
    (10**11, 10**3, "milliseconds"),
)
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the user said about a table; empty texts mean that its columns tell by their names."""

    user: str = ""
    item: str = ""
    rating: str = ""
    time: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Read:
    """Interactions in the order of their source: `users` and `items` are texts (rows,), `rating` is float32.

    `time` holds seconds, `part` 0, 1 or 2 for train, val and test, where the table says so. `titles` and `features`
    tell of items by their id.
    """

    name: str
    where: str  # what messages call it
    users: np.ndarray
    items: np.ndarray
    rating: np.ndarray | None = None
    time: np.ndarray | None = None
    part: np.ndarray | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(data: str, columns: Columns, items_file: str = "") -> Read:
    """Return the interactions that `--data` names, with what `--items` tells of the items.

    Raises:
        DataError: there is nothing there, a column is missing, or a row cannot be used; the message names the line.
    """
    if data in SAMPLES:
        table = Table(frame=SAMPLES[data].read(), where=data, first_line=1)
    elif data.startswith("tfds:"):
        table = read_tfds(data)
    else:
        table = read_file(
            require_path(data, {name: sample.help for name, sample in SAMPLES.items()}, "recommend")
        )
    name = data if data in SAMPLES or data.startswith("tfds:") else Path(data).stem
    return from_table(
        table, columns, name, _items_of(items_file, columns) if items_file else table.items
    )


def from_table(table: Table, columns: Columns, name: str, about: Table | None = None) -> Read:
    """Return the interactions that `table` holds; titles and features come from `about`, a table of items, where it is given."""
    frame, where = table.frame, table.where
    notes = list(table.notes)
    lines = np.arange(table.first_line, table.first_line + len(frame))
    ids = {}
    for role, given, names in (("user", columns.user, USERS), ("item", columns.item, ITEMS)):
        found = find_column(frame, given, names, role=role, flag=f"--{role}-column", where=where)
        if found is None:
            _refuse_columns(frame, role, names, where)
        ids[role] = texts(frame[found], lines, where)
        if (count := len(set(ids[role]))) < 2:
            raise DataError(
                f"{where}: column {found!r} holds {count} {role}. Expected at least 2 users and 2 items"
            )
    rating = find_column(
        frame, columns.rating, RATINGS, role="rating", flag="--rating-column", where=where
    )
    time = find_column(frame, columns.time, TIMES, role="time", flag="--time-column", where=where)
    split = find_column(frame, "", SPLIT_COLUMNS, role="split", flag="", where=where)
    parts = tables.split_column(frame, split, where, table.first_line)
    titles, features = _about(
        table if about is None else about,
        ids["item"] if about is None else None,
        columns,
        notes,
        strict=about is None,
    )
    if about is not None:
        stock = set(ids["item"])
        told = len(stock & set(about.frame["item"]))
        if told < len(stock):
            alike = "" if told else "; are its ids written as there?"
            notes.append(
                f"{about.where}: tells of {told:,} of the {len(stock):,} items in {where}{alike}"
            )
    return Read(
        name=name,
        where=where,
        users=ids["user"],
        items=ids["item"],
        rating=_ratings(frame[rating], lines, where) if rating else None,
        time=_times(frame[time], lines, where, notes) if time else None,
        part=np.array([PARTS.index(part) for part in parts], np.int8) if split else None,
        titles=titles,
        features=features,
        notes=tuple(notes),
    )


def _refuse_columns(frame: "pd.DataFrame", role: str, names: Sequence[str], where: str) -> NoReturn:
    columns = [str(column) for column in frame.columns]
    hint = next(
        (found for column in columns if (found := suggest(column.strip().lower(), names))), ""
    )
    raise DataError(
        f"{where}: has no column for the {role}. Expected one called {', '.join(names)}.{hint} "
        f"Its columns: {', '.join(columns)}. Name it: --{role}-column NAME"
    )


def texts(column: "pd.Series", lines: np.ndarray, where: str) -> np.ndarray:
    """Return ids as texts (rows,), as they are written; 12 and 12.0, of a column that once had gaps, are the same.

    Raises:
        DataError: a cell is empty.
    """
    import pandas as pd

    codes, values = pd.factorize(column)
    names = [cell_text(value) for value in values]
    if names and all(name.endswith(".0") and name[:-2].isdecimal() for name in names):
        names = [name[:-2] for name in names]
    known = np.array([*names, ""], dtype=object)
    found: np.ndarray = known[codes]  # -1, the last, is an empty cell
    empty = np.array([not name.strip() for name in known])[codes]
    if empty.any():
        raise_for_lines(
            where,
            lines[empty],
            f"column {str(column.name)!r} is empty",
            "Expected an id on every line",
        )
    return found


def _ratings(column: "pd.Series", lines: np.ndarray, where: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    name = str(column.name)
    for wrong, what in (
        (np.isnan(numbers), "holds no number"),
        (np.abs(numbers) > LARGEST, "holds no finite number of 32 bits"),
    ):
        if wrong.any():
            received = column.iloc[int(wrong.argmax())]
            shown = "an empty cell" if pd.isna(received) else repr(received)
            raise_for_lines(
                where,
                lines[wrong],
                f"column {name!r} {what}. Received: {shown}",
                "Expected a number on every line; mend it, or name another: --rating-column NAME",
            )
    return numbers.astype(np.float32)


def _times(column: "pd.Series", lines: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Return seconds since 1970 (or steps, where numbers are small): (rows,) int64."""
    import pandas as pd

    seconds = (
        pd.to_numeric(column, errors="coerce")
        if not pd.api.types.is_datetime64_any_dtype(column)
        else None
    )
    if seconds is None or (seconds.isna() & column.notna()).mean() > 0.5:
        parsed = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        seconds = ((parsed - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).where(
            parsed.notna()
        )
    numbers = seconds.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~(np.abs(numbers) < 2**63)
    if wrong.any():
        received = column.iloc[int(wrong.argmax())]
        raise_for_lines(
            where,
            lines[wrong],
            f"column {str(column.name)!r} holds no time. Received: {'an empty cell' if pd.isna(received) else repr(received)}",
            "Expected seconds since 1970, or e.g. 2024-01-31 18:30:00, the same form on all lines",
        )
    for border, number, unit in UNITS:
        if numbers.min() > border:
            numbers = numbers / number
            notes.append(
                f"{where}: the times are so large that they are taken as {unit} since 1970"
            )
            break
    found = np.floor(numbers).astype(np.int64)
    future = found > clock.time()
    if future.any():
        first = f"the first is line {lines[future.argmax()]}"
        notes.append(
            f"{where}: {int(future.sum()):,} times are in the future ({first}: {column.iloc[int(future.argmax())]})"
        )
    return found


# --- items ------------------------------------------------------------------------------------------------------


def _items_of(items_file: str, columns: Columns) -> Table:
    path = Path(items_file).expanduser()
    if not path.is_file():
        raise DataError(
            f"--items {items_file}: no such file. Expected a table with a column of item ids, and titles or features"
        )
    table = read_file(path)
    given = columns.item if columns.item in map(str, table.frame.columns) else ""
    found = find_column(
        table.frame, given, (*ITEMS, "id"), role="item", flag="--item-column", where=table.where
    )
    if found is None:
        _refuse_columns(table.frame, "item", (*ITEMS, "id"), table.where)
    lines = np.arange(table.first_line, table.first_line + len(table.frame))
    frame = table.frame.drop(columns=found).assign(
        item=texts(table.frame[found], lines, table.where)
    )
    return Table(frame=frame, where=table.where, first_line=table.first_line)


def _about(
    table: Table, ids: np.ndarray | None, columns: Columns, notes: list[str], *, strict: bool
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return titles and features by id: of the ratings' own table, or (not `strict`) of a table that is all about items."""
    import pandas as pd

    frame = table.frame
    ids = frame["item"].to_numpy(dtype=object) if ids is None else ids
    given = columns.title if strict or columns.title in map(str, frame.columns) else ""
    title = find_column(
        frame, given, TITLES, role="title", flag="--title-column", where=table.where
    )
    first = ~pd.Series(ids).duplicated().to_numpy()
    if strict:
        feature = find_column(frame, "", FEATURES, role="features", flag="", where=table.where)
        names = [feature] if feature else []
    else:
        names = [str(name) for name in frame.columns if name not in ("item", title)]
        numbers = [name for name in names if _holds_numbers(frame[name])]
        names = [name for name in names if name not in numbers]
        if numbers:
            notes.append(
                f"{table.where}: columns of numbers are no features and are left out: {', '.join(numbers)}"
            )
    titles: dict[str, str] = {}
    if title:
        given_titles = frame[title].to_numpy(dtype=object)[first]
        titles = {
            key: cell_text(value)
            for key, value in zip(ids[first], given_titles, strict=True)
            if not pd.isna(value)
        }
    features: dict[str, tuple[str, ...]] = {}
    for name in names:
        prefix = f"{name}=" if len(names) > 1 else ""
        for key, value in zip(ids[first], frame[name].to_numpy(dtype=object)[first], strict=True):
            if values := _several(value):
                features[key] = (*features.get(key, ()), *(prefix + one for one in values))
    return titles, features


def _holds_numbers(column: "pd.Series") -> bool:
    import pandas as pd

    return bool(column.map(lambda value: np.ndim(value) == 0).all()) and bool(
        (pd.to_numeric(column, errors="coerce").notna() | column.isna()).all()
    )


def _several(value: object) -> tuple[str, ...]:
    """Return the features in one cell: texts between bars, or the elements of a list."""
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(cell_text(one) for one in value)
    if value is None or value != value:
        return ()
    return tuple(
        one.strip() for one in cell_text(value).split("|") if one.strip() not in NO_FEATURES
    )
