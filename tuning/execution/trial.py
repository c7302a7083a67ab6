"""One trial as a pure function of its task.

The same task has the same outcome in this process, in another one, and on another machine.
"""

import dataclasses
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.config.options import Objective
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.training.costs import network_latencies, sizes
from tuning.training.prefixes import prefixed

if TYPE_CHECKING:
    from tuning.training.fit import FitResult

# Called after each epoch with its number and metrics; a text that it returns is the reason to stop
# there.
EpochReport: TypeAlias = Callable[[int, Mapping[str, float]], str]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What all trials of a sweep share. It is sent to each worker once."""

    pipeline: AnyPipeline
    splits: Splits
    objective: Objective
    latency: bool = False  # whether the times of answers are measured too


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial to run: a spec with its epochs and batch size, and the seed of all randomness."""

    number: int
    spec: Any
    seed: int
    seconds: float = float("inf")  # it stops at the end of the epoch in which these are over
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a trial: its best score with curves and costs, or why it has none."""

    score: float | None = None
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_epoch: int = 0
    costs: Mapping[str, float] = field(default_factory=dict)
    stopped: str = ""  # why it ended before its last epoch
    reason: str = ""  # why it has no score
    out_of_memory: bool = False
    died: bool = False  # with its process: the trial may not be the cause
    start_time: float = 0.0  # seconds since 1970
    end_time: float = 0.0
    worker: str = ""  # see `worker_name`; empty where its process was lost

    @property
    def epochs(self) -> int:
        """How many epochs have ended."""
        return len(self.history.get("loss", ()))


def run_trial(work: Work, task: Task, report: EpochReport | None = None) -> Outcome:
    """Fit the network of `task` and return the outcome.

    A failing trial has an outcome too, with its reason: one bad point must not end a night's sweep.

    Raises:
        KeyboardInterrupt: the trial was interrupted and has no outcome.
    """
    # Here: a worker sets its threads before TensorFlow is imported.
    from tuning.training.fit import fit
    from tuning.training.monitor import Watch

    start_time = time.time()
    watch = Watch(
        objective=work.objective, deadline=time.monotonic() + task.seconds, on_epoch=report
    )
    try:
        fitted = fit(work.pipeline, task.spec, work.splits, seed=task.seed, watch=watch)
        costs = {} if fitted.interrupted else _costs(work, task, fitted)
    except Exception as error:
        return Outcome(
            reason=f"{type(error).__name__}: {error}",
            out_of_memory=_is_out_of_memory(error),
            start_time=start_time,
            end_time=time.time(),
            worker=worker_name(os.getpid()),
        )
    if fitted.interrupted:
        raise KeyboardInterrupt
    return Outcome(
        score=fitted.best_score,
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        costs=costs,
        stopped=fitted.stopped,
        start_time=start_time,
        end_time=time.time(),
        worker=worker_name(os.getpid()),
    )


def worker_name(process_id: int) -> str:
    """Return what a worker is called: its machine and its process."""
    return f"{socket.gethostname()} {process_id}"


def with_half_batch(task: Task) -> Task | None:
    """Return the task with half its batch, to be tried once when memory ran out.

    It is None when there is no half, or when this was the second attempt.
    """
    batch_size = task.spec.train.batch_size
    if batch_size < 2 or task.attempt > 1:
        return None
    train = dataclasses.replace(task.spec.train, batch_size=batch_size // 2)
    spec = dataclasses.replace(task.spec, train=train)
    return dataclasses.replace(task, spec=spec, attempt=task.attempt + 1)


def _costs(work: Work, task: Task, fitted: "FitResult") -> dict[str, float]:
    network = work.pipeline, task.spec, work.splits, fitted.model
    costs = {
        **sizes(*network),
        "train_s": fitted.spent.seconds,
        "train_cpu_s": fitted.spent.cpu_seconds,
    }
    if work.latency:
        costs |= network_latencies(*network)
    metrics = prefixed("cost/", costs)
    field = work.pipeline.receptive_field(task.spec, work.splits)
    if field:
        metrics["network/receptive_field"] = field.sees
    return metrics


def _is_out_of_memory(error: Exception) -> bool:
    # By name: TensorFlow is not imported here.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
