"""A sweep's best few trials, fitted again with fresh seeds before one of them wins.

The best score of many is partly luck: that of a seed, which no other fit has. The refits have the
epochs of a trial, read train and val alone, and are runs with the role `seed` below the sweep.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipelines.config.files import run_params
from pipelines.config.options import Objective
from tuning.execution.interface import Executor
from tuning.execution.trial import Outcome, Task
from tuning.reports.selection import select
from tuning.results.sweep import Candidate, Selection, Trial
from tuning.search.definition import REFIT_SEEDS, SweepDefinition
from tuning.search.progress import Progress
from tuning.search.scheduler import trial_seed, trial_spec
from tuning.search.trial_records import score_metric
from tuning.tracking.interface import FIT_SEED, Record, Tracker
from tuning.tracking.metric_batches import rounded
from tuning.tracking.saved_views import COLOR, NETWORK_COLOR

REFIT_OF = "refit_of"  # tag of a refit's run: the number of the trial


def select_winner(
    trials: Sequence[Trial],
    definition: SweepDefinition,
    executor: Executor,
    tracker: Tracker,
    sweep_id: str,
    progress: Progress,
) -> Selection | None:
    """Fit the best trials again and return which one wins; None where nothing is fitted again.

    Refits that an interrupted sweep has recorded are not run again. A trial one of whose refits
    fails is no candidate.
    """
    scored = [trial for trial in trials if trial.score is not None]
    count = definition.sweep.num_refitted(len(scored))
    if not count:
        return None
    objective = definition.sweep.objective
    best = best_trials(scored, objective, count)
    progress.noted(
        f"the best {count} trials are fitted again with {REFIT_SEEDS} fresh seeds each: "
        f"{count * REFIT_SEEDS} more fits, then one wins (--refit-top 0: none)"
    )
    refits = _Refits(definition=definition, trials=best, tracker=tracker, sweep_id=sweep_id)
    began = time.monotonic()
    executor.run(replace(definition.work(), latency=True), refits)
    candidates = list(refits.candidates())
    if not candidates:
        return None
    return replace(select(candidates, objective), seconds=time.monotonic() - began)


def best_trials(trials: Sequence[Trial], objective: Objective, count: int) -> list[Trial]:
    """Return the `count` trials with the best scores, the earlier of equals first."""

    def score(trial: Trial) -> float:
        return trial.scores[0] if objective.direction == "min" else -trial.scores[0]

    return sorted(trials, key=score)[:count]


@dataclass
class _Refits:
    """The `TrialScheduler` of the refits."""

    definition: SweepDefinition
    trials: Sequence[Trial]
    tracker: Tracker
    sweep_id: str
    _scores: dict[tuple[int, int], float] = field(default_factory=dict)  # by trial and seed
    _waiting: list[tuple[Trial, Task]] = field(default_factory=list)
    _running: dict[int, Trial] = field(default_factory=dict)  # by the number of the task

    def __post_init__(self) -> None:
        for row in self.tracker.rows(role="seed", sweep=self.sweep_id, status="FINISHED"):
            key = int(row.tags[REFIT_OF]), int(row.params[FIT_SEED])
            self._scores[key] = row.metrics[score_metric(self.definition.sweep.objective)]
        for trial in self.trials:
            spec = trial_spec(self.definition, trial)
            for seed in self._seeds(trial):
                if (trial.number, seed) not in self._scores:
                    task = Task(number=len(self._waiting) + 1, spec=spec, seed=seed)
                    self._waiting.append((trial, task))

    def _seeds(self, trial: Trial) -> list[int]:
        own = self.definition.pipeline.options.seed
        return [trial_seed(own, trial.number, repeat) for repeat in range(1, REFIT_SEEDS + 1)]

    def candidates(self) -> Iterator[Candidate]:
        """Yield the trials all of whose refits have a score."""
        for trial in self.trials:
            keys = [(trial.number, seed) for seed in self._seeds(trial)]
            if all(key in self._scores for key in keys):
                yield Candidate(
                    number=trial.number,
                    score=trial.scores[0],
                    scores=tuple(self._scores[key] for key in keys),
                    weights=trial.costs.get("cost/params", 0),
                )

    def next_task(self) -> Task | None:
        if not self._waiting:
            return None
        trial, task = self._waiting.pop(0)
        self._running[task.number] = trial
        return task

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        return ""  # each has all of its epochs: they are compared

    def ended(self, task: Task, outcome: Outcome) -> None:
        trial = self._running.pop(task.number)
        if outcome.died and task.attempt == 1:
            self._waiting.append((trial, replace(task, attempt=2)))
            return
        if outcome.score is not None:
            # As MLflow keeps it: a resumed sweep reads it back and must choose the same.
            self._scores[trial.number, task.seed] = rounded(outcome.score)
        self.tracker.record(self._record(trial, task, outcome))

    def _record(self, trial: Trial, task: Task, outcome: Outcome) -> Record:
        metrics: dict[str, float] = {}
        if outcome.score is not None:
            metrics[score_metric(self.definition.sweep.objective)] = outcome.score
            metrics["best/epoch"] = outcome.best_epoch
        tags = {
            **self.definition.data_tags,
            "sweep": self.sweep_id,
            REFIT_OF: str(trial.number),
            COLOR: NETWORK_COLOR,
        }
        if outcome.reason:
            tags["reason"] = outcome.reason
        return Record(
            name=f"trial {trial.number} again",
            role="seed",
            parent=self.sweep_id,
            tags=tags,
            params={
                **run_params(self.definition.pipeline.options, task.spec),
                FIT_SEED: task.seed,
            },
            history=outcome.history,
            metrics={**metrics, **outcome.costs},
            status="FAILED" if outcome.score is None else "FINISHED",
            start_time=outcome.start_time,
            end_time=outcome.end_time,
        )
