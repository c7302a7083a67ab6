"""What `load` does: read who had what, calibrate the task and the split, divide, and number what train holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np

from pipelines.errors import DataError, UsageError, suggest
from pipelines.io.digest import data_digest
from pipelines.recommend import readers
from pipelines.recommend.log import Log, coded, filtered, limited, without_copies, without_repeats
from pipelines.recommend.readers import Columns, Read
from pipelines.recommend.splits import Method, RecommendSplits, Task
from pipelines.splits import PARTS, Part

if TYPE_CHECKING:
    from scipy import sparse

    from pipelines.recommend.pipeline import RecommendPipeline

SHARES = (0.8, 0.9)  # train up to the first, val up to the second, test behind it


def load(options: "RecommendPipeline") -> RecommendSplits:
    """Return the interactions that the options name, divided.

    Raises:
        DataError: the data cannot be read, or nothing can be asked of it.
        UsageError: an option that does not exist or does not fit.
    """
    _require_options(options)
    columns = Columns(
        user=options.user_column,
        item=options.item_column,
        rating=options.rating_column,
        time=options.time_column,
        title=options.title_column,
    )
    read = readers.read(options.data, columns, options.items)
    notes = list(read.notes)
    task = _task(options, read)
    method = _method(options, read, task, notes)
    log = without_copies(limited(coded(read), options.limit, options.seed), notes)
    timed = read.time is not None
    if task == "rank" and method == "random":
        # The last ones in a random order are a random choice; a user's history has no order then.
        timed = False
        log = replace(log, time=np.random.default_rng(options.seed).permutation(len(log.item)))
    log = log.take(np.lexsort((log.time, log.part, log.person)))
    log = without_repeats(log, task, notes)
    log = replace(log, part=_parts(log, task, method, options, read.where, notes))
    log = log.take(np.lexsort((log.part, log.person)))
    log = filtered(log, options.min_count, read.where, notes)
    if not timed:
        log = replace(log, time=np.zeros(len(log.item), np.int64))
    rolling = task == "rank" and not (method == "column" and not timed)
    splits = _numbered(log, read, task, method, rolling, options.seed)
    _require_cases(splits, read.where)
    return replace(splits, notes=(*notes, *splits.notes, *_cold(splits)))


def _require_options(options: "RecommendPipeline") -> None:
    for flag, given, known in (
        ("--task", options.task, ("auto", "rank", "rate")),
        ("--split", options.split, ("auto", "leave-last", "time", "random")),
    ):
        if given not in known:
            raise UsageError(
                f"{flag} is one of {', '.join(known)}.{suggest(given, known)} Received: {given!r}"
            )
    for flag, number in (("--holdout", options.holdout), ("--min-count", options.min_count)):
        if number < 1:
            raise UsageError(f"{flag} is a number of interactions, 1 or more. Received: {number}")


def _task(options: "RecommendPipeline", read: Read) -> Task:
    if options.task == "rate" and read.rating is None:
        raise DataError(
            f"{read.where}: --task rate needs a column of ratings, and there is none. "
            "Name it: --rating-column NAME, or rank items instead: --task rank"
        )
    if options.task == "auto":
        return "rank" if read.time is not None or read.rating is None else "rate"
    return options.task


def _method(options: "RecommendPipeline", read: Read, task: Task, notes: list[str]) -> Method:
    """Return how to divide; note what makes scores look better than they are."""
    if read.part is not None:
        if options.split != "auto":
            raise UsageError(
                f"{read.where}: has a column split, which is kept. Leave out --split {options.split}, or rename the column"
            )
        return "column"
    method = options.split
    if method == "auto":
        method = "random" if task == "rate" else "leave-last"
        if task == "rank" and read.time is None:
            raise DataError(
                f"{read.where}: has no column of times, so nobody knows what a user took last. Name it: --time-column NAME. "
                "Are the rows in the order of time? Say so: --split leave-last. Or hold out items at random, "
                "which looks better than the future will be: --split random"
            )
    if method == "time" and read.time is None:
        raise DataError(
            f"{read.where}: --split time needs a column of times, and there is none. Name it: --time-column NAME"
        )
    if (
        method in ("time", "leave-last")
        and read.time is not None
        and (read.time == read.time[0]).all()
    ):
        if method == "time":
            raise DataError(
                f"{read.where}: --split time: all times are the same. Another split: --split leave-last"
            )
        notes.append(
            f"{read.where}: all times are the same; the order of the rows is taken as the order of time"
        )
    if method == "random":
        notes.append(
            "the split is random: a model may learn from what came after the cases it is asked; scores are optimistic"
        )
    if method == "leave-last" and read.time is None:
        notes.append(
            f"{read.where}: without times, the order of the rows is taken as the order of time"
        )
    return cast(Method, method)


def _parts(
    log: Log, task: Task, method: Method, options: "RecommendPipeline", where: str, notes: list[str]
) -> np.ndarray:
    """Return 0, 1 or 2 (train, val, test) for each row of a log in the order of users and times: (rows,) int8."""
    rows = len(log.item)
    if method == "column":
        return log.part
    if method == "time":
        ordered = np.sort(log.time)
        borders = [ordered[int(share * rows)] for share in SHARES]
        return np.asarray((log.time >= borders[0]).astype(np.int8) + (log.time >= borders[1]))
    if task == "rate" and method == "random":
        part = np.empty(rows, np.int8)
        part[np.random.default_rng(options.seed).permutation(rows)] = np.searchsorted(
            SHARES, np.arange(rows) / rows, side="right"
        )
        return part
    count = np.bincount(log.person, minlength=len(log.users))
    behind = np.cumsum(count)[log.person] - 1 - np.arange(rows)  # how many of the same user follow
    least = 2 * options.holdout + 1
    enough = count[log.person] >= least
    few = int(((count > 0) & (count < least)).sum())
    if not enough.any():
        sizes, users = np.unique(count[count > 0], return_counts=True)
        shown = ", ".join(
            f"{number:,} users have {size}"
            for size, number in list(zip(sizes, users, strict=True))[:5]
        )
        raise DataError(
            f"{where}: no user has the {least} interactions that leaving out the last {options.holdout} for test and for val takes "
            f"({shown}). Expected more history: a smaller --holdout, or divide all users at a point in time: --split time"
        )
    if few:
        notes.append(
            f"{few:,} users with fewer than {least} interactions stay whole in train; nothing is asked of them"
        )
    return np.where(
        enough & (behind < 2 * options.holdout), np.where(behind < options.holdout, 2, 1), 0
    ).astype(np.int8)


def _numbered(
    log: Log, read: Read, task: Task, method: Method, rolling: bool, seed: int
) -> RecommendSplits:
    train = log.part == 0
    people, person, num_users = _renumbered(log.person, train)
    stock, item, num_items = _renumbered(log.item, train)
    order = np.argsort(person, kind="stable")
    person, item, log = person[order], item[order], log.take(order)
    items = tuple(map(str, log.items[stock[:num_items]]))
    features, feature_names, left_out = _features(items, read.features)
    item = np.where(item <= num_items, item, 0).astype(np.int32)
    asked: dict[Part, np.ndarray] = {
        "val": _asked(log, person, 1, task, method),
        "test": _asked(log, person, 2, task, method),
    }
    ids = [log.users[people], log.items[stock[:num_items]]]
    return RecommendSplits(
        dataset=read.name,
        digest=data_digest(person, item, log.rating, log.time, log.part, *asked.values(), *ids),
        task=task,
        method=method,
        users=tuple(map(str, log.users[people[:num_users]])),
        items=items,
        people=tuple(map(str, log.users[people])),
        titles=tuple(read.titles.get(name, name) for name in items),
        features=features,
        feature_names=feature_names,
        notes=left_out,
        person=person.astype(np.int32),
        user=np.where(person <= num_users, person, 0).astype(np.int32),
        item=item,
        rating=log.rating,
        time=log.time.astype(np.int64),
        part=log.part,
        asked=asked,
        rolling=rolling,
        seed=seed,
    )


def _renumbered(codes: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return which codes have the numbers 1, 2, ...: those of train first; the number of each row; how many train has."""
    known = np.unique(codes[train])
    order = np.concatenate([known, np.setdiff1d(codes, known)])
    number = np.zeros(int(codes.max()) + 1, np.int64)
    number[order] = np.arange(1, len(order) + 1)
    return order, number[codes], len(known)


