"""The results of trainings and sweeps: plain data that all of `tuning` may use."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.blend import ALONE, Blend
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar
from pipelines.errors import count_of
from tuning import verdicts
from tuning.verdicts import CONFIDENCE, Lift

if TYPE_CHECKING:
    import pandas as pd

NETWORK_ALONE = "network alone"  # the row of a network that does not answer alone
GRADIENT_NORM = "grad_norm/"  # begins the name of a curve of gradient norms


@dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """A baseline in a comparison: its scores on val and test, and its loss for each test unit.

    `read_from` is the run that has computed it, where that was an earlier one.
    """

    name: str
    val: Mapping[str, float]
    test: Mapping[str, float]
    losses: np.ndarray
    seconds: float
    params: Mapping[str, Scalar]
    read_from: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainResult:
    """The result of a training: what a person wants to know at the end of a run.

    `answers` is what the model that is served is made of: `val` and `test` are its scores.
    `alone_val` and `alone_test` are those of the network without what it is blended with.
    `best_epoch_score` is the objective in the epoch whose weights were kept, while the network was
    fitted: before the weights of a blend were. `model_file` is where the model lies, empty where
    that is no path of this machine.
    `changed` are the hyperparameters that differ from their defaults. `test_uses` is how many
    models of the store were scored on this test part, this one among them.
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

    @property
    def verdict(self) -> str:
        """One sentence: does what answers beat the strongest baseline, and how sure is that?

        The strongest baseline is the one that is best on val.
        """
        metric = self.headline.name
        scores = {name: test[metric] for name, test in self.rows()}
        return verdicts.sentence(self.answers, self.lift, metric, scores)

    @property
    def verdict_tag(self) -> str:
        """The verdict in a few words, for a column."""
        return verdicts.tag(self.answers, self.lift)

    @property
    def gate_failure(self) -> str:
        """Why what answers fails `--gate`: it is worse than the strongest baseline; else ""."""
        return verdicts.gate_failure(self.answers, self.lift)

    def rows(self) -> list[tuple[str, Mapping[str, float]]]:
        """Return the test scores by model: what answers, the network alone, then the baselines."""
        rows = [(verdicts.row_name(self.answers), self.test)]
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
            "lift": self.lift.as_json(self.headline.name) if self.lift else None,
            "cost": dict(self.cost),
            "notes": list(self.notes),
            "changed": dict(self.changed),
            "test_uses": self.test_uses,
        }


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A finished trial: its values, and its scores or the reason why it has none."""

    number: int
    values: Mapping[str, Scalar]
    scores: tuple[float, ...] = ()
    batch_size: int = 0  # half of the searched one where memory ran out; 0: not known
    seconds: float
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
class Level:
    """The trials that had one value of a hyperparameter (or a third of its range)."""

    mean: float  # score
    standard_error: float  # NaN for a single trial
    count: int


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of one hyperparameter: the scores of trials for each of its values.

    The values of a range are grouped into thirds.
    """

    key: str
    levels: Mapping[str, Level]
    best: str
    # That levels do not differ (Kruskal-Wallis); NaN when there are too few trials to say
    p_value: float

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
        return {"key": self.key, "levels": levels, "best": self.best, "p_value": self.p_value}


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResult:
    """What a sweep found.

    `front` are the trials that no other trial beats in every objective.
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
            "front": [trial.number for trial in self.front],
            "effects": [effect.as_json() for effect in self.effects],
            "final": self.final.as_json(),
            "seconds": self.seconds,
            "saved_s": self.saved,
            "exhausted": self.exhausted,
        }
