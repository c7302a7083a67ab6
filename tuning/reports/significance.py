"""Models beside each other: how much better, how sure, and what a sweep says about each hyperparameter."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from pipelines.config.search_space import Choice, Dimension, Scalar
from pipelines.pipeline import Baseline, Objective, Part, Pipeline, Splits

Verdict: TypeAlias = Literal["beats", "ties", "loses to"]
CONFIDENCE = 0.95
RESAMPLES = 4_000


@dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """A baseline as it is compared: its scores on val and test, and its loss for each unit of test."""

    name: str
    val: Mapping[str, float]
    test: Mapping[str, float]
    losses: np.ndarray
    seconds: float
    params: Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True)
class Lift:
    """How much less a model loses than its baseline on the same units of test, with a 95 % interval. Above 0: better."""

    baseline: str
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "ties"


def score_baseline(pipeline: Pipeline[Any, Any], splits: Splits, baseline: Baseline) -> ScoredBaseline:
    """Score a baseline on val and test; its predictions, which can be large, are not kept."""
    scored: dict[Part, dict[str, float]] = {part: pipeline.score(baseline.predictions[part], splits, part) for part in ("val", "test")}
    return ScoredBaseline(
        name=baseline.name,
        val=scored["val"],
        test=scored["test"],
        losses=pipeline.losses(baseline.predictions["test"], splits, "test"),
        seconds=baseline.seconds,
        params=baseline.params,
    )


def strongest(baselines: Sequence[ScoredBaseline], headline: Objective) -> ScoredBaseline:
    """Return the baseline that is best on the validation part: chosen like the network, without a look at test."""
    return (max if headline.direction == "max" else min)(baselines, key=lambda one: one.val[headline.name])


def lift(losses: np.ndarray, over: ScoredBaseline, seed: int) -> Lift:
    """Return the mean of the paired differences `over.losses - losses` and its bootstrap interval over units.

    Units are images, users, or blocks of windows: whatever `Pipeline.losses` takes to be independent.
    """
    from scipy import stats

    differences = over.losses - losses
    mean = float(differences.mean())
    if len(differences) < 2 or np.ptp(differences) == 0:
        return Lift(baseline=over.name, mean=mean, low=min(mean, 0.0), high=max(mean, 0.0))
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=100,
        rng=np.random.default_rng(seed),
    )
    return Lift(baseline=over.name, mean=mean, low=float(found.confidence_interval.low), high=float(found.confidence_interval.high))


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What the trials say about one hyperparameter: mean score, standard error and count for each value (or third of a range)."""

    key: str
    levels: Mapping[str, tuple[float, float, int]]
    best: str
    p_value: float  # that levels do not differ (Kruskal-Wallis); nan when there are too few trials to say

    @property
    def clear(self) -> bool:
        return self.p_value < 1 - CONFIDENCE


def effects(
    trials: Sequence[tuple[Mapping[str, Scalar], float]], dimensions: Mapping[str, Dimension], objective: Objective
) -> list[Effect]:
    """Return the effect of each searched hyperparameter over `(values, score)` trials, the clearest first.

    Other hyperparameters vary beside it, so that this is what a change did on average in this sweep, and no more.
    """
    found = [_effect(key, domain, trials, objective) for key, domain in dimensions.items()]
    return sorted((effect for effect in found if len(effect.levels) > 1), key=lambda e: 1.0 if math.isnan(e.p_value) else e.p_value)


def _effect(key: str, domain: Dimension, trials: Sequence[tuple[Mapping[str, Scalar], float]], objective: Objective) -> Effect:
    from scipy import stats

    groups: dict[str, list[float]] = {label: [] for label in _labels(domain)}
    for values, score in trials:
        if key in values:
            groups[_label(domain, values[key])].append(score)
    filled = {label: scores for label, scores in groups.items() if scores}
    levels = {label: (float(np.mean(scores)), _standard_error(scores), len(scores)) for label, scores in filled.items()}
    pick = max if objective.direction == "max" else min
    enough = len(filled) > 1 and min(map(len, filled.values())) > 1 and np.ptp(np.concatenate(list(filled.values()))) > 0
    return Effect(
        key=key,
        levels=levels,
        best=pick(levels, key=lambda label: levels[label][0]) if levels else "",
        p_value=float(stats.kruskal(*filled.values()).pvalue) if enough else math.nan,
    )


def _standard_error(scores: Sequence[float]) -> float:
    return float(np.std(scores, ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else math.nan


def _thirds(domain: Dimension) -> list[float]:
    assert not isinstance(domain, Choice)
    if domain.log:
        return [domain.low * (domain.high / domain.low) ** (step / 3) for step in range(4)]
    return [domain.low + (domain.high - domain.low) * step / 3 for step in range(4)]


def _labels(domain: Dimension) -> list[str]:
    if isinstance(domain, Choice):
        return [str(value) for value in domain.values]
    edges = _thirds(domain)
    return [f"{low:.2g}..{high:.2g}" for low, high in itertools.pairwise(edges)]


def _label(domain: Dimension, value: Scalar) -> str:
    if isinstance(domain, Choice):
        return str(value)
    inner = _thirds(domain)[1:-1]
    return _labels(domain)[int(np.searchsorted(inner, float(value), side="right"))]
