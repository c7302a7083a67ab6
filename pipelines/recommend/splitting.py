"""How interactions become train, val and test.

They are split by each user's last ones, by time, at random, or as a column says.
"""

from typing import cast

import numpy as np

from pipelines.errors import DataError, UsageError, suggest
from pipelines.recommend.interactions import Interactions
from pipelines.recommend.options import RecommendOptions, SplitMethod, Task
from pipelines.recommend.readers import RawInteractions

# By time and at random: train up to the first share, val up to the second, then test.
SHARES = (0.8, 0.9)
VAL, TEST = 1, 2  # numbers of parts, as `PARTS` counts them
SHOWN_SIZES = 5

OPTIMISTIC = (
    "the split is random: a model may learn from what came after the interactions it is tested on, "
    "so scores are optimistic"
)


def require_options(options: RecommendOptions) -> None:
    """Raise `UsageError` for an option whose value does not exist."""
    choices = (
        ("--task", options.task, ("auto", "rank", "rate")),
        ("--split", options.split, ("auto", "leave-last", "time", "random")),
    )
    for flag, given, allowed in choices:
        if given not in allowed:
            raise UsageError(
                f"{flag} must be one of {', '.join(allowed)}.{suggest(given, allowed)} "
                f"Received: {given!r}"
            )
    for flag, number in (("--holdout", options.holdout), ("--min-count", options.min_count)):
        if number < 1:
            raise UsageError(
                f"{flag} must be a number of interactions, 1 or more. Received: {number}"
            )


def choose_task(options: RecommendOptions, raw: RawInteractions) -> Task:
    """Return whether items are ranked or rated.

    Raises:
        DataError: --task rate, and there are no ratings.
    """
    if options.task == "rate" and raw.rating is None:
        raise DataError(
            f"{raw.where}: --task rate needs a column of ratings, and there is none. "
            "Name it: --rating-column NAME, or rank items instead: --task rank"
        )
    if options.task == "auto":
        return "rank" if raw.time is not None or raw.rating is None else "rate"
    return options.task


def require_ranking(options: RecommendOptions, task: Task) -> None:
    """Raise `UsageError` for options that only ranking has."""
    if task == "rate" and options.keep_repeats:
        raise UsageError(
            "--keep-repeats predicts what is had again, and this task is to rate. "
            "Add --task rank, or leave it out: to rate, the last rating of a pair counts"
        )


def require_texts(options: RecommendOptions, raw: RawInteractions, task: Task) -> None:
    """Raise an error where items are to be ranked by texts and it cannot be done.

    Raises:
        UsageError: the task is to rate.
        DataError: items have no titles and no features.
    """
    if not options.item_texts:
        return
    if task == "rate":
        raise UsageError(
            "--item-texts ranks items by their titles and features, and this task is to rate. "
            "Add --task rank, or leave it out"
        )
    if not raw.facts.titles and not raw.facts.features:
        raise DataError(
            f"{raw.where}: --item-texts needs titles or features of items, and there are none. "
            "Name a column of titles with --title-column NAME, or a table with --items FILE"
        )


def choose_method(
    options: RecommendOptions, raw: RawInteractions, task: Task, notes: list[str]
) -> SplitMethod:
    """Return how to split, and note what makes scores look better than they are.

    Raises:
        DataError: the method needs times that are not there.
        UsageError: --split, and the table has a column with the parts.
    """
    if raw.part is not None:
        if options.split != "auto":
            raise UsageError(
                f"{raw.where}: has a column split, which decides the parts. "
                f"Leave out --split {options.split}, or rename the column"
            )
        return "column"
    method = options.split
    if method == "auto":
        method = "random" if task == "rate" else "leave-last"
        if task == "rank" and raw.time is None:
            raise DataError(
                f"{raw.where}: no time column, so each user's last item is unknown. "
                "Name it: --time-column NAME. If the rows are in order of time: "
                "--split leave-last. To hold out items at random, with scores that look better "
                "than the future will be: --split random"
            )
    if method == "random":
        # With times it is a finding of the audit.
        if raw.time is None:
            notes.append(OPTIMISTIC)
    elif raw.time is None:
        _require_order_of_rows(method, raw.where, notes)
    elif (raw.time == raw.time[0]).all():
        _require_several_times(method, raw.where, notes)
    return cast(SplitMethod, method)


def _require_order_of_rows(method: str, where: str, notes: list[str]) -> None:
    if method == "time":
        raise DataError(
            f"{where}: --split time needs a column of times, and there is none. "
            "Name it: --time-column NAME"
        )
    notes.append(f"{where}: without times, the order of the rows is taken as the order of time")


