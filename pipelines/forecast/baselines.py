"""Simple baselines: the last value, the last season, and a ridge regression of every step.

The ridge regression is also where networks start.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from pipelines.config.search_space import Scalar
from pipelines.forecast.intervals import calibrate_rolling
from pipelines.forecast.quantiles import LEVELS
from pipelines.io.progress import working
from pipelines.pipeline import Baseline
from pipelines.splits import SCORED_PARTS, Part
from pipelines.timing import Spent, Stopwatch, first_rows

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

PENALTIES = tuple(float(value) for value in np.logspace(-2, 6, 17))

# From scaled histories `(windows, lookback)` to scaled forecasts `(windows, horizon)`.
Rule: TypeAlias = Callable[[np.ndarray], np.ndarray]
FittedRule: TypeAlias = tuple[Rule, Mapping[str, Scalar]]
# X'X, X'Y and the sum of the squares of Y.
Moments: TypeAlias = tuple[np.ndarray, np.ndarray, float]


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """NLinear (Zeng et al. 2023), fitted by least squares.

    It is the last value plus a linear map of the history's differences to it. `weights`
    `(lookback, horizon)` and `bias` `(horizon,)`, in scaled units, are shared by all series;
    `penalty` is lambda.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def __call__(self, history: np.ndarray) -> np.ndarray:
        last = history[:, -1:]
        return np.asarray(last + (history - last) @ self.weights + self.bias)


@dataclass(frozen=True, kw_only=True)
class Naive:
    """The rule that repeats the last value."""

    horizon: int

    def __call__(self, history: np.ndarray) -> np.ndarray:
        return np.repeat(history[:, -1:], self.horizon, axis=1)


@dataclass(frozen=True, kw_only=True)
class SeasonalNaive:
    """The rule that repeats the last season."""

    horizon: int
    season: int

    def __call__(self, history: np.ndarray) -> np.ndarray:
        begin = history.shape[1] - self.season
        return history[:, begin + np.arange(self.horizon) % self.season]


@dataclass(frozen=True)
class RidgeCache:
    """The ridge regression of each data set that needed one, fitted once.

    It is pickled with what it holds, so that the worker processes of a sweep need not fit again.
    """

    _fitted: dict[tuple[str, int, int], tuple[Ridge, Spent]] = field(default_factory=dict)

    def ridge(self, splits: "ForecastSplits") -> Ridge:
        """Return the ridge regression of these splits."""
        return self._of(splits)[0]

    def spent(self, splits: "ForecastSplits") -> Spent:
        """Return what the fit of that took, whenever it was."""
        return self._of(splits)[1]

    def _of(self, splits: "ForecastSplits") -> tuple[Ridge, Spent]:
        # What it is fitted to: the rows and the windows, which the digest is of.
        key = (splits.digest, splits.lookback, splits.horizon)
        if key not in self._fitted:
            watch = Stopwatch()
            ridge = fit_ridge(splits)
            self._fitted[key] = ridge, watch.spent()
        return self._fitted[key]

    def start(self, start_from: Literal["ridge", "none"], splits: "ForecastSplits") -> Rule:
        """Return the rule that a network starts from."""
        if start_from == "ridge":
            return self.ridge(splits)
        return Naive(horizon=splits.horizon)


# ------------------------------------------------------------------------------------------ fitting


def fit_ridge(splits: "ForecastSplits") -> Ridge:
    """Return the ridge regression of every step on the history.

    Lambda, and whether there is a bias, are chosen on val. Only X'X and X'Y are kept, summed chunk
    by chunk. They also give the squared error of every choice on val.
    """
    train, val = _moments(splits, "train"), _moments(splits, "val")
    lookback = splits.lookback
    # With the last row of X, which is ones, and without it.
    candidates = [_best_on_val(train, val, size) for size in (lookback, lookback + 1)]
    _, penalty, weights = min(candidates, key=lambda candidate: candidate[0])
    bias = weights[lookback] if len(weights) > lookback else np.zeros(splits.horizon)
    return Ridge(
        weights=weights[:lookback].astype(np.float32),
        bias=bias.astype(np.float32),
        penalty=penalty,
    )


def _best_on_val(train: Moments, val: Moments, size: int) -> tuple[float, float, np.ndarray]:
    """Return error on val, lambda and weights of the best ridge over the first `size` inputs.

    One eigendecomposition serves every lambda.
    """
    values, vectors = np.linalg.eigh(train[0][:size, :size])
    rotated = vectors.T @ train[1][:size]
    gram, cross, power = val[0][:size, :size], val[1][:size], val[2]
    candidates = []
    for penalty in PENALTIES:
        weights = vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None])
        error = power - 2 * np.sum(weights * cross) + np.sum(weights * (gram @ weights))
        candidates.append((float(error), penalty, weights))
    return min(candidates, key=lambda candidate: candidate[0])


