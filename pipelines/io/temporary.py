"""Temporary folders that do not outlive their process by more than one command."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "appline-"
LOCK = "held.lock"  # the file in a folder that is locked while its process lives


class TemporaryFolder:
    """A new folder at `path`, until `remove` is called.

    A process that is killed removes nothing: what it leaves is taken away by `clear_abandoned`.
    """

    def __init__(self) -> None:
        from filelock import FileLock

        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self._lock = FileLock(self.path / LOCK)
        self._lock.acquire()
        _in_use.append(self)

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        with contextlib.suppress(ValueError):  # removed before, at the end of the process
            _in_use.remove(self)
        self._lock.release()
        self._folder.cleanup()


_in_use: list[TemporaryFolder] = []


def remove_temporary_folders() -> None:
    """Remove the folders that this process has made, whatever is done in them: it ends."""
    for folder in list(_in_use):
        folder.remove()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder, which is removed behind the block."""
    folder = TemporaryFolder()
    try:
        yield folder.path
    finally:
        folder.remove()


def clear_abandoned() -> None:
    """Remove the temporary folders whose processes are gone.

    The holder of a lock is alive, whatever a clock or another container's process ids say.
    """
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        # Of others nothing is touched, also where one may write everywhere. A lock that is held
        # raises a Timeout, which is an OSError, too.
        with contextlib.suppress(OSError):
            if _is_own(lock) and _is_own(lock.parent):
                _remove_unless_held(lock)


def _is_own(path: Path) -> bool:
    return not path.is_symlink() and path.stat().st_uid == os.getuid()


def _remove_unless_held(lock: Path) -> None:
    from filelock import FileLock

    with FileLock(lock, timeout=0):
        shutil.rmtree(lock.parent)
