"""Signals that end a command as Ctrl-C does: the run is closed, workers and servers end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Asked to end by a system or a container, and by a terminal that was closed.
TERMINATION = (signal.SIGTERM, signal.SIGHUP)


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
