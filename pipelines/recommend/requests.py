"""What a trained recommender is asked: users, histories as people's tools write them, or a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.cell_lists import is_list, read_list, split_at
from pipelines.io.standard_input import NAME as STANDARD_INPUT
from pipelines.io.standard_input import is_standard_input
from pipelines.io.tables import SHOWN_COLUMNS, Table, cell_text, read_table
from pipelines.io.text_files import read_lines
from pipelines.pipeline import RawInput
from pipelines.recommend import cells, layouts
from pipelines.recommend.columns import ITEMS, TIMES, USERS, ColumnNames
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.predict_options import RecommendPredictOptions

HISTORIES = ("history", "histories", "items", "item_ids", "sequence", "basket", "products")
SEPARATORS = ("|", ";", ",", "\t", " ")  # where they make known items of a cell
LOOKED_AT = 100  # rows from which it is told what a column holds
INPUT = Path("the input")  # what messages call a table that no file holds


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What is asked, one row each; `frame` holds the rows as they were given.

    `users` and `items` are ids (rows,), None without such a column. `histories` are ids of items,
    from the oldest to the newest. With `goes_on` they come after what the model knows of the user,
    otherwise in its place.
    """

    frame: pd.DataFrame
    users: np.ndarray | None = None
    items: np.ndarray | None = None
    histories: list[list[str]] | None = None
    goes_on: bool = False

    def __len__(self) -> int:
        return len(self.frame)


def read_requests(
    source: RawInput, facts: RecommendFacts, options: RecommendPredictOptions, notes: list[str]
) -> Requests:
    """Return what `source` asks; which column was taken for what is appended to `notes`.

    `source` is a table, a .txt file with a user or a history on each line, or an array: of users,
    or with a row for each history.

    Raises:
        DataError: the input cannot be read, holds no rows, or has neither users nor histories.
    """
    requests = _read(source, facts, options, notes)
    if not len(requests):
        raise DataError("The input holds no rows, so there is nothing to answer")
    return requests


def of_all_users(facts: RecommendFacts) -> Requests:
    """Return the question for every user that the model knows."""
    frame = pd.DataFrame({"user": facts.users})
    return Requests(frame=frame, users=np.array(facts.users, dtype=object))


def _read(
    source: RawInput, facts: RecommendFacts, options: RecommendPredictOptions, notes: list[str]
) -> Requests:
    if isinstance(source, pd.DataFrame):
        return _of_table(Table(source.rename(columns=str), INPUT), facts, options, notes)
    if isinstance(source, np.ndarray):
        return _of_array(source, facts)
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected a table with a column user or history, "
            "or a .txt file with a user or a history on each line"
        )
    if path.suffix.lower() == ".txt" and not layouts.holds_a_log(path):
        lines = [line.strip() for line in read_lines(path)]
        return _of_texts([line for line in lines if line], facts, "")
    table = _read_table(path, options, notes)
    if is_standard_input(path):
        table = replace(table, path=Path(STANDARD_INPUT))
    return _of_table(table, facts, options, notes)


def _read_table(path: Path, options: RecommendPredictOptions, notes: list[str]) -> Table:
    """Return a table of users, histories or pairs, or a log in any form that training reads."""
    drop_long = options.skip_unreadable
    is_log = layouts.holds_a_log(path)
    table = None if is_log else layouts.with_plain_names(read_table(path, drop_long=drop_long))
    if table is None or (not table.has_header and len(table.columns) > 1):
        of_log: list[str] = []
        table = layouts.read_log(path, of_log, drop_long=drop_long)
        notes += of_log
    notes += table.notes
    return table


def _of_array(source: np.ndarray, facts: RecommendFacts) -> Requests:
    if source.ndim > 1 and source.shape[-1] > 1:
        histories = [[cell_text(cell) for cell in row] for row in source]
        return Requests(frame=pd.DataFrame({"history": histories}), histories=histories)
    return _of_texts([cell_text(cell) for cell in source.ravel()], facts, "user")


def _of_texts(texts: list[str], facts: RecommendFacts, name: str) -> Requests:
    """Return texts as users, or as histories where several known items stand in one of them."""
    if _are_histories(texts, facts):
        histories = [split_history(text, facts.item_numbers) for text in texts]
        return Requests(frame=pd.DataFrame({name or "history": texts}), histories=histories)
    frame = pd.DataFrame({name or "user": texts})
    return Requests(frame=frame, users=np.array(texts, dtype=object))


def _are_histories(texts: Sequence[str], facts: RecommendFacts) -> bool:
    """Return whether texts that are no users hold several known items."""
    for text in texts[:LOOKED_AT]:
        if text not in facts.user_numbers:
            items = split_history(text, facts.item_numbers)
            if len(items) > 1 and any(item in facts.item_numbers for item in items):
                return True
    return False


# ------------------------------------------------------------------------------------------ tables


