"""The results of trainings and sweeps: plain data that all of `tuning` may use."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.blend import ALONE, NETWORK, Blend
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar
from pipelines.errors import count_of
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.splits import Part
from tuning import verdicts
from tuning.verdicts import CONFIDENCE, Lift, Spread

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NETWORK_ALONE = "network alone"  # the row of a network that does not answer alone
GRADIENT_NORM = "grad_norm/"  # begins the name of a curve of gradient norms


@dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """A baseline in a comparison: its scores on val and test, and its loss for each test unit.

    `cost` has the names of a network's: seconds and CPU seconds of fitting and predicting, and the
    times of an answer where they could be taken. `tables` are `Pipeline.score_tables` of test.
    `mistakes` are `Pipeline.mistakes` of test. `read_from` is the run that has computed it, and has
    its tables, where that was an earlier one.
    """

    name: str
    val: Mapping[str, float]
    test: Mapping[str, float]
    losses: np.ndarray
    cost: Mapping[str, float]
    params: Mapping[str, Scalar]
    tables: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    mistakes: "pd.DataFrame | None" = None
    read_from: str = ""

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of fitting and predicting."""
        return self.cost["train_s"]


@dataclass(frozen=True, kw_only=True)
class SeedScores:
    """The test scores of one network that was fitted with several seeds; the first is served."""

    seeds: Sequence[int]
    test: Sequence[Mapping[str, float]]  # by seed, the scores of what answers
    diverged: Sequence[int] = ()  # further seeds, with which the training had no end
    num_adding_nothing: int = 0  # seeds with which the network has no part in the answers
    seconds: float  # of the fits with all seeds

    def spread(self, metric: str) -> Spread:
        """Return the values of a metric of `test` with all seeds."""
        return Spread([scores[metric] for scores in self.test])

    def means(self) -> dict[str, float]:
        """Return the mean of each metric that all seeds have."""
        return _means(self.test)

    def describe(self, metric: str, baseline: float | None, direction: str) -> str:
        """Return the scores over the seeds and, against that of a baseline, the lift."""
        parts = [f"{len(self.seeds)}: test {metric} {self.spread(metric).describe()}"]
        lift = self.lift(metric, baseline, direction)
        if lift:
            parts.append(f"lift {lift.describe('+')}")
        if self.num_adding_nothing:
            parts.append(f"the network adds nothing with {self.num_adding_nothing} of them")
        if self.diverged:
            parts.append(f"training diverged with {', '.join(map(str, self.diverged))}")
        parts.append(f"the model is that of seed {self.seeds[0]}")
        return "; ".join(parts)

    def lift(self, metric: str, baseline: float | None, direction: str) -> Spread | None:
        """Return the lift over the score of a baseline with all seeds; None without one."""
        if baseline is None:
            return None
        sign = 1 if direction == "max" else -1
        return Spread([sign * (scores[metric] - baseline) for scores in self.test])


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainResult:
    """The result of a training: what a person wants to know at the end of a run.

    `answers` is what the model that is served is made of: `val` and `test` are its scores.
    `alone_val` and `alone_test` are those of the network without what it is blended with.
    `best_epoch_score` is the objective in the epoch whose weights were kept, while the network was
    fitted: before the weights of a blend were. `model_file` is where the model lies, empty where
    that is no path of this machine.
    `network` is the architecture with its kernel size, stride and filters.
    `changed` are the hyperparameters that differ from their defaults. `test_uses` is how many
    models of the store were scored on this test part, this one among them. `seeds` are the scores
    with several seeds, None where there was one: `lift` is then that over all of them, and all else
    is of the first, whose model is kept. `lift` is over the strongest baseline, `lifts` are over
    each, that one first. `tables` are `Pipeline.score_tables` of test. `figures` are those of its
    run, by name; `mistakes` are tables of the worst ones, of what answers and of the strongest
    baseline, by the names of `rows`.
    """

    domain: str
    dataset: str
    run_id: str
    url: str
    objective: Objective
    headline: Objective
    best_epoch_score: float
    best_epoch: int
    epochs: int
    stopped: str  # why it ended before its last epoch; empty when it did not
    val: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Sequence[ScoredBaseline]
    lift: Lift | None
    cost: Mapping[str, float]
    notes: Sequence[str]
    answers: Blend = ALONE
    alone_val: Mapping[str, float]
    alone_test: Mapping[str, float]
    model_file: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)
    test_uses: int = 1
    seeds: SeedScores | None = None
    network: str = ""
    test_examples: int = 0
    tables: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    receptive_field: ReceptiveField | None = None
    lifts: Sequence[Lift] = ()
    figures: "Mapping[str, Figure]" = field(default_factory=dict)
    mistakes: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One sentence: does what answers beat the strongest baseline, and how sure is that?

        The strongest baseline is the one that is best on val.
        """
        metric = self.headline.name
        scores = {name: test[metric] for name, test in self.rows()}
        spread = self.seeds.spread(metric) if self.seeds else None
        return verdicts.sentence(self.answers, self.lift, metric, scores, spread)

    @property
    def verdict_tag(self) -> str:
        """The verdict in a few words, for a column."""
        return verdicts.tag(self.answers, self.lift, len(self.seeds.seeds) if self.seeds else 1)

    @property
    def cost_line(self) -> str:
        """What the model costs beside its weights, in one line."""
        cost = self.cost
        parts = [
            f"{cost['train_s']:.1f} s to train ({cost['train_cpu_s']:.1f} s of CPU)",
            f"{cost['latency_ms_p50']:.2f} ms an example",
            f"64 in {cost['latency_ms_b64_p50']:.3g} ms",
        ]
        if "macs" in cost:
            parts.append(f"{cost['macs'] / 1e6:,.3g} million MACs")
        if "peak_mb" in cost:
            parts.append(f"{cost['peak_mb']:,.0f} MB at most")
        return ", ".join(parts)

    @property
    def seeds_line(self) -> str:
        """What the seeds differ in, in one line; "" where there was one."""
        if self.seeds is None:
            return ""
        headline = self.headline
        return self.seeds.describe(headline.name, self._strongest_score(), headline.direction)

    @property
    def seeds_lift(self) -> Spread | None:
        """The lift with each seed; None where there was one seed, or no baseline."""
        if self.seeds is None:
            return None
        headline = self.headline
        return self.seeds.lift(headline.name, self._strongest_score(), headline.direction)

    def _strongest_score(self) -> float | None:
        """The headline metric of the baseline that the lift is over."""
        for baseline in self.baselines:
            if self.lift and baseline.name == self.lift.baseline:
                return baseline.test[self.headline.name]
        return None

    @property
    def gate_failure(self) -> str:
        """Why what answers fails `--gate`: it is worse than the strongest baseline; else ""."""
        return verdicts.gate_failure(self.answers, self.lift)

    def rows(self) -> list[tuple[str, Mapping[str, float]]]:
        """Return the test scores by model: what answers, the network alone, then the baselines.

        With several seeds, their mean comes second.
        """
        rows = [(verdicts.row_name(self.answers), self.test)]
        if self.seeds:
            rows.append((f"mean of {len(self.seeds.seeds)} seeds", self.seeds.means()))
        if not self.answers.is_network_alone:
            rows.append((NETWORK_ALONE, self.alone_test))
        rows += [(baseline.name, baseline.test) for baseline in self.baselines]
        return rows

    def scores(self) -> "pd.DataFrame":
        """Return the test scores of `rows`, with seconds of training.

        One row is one model.
        """
        import pandas as pd

        seconds = {baseline.name: baseline.seconds for baseline in self.baselines}
        rows = {}
        for name, scores in self.rows():
            rows[name] = {**scores, "train_s": seconds.get(name, self.cost["train_s"])}
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        return f"TrainResult({self.domain} / {self.dataset}: {self.verdict})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "domain": self.domain,
            "dataset": self.dataset,
            "run_id": self.run_id,
            "url": self.url,
            "model_file": self.model_file,
            "verdict": verdicts.in_a_word(self.answers, self.lift),
            "headline": self.verdict,
            "answers": {"description": self.answers.describe(), "shares": self.answers.shares},
            "objective": self.objective.name,
            "best_epoch_score": self.best_epoch_score,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "val": dict(self.val),
            "test": dict(self.test),
            "network_alone": {"val": dict(self.alone_val), "test": dict(self.alone_test)},
            "baselines": {baseline.name: dict(baseline.test) for baseline in self.baselines},
            **tables_as_json(self.tables),
            "receptive_field": self.receptive_field.as_json() if self.receptive_field else None,
            "lift": self.lift.as_json(self.headline.name) if self.lift else None,
            "lifts": [lift.as_json(self.headline.name) for lift in self.lifts],
            "cost": dict(self.cost),
            "baseline_costs": {baseline.name: dict(baseline.cost) for baseline in self.baselines},
            "notes": list(self.notes),
            "changed": dict(self.changed),
            "test_uses": self.test_uses,
            "seeds": self._seeds_as_json(),
        }

    def _seeds_as_json(self) -> dict[str, Any] | None:
        if self.seeds is None:
            return None
        lift = self.seeds_lift
        return {
            "seeds": list(self.seeds.seeds),
            "diverged": list(self.seeds.diverged),
            "metric": self.headline.name,
            "score": self.seeds.spread(self.headline.name).as_json(),
            "lift": lift.as_json() if lift else None,
            "test": [dict(scores) for scores in self.seeds.test],
            "network_adds_nothing": self.seeds.num_adding_nothing,
            "seconds": self.seeds.seconds,
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class FoldsResult:
    """What cross-validation found.

    `folds` are the trainings, of which the last one has kept a model of all the data. `lift` is
    that over the baseline that is best on validation in the mean over the folds.
    """

    folds: Sequence[TrainResult]
    run_id: str
    url: str
    lift: Lift | None

    @property
    def headline(self) -> Objective:
        """The metric by which the network and its baselines are compared."""
        return self.folds[0].headline

    @property
    def model_file(self) -> str:
        """Where the model of all the data lies; empty where that is no path of this machine."""
        return self.folds[-1].model_file

    @property
    def seconds(self) -> float:
        """How long all trainings took."""
        return sum(fold.cost["train_s"] for fold in self.folds)

    @property
    def num_adding_nothing(self) -> int:
        """In how many folds the network has no part in the answers."""
        return sum(fold.answers.adds_nothing for fold in self.folds)

    def spread(self, metric: str) -> Spread:
        """Return the values of a test metric in all folds."""
        return Spread([fold.test[metric] for fold in self.folds])

    def means(self, part: Part) -> dict[str, float]:
        """Return the mean of each metric of `part`, val or test, that all folds have."""
        scores = [fold.val if part == "val" else fold.test for fold in self.folds]
        return _means(scores)

    def rows(self) -> list[tuple[str, Mapping[str, float]]]:
        """Return the mean test scores by model: what answers, then the baselines."""
        rows: list[tuple[str, Mapping[str, float]]] = [(self._answers, self.means("test"))]
        for baseline in self.folds[0].baselines:
            scores = []
            for fold in self.folds:
                scores += [other.test for other in fold.baselines if other.name == baseline.name]
            if len(scores) == len(self.folds):
                rows.append((baseline.name, _means(scores)))
        return rows

    @property
    def _answers(self) -> str:
        alone = all(fold.answers.is_network_alone for fold in self.folds)
        return NETWORK if alone else "answer: blend"

    @property
    def verdict(self) -> str:
        """One sentence: does what answers beat the strongest baseline, in the mean over folds?"""
        metric = self.headline.name
        scores = {name: test[metric] for name, test in self.rows()}
        return verdicts.folds_sentence(
            self._answers, self.lift, metric, scores, self.spread(metric), self.num_adding_nothing
        )

    @property
    def verdict_tag(self) -> str:
        """The verdict in a few words, for a column."""
        if self.lift is None:
            return ""
        subject = "network" if self._answers == NETWORK else "blend"
        over = f"over {len(self.folds)} folds"
        return f"the {subject} {self.lift.verdict} {self.lift.baseline} {over}"

    @property
    def gate_failure(self) -> str:
        """Why what answers fails `--gate`: it is worse than the strongest baseline; else ""."""
        if self.lift is None or self.lift.mean >= 0:
            return ""
        return f"in the mean over the folds {self._answers} is worse than {self.lift.baseline}"

    def table(self) -> "pd.DataFrame":
        """Return a row for each fold: its test scores, and those of its baselines in the headline.

        Beside them stand the seconds of its training and the examples of its test part.
        """
        import pandas as pd

        rows = []
        for number, fold in enumerate(self.folds, start=1):
            of_baselines = {
                baseline.name: baseline.test[self.headline.name] for baseline in fold.baselines
            }
            rows.append(
                {
                    "fold": number,
                    "test_examples": fold.test_examples,
                    **fold.test,
                    **of_baselines,
                    "best_epoch": fold.best_epoch,
                    "train_s": fold.cost["train_s"],
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"FoldsResult({self.folds[0].domain} / {self.folds[0].dataset}: {self.verdict})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        metric = self.headline.name
        return {
            "run_id": self.run_id,
            "url": self.url,
            "model_file": self.model_file,
            "verdict": self.lift.verdict if self.lift else None,
            "headline": self.verdict,
            "metric": metric,
            "score": self.spread(metric).as_json(),
            "val": self.means("val"),
            "test": self.means("test"),
            "baselines": dict(self.rows()[1:]),
            "lift": self.lift.as_json(metric) if self.lift else None,
            "network_adds_nothing": self.num_adding_nothing,
            "folds": [fold.as_json() for fold in self.folds],
            "seconds": self.seconds,
        }


def _means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric that all of `scores` have."""
    shared = [name for name in scores[0] if all(name in some for some in scores)]
    return {name: float(np.mean([some[name] for some in scores])) for name in shared}


