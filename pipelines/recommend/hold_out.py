"""A later log, scored by a model that was trained before: nothing is fitted to it.

Users begin with what the model knows of them; then their new interactions come true one by one, and
each is a case whose history is all before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines.errors import DataError, count_of
from pipelines.io.digest import data_digest
from pipelines.pipeline import ServingModel
from pipelines.recommend import columns, data, predict, ranking, readers
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.options import RecommendOptions
from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.recommend.facts import RecommendFacts
    from pipelines.recommend.readers import RawInteractions

RATED_AT_ONCE = 4096
# Parts: what the model knows, the first rows of new users, and what is scored.
HISTORY, FIRST, NEW = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Interactions with users and items in the model's numbers, each array `(rows,)`.

    `person` goes on behind the model's users with users that it does not know.
    """

    person: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray
    part: np.ndarray

    def take(self, rows: np.ndarray) -> "_Rows":
        return _Rows(
            person=self.person[rows],
            item=self.item[rows],
            rating=self.rating[rows],
            time=self.time[rows],
            part=self.part[rows],
        )


def load_hold_out(options: RecommendOptions, serving: ServingModel) -> RecommendSplits:
    """Read the log that the options name, as the test part of splits in the model's numbers.

    Raises:
        DataError: the log cannot be used, or holds nothing that the model knows.
    """
    names = replace(data.column_names(options), needs_weight=False)
    raw = readers.read(options.data, names, options.items, fewest=1)
    with columns.saying(raw.guess):
        return _hold_out(raw, options, serving)


def _hold_out(
    raw: "RawInteractions", options: RecommendOptions, serving: ServingModel
) -> RecommendSplits:
    facts: RecommendFacts = serving.facts
    if facts.task == "rate" and raw.rating is None:
        raise DataError(
            f"{raw.where}: the model rates items, and this data has no ratings. "
            "Name their column: --rating-column NAME"
        )
    notes = list(raw.notes)
    reads_history = "history" in predict.names_and_length(serving.model.get_layer("network"))[0]
    new, strangers = _new_rows(raw, facts, notes, reads_history=reads_history)
    if not (new.part == NEW).any():
        raise DataError(
            f"{raw.where}: holds nothing that the model can be asked about. The model knows "
            f"{len(facts.users):,} users and {len(facts.items):,} items, e.g. {facts.users[0]!r} "
            f"and {facts.items[0]!r}"
        )
    rows = _behind_histories(facts, new)
    return RecommendSplits(
        dataset=raw.name,
        digest=data_digest(rows.person, rows.item, rows.rating, rows.part),
        notes=tuple(notes),
        task=facts.task,
        method="hold-out",
        users=tuple(facts.users),
        items=tuple(facts.items),
        people=(*facts.users, *strangers),
        titles=tuple(facts.titles),
        features=None,
        feature_names=(),
        person=rows.person.astype(np.int32),
        user=np.where(rows.person <= len(facts.users), rows.person, 0).astype(np.int32),
        item=rows.item.astype(np.int32),
        rating=rows.rating,
        time=rows.time,
        part=rows.part.astype(np.int8),
        target_rows={"val": np.empty(0, int), "test": np.flatnonzero(rows.part == NEW)},
        rolling=facts.task == "rank",
        seed=options.seed,
        repeats=facts.repeats,
    )


def _new_rows(
    raw: "RawInteractions", facts: "RecommendFacts", notes: list[str], *, reads_history: bool
) -> tuple[_Rows, list[str]]:
    """Return the usable rows of the log in the order of users and times, and its new users."""
    users = _numbers_of(raw.users, facts.users)
    items = _numbers_of(raw.items, facts.items)
    unknown_item, unknown_user = items == 0, users == 0
    _count(notes, raw.where, unknown_item, "of items that the model does not know")
    strangers = sorted(set(raw.users[unknown_user]))
    numbers = {name: len(facts.users) + place for place, name in enumerate(strangers, start=1)}
    users[unknown_user] = [numbers[name] for name in raw.users[unknown_user]]
    times = raw.time if raw.time is not None else np.arange(len(users))
    rating = raw.rating if raw.rating is not None else np.full(len(users), np.nan, np.float32)
    rows = _Rows(
        person=users, item=items, rating=rating, time=times, part=np.full(len(users), NEW)
    ).take(np.flatnonzero(~unknown_item))
    rows = rows.take(np.lexsort((rows.time, rows.person)))
    is_stranger = rows.person > len(facts.users)
    if facts.task == "rate" or not reads_history:
        _count(notes, raw.where, is_stranger, "of users that the model does not know")
        return rows.take(np.flatnonzero(~is_stranger)), strangers
    if not facts.repeats:
        rows = _without_repeats(rows, facts, notes, raw.where)
    return _with_first_rows(rows, facts, notes, raw.where), strangers


