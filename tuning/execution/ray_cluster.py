"""Trials on the machines of a Ray cluster.

The search's scheduler stays here; Ray carries tasks out and results back. Each trial runs in an
actor that keeps its TensorFlow for the next one. The data travels once, into Ray's object store;
runs are recorded by this process alone. Ray's own search and restore are not used: the sweep is
resumed as any other.
"""

import contextlib
import math
import pickle
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pipelines.errors import ApplineError, ExternalFailure, UsageError
from tuning.execution.interface import TRIALS_PER_PROCESS, HangDetector, TrialScheduler
from tuning.execution.trial import Outcome, Task, Work

SECONDS_BETWEEN_LOOKS = 0.02  # at what has come back
SECONDS_TO_ANSWER = 10.0  # for the cluster's address
# Times that a trial is handed out before its actor is there: Ray may place it on a machine that has
# just died.
MOST_STARTS = 5
# The epoch in whose place an actor says that a trial begins: its start and the data's way are over.
BEGUN = 0
MOST_CHARACTERS = 200  # of an error of Ray's


@dataclass(eq=False)
class _Slot:
    """One actor, and the trial that runs there. Moments are those of `time.monotonic()`."""

    actor: Any
    num_trials: int = 0
    task: Task | None = None
    future: Any = None
    began: float = math.inf  # infinite until the actor says that it is ready
    last_news: float = 0.0
    start_time: float = 0.0  # seconds since 1970

    @property
    def waits_for_actor(self) -> bool:
        """Whether its trial has not begun: others may hold the cluster's CPUs."""
        return self.task is not None and self.began == math.inf

    def take(self, task: Task, work_reference: Any, news: Any) -> None:
        """Send a trial to the actor."""
        self.task = task
        self.num_trials += 1
        self.start_time = time.time()
        self.began = math.inf
        self.last_news = time.monotonic()
        self.future = self.actor.trial.remote(work_reference, pickle.dumps(task), news)


