"""The search's brain: which trial is next, which one is stopped, what became of each, and how an
ended sweep is taken up again.

Everything that a resumed sweep needs is in MLflow: a trial's run says how many results were known
when it was proposed (tag `known`) and that it was the n-th to be told (tag `told`); the sweep's own
run lists the trials that are running (tag `running`). Asked and told in the same order, the same
searcher proposes the same trials.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.config.files import run_params
from pipelines.config.options import Objective
from pipelines.config.search_space import Space, flatten
from pipelines.errors import UsageError
from tuning.execution.trial import Outcome, Task, Work, smaller
from tuning.results import Trial
from tuning.search.ask_tell import Proposal, Searcher
from tuning.search.early_stopping import Stopper
from tuning.search.progress import Progress
from tuning.tracking.interface import Record, Row, Run, Tracker
from tuning.training.costs import COST_METRICS

TIME_IS_UP = "the time is up"
CHANGED = ("train.epochs", "train.batch_size")  # by Hyperband, and where memory ran out


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When no further trial is started: whichever is used up first. `deadline` is a
    time.monotonic().
    """

    trials: int
    deadline: float = math.inf
    epochs: float = math.inf


@dataclass
class SweepScheduler:
    """A sweep under way; an executor asks it for tasks and tells it what became of them
    (`executors.TrialScheduler`).
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
    trials: list[Trial] = field(default_factory=list)
    exhausted: bool = False
    _asked: int = 0
    _running: dict[int, Proposal] = field(default_factory=dict)
    _waiting: list[tuple[Proposal, Task]] = field(default_factory=list)
    _losing: set[int] = field(default_factory=set)  # that early stopping has ended
    _heard: dict[int, list[float]] = field(
        default_factory=dict
    )  # when each epoch of a running trial ended, time.monotonic()

    # --------------------------------------------------------------------- executors.TrialScheduler

    def next_task(self) -> Task | None:
        if time.monotonic() > self.budget.deadline:
            return None
        if self._waiting:
            return self._start(*self._waiting.pop(0))
        if self._asked >= self.budget.trials or not self._epochs_left():
            return None
        proposal = self._ask()
        return self._start(proposal, self._task(proposal)) if proposal else None

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        score = values.get(self.objectives[0].name, math.nan)
        self.progress.epoch(task.number, epoch, score)
        self._heard.setdefault(task.number, []).append(time.monotonic())
        if not math.isfinite(score):
            return ""  # the fit itself ends it
        reason = self.stopper.reported(task.number, epoch, score)
        if reason:
            self._losing.add(task.number)
        if epoch >= task.spec.train.epochs:
            return ""
        # Here too: a worker's own clock begins when it is there, which may be late.
        return TIME_IS_UP if time.monotonic() > self.budget.deadline else reason

    def ended(self, task: Task, outcome: Outcome) -> None:
        proposal, heard = self._running.pop(task.number), self._heard.pop(task.number, [])
        again, scores = self._again(task, outcome), self._scores(outcome)
        if again or not scores:
            self.stopper.forget(task.number)
        if again:
            self._waiting.insert(0, (proposal, again))
            return
        stopped_early = task.number in self._losing and bool(outcome.stopped)
        left = task.spec.train.epochs - outcome.epochs
        epoch_seconds = (heard[-1] - heard[0]) / (len(heard) - 1) if len(heard) > 1 else 0.0
        trial = Trial(
            number=task.number,
            values=proposal.values,
            scores=scores,
            batch_size=task.spec.train.batch_size,
            seconds=outcome.end_time - outcome.start_time,
            epochs=outcome.epochs,
            costs=outcome.costs,
            stopped=outcome.stopped,
            stopped_early=stopped_early,
            saved=left * epoch_seconds if stopped_early else 0.0,
            reason=outcome.reason,
        )
        trial = replace(trial, run_id=self._record(proposal, task, outcome, trial))
        self._tell(trial)
        self.progress.ended(trial, best_of(self.trials, self.objectives[0]))

    # --------------------------------------------------------------------------------- taking it up

    def replay(self, rows: Sequence[Row], running: Mapping[int, int]) -> None:
        """Ask and tell as before: `rows` are the trials that have ended, `running` those that had
        not, with what was known.

        Raises:
            UsageError: the searcher proposes other trials now, as another version of a library may.
        """
        by_number = {int(row.tags["trial"]): row for row in rows}
        order = sorted(by_number, key=lambda number: int(by_number[number].tags["told"]))
        known = {**running, **{number: int(row.tags["known"]) for number, row in by_number.items()}}
        proposals: dict[int, Proposal] = {}
        for number in range(1, max(known, default=0) + 1):
            while len(self.trials) < known.get(number, 0):
                if len(self.trials) == len(order):
                    raise UsageError(
                        f"--resume {self.run.id[:8]}: runs of its trials were deleted in MLflow. Restore them, or begin anew"
                    )
                self._retell(proposals[order[len(self.trials)]], by_number[order[len(self.trials)]])
            proposal = self._ask()
            if proposal is None or not self._same(proposal, by_number.get(number)):
                raise UsageError(
                    f"--resume {self.run.id[:8]}: trial {number} would be another one now, as after an update of appline or Optuna. "
                    f"Begin a new sweep with what this one found: --warm-from {self.run.id[:8]}"
                )
            proposals[number] = proposal
            if number not in by_number:
                self._waiting.append((proposal, self._task(proposal)))
        for number in order[len(self.trials) :]:
            self._retell(proposals[number], by_number[number])

    def _same(self, proposal: Proposal, row: Row | None) -> bool:
        if row is None:
            return True
        texts = {
            key: str(value) for key, value in flatten(self.space.spec(proposal.values)).items()
        }
        return all(
            row.params.get(key, texts[key]) == texts[key]
            for key in proposal.values
            if key not in CHANGED
        )

    def _retell(self, proposal: Proposal, row: Row) -> None:
        names = [
            one.name if one.name in COST_METRICS else f"best/{one.name}" for one in self.objectives
        ]
        scored = row.status == "FINISHED" and all(name in row.metrics for name in names)
        stopped = row.tags.get("stopped", "")
        trial = Trial(
            number=proposal.number,
            values=proposal.values,
            scores=tuple(row.metrics[name] for name in names) if scored else (),
            batch_size=int(row.params["train.batch_size"]),
            seconds=(row.end_time or row.start_time) - row.start_time,
            epochs=int(row.metrics.get("epochs", 0)),
            costs={name: value for name, value in row.metrics.items() if name in COST_METRICS},
            stopped=stopped,
            stopped_early=row.tags.get("stopped_early") == "true",
            saved=float(row.metrics.get("cost/saved_s", 0.0)),
            reason=row.tags.get("reason", "") if not scored else "",
            run_id=row.id,
            replayed=True,
        )
        for epoch, score in enumerate(self.tracker.curve(row.id, self.objectives[0].name), start=1):
            self.stopper.reported(proposal.number, epoch, score)
        self._tell(trial)
        self.progress.ended(trial, best_of(self.trials, self.objectives[0]))

    # ---------------------------------------------------------------------------------------- parts

    def _ask(self) -> Proposal | None:
        proposal = self.searcher.ask()
        self.exhausted = self.searcher.exhausted
        if proposal:
            self._asked += 1
        return proposal

    def _epochs_left(self) -> bool:
        """Whether the budget of epochs holds one more whole trial: a shorter one could not be
        compared.
        """
        spent = sum(trial.epochs for trial in self.trials) + sum(
            one.epochs or self.epochs for one in self._running.values()
        )
        return spent + self.epochs <= self.budget.epochs

    def _task(self, proposal: Proposal) -> Task:
        spec = self.space.spec(proposal.values)
        spec = replace(spec, train=replace(spec.train, epochs=proposal.epochs or self.epochs))
        return Task(number=proposal.number, spec=spec, seed=self._seed(proposal.number))

    def _seed(self, number: int) -> int:
        """Return a trial's own seed: a killed and resumed sweep then equals an undisturbed one."""
        return (
            int.from_bytes(
                hashlib.sha256(f"{self.work.pipeline.options.seed}/{number}".encode()).digest()[:4],
                "big",
            )
            % 2**31
        )

    def _start(self, proposal: Proposal, task: Task) -> Task:
        self._running[proposal.number] = proposal
        waiting = {one.number: one.known for one, _ in self._waiting}
        self.run.tags(
            {
                "running": json.dumps(
                    {**waiting, **{number: one.known for number, one in self._running.items()}}
                )
            }
        )
        self.progress.started(proposal, task.spec.train.epochs)
        return replace(task, seconds=self.budget.deadline - time.monotonic())

    def _again(self, task: Task, outcome: Outcome) -> Task | None:
        """Return the task to try once more: with half the batch when memory ran out, as it was when
        its process was killed.
        """
        if outcome.out_of_memory and (half := smaller(task)):
            self.progress.noted(
                f"trial {task.number} ran out of memory: again with batches of {half.spec.train.batch_size}"
            )
            return half
        if outcome.died and task.attempt == 1:
            self.progress.noted(f"trial {task.number}: {outcome.reason}; again")
            return replace(task, attempt=2)
        return None

    def _scores(self, outcome: Outcome) -> tuple[float, ...]:
        """Return the score for each objective, of the epoch whose weights are kept; none when one
        is missing.
        """
        if outcome.score is None:
            return ()
        names = [one.name for one in self.objectives]
        kept = {
            name: outcome.history[name][outcome.best_epoch - 1]
            for name in names
            if name in outcome.history
        }
        found = {**outcome.costs, **kept, names[0]: outcome.score}
        return tuple(found[name] for name in names) if all(name in found for name in names) else ()

    def _tell(self, trial: Trial) -> None:
        self.searcher.tell(
            trial.number,
            trial.scores or None,
            stopped_at=trial.epochs if trial.stopped_early else 0,
        )
        self.trials.append(trial)

    def _record(self, proposal: Proposal, task: Task, outcome: Outcome, trial: Trial) -> str:
        metrics: dict[str, float] = {}
        if trial.scores:
            best = {
                f"best/{one.name}": score
                for one, score in zip(self.objectives, trial.scores, strict=True)
                if one.name not in COST_METRICS
            }
            metrics = {
                **best,
                "best/epoch": outcome.best_epoch,
                "epochs": outcome.epochs,
                **outcome.costs,
            }
            metrics |= {"cost/saved_s": trial.saved} if trial.saved else {}
        tags = {
            "known": str(proposal.known),
            "told": str(len(self.trials) + 1),
            "attempt": str(task.attempt),
        }
        tags |= {"reason": outcome.reason} if outcome.reason else {}
        tags |= {"stopped": outcome.stopped} if outcome.stopped else {}
        tags |= {"stopped_early": "true"} if trial.stopped_early else {}
        return self.tracker.record(
            Record(
                name=f"trial {task.number}",
                role="trial",
                parent=self.run.id,
                tags={
                    "dataset": self.work.splits.dataset,
                    "data_digest": self.work.splits.digest,
                    "sweep": self.run.id,
                    "trial": str(task.number),
                    **tags,
                },
                params=run_params(self.work.pipeline.options, task.spec),
                history=outcome.history,
                metrics=metrics,
                status="FINISHED" if trial.scores else "FAILED",
                start_time=outcome.start_time,
                end_time=outcome.end_time,
            )
        )


def best_of(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the finished trial with the best score, the earlier of equals; None when none
    finished.
    """
    best: Trial | None = None
    for trial in trials:
        if trial.score is not None and (
            best is None or best.score is None or objective.better(trial.score, best.score)
        ):
            best = trial
    return best
