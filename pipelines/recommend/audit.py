"""What makes scores of recommendations doubtful: pairs and users in two parts, time ignored."""

import numpy as np

from pipelines.errors import count_of
from pipelines.evaluation.audit import SHOWN
from pipelines.recommend.data import RecommendSplits
from pipelines.splits import PARTS, Finding

FEWEST_ITEMS = 10  # of a history: shorter ones are the same by chance
EARLY_SHARE = 0.5  # of test targets before the last of train, which no division by time has


def audit(splits: RecommendSplits) -> tuple[Finding, ...]:
    """Return what lets a model know what it is asked about.

    What can be seen in the rows as they were read alone, `data.load` has found.
    """
    return (*splits.findings, *_copied_users(splits), *_early_targets(splits))


def _copied_users(splits: RecommendSplits) -> list[Finding]:
    """Return a finding on users who had the items that another user had, rated in the same way.

    Those who had the same things, as students of one course have, need not be the same person.
    """
    rng = np.random.default_rng(0)
    ratings, rating = np.unique(splits.rating, return_inverse=True)
    of_item = rng.integers(0, 2**63, splits.num_items + 1, dtype=np.uint64)
    of_rating = rng.integers(0, 2**63, len(ratings), dtype=np.uint64) | np.uint64(1)
    # Where random numbers of items and ratings have the same sum, they are the same.
    num_people = len(splits.people) + 1
    sums = np.zeros(num_people, np.uint64)
    known = splits.item > 0
    np.add.at(sums, splits.person[known], of_item[splits.item[known]] * of_rating[rating[known]])
    counts = np.bincount(splits.person[known], minlength=num_people)
    people = np.flatnonzero(counts >= FEWEST_ITEMS)
    _, first, inverse = np.unique(sums[people], return_index=True, return_inverse=True)
    original = people[first[inverse]]
    copies = people != original
    if not copies.any():
        return []
    shown = []
    for person, other in list(zip(people[copies], original[copies], strict=True))[:SHOWN]:
        shown.append(
            f"user {splits.people[other - 1]} = user {splits.people[person - 1]} "
            f"({count_of(int(counts[person]), 'item')})"
        )
    count, total = int(copies.sum()), len(splits.people)
    have = "users has" if count == 1 else "users have"
    return [
        Finding(
            kind="copied_users",
            parts=("train", "test"),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} {have} exactly the items of another user"
            f"{', rated alike' if splits.rated else ''}",
            advice="what is asked about one stands in the history of the other. Are they the same "
            "person, or made by a program?",
            shown=tuple(shown),
        )
    ]


def _early_targets(splits: RecommendSplits) -> list[Finding]:
    """Return a finding on a column of parts that takes no heed of times."""
    if splits.method != "column" or not splits.timed:
        return []
    train = splits.part == PARTS.index("train")
    latest = np.full(len(splits.people) + 1, np.iinfo(np.int64).min)
    np.maximum.at(latest, splits.person[train], splits.time[train])
    rows = splits.target_rows["test"]
    early = splits.time[rows] < latest[splits.person[rows]]
    if early.mean() < EARLY_SHARE:
        return []
    count, total = int(early.sum()), len(rows)
    return [
        Finding(
            kind="random_split",
            parts=("train", "test"),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} test targets ({count / total:.1%}) are older than "
            "what train holds of the same user",
            advice="a model knows what came after them, so that scores are optimistic. Rename the "
            "column of parts, to be divided by time",
        )
    ]
