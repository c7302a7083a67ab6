"""Comparisons: by how much one model is better, how sure that is, and what a search has shown."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar
from pipelines.pipeline import AnyPipeline, Baseline
from pipelines.splits import Splits
from pipelines.timing import latencies
from tuning.reports import intervals
from tuning.reports.paired import holm
from tuning.results.sweep import Effect, Level
from tuning.results.training import ScoredBaseline
from tuning.verdicts import Lift, decisive_first

GROUPS = 3  # into which a range is divided, to compare its values


def score_baseline(pipeline: AnyPipeline, splits: Splits, baseline: Baseline) -> ScoredBaseline:
    """Score a baseline on val and test, without keeping its predictions, which can be large."""
    test = baseline.predictions["test"]
    cost = {"train_s": baseline.spent.seconds, "train_cpu_s": baseline.spent.cpu_seconds}
    if baseline.answer:
        cost |= latencies(baseline.answer)
    return ScoredBaseline(
        name=baseline.name,
        val=pipeline.score(baseline.predictions["val"], splits, "val"),
        test=pipeline.score(test, splits, "test"),
        losses=pipeline.losses(test, splits, "test"),
        cost=cost,
        tables=pipeline.score_tables(test, splits, "test"),
        params=baseline.params,
        mistakes=pipeline.mistakes(test, splits, "test"),
    )


def strongest(baselines: Sequence[ScoredBaseline], headline: Objective) -> ScoredBaseline | None:
    """Return the baseline that is best on validation; None where none has a score there.

    It is chosen like the network: without a look at test.
    """
    scored = _comparable(baselines, headline)
    if not scored:
        return None
    return headline.best(scored, lambda baseline: baseline.val[headline.name])


def _comparable(baselines: Sequence[ScoredBaseline], headline: Objective) -> list[ScoredBaseline]:
    scored = []
    for baseline in baselines:
        scores = baseline.val[headline.name], baseline.test[headline.name]
        if all(map(math.isfinite, scores)):
            scored.append(baseline)
    return scored


def lifts(
    losses: np.ndarray,
    baselines: Sequence[ScoredBaseline],
    headline: Objective,
    seed: int,
    strata: np.ndarray | None = None,
) -> list[Lift]:
    """Return the lift over each baseline that has scores, the decisive one first.

    See `lift`, and `decisive_first`: it is that over the strongest baseline or, where that one is
    beaten and others are not, over one of them.
    """
    first = strongest(baselines, headline)
    ordered = sorted(_comparable(baselines, headline), key=lambda baseline: baseline is not first)
    return decisive_first([lift(losses, baseline, seed, strata) for baseline in ordered])


def lift(
    losses: np.ndarray, over: ScoredBaseline, seed: int, strata: np.ndarray | None = None
) -> Lift:
    """Return the mean of the paired differences `over.losses - losses`, with an interval.

    `losses` are `(n,)`, or `(seeds, n)` of a network that was fitted with several seeds; the
    interval is then one for what another seed would give too. Units are images, users, or blocks of
    windows: whatever `Pipeline.losses` takes to be independent. `strata` are `Pipeline.strata`.
    """
    differences = over.losses - losses
    mean = float(differences.mean())
    num_units = differences.shape[-1]
    if differences.ndim > 1:
        low, high = intervals.seeds_interval(differences, strata)
    elif num_units < 2:
        low, high = min(mean, 0.0), max(mean, 0.0)
    else:
        low, high = intervals.bootstrap_interval(differences, seed, strata)
    return Lift(baseline=over.name, mean=mean, low=low, high=high)


def effects(
    trials: Sequence[tuple[Mapping[str, Scalar], float]],
    dimensions: Mapping[str, Dimension],
    objective: Objective,
) -> list[Effect]:
    """Return the effect of each searched hyperparameter, the clearest first.

    Each of `trials` is `(values, score)`. Other hyperparameters vary as well, so an effect is what
    a change did on average in this sweep, and no more. P-values are corrected for the number of
    hyperparameters (Holm).
    """
    several_levels = []
    for key, dimension in dimensions.items():
        effect = _effect(key, dimension, trials, objective)
        if len(effect.levels) > 1:
            several_levels.append(effect)
    together = _tried_together(several_levels, trials, dimensions)
    corrected = iter(holm([effect.p_value for effect in several_levels if effect.testable]))
    found = []
    for effect in several_levels:
        p_value = next(corrected) if effect.testable else effect.p_value
        found.append(replace(effect, p_value=p_value, together=together[effect.key]))
    # Too few trials for a test count as no difference.
    return sorted(found, key=lambda effect: np.nan_to_num(effect.p_value, nan=1.0))


def _tried_together(
    effects: Sequence[Effect],
    trials: Sequence[tuple[Mapping[str, Scalar], float]],
    dimensions: Mapping[str, Dimension],
) -> dict[str, tuple[str, ...]]:
    """Return for each hyperparameter the others that divide the trials in the same way."""
    divisions = {}
    for effect in effects:
        groups: dict[str, set[int]] = {}
        for number, (values, _) in enumerate(trials):
            if effect.key in values:
                label = _label(dimensions[effect.key], values[effect.key])
                groups.setdefault(label, set()).add(number)
        divisions[effect.key] = frozenset(map(frozenset, groups.values()))
    together = {}
    for key, division in divisions.items():
        others = [other for other in divisions if other != key and divisions[other] == division]
        together[key] = tuple(others)
    return together


def _effect(
    key: str,
    dimension: Dimension,
    trials: Sequence[tuple[Mapping[str, Scalar], float]],
    objective: Objective,
) -> Effect:
    groups: dict[str, list[float]] = {label: [] for label in _labels(dimension)}
    for values, score in trials:
        if key in values:
            groups[_label(dimension, values[key])].append(score)
    levels = {}
    scores = []
    for label, group in groups.items():
        if group:
            levels[label] = _level(group)
            scores.append(group)
    best = ""
    if levels:
        best = objective.best(levels, lambda label: levels[label].mean)
    return Effect(key=key, levels=levels, best=best, p_value=_p_value(scores))


def _level(scores: Sequence[float]) -> Level:
    standard_error = math.nan
    if len(scores) > 1:
        standard_error = float(np.std(scores, ddof=1) / math.sqrt(len(scores)))
    return Level(
        mean=float(np.mean(scores)),
        standard_error=standard_error,
        count=len(scores),
        scores=tuple(scores),
    )


def _p_value(groups: Sequence[Sequence[float]]) -> float:
    """Return the probability of such differences by chance (Kruskal and Wallis 1952).

    NaN: there are too few trials.
    """
    from scipy import stats

    if len(groups) < 2 or min(map(len, groups)) < 2:
        return math.nan
    if np.ptp(np.concatenate(groups)) == 0:
        return math.nan
    return float(stats.kruskal(*groups).pvalue)


def _labels(dimension: Dimension) -> list[str]:
    if isinstance(dimension, Choice):
        return [str(value) for value in dimension.values]
    edges = itertools.pairwise(dimension.steps(GROUPS))
    return [f"{low:.2g}..{high:.2g}" for low, high in edges]


def _label(dimension: Dimension, value: Scalar) -> str:
    if isinstance(dimension, Choice):
        return str(value)
    inner_edges = dimension.steps(GROUPS)[1:-1]
    group = int(np.searchsorted(inner_edges, float(value), side="right"))
    return _labels(dimension)[group]
