"""Which column of a log holds what: by its name, else where the guess is plain."""

import contextlib
import time as clock
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError, shorten, suggest
from pipelines.io.headers import normal_name
from pipelines.io.number_times import EPOCH_UNITS
from pipelines.io.numbers import parse_numbers
from pipelines.io.parts import SPLIT_COLUMNS
from pipelines.io.tables import SHOWN_COLUMNS, Table
from pipelines.io.times import holds_times

if TYPE_CHECKING:
    import pandas as pd

# Names are compared without case, blanks, dashes and underscores; the first one counts.
USERS = (
    *("user", "user_id", "uid", "customer", "customer_id", "reviewer_id", "reviewer", "member_id"),
    *("member", "client_id", "client", "visitor_id", "visitor", "account_id", "account", "person"),
    *("session_id", "session"),
    *("kunde", "kundennummer", "kunden_id", "nutzer", "benutzer", "utilisateur", "usuario"),
)
# A basket is a user where nobody is named.
BASKETS = ("order_id", "invoice_no", "invoice_id", "basket_id", "transaction_id")
ITEMS = (
    *("item", "item_id", "movie_id", "movie", "film_id", "film", "product_id", "product", "asin"),
    *("isbn", "track_id", "track", "song_id", "song", "artist_id", "artist", "book_id", "book"),
    *("article_id", "article", "sku", "stock_code", "parent_asin", "business_id", "game_id"),
    *("artikel", "artikelnummer", "produkt", "produit", "producto"),
    *("game", "recipe_id", "course_id", "anime_id", "venue_id", "poi_id", "location_id"),
)
RATINGS = (
    "rating",
    "score",
    "stars",
    "value",
    "user_rating",
    "overall",
    "book_rating",
    "bewertung",
)
TIMES = (
    *("timestamp", "time", "date", "datetime", "ts", "unix_review_time", "invoice_date"),
    *("order_date", "purchase_date", "created_at", "event_time", "review_time", "review_date"),
    *("datum", "zeit", "order_number", "add_to_cart_order", "position"),
)
SPLITS = tuple(SPLIT_COLUMNS)
KNOWN_NAMES = frozenset(map(normal_name, (*USERS, *BASKETS, *ITEMS, *RATINGS, *TIMES, *SPLITS)))
# How columns of other names may begin, and what a name that ends so is not.
USER_WORDS = ("user", "customer", "client", "member", "reviewer", "visitor", "buyer", "shopper")
ITEM_WORDS = ("item", "product", "movie", "film", "track", "song", "artist", "book", "article")
NO_IDS = (
    "category",
    "type",
    "price",
    "count",
    "group",
    "age",
    "gender",
    "country",
    "rating",
    "date",
    "time",
)
# How the names of columns end that name a person.
ID_ENDINGS = ("name", "id", "number", "no", "code", "email", "key")
SHOWN_NAMES = 6
LOOKED_AT = 200  # rows from which it is told what a column without a name holds
MOST_GRADES = 11  # different ratings, 0 to 10
FIRST_LOG = 788_918_400  # 1995: larger numbers may be seconds since 1970


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
    needs_weight: bool = True  # a log that is only scored may lack the weights of training
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

    A single column of times is that of times. Users and items are columns that begin with such a
    word, or the two that are left; without a header they stand in this order.

    Raises:
        DataError: there is no column of users or of items.
    """
    user = find(table, "user", names.user, ()) or _named_users(table)
    item = find(table, "item", names.item, ITEMS)
    rating = find(table, "rating", names.rating, RATINGS)
    time = find(table, "time", names.time, TIMES)
    weight = None
    if names.weight and (names.needs_weight or _has(table, names.weight)):
        weight = find(table, "weight", names.weight, ())
    free = _free_columns(table, (user, item, rating, time, weight))
    if time is None:
        dated = [column for column in free if holds_times_of_a_log(table, column)]
        num_missing = (user is None) + (item is None)
        if len(dated) == 1 and len(free) > num_missing:
            time = dated[0]
            free.remove(time)
    if not table.has_header:
        free = [column for column in free if may_be_ids(table, column)]
    user, item = _plain_ids(free, user, item, is_ordered=not table.has_header)
    if user is None:
        refuse_columns(table, "user", USERS)
    if item is None:
        refuse_columns(table, "item", ITEMS)
    if rating is None and not table.has_header and not names.rating:
        rating = _unnamed_rating(table, (user, item, time, weight))
    return FoundColumns(user=user, item=item, rating=rating, time=time, weight=weight)


def guess_of(found: FoundColumns, names: ColumnNames) -> str:
    """Return a sentence on columns of ids that nobody named and that are called otherwise.

    It is "" where there are none.
    """
    guessed, flags = [], []
    for role, column, given, usual in (
        ("user", found.user, names.user, (*USERS, *BASKETS)),
        ("item", found.item, names.item, ITEMS),
    ):
        if not given and normal_name(column) not in map(normal_name, usual):
            guessed.append(f"{role}={column}")
            flags.append(f"--{role}-column NAME")
    if not guessed:
        return ""
    return f"The columns were guessed: {', '.join(guessed)}. Name others: {' '.join(flags)}"


@contextlib.contextmanager
def saying(guess: str) -> Iterator[None]:
    """Add to what is refused inside which columns were guessed, if any were."""
    try:
        yield
    except DataError as error:
        if not guess or guess in str(error):
            raise
        raise DataError(f"{error}. {guess}") from None


def _named_users(table: Table) -> str | None:
    """Return the first column of a usual name that holds several users, else one of baskets.

    Where nobody is logged in, a column of users may be empty.
    """
    found = [find(table, "user", "", (name,)) for name in USERS]
    people = [column for column in found if column is not None]
    telling = [column for column in people if table.frame[column].nunique() > 1]
    if people:
        return (telling or people)[0]
    called = []
    for column in table.columns:
        name = normal_name(column)
        if name.startswith(USER_WORDS) and name.endswith(ID_ENDINGS):
            called.append(column)
    return called[0] if len(called) == 1 else find(table, "user", "", BASKETS)


def _has(table: Table, column: str) -> bool:
    return normal_name(column) in map(normal_name, table.columns)


def _free_columns(table: Table, taken: Iterable[str | None]) -> list[str]:
    split = table.split_column()
    title = table.find_column("", ("title",), role="title", flag="")
    used = {*taken, split, title}
    return [column for column in table.columns if column not in used]


def holds_times_of_a_log(table: Table, column: str) -> bool:
    """Return whether a column of another name holds dates, or seconds since 1970 of our time.

    Other numbers may be ids, or years in which films were made.
    """
    cells = table.frame[column]
    if _holds_lists(cells) or not holds_times(cells):
        return False
    numbers = parse_numbers(cells).values
    if numbers.isna().any():
        return True
    in_seconds = [numbers / scale for scale in EPOCH_UNITS.values()]
    return any(bool(seconds.between(FIRST_LOG, clock.time()).all()) for seconds in in_seconds)


def _holds_lists(cells: "pd.Series") -> bool:
    return any(isinstance(cell, list | dict | np.ndarray) for cell in cells.head(LOOKED_AT))


def _plain_ids(
    free: list[str], user: str | None, item: str | None, *, is_ordered: bool
) -> tuple[str | None, str | None]:
    """Return the columns of users and items among the free ones, where the guess is plain."""
    if user is None:
        user = _that_begins_with(free, USER_WORDS)
    if item is None:
        item = _that_begins_with(free, ITEM_WORDS)
    left = [column for column in free if column not in (user, item)]
    called_ids = [column for column in left if normal_name(column).endswith("id")]
    if len(called_ids) == (user is None) + (item is None):
        left = called_ids
    if user is None and item is None and (len(left) == 2 or (is_ordered and len(left) > 2)):
        return left[0], left[1]
    if item is None and user is not None and len(left) == 1:
        item = left[0]
    elif user is None and item is not None and len(left) == 1:
        user = left[0]
    return user, item


def _that_begins_with(free: Iterable[str], words: tuple[str, ...]) -> str | None:
    """Return the only column whose name begins with one of the words and may be an id."""
    found = []
    for column in free:
        name = normal_name(column)
        if name.startswith(words) and not name.endswith(NO_IDS):
            found.append(column)
    return found[0] if len(found) == 1 else None


def may_be_ids(table: Table, column: str) -> bool:
    """Return whether a column without a name may hold ids: several, and no fractions."""
    cells = table.frame[column].head(LOOKED_AT)
    if cells.nunique() < 2:
        return False
    parsed = parse_numbers(cells)
    return not bool((parsed.values % 1 > 0).any())


def _unnamed_rating(table: Table, taken: Iterable[str | None]) -> str | None:
    """Return the only column without a name that holds a few different numbers."""
    found = []
    for column in table.columns:
        cells = table.frame[column].head(LOOKED_AT)
        numbers = parse_numbers(cells).values
        is_graded = 1 < numbers.nunique() <= MOST_GRADES and not numbers.isna().any()
        if column not in set(taken) and is_graded:
            found.append(column)
    return found[0] if len(found) == 1 else None


def refuse_columns(table: Table, role: str, names: tuple[str, ...]) -> NoReturn:
    """Raise `DataError` because `table` has no column for `role`; a similar name is pointed out."""
    hint = ""
    for column in table.columns:
        hint = hint or suggest(column.strip().lower(), names)
    raise DataError(
        f"{table.where}: has no column for the {role}. Expected one called "
        f"{', '.join(names[:SHOWN_NAMES])} or the like.{hint} "
        f"Its columns: {shorten(table.columns, SHOWN_COLUMNS)}. Name it: --{role}-column NAME"
    )
