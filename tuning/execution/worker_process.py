"""What runs inside a worker process: trials for a parent, until its end of the pipe is closed.

Nothing heavy is imported at the top: a worker sets its threads before TensorFlow.
"""

import gc
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeAlias

from tuning.execution.trial import Task, Work, run_trial

DYING_SECONDS = 0.5  # on a busy machine
# What a worker's messages are about. A trial's time begins with "begun": a new process needs
# seconds to import TensorFlow.
MessageKind: TypeAlias = Literal["begun", "epoch", "outcome"]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker is started with."""

    threads: int
    deterministic: bool
    parent_pid: int
    data_folder: str  # which goes with the parent, also where that was killed


def serve(pipe: Connection, settings: WorkerSettings) -> None:
    """Run the trials that come through `pipe`: a worker's whole life.

    The parent sends the path of the pickled `Work`, then tasks, and None at the end. For each task
    the worker sends `("begun", None)`, `("epoch", (epoch, values))` after each epoch, whereupon it
    waits for the reason to stop or "", and `("outcome", outcome)`.
    """
    # Ctrl-C reaches the whole group; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import joblib

    from pipelines import runtime

    runtime.use_threads(settings.threads)
    # While the parent still prepares.
    runtime.import_tensorflow(deterministic=settings.deterministic)
    gc.collect()
    # What was imported stays: collecting it again after each trial would cost half a second.
    gc.freeze()
    try:
        _run_trials(pipe, load_work=partial(joblib.load, mmap_mode="r"))
    except (EOFError, OSError):  # the pipe was closed without a word
        if _is_parent_dead(settings.parent_pid):
            shutil.rmtree(settings.data_folder, ignore_errors=True)


def _is_parent_dead(parent_pid: int) -> bool:
    """Return whether the pipe was closed because the parent died."""
    # A dying process closes its files first, and loses its children a moment later.
    until = time.monotonic() + DYING_SECONDS
    while os.getppid() == parent_pid and time.monotonic() < until:
        time.sleep(0.02)
    return os.getppid() != parent_pid


def _run_trials(pipe: Connection, load_work: Callable[[Path], Work]) -> None:
    def report(epoch: int, values: Mapping[str, float]) -> str:
        pipe.send(("epoch", (epoch, dict(values))))
        reason: str = pipe.recv()
        return reason

    work: Work | None = None
    while True:
        received: Path | Task | None = pipe.recv()
        if received is None:
            return
        if isinstance(received, Path):
            work = load_work(received)
            continue
        assert work
        pipe.send(("begun", None))
        pipe.send(("outcome", run_trial(work, received, report)))
