"""The line that says what goes on, how far it is and how long it will take."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from apps.rendering import clock
from pipelines.io.progress import Work, shown_by

# Seconds between two lines: on a pipe, on a terminal.
INTERVAL = (10.0, 0.5)
SHORTEST = 1.0  # seconds: what takes less is not worth a line
BAR = 20  # characters, on a terminal
CLEAR_LINE_ABOVE = "\x1b[1A\x1b[2K"  # as a terminal takes it


class WorkLine:
    """Looks at the work that goes on twice a second and writes a line of it over the last one.

    On a pipe it is one line every ten seconds. While something else draws on the terminal, it is
    `paused` and only asked for its `text`.
    """

    def __init__(self) -> None:
        self.paused = False
        self._works: list[Work] = []
        self._lock = threading.Lock()
        self._shown = False  # whether the last line of the terminal is this one
        self._epoch_above = False  # whether the last line, but for this one, is an epoch's

    def begun(self, work: Work) -> None:
        self._works.append(work)

    def ended(self, work: Work) -> None:
        if work in self._works:
            self._works.remove(work)
        if not self._works:
            self._clear()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the work within the block."""
        over = threading.Event()
        thread = threading.Thread(target=self._repeat, args=(over,), daemon=True)
        thread.start()
        try:
            with shown_by(self):
                yield
        finally:
            over.set()
            thread.join()
            self._works.clear()
            self._clear()

    def _repeat(self, over: threading.Event) -> None:
        while not over.wait(INTERVAL[sys.stderr.isatty()]):
            text = self.text(bar=sys.stderr.isatty())
            if text and not self.paused:
                self._write(text)

    def text(self, *, bar: bool = False) -> str:
        """Return what goes on as one line; empty where nothing does, or not for long."""
        works = list(self._works)
        if not works or time.monotonic() - works[0].began < SHORTEST:
            return ""
        names: list[str] = []
        for work in works:
            if work.total:
                return _with_count(names, work, bar=bar)
            names.append(work.what)
        return f"working    {': '.join(names)}, {clock(time.monotonic() - works[-1].began)} so far"

    def _write(self, text: str) -> None:
        with self._lock:
            above = CLEAR_LINE_ABOVE if self._shown else ""
            click.echo(above + text, err=True)
            self._shown = sys.stderr.isatty()

    def write_epoch(self, text: str) -> None:
        """Write the line of an epoch: on a terminal over the one before."""
        with self._lock:
            lines_above = self._shown + self._epoch_above
            click.echo(CLEAR_LINE_ABOVE * lines_above + text, err=True)
            self._shown, self._epoch_above = False, sys.stderr.isatty()

    def write_other(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            above = CLEAR_LINE_ABOVE if self._shown else ""
            click.echo(above + text, err=True)
            self._shown = self._epoch_above = False

    def _clear(self) -> None:
        with self._lock:
            if self._shown:
                click.echo(CLEAR_LINE_ABOVE, err=True, nl=False)
                self._shown = False


def _with_count(names: list[str], work: Work, *, bar: bool) -> str:
    parts = [*names, f"{work.done:,} of {work.total:,} {work.what}"]
    text = f"working    {': '.join(parts)}"
    share = min(1.0, work.done / work.total)
    if bar:
        filled = round(share * BAR)
        text = f"{text}  [{'#' * filled}{'.' * (BAR - filled)}]"
    seconds = time.monotonic() - work.began
    if not work.done:
        return f"{text}, {clock(seconds)} so far"
    return f"{text}  {share:.0%}, about {clock(seconds / share - seconds)} left"


# One for the process: it has one terminal.
WORK_LINE = WorkLine()
