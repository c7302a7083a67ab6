"""Trials on the machines of a Ray cluster: the search's scheduler stays here, Ray carries tasks out
and news back.

Each trial runs in an actor that keeps its TensorFlow for the next one. The data travels once, into
Ray's object store; runs are recorded by this process alone. Ray's own search and restore are not
used: the sweep is resumed as any other.
"""

import contextlib
import math
import pickle
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from pipelines.errors import ApplineError, ExternalFailure, UsageError
from tuning.execution.interface import RECYCLED, HangDetector, TrialScheduler
from tuning.execution.trial import Outcome, Task, Work

LOOK = 0.02  # seconds between looks at what has come back
ANSWER = 10.0  # seconds for the cluster's address to answer
# Times that a trial is handed out before its actor is there: Ray may place it on a machine that has
# just died
STARTS = 5
# The epoch in whose place an actor says that a trial begins: its start and the data's way are over
BEGUN = 0


@dataclass(eq=False)
class _Slot:
    """One actor, and the trial that runs there."""

    actor: Any
    trials: int = 0
    task: Task | None = None
    future: Any = None
    began: float = math.inf  # until the actor says that it is there
    since: float = 0.0
    start_time: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether its trial waits for the actor: others may hold the cluster's CPUs."""
        return self.task is not None and self.began == math.inf


