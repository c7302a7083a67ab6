"""Interactions on their way to be split: encoded as numbers, duplicates and rare ones dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipelines.errors import DataError
from pipelines.recommend.options import Task
from pipelines.recommend.readers import RawInteractions

NO_PART = -1  # of rows that are not yet assigned to train, val or test


@dataclass(frozen=True, kw_only=True)
class Interactions:
    """Interactions in order, with users and items as positions in `users` and `items`.

    Those two hold ids in their natural order. `person`, `item`, `rating`, `time` and `part` are
    (rows,); `weight` too; `part` is -1 where it is not yet decided.
    """

    users: np.ndarray
    items: np.ndarray
    person: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray
    part: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> "Interactions":
        """Return the rows chosen by positions or by a mask."""
        return replace(
            self,
            person=self.person[rows],
            item=self.item[rows],
            rating=self.rating[rows],
            time=self.time[rows],
            part=self.part[rows],
            weight=self.weight[rows],
        )


def encode_ids(raw: RawInteractions) -> Interactions:
    """Return interactions whose users and items are numbered from 0 in the order of their ids."""
    users, person = _sorted_codes(raw.users)
    items, item = _sorted_codes(raw.items)
    rating, time, part = raw.rating, raw.time, raw.part
    if rating is None:
        rating = np.full(len(person), np.nan, np.float32)
    if time is None:
        time = np.zeros(len(person), np.int64)
    if part is None:
        part = np.full(len(person), NO_PART, np.int8)
    weight = np.ones(len(person), np.float32)
    if raw.weight is not None:
        weight = np.log2(1 + raw.weight)  # one piece counts 1, three count 2, a thousand 10
    return Interactions(
        users=users,
        items=items,
        person=person,
        item=item,
        rating=rating,
        time=time,
        part=part,
        weight=weight,
    )


def _sorted_codes(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct ids in order, and the position of each row's id among them.

    They are ordered as numbers where all of them are numbers.
    """
    import pandas as pd

    codes, distinct = pd.factorize(ids)
    names = np.asarray(distinct, dtype=object)
    if all(name.isdecimal() for name in names):
        order = sorted(range(len(names)), key=lambda code: (int(names[code]), names[code]))
    else:
        order = sorted(range(len(names)), key=lambda code: names[code])
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return names[order], position[codes]


def subsample(interactions: Interactions, limit: int, seed: int) -> Interactions:
    """Return the interactions of `limit` users, chosen by `seed` (0: of all)."""
    if not 0 < limit < len(interactions.users):
        return interactions
    chosen = np.random.default_rng(seed).choice(len(interactions.users), limit, replace=False)
    return interactions.take(np.isin(interactions.person, chosen))


def drop_duplicates(interactions: Interactions, notes: list[str]) -> Interactions:
    """Return rows that agree in everything only once."""
    import pandas as pd

    columns = {
        "person": interactions.person,
        "item": interactions.item,
        "rating": interactions.rating,
        "part": interactions.part,
        "time": interactions.time,
        "weight": interactions.weight,
    }
    duplicates = pd.DataFrame(columns).duplicated().to_numpy()
    if duplicates.any():
        notes.append(f"{int(duplicates.sum()):,} exact duplicate rows dropped")
    return interactions.take(~duplicates)


def keep_one_per_pair(interactions: Interactions, task: Task, notes: list[str]) -> Interactions:
    """Return one row for each user and item.

    To rank it is the first one, because what is recommended is new; to rate it is the last one.
    """
    import pandas as pd

    pairs = pd.DataFrame({"person": interactions.person, "item": interactions.item})
    keep: Literal["first", "last"] = "first" if task == "rank" else "last"
    repeats = pairs.duplicated(keep=keep).to_numpy()
    if repeats.any():
        hint = ". To predict what is had again: --keep-repeats" if task == "rank" else ""
        notes.append(
            f"{int(repeats.sum()):,} of {len(repeats):,} rows repeat a user and an item; "
            f"the {keep} row of each pair is kept{hint}"
        )
    return interactions.take(~repeats)


def drop_rare(
    interactions: Interactions, min_count: int, where: str, notes: list[str]
) -> Interactions:
    """Drop users and items with fewer than `min_count` interactions from train.

    This is repeated until none of them is left.
    """
    train = interactions.part == 0
    keep = train.copy()
    while min_count > 1:
        before = keep.sum()
        for column in (interactions.item, interactions.person):
            counts = np.bincount(column[keep], minlength=int(column.max()) + 1)
            keep &= counts[column] >= min_count
        if keep.sum() == before:
            break
    if not keep.any():
        reason = f" with --min-count {min_count}. Choose a smaller one" if min_count > 1 else ""
        raise DataError(f"{where}: train holds no interactions{reason}")
    dropped = int(train.sum() - keep.sum())
    if dropped:
        notes.append(
            f"{dropped:,} interactions left out of train: their users or items have fewer than "
            f"{min_count} there (--min-count)"
        )
    return interactions.take(keep | ~train)


@dataclass(frozen=True, kw_only=True)
class NumberedInteractions:
    """Interactions whose users and items are numbered from 1, what train holds first.

    `person` (rows,) has a number for each of `people`; `item` (rows,) for each of `items`, those
    of train and behind them those of a catalogue, 0 for others. The first `num_users` of `people`
    are those of train. Rows are in the order of `person`.
    """

    interactions: Interactions
    person: np.ndarray
    item: np.ndarray
    people: np.ndarray
    items: np.ndarray
    num_users: int


def number_by_train(
    interactions: Interactions, catalogue: Sequence[str] = ()
) -> NumberedInteractions:
    """Return interactions numbered by what train holds, then by what a `catalogue` of ids holds."""
    train = interactions.part == 0
    user_codes, person, num_users = _renumber(interactions.person, train)
    items = list(interactions.items[np.unique(interactions.item[train])])
    in_train = set(items)
    items += [name for name in dict.fromkeys(catalogue) if name not in in_train]
    numbers = {name: number for number, name in enumerate(items, start=1)}
    number_of_code = np.array([numbers.get(name, 0) for name in interactions.items], np.int32)
    order = np.argsort(person, kind="stable")
    return NumberedInteractions(
        interactions=interactions.take(order),
        person=person[order],
        item=number_of_code[interactions.item][order],
        people=interactions.users[user_codes],
        items=np.asarray(items, dtype=object),
        num_users=num_users,
    )


def _renumber(codes: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the codes 1, 2, ..., those of train first.

    Return the codes in this order, the number of each row, and how many codes train has.
    """
    in_train = np.unique(codes[train])
    order = np.concatenate([in_train, np.setdiff1d(codes, in_train)])
    number = np.zeros(int(codes.max()) + 1, np.int64)
    number[order] = np.arange(1, len(order) + 1)
    return order, number[codes], len(in_train)
