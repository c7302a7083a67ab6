"""The scheduler of a sweep: which trial is next, which one is stopped, how each one ended."""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.config.options import Objective
from pipelines.config.search_space import Space
from tuning.execution.trial import Outcome, Task, Work, with_half_batch
from tuning.results.sweep import Trial
from tuning.search.ask_tell import Proposal, Searcher
from tuning.search.definition import SweepDefinition
from tuning.search.early_stopping import Stopper
from tuning.search.progress import Progress
from tuning.search.trial_records import EndedTrial, trial_record, trial_scores
from tuning.tracking.hidden_tags import HIDDEN
from tuning.tracking.interface import Run, Tracker

TIME_IS_UP = "the time is up"
# Tag of the sweep's run: the trials that have not ended, as JSON, each with the number of results
# that the searcher had when it proposed it.
RUNNING_TRIALS = f"{HIDDEN}running_trials"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When no further trial is started: whichever is used up first."""

    trials: int
    deadline: float = math.inf  # time.monotonic()
    epochs: float = math.inf  # of all trials together


@dataclass
class SweepScheduler:
    """A running sweep: the `TrialScheduler` that an executor takes tasks from and reports to.

    Each trial that has ended is a run in MLflow, and the sweep's own run lists those that have not:
    `tuning.search.resume` needs no more to resume the sweep.
    """

    work: Work
    space: Space[Any]
    objectives: Sequence[Objective]
    searcher: Searcher
    stopper: Stopper
    budget: Budget
    epochs: int  # of a trial
    tracker: Tracker
    run: Run  # the sweep's
    progress: Progress
    trials: list[Trial] = field(default_factory=list)  # in the order in which they ended
    _num_proposed: int = 0
    _running: dict[int, Proposal] = field(default_factory=dict)  # by number
    _waiting: list[tuple[Proposal, Task]] = field(default_factory=list)
    _losing: set[int] = field(default_factory=set)  # numbers that early stopping has judged so
    # When each epoch of a running trial ended, time.monotonic().
    _epoch_ends: dict[int, list[float]] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether every point of the space was tried."""
        return self.searcher.exhausted

    def next_task(self) -> Task | None:
        """Return the next trial to start, None while there is none."""
        if time.monotonic() > self.budget.deadline:
            return None
        if self._waiting:
            return self._start(*self._waiting.pop(0))
        if self._num_proposed >= self.budget.trials or not self._has_epochs_left():
            return None
        proposal = self.propose()
        if proposal is None:
            return None
        return self._start(proposal, self._task(proposal))

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        """Take the metrics of an epoch; return the reason to stop the trial, or ""."""
        score = values.get(self.objectives[0].name, math.nan)
        self.progress.epoch(task.number, epoch, score)
        self._epoch_ends.setdefault(task.number, []).append(time.monotonic())
        if not math.isfinite(score):
            return ""  # the fit itself ends it
        reason = self.stopper.reported(task.number, epoch, score)
        if reason:
            self._losing.add(task.number)
        if epoch >= task.spec.train.epochs:
            return ""
        # Here too: a worker's own clock starts when the worker does, which may be late.
        if time.monotonic() > self.budget.deadline:
            return TIME_IS_UP
        return reason

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Record the outcome of a trial, or queue it to be run once more."""
        proposal = self._running.pop(task.number)
        epoch_ends = self._epoch_ends.pop(task.number, [])
        scores = trial_scores(outcome, self.objectives)
        retry = self._retry(task, outcome)
        if retry or not scores:
            self.stopper.forget(task.number)
        if retry:
            self._waiting.insert(0, (proposal, retry))
            return
        stopped_early = task.number in self._losing and bool(outcome.stopped)
        saved = 0.0
        if stopped_early:
            epochs_left = task.spec.train.epochs - outcome.epochs
            saved = epochs_left * _seconds_per_epoch(epoch_ends)
        trial = Trial(
            number=task.number,
            values=proposal.values,
            scores=scores,
            batch_size=task.spec.train.batch_size,
            start_time=outcome.start_time,
            seconds=outcome.end_time - outcome.start_time,
            worker=outcome.worker,
            epochs=outcome.epochs,
            costs=outcome.costs,
            stopped=outcome.stopped,
            stopped_early=stopped_early,
            saved=saved,
            reason=outcome.reason,
        )
        record = trial_record(
            EndedTrial(proposal=proposal, task=task, outcome=outcome, trial=trial),
            self.work,
            self.objectives,
            sweep_id=self.run.id,
            result_number=len(self.trials) + 1,
        )
        self.add_result(replace(trial, run_id=self.tracker.record(record)))

    def propose(self) -> Proposal | None:
        """Ask the searcher for the next trial, which is not started yet."""
        proposal = self.searcher.ask()
        if proposal:
            self._num_proposed += 1
        return proposal

    def add_waiting(self, proposal: Proposal) -> None:
        """Queue a proposed trial, to be started before any new one."""
        self._waiting.append((proposal, self._task(proposal)))

    def add_result(self, trial: Trial) -> None:
        """Report a trial to the searcher and to the progress display."""
        stopped_at = trial.epochs if trial.stopped_early else 0
        self.searcher.tell(trial.number, trial.scores or None, stopped_at=stopped_at)
        self.trials.append(trial)
        self.progress.ended(trial, best_trial(self.trials, self.objectives[0]))

    def _has_epochs_left(self) -> bool:
        """Whether the budget of epochs holds one more whole trial.

        A shorter one could not be compared.
        """
        spent = sum(trial.epochs for trial in self.trials)
        for proposal in self._running.values():
            spent += proposal.epochs or self.epochs
        return spent + self.epochs <= self.budget.epochs

    def _task(self, proposal: Proposal) -> Task:
        spec = self.space.spec(proposal.values)
        spec = replace(spec, train=replace(spec.train, epochs=proposal.epochs or self.epochs))
        seed = trial_seed(self.work.pipeline.options.seed, proposal.number)
        return Task(number=proposal.number, spec=spec, seed=seed)

    def _start(self, proposal: Proposal, task: Task) -> Task:
        self._running[proposal.number] = proposal
        results_known: dict[int, int] = {}
        for waiting, _ in self._waiting:
            results_known[waiting.number] = waiting.results_known
        for running in self._running.values():
            results_known[running.number] = running.results_known
        self.run.tags({RUNNING_TRIALS: json.dumps(results_known)})
        self.progress.started(proposal, task.spec.train.epochs)
        return replace(task, seconds=self.budget.deadline - time.monotonic())

    def _retry(self, task: Task, outcome: Outcome) -> Task | None:
        """Return the task to run once more, or None.

        It has half the batch when memory ran out, and is unchanged when its process was killed.
        """
        if outcome.out_of_memory:
            smaller = with_half_batch(task)
            if smaller:
                size = smaller.spec.train.batch_size
                self.progress.noted(
                    f"trial {task.number} ran out of memory: again with batches of {size}"
                )
                return smaller
        if outcome.died and task.attempt == 1:
            self.progress.noted(f"trial {task.number}: {outcome.reason}; again")
            return replace(task, attempt=2)
        return None


def trial_seed(sweep_seed: int, number: int, repeat: int = 0) -> int:
    """Return the seed of one trial, which depends on its number alone, or of a `repeat` of it.

    So a sweep that was killed and resumed equals an undisturbed one.
    """
    name = f"{sweep_seed}/{number}/{repeat}" if repeat else f"{sweep_seed}/{number}"
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def trial_spec(definition: SweepDefinition, trial: Trial) -> Any:
    """Return the spec of a whole trial with these values, and with the batch that it had.

    A larger batch may not fit into memory.
    """
    spec = definition.space.spec(trial.values)
    batch_size = trial.batch_size or spec.train.batch_size
    train = replace(spec.train, batch_size=batch_size, epochs=definition.trial_epochs)
    return replace(spec, train=train)


def _seconds_per_epoch(epoch_ends: Sequence[float]) -> float:
    if len(epoch_ends) < 2:
        return 0.0
    return (epoch_ends[-1] - epoch_ends[0]) / (len(epoch_ends) - 1)


def best_trial(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the finished trial with the best score, the earlier of equals; None without any."""
    best: Trial | None = None
    for trial in trials:
        if trial.score is None:
            continue
        if best is None or best.score is None or objective.better(trial.score, best.score):
            best = trial
    return best
