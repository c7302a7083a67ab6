"""Scores, losses and tables of recommendations and ratings.

Their predictions have the form that `ranking` describes.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.evaluation.mistakes import MOST_MISTAKES, shortened
from pipelines.recommend import plots as figures
from pipelines.recommend.ranking import discounted_gain
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.recommend.data import RecommendSplits

LIST_LENGTH = 10  # of the recommendations that coverage, novelty and tables look at
NOT_IN_TRAIN = "(not in train)"
# Items in a table of mistakes.
SHOWN_HISTORY = 5  # the last ones
SHOWN_BEST = 3


def score(predictions: np.ndarray, splits: "RecommendSplits", part: Part) -> dict[str, float]:
    """Return all scores; those of ranks are means over users, each with the mean of its cases.

    `hr_K` is the share of targets among the K best, `ndcg_K` the discounted gain of one target,
    `mrr` the mean of 1 / rank, `coverage_10` the share of items in any user's ten best,
    `novelty_10` the mean -log2 of the share of train's users who have an item of the ten.
    """
    if splits.task == "rate":
        error = _errors(predictions, splits, part)
        mse = float(np.mean(error**2))
        return {"mse": mse, "rmse": mse**0.5, "mae": float(np.mean(np.abs(error)))}
    rank = predictions[:, 0].astype(np.float64)
    by_case = {f"ndcg_{k}": discounted_gain(rank, k) for k in (5, 10, 20)}
    for k in (1, 5, 10, 20):
        by_case[f"hr_{k}"] = (rank <= k).astype(float)
    by_case["mrr"] = np.where(splits.cases(part).target > 0, 1 / rank, 0)
    scores = {}
    for name, values in by_case.items():
        scores[name] = float(_mean_by_user(values, splits, part).mean())
    best = predictions[:, 1 : 1 + LIST_LENGTH].astype(np.int64)
    shown = best[best > 0]
    scores["coverage_10"] = len(np.unique(shown)) / splits.num_items
    share_of_users = splits.train_users() / splits.num_users
    novelty = float(-np.log2(share_of_users[shown]).mean()) if len(shown) else 0.0
    return {**scores, "novelty_10": novelty}


def _mean_by_user(values: np.ndarray, splits: "RecommendSplits", part: Part) -> np.ndarray:
    """Return the mean of `values` (cases,) over the cases of each user: (users of the part,)."""
    user = np.unique(splits.cases(part).person, return_inverse=True)[1]
    return np.asarray(np.bincount(user, values) / np.bincount(user))


def _errors(predictions: np.ndarray, splits: "RecommendSplits", part: Part) -> np.ndarray:
    return np.asarray(predictions[:, 0].astype(np.float64) - splits.cases(part).rating)


def losses(predictions: np.ndarray, splits: "RecommendSplits", part: Part) -> np.ndarray:
    """Return 1 - NDCG@10 of each user, or the squared error of each rating.

    The means are 1 - `ndcg_10` and `mse`.
    """
    if splits.task == "rate":
        return np.asarray(_errors(predictions, splits, part) ** 2)
    gain = discounted_gain(predictions[:, 0].astype(np.float64), 10)
    return 1 - _mean_by_user(gain, splits, part)


def table(predictions: np.ndarray, splits: "RecommendSplits", part: Part) -> pd.DataFrame:
    """Return one row a case: user, target and title, and how it was predicted.

    To rank, that is the target's rank and the titles of the ten best; to rate, it is rating,
    prediction and error.
    """
    cases = splits.cases(part)
    ids = np.array([NOT_IN_TRAIN, *splits.items], dtype=object)
    titles = np.array([NOT_IN_TRAIN, *splits.titles], dtype=object)
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
        error = (prediction - cases.rating).round(3)
        return frame.assign(rating=cases.rating, prediction=prediction, error=error)
    frame["rank"] = predictions[:, 0]
    titles[0] = ""  # there are no more unseen items
    best = predictions[:, 1 : 1 + LIST_LENGTH].astype(np.int64)
    for place in range(LIST_LENGTH):
        frame[f"top {place + 1}"] = titles[best[:, place]]
    return frame


def mistakes(predictions: np.ndarray, splits: "RecommendSplits", part: Part) -> pd.DataFrame:
    """Return the cases that were foreseen worst: the user's last items, and what came.

    To rank, those are the targets that are furthest down, with what was ranked first in their
    place; targets that train does not hold are nobody's mistake. To rate, the largest errors.
    """
    cases = splits.cases(part)
    to_rank = splits.task == "rank"
    badness = np.abs(_errors(predictions, splits, part))
    if to_rank:
        badness = np.where((cases.target > 0) & (predictions[:, 0] > 1), predictions[:, 0], 0)
    worst = np.argsort(-badness, kind="stable")[:MOST_MISTAKES]
    worst = worst[badness[worst] > 0]
    titles = [NOT_IN_TRAIN, *splits.titles]
    frame = pd.DataFrame(
        {
            "user": [splits.people[person - 1] for person in cases.person[worst]],
            "history": [
                _listed(titles, splits.item[max(start, end - SHOWN_HISTORY) : end])
                for start, end in zip(cases.start[worst], cases.end[worst], strict=True)
            ],
        }
    )
    came = [shortened(titles[target]) for target in cases.target[worst]]
    if not to_rank:
        prediction = predictions[worst, 0]
        return frame.assign(
            item=came,
            rating=cases.rating[worst],
            prediction=prediction.round(3),
            error=(prediction - cases.rating[worst]).round(3),
        )
    best = predictions[worst, 1 : 1 + SHOWN_BEST].astype(np.int64)
    frame["ranked first"] = [_listed(titles, numbers[numbers > 0]) for numbers in best]
    return frame.assign(came=came, rank=predictions[worst, 0])


def _listed(titles: Sequence[str], items: np.ndarray) -> str:
    return shortened(" · ".join(titles[number] for number in items))


def plots(
    predictions: np.ndarray, splits: "RecommendSplits", part: Part
) -> Iterator[tuple[str, "Figure"]]:
    """Yield figures of the targets' ranks, overall and by user; or of predicted by true ratings."""
    yield from figures.plots(predictions, splits, part)