@dataclass
class RayCluster:
    """An executor with a slot for each CPU of the Ray cluster at `address`, also of those that join
    later.
    """

    address: str
    trial_seconds: float = math.inf
    deterministic: bool = False
    _slots: list[_Slot] = field(default_factory=list)
    _not_begun: list[Task] = field(default_factory=list)  # whose actor died before it was there
    _starts: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                '--cluster needs Ray: pip install ".[cluster]" in a checkout of appline'
            ) from error
        try:
            _reach(self.address)
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level="ERROR",
                ignore_reinit_error=True,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ApplineError(
                f"--cluster {self.address}: no Ray cluster answers there ({error}). Start one: ray start --head"
            ) from error
        self._ray = ray
        self._patience = HangDetector(self.trial_seconds)

    @property
    def slots(self) -> int:
        """How many trials the cluster can run at a time."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        from ray.exceptions import RayError
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._starts.clear()
        # As bytes: an actor can read them only when it knows where this process finds its modules.
        # In a list: else Ray would bring them anew for every trial.
        data = [self._ray.put(pickle.dumps(work))]
        # Here, where it lives as long as the scheduler does: on another machine it could be lost
        # with that.
        here = NodeAffinitySchedulingStrategy(
            node_id=self._ray.get_runtime_context().get_node_id(), soft=False
        )
        news = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        try:
            while True:
                self._hand_out(scheduler, data, news)
                busy = [slot for slot in self._slots if slot.task]
                if not busy:
                    return
                done, _ = self._ray.wait([slot.future for slot in busy], timeout=LOOK)
                self._hear_epochs(news, scheduler)
                for slot in busy:
                    if slot.future in done:
                        self._hear_end(slot, scheduler)
                self._end_hanging(scheduler)
        except RayError as error:
            raise ExternalFailure(
                f"--cluster {self.address}: the Ray cluster failed: {type(error).__name__}: {_last_line(error)}"
            ) from error
        finally:
            with contextlib.suppress(RayError):
                news.shutdown(force=True)

    def close(self) -> None:
        for slot in self._slots:
            self._ray.kill(slot.actor)
        self._slots.clear()
        self._ray.shutdown()

    def _hand_out(self, scheduler: TrialScheduler, data: Any, news: Any) -> None:
        free = [slot for slot in self._slots if not slot.task]
        while (
            free and len(self._slots) > self.slots
        ):  # a machine was lost: an idle actor must not hold the CPU that another waits for
            self._drop(free.pop())
        while free or len(self._slots) < self.slots:
            task = self._not_begun.pop() if self._not_begun else scheduler.next_task()
            if task is None:
                if any(slot.waits for slot in self._slots):  # for a CPU that an idle actor may hold
                    for slot in free:
                        self._drop(slot)
                return
            self._starts[task.number] += 1
            slot = free.pop() if free else self._add_slot()
            if slot.trials >= RECYCLED:
                self._drop(slot)
                slot = self._add_slot()
            slot.task, slot.trials, slot.start_time = task, slot.trials + 1, time.time()
            slot.began, slot.since = math.inf, time.monotonic()
            slot.future = slot.actor.trial.remote(data, pickle.dumps(task), news)

    def _add_slot(self) -> _Slot:
        made = self._ray.remote(_Actor).options(num_cpus=1, max_concurrency=2, max_restarts=0)
        slot = _Slot(made.remote(sys.path, self.deterministic))
        self._slots.append(slot)
        return slot

    def _hear_epochs(self, news: Any, scheduler: TrialScheduler) -> None:
        while not news.empty():
            number, epoch, values = news.get()
            slot = next(
                (slot for slot in self._slots if slot.task and slot.task.number == number), None
            )
            if slot is None or slot.task is None:
                continue  # of a trial that was given up
            now = time.monotonic()
            if epoch == BEGUN:
                slot.began = slot.since = now
                continue
            self._patience.epoch(now - slot.since)
            slot.since = now
            slot.actor.answer.remote(scheduler.reported(slot.task, epoch, values))

    def _hear_end(self, slot: _Slot, scheduler: TrialScheduler) -> None:
        from ray.exceptions import OutOfMemoryError, RayError

        never_begun = slot.waits
        task, slot.task = slot.task, None
        assert task
        try:
            outcome = self._ray.get(slot.future)
        except RayError as error:
            self._drop(slot)
            if never_begun and self._starts[task.number] < STARTS:
                self._not_begun.append(task)
                return
            outcome = Outcome(
                reason=f"its process on the cluster ended: {type(error).__name__}: {_last_line(error)}",
                died=True,
                out_of_memory=isinstance(error, OutOfMemoryError),
                start_time=slot.start_time,
                end_time=time.time(),
            )
        scheduler.ended(task, outcome)

    def _end_hanging(self, scheduler: TrialScheduler) -> None:
        now = time.monotonic()
        for slot in [slot for slot in self._slots if slot.task and not slot.waits]:
            if self._ray.wait([slot.future], timeout=0)[
                0
            ]:  # it waits to be heard: this process was busy
                continue
            if reason := self._patience.over(slot.began, slot.since, now):
                task, slot.task = slot.task, None
                assert task
                self._drop(slot)
                scheduler.ended(
                    task,
                    replace(
                        Outcome(reason=reason), start_time=slot.start_time, end_time=time.time()
                    ),
                )

    def _drop(self, slot: _Slot) -> None:
        self._ray.kill(slot.actor)
        self._slots.remove(slot)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1][:200]


def _reach(address: str) -> None:
    """Raise OSError when nothing listens at HOST:PORT: Ray would try for minutes. `auto` and the
    like are Ray's to find.
    """
    url = urlsplit(address if "://" in address else f"//{address}")
    if url.hostname and url.port:
        socket.create_connection((url.hostname, url.port), timeout=ANSWER).close()


class _Actor:
    """Where trials run, on one CPU of some machine; `answer` is called beside `trial`, from another
    thread.
    """

    def __init__(self, paths: list[str], deterministic: bool) -> None:
        import queue

        sys.path[:] = dict.fromkeys([*paths, *sys.path])
        from tuning.training import runtime

        runtime.use_threads(1)
        runtime.import_tensorflow(deterministic=deterministic)
        self._answers: queue.Queue[str] = queue.Queue()
        self._data: Any = None
        self._work: Any = None

    def trial(self, data: list[Any], packed: bytes, news: Any) -> Outcome:
        import ray

        from tuning.execution.trial import run_trial

        if data[0] != self._data:
            self._data, self._work = data[0], pickle.loads(ray.get(data[0]))
        task: Task = pickle.loads(packed)

        news.put((task.number, BEGUN, {}))

        def report(epoch: int, values: Any) -> str:
            news.put((task.number, epoch, dict(values)))
            return self._answers.get()

        return run_trial(self._work, task, report)

    def answer(self, reason: str) -> None:
        self._answers.put(reason)
