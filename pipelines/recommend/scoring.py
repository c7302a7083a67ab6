"""What recommendations are worth: ranks among all unseen items, what is measured from them, and the units of an error bar.

Predictions have one row a case. To rank: (cases, 1 + TOP), the target's rank among all unseen items (1 is best, ties
get their mean rank, a target that train does not hold ranks behind all items, and in no list), then the numbers of the TOP best
unseen items in order, 0 where there are no more. To rate: (cases, 1), the rating.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

if TYPE_CHECKING:
    import pandas as pd

TOP = 20
LIST = 10  # the length of a list of recommendations that coverage, novelty and tables look at
IN_MEMORY = 200 * 2**20  # bytes that the scores of one chunk, with their copies, take at most

LARGEST = float(np.finfo(np.float32).max)

# From the positions of some cases to their scores of all items, (cases, items + 1).
Scores: TypeAlias = Callable[[slice], np.ndarray]


def ranked(scores_of: Scores, splits: RecommendSplits, part: Part, chunk: int = 0) -> np.ndarray:
    """Return the predictions for `part`, (cases, 1 + TOP) float32, from any scorer, `chunk` cases at a time (0: as fit in memory).

    Sampled metrics would reverse the order of models (Krichene & Rendle 2020), so all items are ranked. A score that
    is no number is the worst.
    """
    cases = splits.cases(part)
    chunk = chunk or int(np.clip(IN_MEMORY / (4 * 4 * (splits.num_items + 1)), 1, 4096))
    predictions = np.empty((len(cases), 1 + TOP), np.float32)
    for begin in range(0, len(cases), chunk):
        rows = slice(begin, min(begin + chunk, len(cases)))
        scores = np.array(
            scores_of(rows), dtype=np.float32
        )  # a copy: what must not be recommended is struck out of it
        predictions[rows, 0] = ranks(scores, splits, part, rows)
        predictions[rows, 1:] = _top(scores)
    return predictions


def ranks(scores: np.ndarray, splits: RecommendSplits, part: Part, rows: slice) -> np.ndarray:
    """Return the ranks (cases,) of the targets of some cases by `scores` (cases, items + 1), in which what they have seen is struck out."""
    assert scores.shape == (rows.stop - rows.start, splits.num_items + 1), scores.shape
    if not np.isfinite(scores).all():
        np.nan_to_num(scores, copy=False, nan=-LARGEST, neginf=-LARGEST, posinf=LARGEST)
    seen = splits.seen(part, rows)
    at = np.repeat(np.arange(len(scores)), np.diff(seen.indptr))
    target = splits.cases(part).target[rows]
    wanted = scores[np.arange(len(scores)), target].copy()
    scores[at, seen.indices] = -np.inf
    scores[:, 0] = -np.inf
    better = (scores > wanted[:, None]).sum(axis=1)
    # The target itself is one of those that equal it, also where it had been seen and is struck out.
    equal = np.maximum((scores == wanted[:, None]).sum(axis=1), 1)
    return np.where(target > 0, better + (equal + 1) / 2, max(splits.num_items, TOP) + 1)


def _top(scores: np.ndarray) -> np.ndarray:
    """Return the positions of the TOP best scores, best first, lower ones first among equals; 0 for those struck out."""
    found = np.zeros((len(scores), TOP), np.int64)
    count = min(TOP, scores.shape[1])
    some = np.sort(np.argpartition(scores, -count, axis=1)[:, -count:], axis=1)
    values = np.take_along_axis(scores, some, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(some, order, axis=1)
    found[:, :count] = np.where(np.isneginf(np.take_along_axis(values, order, axis=1)), 0, best)
    return found


def score(predictions: np.ndarray, splits: RecommendSplits, part: Part) -> dict[str, float]:
    """Return all scores; those of ranks are means over users, each with the mean of its cases.

    `hr_K` is the share of targets among the K best, `ndcg_K` the discounted gain of one target (Järvelin & Kekäläinen
    2002), `mrr` the mean of 1 / rank, `coverage_10` the share of items in anybody's ten best, `novelty_10` the mean
    -log2 of the share of train's users who have an item of the ten.
    """
    if splits.task == "rate":
        error = _errors(predictions, splits, part)
        mse = float(np.mean(error**2))
        return {"mse": mse, "rmse": mse**0.5, "mae": float(np.mean(np.abs(error)))}
    rank = predictions[:, 0].astype(np.float64)
    found = {f"ndcg_{k}": gain(rank, k) for k in (5, 10, 20)}
    found |= {f"hr_{k}": (rank <= k).astype(float) for k in (1, 5, 10, 20)}
    found["mrr"] = np.where(splits.cases(part).target > 0, 1 / rank, 0)
    scores = {name: float(_of_users(each, splits, part).mean()) for name, each in found.items()}
    best = predictions[:, 1 : 1 + LIST].astype(np.int64)
    shown = best[best > 0]
    train = splits.item[splits.part == 0]
    share = np.bincount(train, minlength=splits.num_items + 1) / splits.num_users
    return {
        **scores,
        "coverage_10": len(np.unique(shown)) / splits.num_items,
        "novelty_10": float(-np.log2(share[shown]).mean()) if len(shown) else 0.0,
    }


def gain(rank: np.ndarray, k: int) -> np.ndarray:
    """Return the discounted gain of targets at these ranks (cases,) in lists of `k`: 1 at the top, 0 beyond."""
    return np.where(rank <= k, 1 / np.log2(1 + rank), 0)


def _of_users(each: np.ndarray, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the mean of `each` (cases,) over the cases of each user: (users asked,)."""
    user = np.unique(splits.cases(part).person, return_inverse=True)[1]
    return np.asarray(np.bincount(user, each) / np.bincount(user))


def _errors(predictions: np.ndarray, splits: RecommendSplits, part: Part) -> np.ndarray:
    return np.asarray(predictions[:, 0].astype(np.float64) - splits.cases(part).rating)


def losses(predictions: np.ndarray, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return 1 - NDCG@10 of each user, whose mean is 1 - `ndcg_10`; or each case's squared error, whose mean is `mse`."""
    if splits.task == "rate":
        return np.asarray(_errors(predictions, splits, part) ** 2)
    return 1 - _of_users(gain(predictions[:, 0].astype(np.float64), 10), splits, part)


def table(predictions: np.ndarray, splits: RecommendSplits, part: Part) -> "pd.DataFrame":
    """Return one row a case: user, target, its title, and its rank with the titles of the ten best; or rating, prediction and error."""
    import pandas as pd

    cases = splits.cases(part)
    unknown = "(not in train)"
    ids, titles = (
        np.array([none, *names], dtype=object)
        for none, names in ((unknown, splits.items), (unknown, splits.titles))
    )
    people = np.array(splits.people, dtype=object)
    frame = pd.DataFrame(
        {
            "user": people[cases.person - 1],
            "target": ids[cases.target],
            "title": titles[cases.target],
        }
    )
    if splits.task == "rate":
        prediction = predictions[:, 0].round(3)
        return frame.assign(
            rating=cases.rating, prediction=prediction, error=(prediction - cases.rating).round(3)
        )
    titles[0] = ""  # there are no more unseen items
    best = predictions[:, 1 : 1 + LIST].astype(np.int64)
    return frame.assign(
        rank=predictions[:, 0],
        **{f"top {place + 1}": titles[best[:, place]] for place in range(LIST)},
    )