def _features(
    items: tuple[str, ...], features: Mapping[str, tuple[str, ...]]
) -> "tuple[sparse.csr_matrix | None, tuple[str, ...], tuple[str, ...]]":
    """Return the matrix of items and features, the features' names, and a note on those left out: what one item alone has tells nothing."""
    from scipy import sparse

    counts = Counter(name for item in items for name in dict.fromkeys(features.get(item, ())))
    names = tuple(sorted(name for name, count in counts.items() if count > 1))
    lonely = len(counts) - len(names)
    notes = (
        (f"{lonely:,} of {len(counts):,} features belong to one item alone; they are left out",)
        if lonely
        else ()
    )
    if not names:
        return None, (), notes
    place = {name: at for at, name in enumerate(names)}
    pairs = [
        (number, place[name])
        for number, item in enumerate(items, start=1)
        for name in dict.fromkeys(features.get(item, ()))
        if name in place
    ]
    rows, columns = np.array(pairs).T
    return (
        sparse.csr_matrix(
            (np.ones(len(pairs), np.float32), (rows, columns)), shape=(len(items) + 1, len(names))
        ),
        names,
        notes,
    )


def _asked(log: Log, person: np.ndarray, part: int, task: Task, method: Method) -> np.ndarray:
    """Return the rows that are asked: all of the part, but to rank by time each user's first one there."""
    rows = np.flatnonzero(log.part == part)
    return (
        rows[np.unique(person[rows], return_index=True)[1]]
        if task == "rank" and method == "time"
        else rows
    )


def _require_cases(splits: RecommendSplits, where: str) -> None:
    if splits.num_items < 2:
        _refuse(where, f"train holds {splits.num_items} item", splits)
    for part in PARTS[1:]:
        if not len(splits.cases(part)):
            _refuse(where, f"nothing is asked in {part}", splits)


def _refuse(where: str, what: str, splits: RecommendSplits) -> NoReturn:
    counts = np.bincount(splits.part, minlength=3)
    parts = ", ".join(f"{part} {count:,}" for part, count in zip(PARTS, counts, strict=True))
    raise DataError(
        f"{where}: {what}. Interactions: {parts}. Expected some in each part and at least 2 items: more rows, or another --split"
    )


def _cold(splits: RecommendSplits) -> list[str]:
    """Count what a model cannot know: targets and users that train does not hold."""
    notes = []
    for part in PARTS[1:]:
        cases = splits.cases(part)
        if cold := int((cases.target == 0).sum()):
            cost = (
                "a miss for every model" if splits.task == "rank" else "rated like an average item"
            )
            notes.append(
                f"{cold:,} of {len(cases):,} {part} cases ask for an item that train does not hold: {cost}"
            )
        if strangers := len(np.unique(cases.person[cases.user == 0])):
            notes.append(
                f"{strangers:,} of {len(np.unique(cases.person)):,} {part} users do not stand in train: {_STRANGERS[splits.task]}"
            )
    return notes


_STRANGERS: Mapping[Task, str] = {
    "rank": "popular items are all they can be given",
    "rate": "they rate like an average user",
}
