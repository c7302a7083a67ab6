"""Signals that end a command as Ctrl-C does: the run is closed, workers and servers end.

Python sees a signal only between two of its own instructions, and one step of a large network or
the reading of a large file is a single one; libraries swallow an interrupt now and then. A thread
waits for such signals too, and ends the command where nobody has noticed it within `GRACE`.
"""

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pipelines.interrupts import NOTICED, RAISED, WORTH_WAITING
from pipelines.io.temporary import remove_temporary_folders

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# Asked to end by a system or a container, and by a terminal that was closed.
TERMINATION = (signal.SIGTERM, signal.SIGHUP)
GRACE = 1.2  # seconds: a command is to end within two
LONGEST_STEP = 10.0  # seconds that a training is given to keep its best weights
LONGEST_END = 60.0  # seconds to close runs and to write what is kept
AFTER_HOOK = 0.05  # seconds in which Python's hook for lost errors has come to its end
REPEATED = 0.7  # seconds after which a further signal is another one, which ends at once
INTERRUPTED = 130
GENERATED = "__autograph_generated_file"  # begins the names of modules that TensorFlow writes


def interrupt_on_termination() -> None:
    """Let the signals of `TERMINATION` interrupt this process as Ctrl-C does.

    Those that it was told to ignore stay ignored: `nohup` starts a command so.
    """
    for number in TERMINATION:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextmanager
def interrupted_by_termination() -> Iterator[None]:
    """Interrupt the block on the signals of `TERMINATION`, then restore their handlers."""
    before = {number: signal.getsignal(number) for number in TERMINATION}
    interrupt_on_termination()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def end_at_once(code: int) -> None:
    """End this process without what libraries do at its end, which takes a second or more.

    Everything that is to be kept is written, and what this process has started has ended.
    """
    with suppress(OSError, ValueError):  # a closed terminal takes no words
        sys.stdout.flush()
        sys.stderr.flush()
    _remove_generated_code()
    os._exit(code)


def _remove_generated_code() -> None:
    """Remove the code that TensorFlow has written into the folder for temporary files.

    It does so itself only at the usual end of a process.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(GENERATED) and getattr(module, "__file__", None):
            Path(module.__file__ or "").unlink(missing_ok=True)


class QuickEnd:
    """Ends this process once all exit handlers have run, without taking the process apart.

    After a training Python collects TensorFlow's graphs for seconds. Made before those handlers are
    registered, it comes behind them.
    """

    def __init__(self) -> None:
        self.code = 1  # until the command has come to its end
        atexit.register(lambda: end_at_once(self.code))


class InterruptWatch:
    """Ends this process soon after a signal, also where Python does not come to see it.

    The first signal raises `KeyboardInterrupt`; while that is handled, signals that follow at once
    are the same one (a shell and its terminal both send SIGHUP), and a later one ends the process.
    """

    def __init__(self, say: Callable[[str], None], last_words: Callable[[], str]) -> None:
        self._say = say
        self._last_words = last_words
        self._raised = 0.0  # time.monotonic() at which an interrupt was raised last
        self._first = 0.0  # and at which the first signal came
        self._num_resent = 0  # signals that this object sends itself, and has not received yet
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def start(self) -> None:
        """Take the signals that interrupt, from now on."""
        taken = [
            number
            for number in (signal.SIGINT, *TERMINATION)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        for number in taken:
            signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        sys.unraisablehook = self._raise_again
        watch = threading.Thread(target=self._watch, args=(set(taken),), daemon=True)
        watch.start()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        is_same = self._raised and now - self._raised < REPEATED
        if is_same or NOTICED.is_set():
            return
        self._raised = now
        RAISED.set()
        raise KeyboardInterrupt

    def _raise_again(self, lost: "UnraisableHookArgs") -> None:
        """Take the place of Python's hook for errors that nobody can catch.

        An interrupt that came while an object was removed is lost: it is raised once more. Objects
        that an interrupt has left unfinished cannot be removed: nobody needs to know.
        """
        if lost.exc_type is not KeyboardInterrupt:
            if not RAISED.is_set():
                sys.__unraisablehook__(lost)
        elif not NOTICED.is_set():
            threading.Thread(target=self._send_again, daemon=True).start()

    def _send_again(self) -> None:
        time.sleep(AFTER_HOOK)
        self._raised = 0.0
        self._num_resent += 1
        main_thread = threading.main_thread().ident
        if main_thread is not None:
            signal.pthread_kill(main_thread, signal.SIGINT)

    def _watch(self, numbers: set[int]) -> None:
        """Wait for signals: what the C handler writes comes here whatever Python does."""
        while True:
            received = self._reader.recv(1)
            if not received or received[0] not in numbers:
                continue
            if self._num_resent:
                self._num_resent -= 1
            elif not self._first:
                self._first = time.monotonic()
                threading.Thread(target=self._end_if_unseen, daemon=True).start()
            elif time.monotonic() - self._first > REPEATED:
                self._end("Interrupted again: ended at once")

    def _end_if_unseen(self) -> None:
        if not NOTICED.wait(GRACE) and WORTH_WAITING.is_set():
            self._say(
                "Interrupted: a step is being finished, to keep the best weights. "
                "Press Ctrl-C again to end without them"
            )
            NOTICED.wait(LONGEST_STEP)
        if NOTICED.is_set():  # runs are closed and models written, which may hang too
            time.sleep(LONGEST_END)
        self._end(self._last_words())

    def _end(self, words: str) -> None:
        """Kill the processes that this one has started, and end it; runs are closed later.

        A run whose process is gone is KILLED for all who look at it.
        """
        # A closed terminal takes no words.
        with suppress(Exception):
            self._say(words)
        with suppress(Exception):
            _kill_children()
        with suppress(OSError):
            _remove_generated_code()
            remove_temporary_folders()
        os._exit(INTERRUPTED)


def _kill_children() -> None:
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