def _of_table(
    table: Table, facts: RecommendFacts, options: RecommendPredictOptions, notes: list[str]
) -> Requests:
    if not len(table.frame):
        return Requests(frame=table.frame)
    user = _user_column(table, facts, options.user_column)
    item = _column_of_training(table, facts.item_column, ITEMS, "item")
    if facts.task == "rate":
        return _pairs_to_rate(table, user, item, notes)
    history = _history_column(table, user, item, facts, options.history_column)
    if user is None and history is None and len(table.columns) == 1:
        (only,) = table.columns
        texts = list(table.identifiers(only))
        is_history = _are_histories(texts, facts)
        user, history = (None, only) if is_history else (only, None)
    if user is None and history is None and item is None:
        raise DataError(
            f"{table.where}: has neither a column of users nor one of histories. "
            f"Expected user or history. Its columns: {shorten(table.columns, SHOWN_COLUMNS)}"
        )
    if history is None and item is not None:
        if user is not None:
            return _of_log(table, user, item, notes)
        history = item
    notes.append(f"{table.where}: {table.describe_columns({'user': user, 'history': history})}")
    histories = None
    if history is not None:
        histories = [split_history(cell, facts.item_numbers) for cell in table.frame[history]]
    users = None if user is None else table.identifiers(user)
    return Requests(frame=table.frame, users=users, histories=histories)


def _user_column(table: Table, facts: RecommendFacts, given: str) -> str | None:
    if given:
        return table.find_column(given, (), role="user", flag="--user-column")
    return _column_of_training(table, facts.user_column, USERS, "user")


def _column_of_training(
    table: Table, of_training: str, names: Sequence[str], role: str
) -> str | None:
    """Return the column that the training data had for a role, else one with a usual name."""
    if of_training in table.columns:
        return of_training
    return table.find_column("", names, role=role, flag="")


def _history_column(
    table: Table, user: str | None, item: str | None, facts: RecommendFacts, given: str
) -> str | None:
    """Return the column of histories: the given one, or by its name or the lists that it holds."""
    history = table.find_column(given, HISTORIES, role="history", flag="--history-column")
    if history not in (None, user):
        return history
    candidates = [column for column in table.columns if column != user]
    for column in candidates:
        cells = list(table.frame[column].head(LOOKED_AT))
        if all(is_list(cell) for cell in cells):
            return column
    # Without a header, or in the column that training had for items.
    for column in candidates:
        is_likely = column == item or not table.has_header
        if is_likely and _are_histories(list(table.identifiers(column)[:LOOKED_AT]), facts):
            return column
    return None


def _pairs_to_rate(table: Table, user: str | None, item: str | None, notes: list[str]) -> Requests:
    if user is None and item is None and len(table.columns) == 2:
        user, item = table.columns
    if user is None or item is None:
        raise DataError(
            f"{table.where}: to rate, the input needs columns user and item. "
            f"Its columns: {shorten(table.columns, SHOWN_COLUMNS)}"
        )
    notes.append(f"{table.where}: {table.describe_columns({'user': user, 'item': item})}")
    return Requests(frame=table.frame, users=table.identifiers(user), items=table.identifiers(item))


def _of_log(table: Table, user: str, item: str, notes: list[str]) -> Requests:
    """Return a question for each user of a log, whose rows come after what the model knows."""
    time = table.find_column("", TIMES, role="time", flag="")
    users, items = table.identifiers(user), table.identifiers(item)
    order = np.arange(len(users))
    if time:
        order = np.argsort(cells.times(table, time, ColumnNames(), notes), kind="stable")
    histories: dict[str, list[str]] = {name: [] for name in users}
    for row in order:
        histories[users[row]].append(items[row])
    used = {"user": user, "item": item, "time": time}
    notes.append(f"{table.where}: {table.describe_columns(used)}")
    notes.append(
        f"{table.where}: {count_of(len(users), 'row')} of {count_of(len(histories), 'user')} are "
        "read as what each of them had after what the model knows; one answer for each user"
    )
    names = list(histories)
    return Requests(
        frame=pd.DataFrame({user: names}),
        users=np.array(names, dtype=object),
        histories=list(histories.values()),
        goes_on=True,
    )


# ----------------------------------------------------------------------------------------- a cell


def split_history(cell: object, item_numbers: Mapping[str, int]) -> list[str]:
    """Return the ids of items in a cell: a list as `read_list` knows it, or ids between marks.

    Of several marks that is taken which makes the most known items; a cell that is an item as it
    stands is that item.
    """
    if isinstance(cell, list | tuple | np.ndarray):
        return [cell_text(entry).strip() for entry in cell]
    text = cell_text(cell).strip()
    if not text or text in item_numbers:
        return [text] if text else []
    entries = read_list(text)
    if entries is None:
        best = split_at(text, SEPARATORS[0])
    else:
        best = [entry.strip() for entry in entries]
        if len(best) != 1:
            return best
        text = best[0]  # [i1 i2] is one entry, or ids that nothing quotes
        if text in item_numbers:
            return best
    for separator in SEPARATORS[1:]:
        items = split_at(text, separator)
        if _count_known(items, item_numbers) > _count_known(best, item_numbers):
            best = items
    return best


def _count_known(items: Sequence[str], item_numbers: Mapping[str, int]) -> int:
    return sum(item in item_numbers for item in items)
