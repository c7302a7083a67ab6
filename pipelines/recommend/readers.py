"""From `--data` to who had what: what cannot be used is refused by line, what is odd is noted."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipelines.errors import DataError, count_of
from pipelines.io.headers import normal_name
from pipelines.io.numbers import is_numeric, parse_numbers
from pipelines.io.paths import require_path
from pipelines.io.tables import DerivedTable, Table, cell_text, read_table, take_rows
from pipelines.io.tfds import PREFIX, tfds_builder
from pipelines.io.time_parts import times_in_parts
from pipelines.io.times import is_clock
from pipelines.recommend import cells, columns, item_facts, layouts, unfold
from pipelines.recommend.columns import ColumnNames, FoundColumns
from pipelines.recommend.item_facts import ItemFacts
from pipelines.recommend.samples import SAMPLES
from pipelines.splits import PARTS

MOVIES_FILE = "movies.dat"
MOVIES_COLUMNS = ("item", "title", "genres")
# The table of items that MovieLens 100k puts beside `u.data`; its last columns are 0 or 1.
ITEMS_FILE = "u.item"
ITEMS_COLUMNS = ("item", "title", "release date", "video release date", "address")
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance"),
    *("Sci-Fi", "Thriller", "War", "Western"),
)
TFDS_COLUMNS = ("user_id", "movie_id", "user_rating", "timestamp", "movie_title", "movie_genres")
FEWEST_IDS = 2  # users and items that can be learned from
TFDS_BATCH = 8192  # rows
WHOLE_TIME = "time"  # the column that is put together of several
NOT_RATED = 0.05  # the least share of rows with a rating that stands for none
DISLIKES = ("label", "liked", "like", "target", "click", "clicked", "isclick", "response", "y")
PLACES = ("addtocartorder",)
YES_AND_NO = ({"0", "1"}, {"false", "true"}, {"no", "yes"})
QUANTITIES = ("quantity", "qty", "units", "num_items")


@dataclass(frozen=True, kw_only=True)
class RawInteractions:
    """Interactions in the order of their source: `users` and `items` are ids as texts (rows,).

    `rating` (rows,) is float32, `time` (rows,) holds seconds, `part` (rows,) 0, 1 or 2 for train,
    val and test, `weight` (rows,) float32 quantities above 0; each is None where the table does not
    have it. `facts` are titles and features of items. `guess` says which columns of ids were
    guessed.
    """

    where: str  # what messages call the source
    users: np.ndarray
    items: np.ndarray
    name: str = ""
    rating: np.ndarray | None = None
    time: np.ndarray | None = None
    part: np.ndarray | None = None
    weight: np.ndarray | None = None
    facts: ItemFacts = field(default_factory=ItemFacts)
    notes: tuple[str, ...] = ()
    guess: str = ""


def read(
    data: str, names: ColumnNames, items_file: str = "", fewest: int = FEWEST_IDS
) -> RawInteractions:
    """Return the interactions that `--data` names, with what `--items` says about the items.

    There must be `fewest` users and items: a single one is enough for a log to score a model on.

    Raises:
        DataError: there is nothing there, a column is missing, or a row cannot be used; the message
            names the line.
    """
    notes: list[str] = []
    items_table = None
    if data in SAMPLES:
        table = Table(SAMPLES[data].read(), Path(data))
        name = data
    elif data.startswith(PREFIX):
        table = _read_tfds(data)
        name = data
    else:
        path = require_path(data, SAMPLES, "recommend")
        table = _read_table(path, notes, drop_long=names.drop_missing)
        name = Path(data).stem
        items_table = _movies_beside(path)
    if items_file:
        items_table = _read_items_file(items_file, notes)
    interactions = _from_table(table, names, name, items_table, notes)
    for role, ids in (("user", interactions.users), ("item", interactions.items)):
        count = len(set(ids))
        if count < fewest:
            with columns.saying(interactions.guess):
                raise DataError(
                    f"{table.where}: holds only {count_of(count, role)}. Expected at least "
                    f"{fewest} users and {fewest} items. Is --{role}-column right?"
                )
    return interactions


def _read_table(path: Path, notes: list[str], *, drop_long: bool) -> Table:
    table = layouts.read_log(path, notes, drop_long=drop_long)
    notes += table.notes
    if table.num_swallowed_lines > 0:
        notes.append(
            f"{path.name}: {table.num_swallowed_lines:,} lines stand between quotes and are read "
            "as parts of a cell. Is a quote missing?"
        )
    return table


def _movies_beside(path: Path) -> Table | None:
    """Return the table of items that MovieLens puts beside its log, if it is there."""
    if path.name == "u.data" and path.with_name(ITEMS_FILE).is_file():
        return _read_u_item(path.with_name(ITEMS_FILE))
    beside = path.with_name(MOVIES_FILE)
    if path.suffix != beside.suffix or path == beside or not beside.exists():
        return None
    return read_table(beside, names=MOVIES_COLUMNS)


def _read_u_item(path: Path) -> Table:
    """Return the items of MovieLens 100k with their genres in one column, as later sets have it."""
    table = read_table(path)
    names = [*ITEMS_COLUMNS, *GENRES]
    if len(table.columns) != len(names):
        raise DataError(
            f"{path}: has {len(table.columns)} columns. Expected the {len(names)} of MovieLens 100k"
        )
    frame = table.frame.copy()
    frame.columns = names
    genres = []
    for row in frame[list(GENRES)].to_numpy():
        genres.append("|".join(name for name, cell in zip(GENRES, row, strict=True) if cell == "1"))
    frame = frame[["item", "title"]].assign(genres=genres)
    return replace(table, frame=frame)


def _read_items_file(items_file: str, notes: list[str]) -> Table:
    path = Path(items_file).expanduser()
    if not path.is_file():
        raise DataError(
            f"--items {items_file}: no such file. Expected a table with a column of item ids, "
            "and titles or features"
        )
    if path.name == MOVIES_FILE:
        return read_table(path, names=MOVIES_COLUMNS)
    if path.name == ITEMS_FILE:
        return _read_u_item(path)
    return layouts.with_plain_names(read_table(path))


def _read_tfds(data: str) -> Table:
    """Return the table of a set of TensorFlow Datasets with the features of `movielens/*-ratings`.

    Raises:
        DataError: there is no such set, it has other features, or it cannot be downloaded.
    """
    import pandas as pd

    builder = tfds_builder(data)
    features = builder.info.features
    present = [column for column in TFDS_COLUMNS if column in features]
    if not {"user_id", "movie_id"} <= set(present):
        raise DataError(
            f"{data}: expected the features user_id and movie_id, as movielens/100k-ratings has "
            f"them. Found: {', '.join(features)}"
        )

    def select(row: Mapping[str, object]) -> dict[str, object]:
        return {column: row[column] for column in present}

    dataset = builder.as_dataset(split="train").map(select)
    values: dict[str, list[object]] = {column: [] for column in present}
    for batch in dataset.ragged_batch(TFDS_BATCH):
        for column in present:
            tensor = batch[column]
            is_ragged = hasattr(tensor, "to_list")
            values[column] += tensor.to_list() if is_ragged else tensor.numpy().tolist()
    return Table(pd.DataFrame(values), Path(data))


def _from_table(
    table: Table, names: ColumnNames, name: str, items_table: Table | None, notes: list[str]
) -> RawInteractions:
    """Return the interactions in `table`.

    Titles and features come from `items_table` where there is one.
    """
    matrix = unfold.unfold_matrix(table, names, notes)
    table = table if matrix is None else matrix
    table = _with_whole_times(table, names, notes)
    found = columns.find_all(table, names)
    if not names.time:
        found = _without_places(table, found, notes)
    guess = columns.guess_of(found, names)
    with columns.saying(guess):
        interactions = _from_columns(table, found, names, items_table, notes)
    return replace(interactions, name=name, guess=guess, notes=tuple(notes))


def _from_columns(
    table: Table,
    found: FoundColumns,
    names: ColumnNames,
    items_table: Table | None,
    notes: list[str],
) -> RawInteractions:
    """Return the interactions in the columns that were found."""
    if not found.rating:
        table = unfold.one_item_a_row(table, found.user, found.item, notes)
        if found.time is None and unfold.POSITION in table.columns:
            found = replace(found, time=unfold.POSITION)
    if names.drop_missing:
        table = _readable_rows(table, found, names, notes)
    table, weight = _without_returns(table, found.weight, notes)
    users = cells.ids(table, found.user)
    items = cells.ids(table, found.item)
    rating, time = found.rating, found.time
    split = table.split_column()
    part = None
    if split:
        part = np.array([PARTS.index(part) for part in table.parts(split)], np.int8)
    used = {
        "user": found.user,
        "item": found.item,
        "rating": rating,
        "time": time,
        "split": split,
        "weight": found.weight,
    }
    if items_table is None:
        used["title"] = item_facts.title_column(table, names, found.user)
        facts = item_facts.of_interactions(table, items, names, found.user)
    else:
        facts = item_facts.of_items(items_table, names, set(items), table.where, notes)
    notes.append(f"{table.where}: {table.describe_columns(used)}")
    ratings = cells.numbers(table, rating, "rating", notes) if rating else None
    if ratings is not None and rating is not None:
        _note_not_rated(table, rating, ratings, notes)
    elif used["weight"] is None:
        _note_dislikes(table, used, notes)
    return RawInteractions(
        where=table.where,
        users=users,
        items=items,
        rating=ratings,
        time=cells.times(table, time, names, notes) if time else None,
        part=part,
        weight=weight,
        facts=facts,
    )


def _note_not_rated(table: Table, column: str, ratings: np.ndarray, notes: list[str]) -> None:
    """Note a lowest rating that rather says that nobody rated: 0 or -1 before 1, 2, 3."""
    others = ratings[ratings > 0]
    lowest = float(ratings.min())
    count = int((ratings == lowest).sum())
    are_grades = len(others) > 0 and bool((others >= 1).all())
    if lowest in (0.0, -1.0) and are_grades and count >= NOT_RATED * len(ratings):
        notes.append(
            f"{table.where}: column {column!r} is {lowest:g} in {count:,} of {len(ratings):,} "
            "rows and else 1 or more. If it stands for 'not rated', leave those rows out of the "
            "data, or rank items without ratings: --task rank"
        )


def _note_dislikes(table: Table, used: Mapping[str, str | None], notes: list[str]) -> None:
    """Note a column of yes and no that is not used: its rows all count as interactions."""
    for column in table.columns:
        words = {cell_text(cell).strip().lower() for cell in table.frame[column].unique()}
        is_named = normal_name(column) in DISLIKES
        if column in used.values() or not is_named or words not in YES_AND_NO:
            continue
        to_rate = ""
        if words == {"0", "1"}:
            to_rate = f". To rate with it: --rating-column {shlex.quote(column)}"
        notes.append(
            f"{table.where}: column {column!r} says yes and no and is not used: rows of both are "
            f"read as interactions. To rank what was liked, leave the other rows out{to_rate}"
        )


def _without_places(table: Table, found: FoundColumns, notes: list[str]) -> FoundColumns:
    """Return the columns without a time that is a place in one of several baskets of a user."""
    time = found.time
    if time is None or normal_name(time) not in PLACES:
        return found
    if not table.frame.duplicated([found.user, time]).any():
        return found
    notes.append(
        f"{table.where}: column {time!r} is no time: a user has the same place in several baskets"
    )
    return replace(found, time=None)


def _with_whole_times(table: Table, names: ColumnNames, notes: list[str]) -> Table:
    """Return the table with one column of times in place of a date and a clock, or of calendar."""
    parts = None
    if not names.time and table.has_header:
        parts = times_in_parts(table)
    if parts is None or (len(parts[0]) == 2 and not is_clock(table.frame[parts[0][1]])):
        return table  # a film has a year and perhaps a month
    used, texts = parts
    notes.append(f"{table.where}: times are read from the columns {', '.join(used)}")
    frame = table.frame.drop(columns=used).assign(**{WHOLE_TIME: texts})
    rows = np.arange(len(frame))
    return DerivedTable(frame, table.path, table.delimiter, origin=table, rows=rows)


def _readable_rows(
    table: Table, found: FoundColumns, names: ColumnNames, notes: list[str]
) -> Table:
    is_missing = cells.unreadable(table, found, names)
    if not is_missing.any():
        return table
    count = count_of(int(is_missing.sum()), "row")
    notes.append(
        f"{table.where}: {count} of {len(is_missing):,} left out: their user, item, rating or time "
        "is missing or cannot be read (--drop-missing)"
    )
    return take_rows(table, np.flatnonzero(~is_missing))


def _without_returns(
    table: Table, column: str | None, notes: list[str]
) -> tuple[Table, np.ndarray | None]:
    """Return the rows whose quantity is above 0, and the quantities: (rows,) float32.

    Without such a column, columns that look like one are pointed out where they hold returns.
    """
    if column is None:
        _note_returns(table, notes)
        return table, None
    quantities = cells.numbers(table, column, "weight", notes)
    is_kept = quantities > 0
    if is_kept.all():
        return table, quantities
    count = int((~is_kept).sum())
    if not is_kept.any():
        raise DataError(
            f"{table.where}: column {column!r} holds no number above 0. Expected quantities"
        )
    notes.append(
        f"{table.where}: {count_of(count, 'row')} of {len(is_kept):,} left out: the {column!r} "
        "is 0 or less, as of returns"
    )
    return take_rows(table, np.flatnonzero(is_kept)), quantities[is_kept]


def _note_returns(table: Table, notes: list[str]) -> None:
    column = table.find_column("", QUANTITIES, role="weight", flag="")
    if column is None or not is_numeric(table.frame[column]):
        return
    values = parse_numbers(table.frame[column], delimiter=table.delimiter).values
    num_negative = int((values < 0).sum())
    hint = "--weight-column counts interactions by quantity"
    if num_negative:
        notes.append(
            f"{table.where}: column {column!r} holds {num_negative:,} negative numbers, returns "
            f"perhaps, which are read as interactions like others; {hint}, and leaves returns out: "
            f"--weight-column {shlex.quote(column)}"
        )