@dataclass
class RayCluster:
    """An executor with a slot for each CPU of the Ray cluster at `address`.

    CPUs that join later get slots too.
    """

    address: str
    trial_seconds: float = math.inf  # a trial that takes longer has failed
    deterministic: bool = False
    _slots: list[_Slot] = field(default_factory=list)
    _not_begun: list[Task] = field(default_factory=list)  # whose actor died before it was there
    _num_starts: Counter[int] = field(default_factory=Counter)  # by trial

    def __post_init__(self) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--cluster needs Ray. Install it: pip install 'appline[cluster]'"
            ) from error
        try:
            _check_address(self.address)
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level="ERROR",
                ignore_reinit_error=True,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ApplineError(
                f"--cluster {self.address}: no Ray cluster answers there ({error}). "
                "Start one: ray start --head"
            ) from error
        self._ray = ray
        self._hang_detector = HangDetector(self.trial_seconds)

    @property
    def slots(self) -> int:
        """How many trials the cluster can run at a time."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        """Run trials until `scheduler` has no further ones and all have ended.

        Raises:
            ExternalFailure: the cluster failed.
        """
        from ray.exceptions import RayError

        self._num_starts.clear()
        # As bytes: an actor can read them only when it knows where this process finds its modules.
        # In a list: else Ray would bring them anew for every trial.
        work_reference = [self._ray.put(pickle.dumps(work))]
        try:
            with self._news_queue() as news:
                while True:
                    self._hand_out(scheduler, work_reference, news)
                    busy = [slot for slot in self._slots if slot.task]
                    if not busy:
                        return
                    futures = [slot.future for slot in busy]
                    done, _ = self._ray.wait(futures, timeout=SECONDS_BETWEEN_LOOKS)
                    self._handle_news(news, scheduler)
                    for slot in busy:
                        if slot.future in done:
                            self._handle_end(slot, scheduler)
                    self._end_hanging(scheduler)
        except RayError as error:
            raise ExternalFailure(
                f"--cluster {self.address}: the Ray cluster failed: {_describe(error)}"
            ) from error

    def close(self) -> None:
        """End all actors and leave the cluster."""
        for slot in self._slots:
            self._ray.kill(slot.actor)
        self._slots.clear()
        self._ray.shutdown()

    @contextlib.contextmanager
    def _news_queue(self) -> Iterator[Any]:
        """Yield the queue through which actors report."""
        from ray.exceptions import RayError
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # On this machine, where it lives as long as the scheduler does: on another one it could be
        # lost with that.
        this_machine = NodeAffinitySchedulingStrategy(
            node_id=self._ray.get_runtime_context().get_node_id(), soft=False
        )
        news = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": this_machine})
        try:
            yield news
        finally:
            with contextlib.suppress(RayError):
                news.shutdown(force=True)

    def _hand_out(self, scheduler: TrialScheduler, work_reference: Any, news: Any) -> None:
        """Give every idle slot a trial, as long as there are some."""
        idle = [slot for slot in self._slots if not slot.task]
        # After a machine was lost: an idle actor must not hold the CPU that another one waits for.
        while idle and len(self._slots) > self.slots:
            self._drop(idle.pop())
        while idle or len(self._slots) < self.slots:
            task = self._not_begun.pop() if self._not_begun else scheduler.next_task()
            if task is None:
                self._free_cpus(idle)
                return
            self._num_starts[task.number] += 1
            slot = idle.pop() if idle else self._add_slot()
            if slot.num_trials >= TRIALS_PER_PROCESS:
                self._drop(slot)
                slot = self._add_slot()
            slot.take(task, work_reference, news)

    def _free_cpus(self, idle: list[_Slot]) -> None:
        """Drop idle actors where a trial waits for a CPU, which one of them may hold."""
        if any(slot.waits_for_actor for slot in self._slots):
            for slot in idle:
                self._drop(slot)

    def _add_slot(self) -> _Slot:
        actor = self._ray.remote(_Actor).options(num_cpus=1, max_concurrency=2, max_restarts=0)
        slot = _Slot(actor.remote(sys.path, self.deterministic))
        self._slots.append(slot)
        return slot

    def _drop(self, slot: _Slot) -> None:
        self._ray.kill(slot.actor)
        self._slots.remove(slot)

    def _handle_news(self, news: Any, scheduler: TrialScheduler) -> None:
        while not news.empty():
            number, epoch, values = news.get()
            slot = self._slot_of(number)
            if slot is None or slot.task is None:
                continue  # of a trial that was given up
            now = time.monotonic()
            if epoch == BEGUN:
                slot.began = slot.last_news = now
                continue
            self._hang_detector.add_epoch(now - slot.last_news)
            slot.last_news = now
            slot.actor.answer.remote(scheduler.reported(slot.task, epoch, values))

    def _slot_of(self, number: int) -> _Slot | None:
        for slot in self._slots:
            if slot.task and slot.task.number == number:
                return slot
        return None

    def _handle_end(self, slot: _Slot, scheduler: TrialScheduler) -> None:
        from ray.exceptions import OutOfMemoryError, RayError

        never_begun = slot.waits_for_actor
        task, slot.task = slot.task, None
        assert task
        try:
            outcome = self._ray.get(slot.future)
        except RayError as error:
            self._drop(slot)
            if never_begun and self._num_starts[task.number] < MOST_STARTS:
                self._not_begun.append(task)
                return
            outcome = Outcome(
                reason=f"its process on the cluster ended: {_describe(error)}",
                died=True,
                out_of_memory=isinstance(error, OutOfMemoryError),
                start_time=slot.start_time,
                end_time=time.time(),
            )
        scheduler.ended(task, outcome)

    def _end_hanging(self, scheduler: TrialScheduler) -> None:
        now = time.monotonic()
        for slot in [slot for slot in self._slots if slot.task and not slot.waits_for_actor]:
            done, _ = self._ray.wait([slot.future], timeout=0)
            if done:  # its end was not read yet: this process was busy
                continue
            reason = self._hang_detector.reason_to_end(slot.began, slot.last_news, now)
            if reason:
                task, slot.task = slot.task, None
                assert task
                self._drop(slot)
                outcome = Outcome(reason=reason, start_time=slot.start_time, end_time=time.time())
                scheduler.ended(task, outcome)


def _describe(error: Exception) -> str:
    last_line = str(error).strip().splitlines()[-1]
    return f"{type(error).__name__}: {last_line[:MOST_CHARACTERS]}"


def _check_address(address: str) -> None:
    """Raise OSError when nothing listens at HOST:PORT, where Ray would try for minutes.

    Ray itself finds `auto` and the like.
    """
    url = urlsplit(address if "://" in address else f"//{address}")
    if url.hostname and url.port:
        socket.create_connection((url.hostname, url.port), timeout=SECONDS_TO_ANSWER).close()


class _Actor:
    """A place where trials run: one CPU of some machine.

    `answer` is called from another thread while `trial` runs.
    """

    def __init__(self, module_paths: list[str], deterministic: bool) -> None:
        import queue

        # Where the driver finds its modules, before anything of them is imported.
        sys.path[:] = dict.fromkeys([*module_paths, *sys.path])
        from pipelines import runtime

        runtime.use_threads(1)
        runtime.import_tensorflow(deterministic=deterministic)
        self._answers: queue.Queue[str] = queue.Queue()
        self._work_reference: Any = None
        self._work: Any = None

    def trial(self, work_reference: list[Any], pickled_task: bytes, news: Any) -> Outcome:
        import ray

        from tuning.execution.trial import run_trial

        if work_reference[0] != self._work_reference:
            self._work_reference = work_reference[0]
            self._work = pickle.loads(ray.get(work_reference[0]))
        task: Task = pickle.loads(pickled_task)

        news.put((task.number, BEGUN, {}))

        def report(epoch: int, values: Any) -> str:
            news.put((task.number, epoch, dict(values)))
            return self._answers.get()

        return run_trial(self._work, task, report)

    def answer(self, reason: str) -> None:
        self._answers.put(reason)
