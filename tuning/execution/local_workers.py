"""Trials in processes of their own.

A trial that dies, runs out of memory or hangs takes nothing else with it. Processes are spawned,
never forked (a child forked after TensorFlow was used hangs), and replaced after some trials
because each leaves a few megabytes behind. The data is written once and mapped into each. After
each epoch a worker waits for the parent's answer, so that a trial is stopped where that was
decided. Nothing heavy is imported here: the parent need not know TensorFlow.
"""

import contextlib
import math
import multiprocessing
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import psutil

from pipelines.errors import UsageError
from pipelines.interrupts import RAISED
from pipelines.io.temporary import TemporaryFolder
from pipelines.runtime import num_cores
from tuning.execution.interface import TRIALS_PER_PROCESS, HangDetector, TrialScheduler
from tuning.execution.trial import Outcome, Task, Work, worker_name
from tuning.execution.worker_process import MessageKind, WorkerSettings, serve

BYTES_PER_WORKER = 1.5 * 2**30  # TensorFlow, a small network and its batches
SECONDS_TO_END = 5.0  # for a process, before it is killed
PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_WAIT = 3600.0  # seconds; the operating system takes no endless ones


def count_workers(text: str) -> int:
    """Return the number of processes that `--workers` asks for.

    `auto` is as many as there are cores and free memory for.

    Raises:
        UsageError: neither a whole number from 0 nor `auto`.
    """
    if text == "auto":
        by_memory = int(psutil.virtual_memory().available // BYTES_PER_WORKER)
        return max(1, min(num_cores(), by_memory))
    if not text.isdecimal():
        raise UsageError(
            f"--workers {text}: expected a number of processes, 0 for none beside this one, or auto"
        )
    return int(text)


@dataclass(eq=False)
class _Worker:
    """A process, and the trial that it runs. Moments are those of `time.monotonic()`."""

    process: SpawnProcess
    pipe: Connection
    num_trials: int = 0
    task: Task | None = None
    began: float = math.inf  # infinite until the process says that it is ready
    last_news: float = 0.0
    start_time: float = 0.0  # seconds since 1970
    oom_kills: int = 0  # of the kernel, when the trial was handed out

    def take(self, task: Task) -> None:
        """Send a trial to the process."""
        self.task = task
        self.num_trials += 1
        self.start_time = time.time()
        self.oom_kills = _count_oom_kills()
        self.began = math.inf
        self.last_news = time.monotonic()
        self.send(task)

    def send(self, message: Any) -> None:
        """Send a message; if the process has died meanwhile, its sentinel reports that."""
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> tuple[MessageKind, Any] | None:
        """Return the next message, None when there is none because the process has ended."""
        with contextlib.suppress(EOFError, OSError):
            if self.pipe.poll():
                message: tuple[MessageKind, Any] = self.pipe.recv()
                return message
        return None

    def dismiss(self) -> None:
        """Tell an idle process that there is nothing more to do."""
        self.send(None)
        self.pipe.close()

    def end(self) -> None:
        """Wait for the end of the process, and kill it where it does not come."""
        self.process.join(SECONDS_TO_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(SECONDS_TO_END)
        self.pipe.close()
        self.process.close()

    def death(self) -> Outcome:
        """Return the outcome of the trial whose process has ended under it."""
        self.process.join(SECONDS_TO_END)
        code = self.process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"signal {-code} ({signal.Signals(-code).name})"
        reason = f"its process ended with {how}"
        out_of_memory = code == -signal.SIGKILL and _count_oom_kills() > self.oom_kills
        if out_of_memory:
            reason += ": the machine ran out of memory"
        return Outcome(reason=reason, died=True, out_of_memory=out_of_memory)


@dataclass
class LocalWorkers:
    """An executor of `count` processes on this machine, which share its cores."""

    count: int
    trial_seconds: float = math.inf  # a trial that takes longer has failed
    trials_per_process: int = TRIALS_PER_PROCESS
    deterministic: bool = False
    _workers: list[_Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._hang_detector = HangDetector(self.trial_seconds)
        self._folder = TemporaryFolder()
        self._work_path = Path()
        self._num_runs = 0
        # At once: TensorFlow loads while the parent computes baselines.
        self._workers = [self._start_worker() for _ in range(self.count)]

    @property
    def slots(self) -> int:
        """How many trials can run at a time."""
        return self.count

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        """Run trials until `scheduler` has no further ones and all have ended.

        Raises:
            UsageError: the pipeline cannot be pickled.
        """
        self._write_work(work)
        for worker in self._workers:
            worker.send(self._work_path)
        while True:
            self._hand_out(scheduler)
            busy = self._busy()
            if not busy:
                return
            for worker in self._wait_for_news(busy):
                self._handle_news(worker, scheduler)
            self._end_hanging(scheduler)

    def close(self) -> None:
        """End all processes and remove the data; running trials are given up."""
        for worker in self._workers:
            # After Ctrl-C an idle one too: it may be importing TensorFlow for seconds yet.
            if worker.task or RAISED.is_set():
                worker.process.kill()
            else:
                worker.dismiss()
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._folder.remove()

    def _write_work(self, work: Work) -> None:
        import joblib  # .1 s that a wrong flag need not wait for

        self._num_runs += 1
        self._work_path = self._folder.path / f"work-{self._num_runs}.joblib"
        try:
            joblib.dump(work, self._work_path)
        except Exception as error:
            raise UsageError(
                f"The pipeline cannot be sent to worker processes ({error}). Use --workers 0"
            ) from error

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task]

    def _hand_out(self, scheduler: TrialScheduler) -> None:
        """Give every idle worker a trial, as long as there are some."""
        for position, worker in enumerate(self._workers):
            if worker.task:
                continue
            task = scheduler.next_task()
            if task is None:
                return
            if worker.num_trials >= self.trials_per_process or not worker.process.is_alive():
                worker.dismiss()
                worker = self._replace(position)
            worker.take(task)

    def _replace(self, position: int) -> _Worker:
        """End a worker and return its replacement, which has been sent the work."""
        self._workers[position].end()
        worker = self._start_worker()
        worker.send(self._work_path)
        self._workers[position] = worker
        return worker

    def _start_worker(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        pipe, worker_pipe = context.Pipe()
        settings = WorkerSettings(
            threads=max(1, num_cores() // max(1, self.count)),
            deterministic=self.deterministic,
            data_folder=str(self._folder.path),
        )
        process = context.Process(
            target=serve, args=(worker_pipe, settings), name="appline-worker", daemon=True
        )
        # Blocked for the process from its start on: Ctrl-C and a closed terminal reach the whole
        # group, and the parent decides.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        worker_pipe.close()
        return _Worker(process=process, pipe=pipe)

    def _wait_for_news(self, busy: Sequence[_Worker]) -> set[_Worker]:
        """Return the workers that have sent something or died.

        There are none when a worker reaches its deadline first.
        """
        by_handle: dict[Any, _Worker] = {}
        deadlines = []
        for worker in busy:
            by_handle[worker.pipe] = worker
            by_handle[worker.process.sentinel] = worker
            deadlines.append(self._hang_detector.deadline(worker.began, worker.last_news))
        timeout = max(0.0, min(deadlines) - time.monotonic()) + 0.01
        ready = wait(list(by_handle), timeout=min(timeout, LONGEST_WAIT))
        return {by_handle[handle] for handle in ready}

    def _handle_news(self, worker: _Worker, scheduler: TrialScheduler) -> None:
        task = worker.task
        assert task
        message = worker.receive()
        if message is None:
            self._lose(worker, worker.death(), scheduler)
            return
        kind, content = message
        now = time.monotonic()
        match kind:
            case "begun":
                worker.began = worker.last_news = now
            case "epoch":
                epoch, values = content
                self._hang_detector.add_epoch(now - worker.last_news)
                worker.last_news = now
                worker.send(scheduler.reported(task, epoch, values))
            case "outcome":
                worker.task = None
                scheduler.ended(task, content)

    def _lose(self, worker: _Worker, outcome: Outcome, scheduler: TrialScheduler) -> None:
        """Replace a worker whose process is gone, and report its trial."""
        task, worker.task = worker.task, None
        assert task
        outcome = replace(
            outcome,
            start_time=worker.start_time,
            end_time=time.time(),
            worker=worker_name(worker.process.pid or 0),
        )
        self._replace(self._workers.index(worker))
        scheduler.ended(task, outcome)

    def _end_hanging(self, scheduler: TrialScheduler) -> None:
        now = time.monotonic()
        for worker in self._busy():
            if worker.pipe.poll():  # its messages were not read yet: this process was busy
                continue
            reason = self._hang_detector.reason_to_end(worker.began, worker.last_news, now)
            if reason:
                worker.process.kill()
                self._lose(worker, Outcome(reason=reason), scheduler)


def _count_oom_kills() -> int:
    """Return how many processes the kernel has killed for memory; 0 where it does not tell.

    They are those of this machine and of this container. psutil does not read these counters.
    """
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    count += int(value)
    return count
