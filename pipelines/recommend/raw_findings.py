"""What can be found in the rows of interactions as they are read, before repeats are left out."""

import numpy as np

from pipelines.evaluation.audit import SHOWN
from pipelines.recommend.interactions import Interactions
from pipelines.recommend.options import Task
from pipelines.splits import PARTS, Finding

REPEATED = {
    "rank": "they would be known answers, and were left out of the later part",
    "rate": "they would be known answers, and were left out of the earlier part",
}


def pair_findings(interactions: Interactions, task: Task, *, timed: bool) -> list[Finding]:
    """Return findings on pairs of a user and an item that stand in two parts, or rated twice.

    To rate anew at a later time is no contradiction.
    """
    pair = interactions.person.astype(np.int64) * len(interactions.items) + interactions.item
    codes, inverse = np.unique(pair, return_inverse=True)
    return [
        *_in_two_parts(interactions, codes, inverse, task),
        *([] if timed else _rated_twice(interactions, codes, inverse)),
    ]


def _in_two_parts(
    interactions: Interactions, codes: np.ndarray, inverse: np.ndarray, task: Task
) -> list[Finding]:
    held = np.zeros((len(PARTS), len(codes)), bool)
    for number in range(len(PARTS)):
        held[number, inverse[interactions.part == number]] = True
    findings = []
    for number in (2, 1):
        repeated = held[number] & held[:number].any(axis=0)
        count, total = int(repeated.sum()), int(held[number].sum())
        if not count:
            continue
        findings.append(
            Finding(
                kind="repeated_pairs",
                parts=(PARTS[0], PARTS[number]),
                count=count,
                total=total,
                sentence=f"{count:,} of {total:,} {PARTS[number]} pairs of user and item "
                f"({count / total:.1%}) are in an earlier part too",
                advice=f"{REPEATED[task]}. Correct the column of parts",
                shown=_names(interactions, codes[repeated]),
            )
        )
    return findings


def _rated_twice(
    interactions: Interactions, codes: np.ndarray, inverse: np.ndarray
) -> list[Finding]:
    if np.isnan(interactions.rating).all():
        return []
    low = np.full(len(codes), np.inf)
    high = np.full(len(codes), -np.inf)
    np.minimum.at(low, inverse, interactions.rating)
    np.maximum.at(high, inverse, interactions.rating)
    differing = low < high
    count = int(differing.sum())
    if not count:
        return []
    stand = "pair of user and item stands" if count == 1 else "pairs of user and item stand"
    return [
        Finding(
            kind="conflicting_labels",
            parts=PARTS,
            count=count,
            total=len(codes),
            sentence=f"{count:,} {stand} under two ratings",
            advice="without times nobody knows which one counts. Keep one in the data",
            shown=_names(interactions, codes[differing]),
        )
    ]


def _names(interactions: Interactions, codes: np.ndarray) -> tuple[str, ...]:
    names = []
    for code in codes[:SHOWN].tolist():
        user, item = divmod(code, len(interactions.items))
        names.append(f"user {interactions.users[user]}, item {interactions.items[item]}")
    return tuple(names)


def random_split_finding(rows: int) -> Finding:
    """Return the finding on a random split of interactions that have times."""
    return Finding(
        kind="random_split",
        parts=("train", "test"),
        count=rows,
        total=rows,
        sentence="the split is random although there are times: a model may learn from what came "
        "after the interactions it is tested on",
        advice="scores are optimistic. Divide by time: --split time",
    )
