"""Predictions of a ranker: the rank of each target among all unseen items, and the best items.

Predictions have one row a case. To rank: (cases, 1 + NUM_BEST), the target's rank among all unseen
items (1 is best, ties get their mean rank, a target that train does not hold ranks behind all
items, and in no list), then the numbers of the best unseen items in order, 0 where there are no
more. To rate: (cases, 1), the rating.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipelines.io.progress import counted
from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits

NUM_BEST = 20
MAX_SCORE_BYTES = 200 * 2**20  # that the scores of one chunk, with their copies, take at most
SCORE_COPIES = 4  # the scores themselves, and what ranking them makes
LARGEST_CHUNK = 4096  # cases
FLOAT_BYTES = 4
LARGEST_SCORE = float(np.finfo(np.float32).max)

# From the positions of some cases to their scores of all items, (cases, items + 1).
Scorer: TypeAlias = Callable[[slice], np.ndarray]


def rank_items(
    scores_of: Scorer, splits: "RecommendSplits", part: Part, chunk: int = 0
) -> np.ndarray:
    """Return the predictions for `part` from any scorer: (cases, 1 + NUM_BEST) float32.

    `chunk` cases are scored at a time (0: as many as fit in memory). Sampled metrics would reverse
    the order of models (Krichene & Rendle 2020), so all items are ranked. A score that is not a
    number is the worst.
    """
    num_cases = len(splits.cases(part))
    if not chunk:
        bytes_per_case = SCORE_COPIES * FLOAT_BYTES * (splits.num_items + 1)
        chunk = int(np.clip(MAX_SCORE_BYTES / bytes_per_case, 1, LARGEST_CHUNK))
    predictions = np.empty((num_cases, 1 + NUM_BEST), np.float32)
    begins = range(0, num_cases, chunk)
    for begin in counted(begins, "chunks of cases ranked", len(begins)):
        rows = slice(begin, min(begin + chunk, num_cases))
        # A copy: what must not be recommended is masked in it.
        scores = np.array(scores_of(rows), dtype=np.float32)
        predictions[rows, 0] = target_ranks(scores, splits, part, rows)
        predictions[rows, 1:] = _best_items(scores)
    return predictions


def target_ranks(
    scores: np.ndarray, splits: "RecommendSplits", part: Part, rows: slice
) -> np.ndarray:
    """Return the ranks (cases,) of the targets of some cases by `scores` (cases, items + 1).

    The items that the user has seen are masked in `scores`.
    """
    assert scores.shape == (rows.stop - rows.start, splits.num_items + 1), scores.shape
    if not np.isfinite(scores).all():
        np.nan_to_num(
            scores, copy=False, nan=-LARGEST_SCORE, neginf=-LARGEST_SCORE, posinf=LARGEST_SCORE
        )
    seen = splits.seen(part, rows)
    seen_rows = np.repeat(np.arange(len(scores)), np.diff(seen.indptr))
    target = splits.cases(part).target[rows]
    target_scores = scores[np.arange(len(scores)), target].copy()
    scores[seen_rows, seen.indices] = -np.inf
    scores[:, 0] = -np.inf
    num_better = (scores > target_scores[:, None]).sum(axis=1)
    # The target itself is one of those that equal it, also where it was seen and is masked.
    num_equal = np.maximum((scores == target_scores[:, None]).sum(axis=1), 1)
    behind_all = max(splits.num_items, NUM_BEST) + 1
    return np.where(target > 0, num_better + (num_equal + 1) / 2, behind_all)


def _best_items(scores: np.ndarray) -> np.ndarray:
    """Return the numbers of the best items (cases, NUM_BEST), best first; 0 for masked ones.

    Lower numbers come first among equals.
    """
    best_items = np.zeros((len(scores), NUM_BEST), np.int64)
    count = min(NUM_BEST, scores.shape[1])
    candidates = np.sort(np.argpartition(scores, -count, axis=1)[:, -count:], axis=1)
    values = np.take_along_axis(scores, candidates, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    is_masked = np.isneginf(np.take_along_axis(values, order, axis=1))
    best_items[:, :count] = np.where(is_masked, 0, np.take_along_axis(candidates, order, axis=1))
    return best_items


def discounted_gain(rank: np.ndarray, k: int) -> np.ndarray:
    """Return the discounted gain of targets at these ranks (cases,) in lists of `k`.

    It is 1 at the top and 0 beyond the list (Järvelin & Kekäläinen 2002).
    """
    return np.where(rank <= k, 1 / np.log2(1 + rank), 0)
