"""A trained network for its user: a user's id or a history of items in, the best items with titles and scores out."""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.io.tables import cell_text, find_column, read_table
from pipelines.io.text_files import read_lines
from pipelines.pipeline import ServingModel
from pipelines.recommend import blend
from pipelines.recommend.readers import ITEMS, USERS
from pipelines.recommend.splits import RecommendSplits

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = 10
HISTORIES = ("history", "items", "sequence")
SEPARATOR = "|"  # between the items of a history
ANSWERED = 256  # users at a time


def served(
    network: keras.Model, splits: RecommendSplits, user_column: str = "", item_column: str = ""
) -> ServingModel:
    """Return the network, and to rank the closed forms beside it, over numbers of users and items; the facts hold their ids.

    To rank, inputs are `user` (batch,) and `history` (batch, any length), left-padded with 0, and the answer is
    `scores` (batch, items + 1). To rate, they are `user`, `item` and `history`, and the answer is `rating` (batch, 1).
    The columns are those that the training data was read by, empty where they were guessed.
    """
    names, length = blend.names_and_length(network)
    inputs: dict[str, Any] = {"user": keras.Input((), dtype="int32", name="user")}
    inputs["history"] = keras.Input((None,), dtype="int32", name="history")
    if splits.task == "rate":
        inputs["item"] = keras.Input((), dtype="int32", name="item")
    # Its own last items, padded where there are fewer.
    padded = keras.layers.ZeroPadding1D((length, 0), name="pad")(inputs["history"][:, :, None])[
        :, -length:, 0
    ]
    shown = {**inputs, "history": padded}
    answer = network({name: shown[name] for name in names})
    notes: tuple[str, ...] = ()
    if splits.task == "rank":
        start = blend.start_of(network)
        scores = answer
        closed = blend.closed_of(start, splits, "test")
        if closed:
            layers = [
                blend.ClosedScores.of(one, f"closed_{number}")
                for number, one in enumerate(closed.values(), start=1)
            ]
            weights = [start.network, *(one["weight"] for one in start.closed.values())]
            scores = blend.WeightedScores(weights, name="weighted")(
                [answer, *(layer(inputs["history"]) for layer in layers)]
            )
        answers = {"scores": scores}
        notes = (blend.describe(start),)
    else:
        answers = {"rating": answer}
    facts = {
        "domain": "recommend",
        "task": splits.task,
        "columns": {"user": user_column, "item": item_column},
        "users": list(splits.users),
        "items": list(splits.items),
        "titles": list(splits.titles),
        "histories": _histories(splits),
        "ratings": [float(splits.rating.min()), float(splits.rating.max())] if splits.rated else [],
    }
    return ServingModel(model=keras.Model(inputs, answers, name="served"), facts=facts, notes=notes)


def _histories(splits: RecommendSplits) -> list[list[int]]:
    """Return the numbers of each known user's items, all parts together: what is known when the model is used."""
    known = (splits.user > 0) & (splits.item > 0)
    user, item = splits.user[known], splits.item[known]
    bounds = np.searchsorted(user, np.arange(1, splits.num_users + 2))
    return [item[begin:end].tolist() for begin, end in pairwise(bounds)]


def predict_raw(
    served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
) -> pd.DataFrame:
    """Return the ten best new items for each row of `source`, or a rating for each.

    `source` is a table with a column of users, of histories (ids of items with | between them) or both, a .txt file
    with a user on each line, or an array of users. To rate, it is a table of users and items. A user without a known
    item in sight gets what is popular, and `note` says so.
    """
    table = _table(source)
    if not len(table):
        raise DataError("Nobody to answer for: the input holds no rows")
    return _ratings(served, table) if served.facts["task"] == "rate" else _best(served, table)


def _table(source: "str | Path | pd.DataFrame | np.ndarray") -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, np.ndarray):
        return pd.DataFrame({"user": [str(user) for user in source.ravel()]})
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected a table with a column user or history, or a .txt file with a user on each line"
        )
    if path.suffix.lower() == ".txt":
        return pd.DataFrame({"user": [line.strip() for line in read_lines(path) if line.strip()]})
    return read_table(path, as_texts=True)


def _column(
    table: pd.DataFrame, own: str, names: Sequence[str], role: str
) -> "NDArray[np.object_] | None":
    """Return the column of a role as texts: the one that the training data had for it, else one of the usual names."""
    name = (
        own
        if own in table
        else find_column(table, "", names, role=role, flag="", where="the input")
    )
    return (
        None if name is None else np.asarray([_text(value) for value in table[name]], dtype=object)
    )


def _text(value: object) -> str:
    """Return a cell's text; a list of items, as Parquet and JSON may hold, is written as a history."""
    if isinstance(value, list | tuple | np.ndarray):
        return SEPARATOR.join(cell_text(one) for one in value)
    return cell_text(value)