def _moments(splits: "ForecastSplits", part: Part) -> Moments:
    """Return the moments of the windows of `part`: X'X, X'Y and the sum of Y squared.

    X `(windows, lookback + 1)` holds differences to the last value, and ones; Y
    `(windows, horizon)` holds the values to forecast, as differences to the last value too.
    """
    gram = np.zeros((splits.lookback + 1, splits.lookback + 1))
    cross = np.zeros((splits.lookback + 1, splits.horizon))
    power = 0.0
    for _, history, truth in splits.chunks(part):
        last = history[:, -1:].astype(np.float64)
        x = np.hstack([history - last, np.ones_like(last)])
        y = truth - last
        gram += x.T @ x
        cross += x.T @ y
        power += float(np.sum(y * y))
    return gram, cross, power


# ---------------------------------------------------------------------------------------- baselines


def baselines(splits: "ForecastSplits", ridges: RidgeCache) -> Iterator[Baseline]:
    """Yield the baselines, with intervals.

    The intervals are split-conformal on val, and calibrated on test as the network's are.
    """
    yield _baseline("naive", lambda: (Naive(horizon=splits.horizon), {}), splits)
    if splits.season <= splits.lookback:
        yield _baseline("seasonal_naive", lambda: _best_season(splits), splits)
    yield _baseline("ridge", lambda: _ridge(splits, ridges), splits)


def _ridge(splits: "ForecastSplits", ridges: RidgeCache) -> FittedRule:
    ridge = ridges.ridge(splits)
    return ridge, {"lambda": ridge.penalty}


def _best_season(splits: "ForecastSplits") -> FittedRule:
    """Return a season or seven (a day or a week of hours), whichever is better on val."""
    rules = []
    for season in (splits.season, 7 * splits.season):
        if season <= splits.lookback:
            rules.append(SeasonalNaive(horizon=splits.horizon, season=season))
    best = min(rules, key=lambda rule: _absolute_error(rule, splits))
    return best, {"season": best.season}


def _absolute_error(rule: Rule, splits: "ForecastSplits") -> float:
    chunks = splits.chunks("val")
    return float(sum(np.abs(truth - rule(history)).sum() for _, history, truth in chunks))


def _baseline(name: str, fit: Callable[[], FittedRule], splits: "ForecastSplits") -> Baseline:
    watch = Stopwatch()
    with working(name):
        rule, params = fit()
        errors = [np.abs(truth - rule(history)) for _, history, truth in splits.chunks("val")]
        spread = half_widths(np.concatenate(errors))
        predictions = {part: _with_quantiles(rule, splits, part, spread) for part in SCORED_PARTS}
        predictions["test"] = calibrate_rolling(
            predictions["test"], splits, "test", earlier=predictions["val"]
        )
    _, histories, _ = next(splits.chunks("val"))
    return Baseline(
        name=name,
        predictions=predictions,
        spent=watch.spent(),
        answer=lambda count: rule(histories[first_rows(count, len(histories))]),
        params=params,
    )


def half_widths(errors: np.ndarray) -> np.ndarray:
    """Return how far each level lies above the point forecast: `(horizon, levels)`.

    Levels below one half lie below it. The interval between the levels q and 1 - q is as wide as
    the 1 - 2q quantile of absolute errors `(windows, horizon)` makes it (split conformal
    prediction, Lei et al. 2018).
    """
    coverages = np.abs(2 * np.array(LEVELS) - 1)
    sides = np.sign(np.array(LEVELS) - 0.5)
    return np.asarray(np.quantile(errors, coverages, axis=0).T * sides, dtype=np.float32)


def _with_quantiles(
    rule: Rule, splits: "ForecastSplits", part: Part, spread: np.ndarray
) -> np.ndarray:
    """Return the rule's forecasts with its quantiles: `(windows, horizon, 1 + levels)`.

    They are in the target's units.
    """
    shape = (len(splits.starts[part]), splits.horizon, 1 + len(LEVELS))
    predictions = np.empty(shape, np.float32)  # filled chunk by chunk: it may be large
    done = 0
    for starts, history, _ in splits.chunks(part):
        point = rule(history)[..., None]
        chunk = np.concatenate([point, point + spread], axis=-1)
        predictions[done : done + len(starts)] = splits.unscale(chunk, starts)
        done += len(starts)
    return predictions
