"""What a sweep has found: trials, the rule that chose the winner, effects of hyperparameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar
from pipelines.errors import count_of
from tuning.results.training import TrainResult
from tuning.verdicts import CONFIDENCE

if TYPE_CHECKING:
    import pandas as pd


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
