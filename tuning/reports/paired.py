"""Paired tests: whether one model loses less than another on the same units of test.

Imports nothing but NumPy, and SciPy when a test is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from tuning.verdicts import CONFIDENCE

Outcome: TypeAlias = Literal["better", "tie", "worse"]
TIE: Outcome = "tie"
MCNEMAR = "McNemar's exact test"
PAIRED_T = "paired t-test"


@dataclass(frozen=True, kw_only=True)
class Paired:
    """How much less one model loses than another on the same units; above 0 is better.

    `low` and `high` are the ends of a 95 % interval of the mean difference. `won` and `lost` are
    the units in which the first model loses less, and more. `p_value` is two-sided.
    """

    mean: float
    low: float
    high: float
    p_value: float
    test: str
    units: int
    won: int
    lost: int

    def outcome(self, p_value: float) -> Outcome:
        """Return what the difference comes to, with `p_value` corrected for several tests."""
        if p_value >= 1 - CONFIDENCE:
            return TIE
        return "better" if self.mean > 0 else "worse"


def compare_losses(losses: np.ndarray, others: np.ndarray) -> Paired:
    """Compare the losses of one model with the `others` of a second one, unit by unit: `(n,)`.

    Right or wrong answers (losses of 0 and 1) are tested by McNemar's exact test (1947); the
    interval is that of Clopper and Pearson (1934) for the share of the units that differ, so both
    agree. Other losses are tested by a t-test of their differences, with its interval. Where units
    are stretches of time, it is the test of Diebold and Mariano (1995): stretches of a horizon or
    more need no correction for autocorrelation.

    Raises:
        ValueError: the units are not the same in number.
    """
    from scipy import stats

    if losses.shape != others.shape:
        raise ValueError(f"the units differ: {losses.shape} and {others.shape}")
    differences = others - losses
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    mean = float(differences.mean())
    is_right_or_wrong = bool(np.isin(losses, (0, 1)).all() and np.isin(others, (0, 1)).all())
    # Without any spread a t-test says nothing: 0 stays inside of the interval.
    low, high, p_value = min(mean, 0.0), max(mean, 0.0), 1.0
    if is_right_or_wrong and won + lost:
        result = stats.binomtest(won, won + lost)
        share = result.proportion_ci(CONFIDENCE, method="exact")
        scale = (won + lost) / len(differences)
        low, high = (2 * share.low - 1) * scale, (2 * share.high - 1) * scale
        p_value = float(result.pvalue)
    elif len(differences) > 1 and np.ptp(differences) > 0:
        of_t = stats.ttest_1samp(differences, 0.0)
        interval = of_t.confidence_interval(CONFIDENCE)
        low, high, p_value = float(interval.low), float(interval.high), float(of_t.pvalue)
    return Paired(
        mean=mean,
        low=low,
        high=high,
        p_value=p_value,
        test=MCNEMAR if is_right_or_wrong else PAIRED_T,
        units=len(differences),
        won=won,
        lost=lost,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many tests there are (Holm 1979), in the same order."""
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index])
    corrected = [1.0] * count
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
