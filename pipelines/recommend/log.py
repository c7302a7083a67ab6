"""The log of interactions on its way to be divided: coded, without copies and repeats, without what is rare."""

from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import DataError
from pipelines.recommend.readers import Read
from pipelines.recommend.splits import Task


@dataclass(frozen=True, kw_only=True)
class Log:
    """Interactions in order, users and items as positions in `users` and `items`, the ids in their own order.

    `person`, `item`, `rating`, `time` and `part` are (rows,); `part` is -1 where it is not yet decided.
    """

    users: np.ndarray
    items: np.ndarray
    person: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray
    part: np.ndarray

    def take(self, rows: np.ndarray) -> "Log":
        """Return the rows chosen by positions or by a mask."""
        columns = ("person", "item", "rating", "time", "part")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def coded(read: Read) -> Log:
    """Return what was read, users and items numbered from 0 in the order of their ids (of the numbers, where all are numbers)."""
    import pandas as pd

    columns = {}
    for name, ids in (("user", read.users), ("item", read.items)):
        codes, names = pd.factorize(ids)
        texts = np.asarray(names, dtype=object)
        numeric = all(text.isdecimal() for text in texts)
        order = sorted(
            range(len(texts)), key=lambda at: (int(texts[at]), texts[at]) if numeric else texts[at]
        )
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        columns[name] = (texts[order], place[codes])
    rows = len(read.users)
    return Log(
        users=columns["user"][0],
        items=columns["item"][0],
        person=columns["user"][1],
        item=columns["item"][1],
        rating=np.full(rows, np.nan, np.float32) if read.rating is None else read.rating,
        time=np.zeros(rows, np.int64) if read.time is None else read.time,
        part=np.full(rows, -1, np.int8) if read.part is None else read.part,
    )


def limited(log: Log, limit: int, seed: int) -> Log:
    """Return the interactions of `limit` users, chosen by `seed` (0: of all)."""
    if not 0 < limit < len(log.users):
        return log
    chosen = np.random.default_rng(seed).choice(len(log.users), limit, replace=False)
    return log.take(np.isin(log.person, chosen))


def without_copies(log: Log, notes: list[str]) -> Log:
    """Return rows that agree in everything only once."""
    import pandas as pd

    columns = {
        "person": log.person,
        "item": log.item,
        "rating": log.rating,
        "part": log.part,
        "time": log.time,
    }
    copies = pd.DataFrame(columns).duplicated().to_numpy()
    if copies.any():
        notes.append(
            f"{int(copies.sum()):,} rows say again exactly what a row before them says; they were dropped"
        )
    return log.take(~copies)


def without_repeats(log: Log, task: Task, notes: list[str]) -> Log:
    """Return one row for each user and item: to rank, the first one (what is recommended is new); to rate, the last."""
    import pandas as pd

    repeats = (
        pd.DataFrame({"person": log.person, "item": log.item})
        .duplicated(keep="first" if task == "rank" else "last")
        .to_numpy()
    )
    if repeats.any():
        kept = (
            "the first is kept, as what is recommended is new"
            if task == "rank"
            else "the last rating is kept"
        )
        notes.append(
            f"{int(repeats.sum()):,} rows are of a user and an item that another row holds too; {kept}"
        )
    return log.take(~repeats)


def filtered(log: Log, least: int, where: str, notes: list[str]) -> Log:
    """Leave users and items with fewer than `least` interactions in train out of train, until none is left."""
    train = log.part == 0
    keep = train.copy()
    while least > 1:
        before = keep.sum()
        for column in (log.item, log.person):
            keep &= np.bincount(column[keep], minlength=int(column.max()) + 1)[column] >= least
        if keep.sum() == before:
            break
    if not keep.any():
        raise DataError(
            f"{where}: train holds no interaction"
            + (f" with --min-count {least}. Choose a smaller one" if least > 1 else "")
        )
    if dropped := int(train.sum() - keep.sum()):
        notes.append(
            f"{dropped:,} interactions of users or items with fewer than {least} in train were left out of it (--min-count)"
        )
    return log.take(keep | ~train)
