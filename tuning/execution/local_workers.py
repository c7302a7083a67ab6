"""Trials in processes of their own: a trial that dies, runs out of memory or hangs takes nothing
else with it.

Processes are spawned, never forked (a child forked after TensorFlow was used hangs), and replaced
after some trials because each leaves a few megabytes behind. The data is written once and mapped
into each. After each epoch a worker waits for the parent's word, so that a trial is stopped where
it was decided. Nothing heavy is imported here: the parent need not know TensorFlow, and a worker
sets its threads before it does.
"""

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from pipelines.errors import UsageError
from tuning.execution.interface import RECYCLED, HangDetector, TrialScheduler
from tuning.execution.trial import Outcome, Task, Work

PER_WORKER = 1.5 * 2**30  # bytes: TensorFlow, a small network and its batches
ENDING = 5.0  # seconds
PREFIX, HELD = (
    "appline-",
    "held.lock",
)  # of a folder with a sweep's data, and of the file in it that is locked while the sweep lives
LONGEST_WAIT = 3600.0

# What a worker says. A trial's time begins with the first: a new process needs seconds to import
# TensorFlow.
Said = Literal["begun", "epoch", "outcome"]


def count_workers(asked: str) -> int:
    """Return the processes that `--workers` asks for; `auto` is as many as there are cores and free
    memory for.

    Raises:
        UsageError: neither a whole number from 0 nor `auto`.
    """
    if asked == "auto":
        import psutil

        return max(
            1,
            min(
                cores(),
                int(psutil.virtual_memory().available // PER_WORKER),
            ),
        )
    if not asked.isdecimal():
        raise UsageError(
            f"--workers {asked}: expected a number of processes, 0 for none beside this one, or auto"
        )
    return int(asked)


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _remove_leftovers() -> None:
    """Remove the data of sweeps that were killed together with all their workers: nobody else was
    left to do it.
    """
    for held in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{HELD}"):
        # Whoever holds the lock lives, whatever a clock or another container's process numbers say.
        with (
            contextlib.suppress(OSError),
            FileLock(held, timeout=0),
        ):  # a Timeout is an OSError, too
            shutil.rmtree(held.parent)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    trials: int = 0
    task: Task | None = None
    began: float = math.inf  # time.monotonic(); infinite until the process says that it is there
    since: float = 0.0  # the last sign of life
    start_time: float = 0.0
    oom_kills: int = 0


@dataclass
class LocalWorkers:
    """An executor of `count` processes on this machine, which share its cores."""

    count: int
    trial_seconds: float = math.inf  # a trial that takes longer has failed
    recycled: int = RECYCLED
    deterministic: bool = False
    _workers: list[_Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._patience = HangDetector(self.trial_seconds)
        _remove_leftovers()
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self._held = FileLock(Path(self._folder.name) / HELD)
        self._held.acquire()
        self._work = Path()
        self._runs = 0
        # At once: TensorFlow loads while the parent computes baselines.
        self._workers = [self._start() for _ in range(self.count)]

    @property
    def slots(self) -> int:
        """How many trials can run at a time."""
        return self.count

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        import joblib

        self._runs += 1
        self._work = Path(self._folder.name) / f"work-{self._runs}.joblib"
        try:
            joblib.dump(work, self._work)
        except Exception as error:
            raise UsageError(
                f"The pipeline cannot be sent to worker processes ({error}). Use --workers 0"
            ) from error
        for worker in self._workers:
            self._send_work(worker)
        while True:
            self._hand_out(scheduler)
            busy = [worker for worker in self._workers if worker.task]
            if not busy:
                return
            by_handle: dict[Any, _Worker] = {}
            for worker in busy:
                by_handle[worker.pipe] = by_handle[worker.process.sentinel] = worker
            until = min(self._patience.until(worker.began, worker.since) for worker in busy)
            timeout = max(0.0, until - time.monotonic()) + 0.01
            for worker in {
                by_handle[handle]
                for handle in wait(list(by_handle), timeout=min(timeout, LONGEST_WAIT))
            }:
                self._hear(worker, scheduler)
            self._end_hanging(scheduler)

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill() if worker.task else worker.pipe.close()
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()
        self._held.release()
        self._folder.cleanup()

    # ------------------------------------------------------------------------------------ tasks out

    def _hand_out(self, scheduler: TrialScheduler) -> None:
        for place, worker in enumerate(self._workers):
            if worker.task:
                continue
            task = scheduler.next_task()
            if task is None:
                return
            if worker.trials >= self.recycled or not worker.process.is_alive():
                worker.pipe.close()
                self._end(worker)
                worker = self._workers[place] = self._start()
                self._send_work(worker)
            worker.task, worker.start_time, worker.oom_kills = task, time.time(), _oom_kills()
            worker.began, worker.since = math.inf, time.monotonic()
            worker.trials += 1
            with contextlib.suppress(OSError):  # it has died meanwhile: its sentinel tells
                worker.pipe.send(task)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, its = context.Pipe()
        threads = max(1, cores() // max(1, self.count))
        home = (os.getpid(), self._folder.name)
        process = context.Process(
            target=_serve,
            args=(its, threads, self.deterministic, home),
            name="appline-worker",
            daemon=True,
        )
        process.start()
        its.close()
        return _Worker(process=process, pipe=ours)

    def _send_work(self, worker: _Worker) -> None:
        with contextlib.suppress(OSError):
            worker.pipe.send(self._work)

    # ------------------------------------------------------------------------------------ news back

    def _hear(self, worker: _Worker, scheduler: TrialScheduler) -> None:
        task = worker.task
        assert task
        said: tuple[Said, Any] | None = None
        with contextlib.suppress(EOFError, OSError):
            said = worker.pipe.recv() if worker.pipe.poll() else None
        if said:
            self._heed(worker, task, *said, scheduler)
            return
        worker.process.join(ENDING)
        code = worker.process.exitcode
        by = (
            f"signal {-code} ({signal.Signals(-code).name})"
            if code is not None and code < 0
            else f"exit code {code}"
        )
        memory = code == -signal.SIGKILL and _oom_kills() > worker.oom_kills
        why = f"its process ended with {by}" + (": the machine ran out of memory" if memory else "")
        self._lost(worker, Outcome(reason=why, died=True, out_of_memory=memory), scheduler)

    def _heed(
        self, worker: _Worker, task: Task, kind: Said, news: Any, scheduler: TrialScheduler
    ) -> None:
        now = time.monotonic()
        match kind:
            case "begun":
                worker.began = worker.since = now
            case "epoch":
                epoch, values = news
                self._patience.epoch(now - worker.since)
                worker.since = now
                answer = scheduler.reported(task, epoch, values)
                with contextlib.suppress(OSError):
                    worker.pipe.send(answer)
            case "outcome":
                worker.task = None
                scheduler.ended(task, news)

    def _lost(self, worker: _Worker, outcome: Outcome, scheduler: TrialScheduler) -> None:
        task, worker.task = worker.task, None
        assert task
        self._end(worker)
        self._workers[self._workers.index(worker)] = replacement = self._start()
        self._send_work(replacement)
        scheduler.ended(task, replace(outcome, start_time=worker.start_time, end_time=time.time()))

    def _end_hanging(self, scheduler: TrialScheduler) -> None:
        now = time.monotonic()
        for worker in [worker for worker in self._workers if worker.task]:
            if worker.pipe.poll():  # it waits to be heard: this process was busy
                continue
            if reason := self._patience.over(worker.began, worker.since, now):
                worker.process.kill()
                self._lost(worker, Outcome(reason=reason), scheduler)

    def _end(self, worker: _Worker) -> None:
        worker.process.join(ENDING)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(ENDING)
        worker.pipe.close()
        worker.process.close()


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for memory, on this machine and in this
    container; 0 where it does not tell.
    """
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                count += int(value) if name == "oom_kill" else 0
    return count


def _serve(pipe: Connection, threads: int, deterministic: bool, home: tuple[int, str]) -> None:
    """Run trials for a parent until its end of the pipe is closed: a worker's whole life.

    `home` is the parent and its folder with the data, which goes with the parent, also where that
    was killed.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the parent decides
    import gc

    import joblib

    from tuning.execution.trial import run_trial
    from tuning.training import runtime

    runtime.use_threads(threads)
    runtime.import_tensorflow(deterministic=deterministic)  # while the parent still prepares
    gc.collect()
    # What was imported stays: collecting it again after each trial would cost half a second
    gc.freeze()

    def report(epoch: int, values: Mapping[str, float]) -> str:
        pipe.send(("epoch", (epoch, dict(values))))
        reason: str = pipe.recv()
        return reason

    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        work: Work | None = None
        while True:
            sent: Path | Task = pipe.recv()
            if isinstance(sent, Path):
                work = joblib.load(sent, mmap_mode="r")
            else:
                assert work
                pipe.send(("begun", None))
                pipe.send(("outcome", run_trial(work, sent, report)))
    parent, folder = home
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)