def _numbers_of(names: np.ndarray, of_model: list[str]) -> np.ndarray:
    """Return the model's number of each name, 0 for one that it does not know: (rows,)."""
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(of_model, start=1)}
    return np.array([numbers.get(name, 0) for name in names], dtype=np.int64)


def _count(notes: list[str], where: str, left_out: np.ndarray, what: str) -> None:
    count = int(left_out.sum())
    if count:
        notes.append(f"{where}: {count_of(count, 'row')} {what} left out, of {len(left_out):,}")


def _without_repeats(rows: _Rows, facts: "RecommendFacts", notes: list[str], where: str) -> _Rows:
    """Return rows without items that their user has had: what is recommended is new."""
    had = set()
    for number, history in enumerate(facts.histories, start=1):
        had |= {(number, item) for item in history}
    is_repeat = np.zeros(len(rows.item), dtype=bool)
    for row, pair in enumerate(zip(rows.person.tolist(), rows.item.tolist(), strict=True)):
        is_repeat[row] = pair in had
        had.add(pair)
    _count(notes, where, is_repeat, "with an item that the user has had already")
    return rows.take(np.flatnonzero(~is_repeat))


def _with_first_rows(rows: _Rows, facts: "RecommendFacts", notes: list[str], where: str) -> _Rows:
    """Return rows in which the first one of each new user is its history and not scored."""
    is_first = np.append(True, np.diff(rows.person) > 0)[: len(rows.person)]
    is_start = is_first & (rows.person > len(facts.users))
    if is_start.any():
        people = count_of(int(is_start.sum()), "user")
        notes.append(
            f"{where}: {people} that the model does not know: the first row of each is its history"
        )
    return _Rows(
        person=rows.person,
        item=rows.item,
        rating=rows.rating,
        time=rows.time,
        part=np.where(is_start, FIRST, NEW),
    )


def _behind_histories(facts: "RecommendFacts", new: _Rows) -> _Rows:
    """Return the new rows of each user behind what the model knows of it."""
    lengths = list(map(len, facts.histories))
    person = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    item = np.array([item for history in facts.histories for item in history], dtype=np.int64)
    count = len(person)
    rows = _Rows(
        person=np.concatenate([person, new.person]),
        item=np.concatenate([item, new.item]),
        rating=np.concatenate([np.full(count, np.nan, np.float32), new.rating]),
        time=np.concatenate([np.zeros(count, np.int64), new.time]),
        part=np.concatenate([np.full(count, HISTORY), new.part]),
    )
    # The order within a user stays: lexsort is stable.
    return rows.take(np.lexsort((np.arange(len(rows.person)), rows.person)))


def predict_served(model: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of a served model, in the form that `ranking` describes."""
    user = splits.cases(part).user
    if splits.task == "rate":
        inputs = {
            "user": user,
            "item": splits.cases(part).target,
            "history": splits.histories(part),
        }
        ratings = []
        for begin in range(0, len(user), RATED_AT_ONCE):
            batch = {name: values[begin : begin + RATED_AT_ONCE] for name, values in inputs.items()}
            ratings.append(np.asarray(model(batch, training=False)["rating"]))
        return np.concatenate(ratings)

    def scores(rows: slice) -> np.ndarray:
        inputs = {"user": user[rows], "history": splits.histories(part, rows=rows)}
        return np.asarray(model(inputs, training=False)["scores"])

    return ranking.rank_items(scores, splits, part)