def _best(served: ServingModel, table: pd.DataFrame) -> pd.DataFrame:
    facts = served.facts
    users, given = (
        _column(table, facts["columns"]["user"], USERS, "user"),
        _column(table, "", HISTORIES, "history"),
    )
    if users is None and given is None:
        columns = ", ".join(map(str, table.columns))
        raise DataError(
            f"The input has neither a column of users nor one of histories. Expected user or history. Its columns: {columns}"
        )
    numbers = _numbers(facts["users"])
    items = _numbers(facts["items"])
    rows = []
    for at in range(len(table)):
        number = numbers.get(users[at], 0) if users is not None else 0
        asked = _items_of(given[at], items) if given is not None else []
        known = [items[one] for one in asked if one in items]
        history = known or (facts["histories"][number - 1] if number else [])
        rows.append(
            (
                number,
                history,
                _note(
                    users is not None and not number and not asked,
                    len(asked) - len(known),
                    bool(history),
                ),
            )
        )
    popularity = None if all(history for _, history, _ in rows) else _popularity(facts)
    parts = [
        _top(served, rows[begin : begin + ANSWERED], popularity)
        for begin in range(0, len(rows), ANSWERED)
    ]
    best, scores = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    count = best.shape[1]
    ids, titles = (
        np.asarray(facts["items"], dtype=object),
        np.asarray(facts["titles"], dtype=object),
    )
    frame = pd.DataFrame({"row": np.repeat(np.arange(1, len(table) + 1), count)})
    frame["user"] = np.repeat(users if users is not None else np.full(len(table), ""), count)
    frame["place"] = np.tile(np.arange(1, count + 1), len(table))
    frame["item"], frame["title"] = ids[best.ravel() - 1], titles[best.ravel() - 1]
    frame["score"] = scores.ravel().round(4)
    frame["note"] = np.repeat([note for _, _, note in rows], count)
    left = frame["score"].abs() < np.inf  # fewer than ten where fewer are left to recommend
    return frame.loc[left].reset_index(drop=True)


def _items_of(cell: str, known: Mapping[str, int]) -> list[str]:
    """Return the ids in a cell, between bars; between semicolons, commas or spaces where that makes known items of it."""
    if cell.strip() not in known:
        for separator in (SEPARATOR, ";", ",", " "):
            found = [one.strip() for one in cell.split(separator) if one.strip()]
            if separator in cell and (separator == SEPARATOR or any(one in known for one in found)):
                return found
    return [cell.strip()] if cell.strip() else []


def _numbers(ids: Sequence[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(ids, start=1)}


def _note(stranger: bool, unknown: int, any_history: bool) -> str:
    notes = ["unknown user"] if stranger else []
    if unknown:
        notes.append(f"{unknown} unknown item{'s' if unknown > 1 else ''} passed over")
    if not any_history:
        notes.append("nothing known: popular items")
    return "; ".join(notes)


def _padded(histories: Sequence[Sequence[int]]) -> np.ndarray:
    """Return histories (rows, length of the longest), padded on the left with 0."""
    padded = np.zeros((len(histories), max(1, *map(len, histories))), np.int32)
    for place, items in enumerate(histories):
        if items:
            padded[place, -len(items) :] = items
    return padded


def _popularity(facts: Mapping[str, Any]) -> np.ndarray:
    """Return the share of the known users who have each item: (items + 1,)."""
    counts = np.bincount(
        np.fromiter(chain.from_iterable(facts["histories"]), np.int64),
        minlength=len(facts["items"]) + 1,
    )
    return counts / max(1, len(facts["users"]))


def _top(
    served: ServingModel, rows: Sequence[tuple[int, list[int], str]], popularity: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and scores of the best items that are not in the history, (rows, TOP) each: what is popular without one."""
    history = _padded([items for _, items, _ in rows])
    users = np.asarray([number for number, _, _ in rows], np.int32)
    scores = np.array(served.model({"user": users, "history": history}, training=False)["scores"])
    if popularity is not None:
        scores[~history.any(axis=1)] = popularity  # no network has learned what to say to nothing
    np.put_along_axis(scores, history, -np.inf, axis=1)
    scores[:, 0] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : min(TOP, scores.shape[1] - 1)]
    return best, np.take_along_axis(scores, best, axis=1)


def _ratings(served: ServingModel, table: pd.DataFrame) -> pd.DataFrame:
    facts = served.facts
    users, asked = (
        _column(table, facts["columns"]["user"], USERS, "user"),
        _column(table, facts["columns"]["item"], ITEMS, "item"),
    )
    if users is None or asked is None:
        raise DataError(
            f"To rate, the input needs columns user and item. Its columns: {', '.join(map(str, table.columns))}"
        )
    numbers, items = _numbers(facts["users"]), _numbers(facts["items"])
    user = np.asarray([numbers.get(one, 0) for one in users], np.int32)
    item = np.asarray([items.get(one, 0) for one in asked], np.int32)
    parts = []
    for begin in range(0, len(user), ANSWERED):
        rows = slice(begin, begin + ANSWERED)
        history = _padded(
            [facts["histories"][number - 1] if number else [] for number in user[rows]]
        )
        answers = served.model(
            {"user": user[rows], "history": history, "item": item[rows]}, training=False
        )
        parts.append(np.asarray(answers["rating"])[:, 0])
    low, high = facts["ratings"]
    notes = [
        "; ".join(
            text for text, missing in (("unknown user", not u), ("unknown item", not i)) if missing
        )
        for u, i in zip(user, item, strict=True)
    ]
    return pd.DataFrame(
        {
            "user": users,
            "item": asked,
            "rating": np.concatenate(parts).clip(low, high).round(3),
            "note": notes,
        }
    )


def restore_network(served: ServingModel, splits: RecommendSplits) -> keras.Model:
    """Return the network inside, for splits whose users and items are numbered alike.

    Raises:
        DataError: another task, other users or other items.
    """
    facts = served.facts
    if facts["task"] != splits.task:
        raise DataError(
            f"{splits.dataset}: the model knows how to {facts['task']}. This data is split to {splits.task}: --task {facts['task']}"
        )
    for what, its, here in (
        ("users", facts["users"], list(splits.users)),
        ("items", facts["items"], list(splits.items)),
    ):
        if its != here:
            raise DataError(
                f"{splits.dataset}: the model knows {len(its):,} {what}. This data has {len(here):,}, or others"
            )
    return served.model.get_layer("network")