def tables_as_json(tables: "Mapping[str, pd.DataFrame]") -> dict[str, list[dict[str, Any]]]:
    """Return tables of scores as plain rows, None where there is no number."""
    plain = {}
    for name, table in tables.items():
        known = table.astype(object).where(table.notna(), None)
        rows = known.itertuples(index=False, name=None)
        plain[name] = [dict(zip(map(str, table.columns), row, strict=True)) for row in rows]
    return plain


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A finished trial: its values, and its scores or the reason why it has none."""

    number: int
    values: Mapping[str, Scalar]
    scores: tuple[float, ...] = ()
    batch_size: int = 0  # half of the searched one where memory ran out; 0: not known
    start_time: float = 0.0  # seconds since 1970
    seconds: float
    worker: str = ""  # machine and process that ran it; empty where that is not known
    epochs: int
    costs: Mapping[str, float] = field(default_factory=dict)
    stopped: str = ""  # why it ended before its last epoch; empty when it did not
    stopped_early: bool = False  # by the rule of early stopping
    saved: float = 0.0  # seconds, by early stopping
    reason: str = ""  # why it has no score
    run_id: str = ""
    replayed: bool = False  # read back from MLflow, when its sweep was resumed

    @property
    def score(self) -> float | None:
        """The score for the first objective; None for a trial that failed."""
        if not self.scores:
            return None
        return self.scores[0]

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "number": self.number,
            "values": dict(self.values),
            "score": self.score,
            "scores": list(self.scores),
            "seconds": self.seconds,
            "epochs": self.epochs,
            "costs": dict(self.costs),
            "stopped": self.stopped,
            "reason": self.reason,
            "run_id": self.run_id,
        }


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One of a sweep's best trials, fitted again with fresh seeds: its validation scores."""

    number: int  # of the trial
    score: float  # of the trial itself, which chose it: no part of the mean
    scores: Sequence[float]  # with fresh seeds
    weights: float  # of the network: what is cheap

    @property
    def mean(self) -> float:
        """The mean score with fresh seeds."""
        return float(np.mean(self.scores))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which trial wins a sweep after the best were fitted again: the one-standard-error rule."""

    candidates: Sequence[Candidate]
    objective: str
    best: int  # number of the trial with the best mean
    winner: int  # of the cheapest within one standard error of it
    standard_error: float  # of a mean
    ties: Sequence[int]  # trials that do not differ from the best mean for certain, itself too
    seconds: float = 0.0

    def describe(self) -> str:
        """Return which rule chose what, in one sentence."""
        by_number = {candidate.number: candidate for candidate in self.candidates}
        winner, best = by_number[self.winner], by_number[self.best]
        error = f"{self.standard_error:.2g}"
        chosen = f"trial {winner.number} has the best mean, {best.mean:.4g} ± {error}"
        if len(self.candidates) > 1 and winner is not best:
            chosen = (
                f"trial {winner.number} is the cheapest ({winner.weights:,.0f} weights, mean "
                f"{winner.mean:.4g}) within one standard error of the best mean, {best.mean:.4g} "
                f"± {error} of trial {best.number} ({best.weights:,.0f} weights)"
            )
        others = sorted(set(self.ties) - {best.number})
        tie = f"no other one ties with trial {best.number}"
        if others:
            subject = f"trials {', '.join(map(str, others))} tie"
            if len(others) == 1:
                subject = f"trial {others[0]} ties"
            tie = f"{subject} with trial {best.number} (no certain difference)"
        fits = f"{len(self.candidates)} trials, {len(winner.scores)} fresh seeds each"
        return f"one standard error: {chosen}; {tie} ({self.objective}, {fits})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        candidates = []
        for candidate in self.candidates:
            candidates.append(
                {
                    "trial": candidate.number,
                    "trial_score": candidate.score,
                    "scores": list(candidate.scores),
                    "mean": candidate.mean,
                    "weights": candidate.weights,
                }
            )
        return {
            "objective": self.objective,
            "candidates": candidates,
            "best": self.best,
            "winner": self.winner,
            "standard_error": self.standard_error,
            "ties": list(self.ties),
            "seconds": self.seconds,
        }


def rule_of(selection: Selection | None, winner: Trial) -> str:
    """Return which rule has chosen the winner of a sweep, in one sentence."""
    if selection:
        return selection.describe()
    return f"the best score of one fit each: trial {winner.number}"


@dataclass(frozen=True, kw_only=True)
class Level:
    """The trials that had one value of a hyperparameter (or a third of its range)."""

    mean: float  # score
    standard_error: float  # NaN for a single trial
    count: int
    scores: tuple[float, ...] = ()  # of each trial


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of one hyperparameter: the scores of trials for each of its values.

    The values of a range are grouped into thirds. `together` are the hyperparameters whose values
    changed in the very same trials: the trials cannot tell which of them it was.
    """

    key: str
    levels: Mapping[str, Level]
    best: str
    # That levels do not differ (Kruskal-Wallis), corrected for the number of hyperparameters; NaN
    # when there are too few trials to say
    p_value: float
    together: tuple[str, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether the difference is statistically significant."""
        return self.p_value < 1 - CONFIDENCE

    @property
    def testable(self) -> bool:
        """Whether there are enough trials to say anything."""
        return not math.isnan(self.p_value)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        levels = {}
        for value, level in self.levels.items():
            levels[value] = [level.mean, level.standard_error, level.count]
        return {
            "key": self.key,
            "levels": levels,
            "best": self.best,
            "p_value": self.p_value,
            "together": list(self.together),
        }


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResult:
    """What a sweep found.

    `best` is the trial that has won, by its score alone or, where the best were fitted again, by
    `selection`. `front` are the trials that no other trial beats in every objective.
    """

    run_id: str
    url: str
    trials: Sequence[Trial]
    best: Trial
    front: Sequence[Trial]
    objectives: Sequence[Objective]
    effects: Sequence[Effect]
    final: TrainResult
    seconds: float
    exhausted: bool = False  # every point of the space was tried
    selection: Selection | None = None

    @property
    def rule(self) -> str:
        """Which rule has chosen the winner, in one sentence."""
        return rule_of(self.selection, self.best)

    @property
    def saved(self) -> float:
        """Seconds that early stopping has saved, summed over all workers."""
        return sum(trial.saved for trial in self.trials)

    @property
    def num_failed(self) -> int:
        """How many trials have no score."""
        return sum(trial.score is None for trial in self.trials)

    @property
    def num_stopped_early(self) -> int:
        """How many trials were ended by the rule of early stopping."""
        return sum(trial.stopped_early for trial in self.trials)

    def table(self) -> "pd.DataFrame":
        """Return the trials, one row each, with what was searched and what came of it.

        The columns are the trial's number, the searched hyperparameters, scores, seconds, epochs,
        and why it stopped or failed.
        """
        import pandas as pd

        names = [objective.name for objective in self.objectives]
        rows = []
        for trial in self.trials:
            scores = trial.scores or (math.nan,) * len(names)
            rows.append(
                {
                    "trial": trial.number,
                    **trial.values,
                    **dict(zip(names, scores, strict=True)),
                    "seconds": trial.seconds,
                    "epochs": trial.epochs,
                    "stopped": trial.stopped,
                    "reason": trial.reason,
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        best = f"{count_of(len(self.trials), 'trial')}, best {self.best.score:.4g}"
        return f"SweepResult({best}: {self.final.verdict})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        best = {
            "number": self.best.number,
            "values": dict(self.best.values),
            "score": self.best.score,
        }
        return {
            "sweep_id": self.run_id,
            "url": self.url,
            "objectives": [objective.name for objective in self.objectives],
            "trials": [trial.as_json() for trial in self.trials],
            "best": best,
            "rule": self.rule,
            "selection": self.selection.as_json() if self.selection else None,
            "front": [trial.number for trial in self.front],
            "effects": [effect.as_json() for effect in self.effects],
            "final": self.final.as_json(),
            "seconds": self.seconds,
            "saved_s": self.saved,
            "exhausted": self.exhausted,
        }