def _require_several_times(method: str, where: str, notes: list[str]) -> None:
    if method == "time":
        raise DataError(
            f"{where}: --split time: all times are the same. Use --split leave-last instead"
        )
    notes.append(
        f"{where}: all times are the same; the order of the rows is taken as the order of time"
    )


def assign_parts(
    interactions: Interactions,
    task: Task,
    method: SplitMethod,
    options: RecommendOptions,
    where: str,
    notes: list[str],
) -> np.ndarray:
    """Return 0, 1 or 2 (train, val, test) for each row of interactions: (rows,) int8.

    The interactions are in the order of users and times.

    Raises:
        DataError: no user has enough interactions.
    """
    rows = len(interactions.item)
    if method == "column":
        if (interactions.part == VAL).any() or not (interactions.part == TEST).any():
            return interactions.part
        return _val_of_train(interactions, task, options, notes)
    if method == "time":
        ordered = np.sort(interactions.time)
        val_begin, test_begin = (ordered[int(share * rows)] for share in SHARES)
        part = (interactions.time >= val_begin).astype(np.int8)
        return np.asarray(part + (interactions.time >= test_begin))
    if task == "rate" and method == "random":
        part = np.empty(rows, np.int8)
        order = np.random.default_rng(options.seed).permutation(rows)
        part[order] = np.searchsorted(SHARES, np.arange(rows) / rows, side="right")
        return part
    return _leave_last(interactions, options.holdout, where, notes)


def _val_of_train(
    interactions: Interactions, task: Task, options: RecommendOptions, notes: list[str]
) -> np.ndarray:
    """Return the parts of a log that names train and test alone, with a val out of train.

    To rank, it is the last interactions of each user there that has others; to rate, a random share
    as large as that of a random split.
    """
    part = interactions.part.copy()
    rows = np.flatnonzero(part == 0)
    if task == "rate":
        first, second = SHARES
        share = (second - first) / second
        chosen = np.random.default_rng(options.seed).permutation(rows)[: round(share * len(rows))]
        notes.append(f"no part is called val: {share:.0%} of train are taken for it at random")
    else:
        person = interactions.person[rows]
        counts = np.bincount(person, minlength=len(interactions.users))
        # How many rows of the same user follow each row in train.
        num_later = np.cumsum(counts)[person] - 1 - np.arange(len(person))
        chosen = rows[(num_later < options.holdout) & (counts[person] > options.holdout)]
        notes.append("no part is called val: the last interactions of each user in train are it")
    part[chosen] = VAL
    return np.asarray(part)


def _leave_last(
    interactions: Interactions, holdout: int, where: str, notes: list[str]
) -> np.ndarray:
    person = interactions.person
    counts = np.bincount(person, minlength=len(interactions.users))
    # How many rows of the same user follow each row.
    num_later = np.cumsum(counts)[person] - 1 - np.arange(len(person))
    fewest = 2 * holdout + 1
    has_enough = counts[person] >= fewest
    if not has_enough.any():
        _refuse_short_histories(counts[counts > 0], fewest, where)
    num_short = int(((counts > 0) & (counts < fewest)).sum())
    if num_short:
        notes.append(
            f"{num_short:,} users with fewer than {fewest} interactions stay whole in train and "
            "are not tested"
        )
    held_out = np.where(num_later < holdout, 2, 1)
    return np.where(has_enough & (num_later < 2 * holdout), held_out, 0).astype(np.int8)


def _refuse_short_histories(counts: np.ndarray, fewest: int, where: str) -> None:
    sizes, users = np.unique(counts, return_counts=True)
    shown = []
    for size, number in list(zip(sizes, users, strict=True))[:SHOWN_SIZES]:
        shown.append(f"{number:,} users have {size}")
    raise DataError(
        f"{where}: leave-last needs {fewest} interactions per user; the longest history has "
        f"{counts.max()} ({', '.join(shown)}). Check --user-column, "
        "choose a smaller --holdout, or use --split time"
    )


def target_rows(
    interactions: Interactions, person: np.ndarray, part: int, task: Task, method: SplitMethod
) -> np.ndarray:
    """Return the rows that are targets of `part`.

    These are all of its rows; to rank by time, each user's first one there.
    """
    rows = np.flatnonzero(interactions.part == part)
    if task == "rank" and method == "time":
        first_of_each = np.unique(person[rows], return_index=True)[1]
        return rows[first_of_each]
    return rows
