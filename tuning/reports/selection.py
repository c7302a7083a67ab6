"""Which of a sweep's best trials wins, when each was fitted again: noise is no reason to win.

Imports nothing but NumPy, and SciPy for a test.
"""

import math
from collections.abc import Sequence

import numpy as np

from pipelines.config.options import Objective
from tuning.results.sweep import Candidate, Selection
from tuning.verdicts import CONFIDENCE


def select(candidates: Sequence[Candidate], objective: Objective) -> Selection:
    """Return the candidate that wins by the one-standard-error rule, and those that tie.

    The winner is the cheapest whose mean is no more than one standard error worse than the best
    mean (Breiman et al. 1984). Seeds count as equally noisy for all candidates, so the error is
    pooled over them. A candidate ties with the best mean where the test of Tukey (1949), which
    knows how many were compared, finds no difference. All have the same number of scores, two or
    more.
    """
    best = objective.best(candidates, lambda candidate: candidate.mean)
    scores = np.array([candidate.scores for candidate in candidates])
    num_candidates, num_seeds = scores.shape
    standard_error = math.sqrt(float(scores.var(axis=1, ddof=1).mean()) / num_seeds)
    freedom = num_candidates * (num_seeds - 1)
    near, ties = [], []
    for candidate in candidates:
        difference = abs(candidate.mean - best.mean)
        if difference <= standard_error:
            near.append(candidate)
        if _p_value(difference, standard_error, num_candidates, freedom) >= 1 - CONFIDENCE:
            ties.append(candidate.number)
    least = min(candidate.weights for candidate in near)
    cheapest = [candidate for candidate in near if candidate.weights == least]
    winner = objective.best(cheapest, lambda candidate: candidate.mean)
    return Selection(
        candidates=tuple(candidates),
        objective=objective.name,
        best=best.number,
        winner=winner.number,
        standard_error=standard_error,
        ties=tuple(ties),
    )


def _p_value(difference: float, standard_error: float, groups: int, freedom: int) -> float:
    from scipy import stats

    if difference == 0 or groups < 2:
        return 1.0
    if standard_error == 0:
        return 0.0
    return float(stats.studentized_range.sf(difference / standard_error, groups, freedom))
