"""What runs inside a worker process: trials for a parent, until its end of the pipe is closed.

Nothing heavy is imported at the top: a worker sets its threads before TensorFlow.
"""

import contextlib
import gc
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeAlias

from tuning.execution.trial import Task, Work, run_trial

# What a worker's messages are about. A trial's time begins with "begun": a new process needs
# seconds to import TensorFlow.
MessageKind: TypeAlias = Literal["begun", "epoch", "outcome"]


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """What a worker is started with."""

    threads: int
    deterministic: bool
    data_folder: str  # which goes with the parent, also where that was killed


def serve(pipe: Connection, settings: WorkerSettings) -> None:
    """Run the trials that come through `pipe`: a worker's whole life.

    The parent sends the path of the pickled `Work`, then tasks, and None at the end. For each task
    the worker sends `("begun", None)`, `("epoch", (epoch, values))` after each epoch, whereupon it
    waits for the reason to stop or "", and `("outcome", outcome)`.
    """
    threading.Thread(target=_end_with_parent, args=(settings.data_folder,), daemon=True).start()
    tempfile.tempdir = settings.data_folder  # where the code lies that TensorFlow generates
    import joblib

    from pipelines import runtime

    runtime.use_threads(settings.threads)
    # While the parent still prepares.
    runtime.import_tensorflow(deterministic=settings.deterministic)
    gc.collect()
    # What was imported stays: collecting it again after each trial would cost half a second.
    gc.freeze()
    with contextlib.suppress(EOFError, OSError):  # the pipe was closed without a word
        _run_trials(pipe, load_work=partial(joblib.load, mmap_mode="r"))


def _end_with_parent(data_folder: str) -> None:
    """End this process when its parent has died, also inside a step; remove the data."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    shutil.rmtree(data_folder, ignore_errors=True)
    os._exit(1)


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
