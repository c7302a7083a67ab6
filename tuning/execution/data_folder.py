"""The folder with a sweep's data, which lives as long as the sweep's process."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

PREFIX = "appline-"
LOCK = "held.lock"  # the file in the folder that is locked while the sweep lives


class DataFolder:
    """A temporary folder for what is written once and read by all workers.

    Those of sweeps that were killed together with all their workers are removed by the next sweep,
    because no process was left to do it.
    """

    def __init__(self) -> None:
        _remove_leftovers()
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._lock = FileLock(self.path / LOCK)
        self._lock.acquire()

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        self._lock.release()
        self._folder.cleanup()


def _remove_leftovers() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        # The holder of the lock is alive, whatever a clock or another container's process ids say.
        # A Timeout is an OSError, too.
        with contextlib.suppress(OSError), FileLock(lock, timeout=0):
            shutil.rmtree(lock.parent)
