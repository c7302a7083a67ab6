"""95 % intervals of a mean difference: over the units of a test, and over seeds as well.

Differences are those of losses, unit by unit. `strata` `(n,)` are numbers of what the units are
divided into, such as classes, where the mean is one over classes and not over units: how many units
each of them has is then no part of the noise.

Imports nothing but NumPy, and SciPy when a quantile is asked for.
"""

import math
from collections.abc import Iterator

import numpy as np

from tuning.verdicts import CONFIDENCE

RESAMPLES = 4_000
ROUNDING = 1e-12  # of a mean: a spread that is no more than this is none
DRAWN_AT_ONCE = 1_000_000  # numbers: all resamples of 10,000 units would take 320 MB


def bootstrap_interval(
    differences: np.ndarray, seed: int, strata: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the ends of the percentile bootstrap interval of the mean of `differences` `(n,)`.

    It is that of Efron and Tibshirani (1993), with n - 1 draws of n units (McCarthy and Snowden
    1985): n draws give a variance that is too small by 1 / n, which is half of it where a stratum
    has two units. Few units need further tails too (Hesterberg 2015). Without any spread it says
    nothing: 0 stays inside of the interval.
    """
    from scipy import stats

    rng = np.random.default_rng(seed)
    means = np.full(RESAMPLES, differences.mean())
    for units in _by_stratum(differences, strata):
        if np.ptp(units) > 0:
            share = len(units) / len(differences)
            means += share * (_resampled_means(units, rng) - units.mean())
    if np.ptp(means) == 0:
        return _without_spread(float(differences.mean()))
    tail = float(stats.norm.cdf(stats.t.ppf((1 - CONFIDENCE) / 2, len(differences) - 1)))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _resampled_means(units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    draws = len(units) - 1
    at_once = max(1, DRAWN_AT_ONCE // draws)
    means = []
    for done in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - done)
        means.append(units[rng.integers(len(units), size=(count, draws))].mean(axis=1))
    return np.concatenate(means)


def seeds_interval(
    differences: np.ndarray, strata: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the ends of an interval of the mean over seeds and units of `(seeds, n)`.

    Every seed is tested on the same units, so both are noise: another seed would have another mean,
    and so would other units. The variances of a crossed design with two random effects are added
    (Searle, Casella and McCulloch 1992), with the degrees of freedom of Satterthwaite (1946): few
    where seeds differ much. What depends on seed and unit together is in both variances, so that
    the interval is a little too wide. To take it out of one would leave nothing where two seeds
    happen to agree.
    """
    from scipy import stats

    num_seeds, num_units = differences.shape
    mean = float(differences.mean())
    of_seeds = float(differences.mean(axis=1).var(ddof=1)) / num_seeds
    of_units = _variance_of_mean(differences.mean(axis=0), strata)
    variance = of_seeds + of_units
    if math.sqrt(variance) <= ROUNDING * abs(mean):
        return _without_spread(mean)
    freedom = variance**2 / (of_seeds**2 / (num_seeds - 1) + of_units**2 / max(num_units - 1, 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    return mean - half, mean + half


def folds_interval(differences: np.ndarray, test_per_train: float) -> tuple[float, float]:
    """Return the ends of an interval of the mean of the differences `(folds,)` of all folds.

    The trainings share most of their data, so that folds vary less than other data would. The
    variance is corrected for it by the size of test for each example of train (Nadeau and Bengio,
    "Inference for the generalization error", 2003).
    """
    from scipy import stats

    count, mean = len(differences), float(differences.mean())
    variance = (1 / count + test_per_train) * float(differences.var(ddof=1))
    if math.sqrt(variance) <= ROUNDING * abs(mean):
        return _without_spread(mean)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(variance)
    return mean - half, mean + half


def _variance_of_mean(values: np.ndarray, strata: np.ndarray | None) -> float:
    total = 0.0
    for units in _by_stratum(values, strata):
        if len(units) > 1:
            total += len(units) * float(units.var(ddof=1))
    return total / len(values) ** 2


def _by_stratum(values: np.ndarray, strata: np.ndarray | None) -> Iterator[np.ndarray]:
    if strata is None:
        yield values
        return
    for stratum in np.unique(strata):
        yield values[strata == stratum]


def _without_spread(mean: float) -> tuple[float, float]:
    return min(mean, 0.0), max(mean, 0.0)
