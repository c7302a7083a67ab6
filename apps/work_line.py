"""The line that says what goes on, how far it is and how long it will take."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

from apps.rendering import clock
from pipelines.io.progress import Work, shown_by

# Seconds between two lines: on a pipe, on a terminal.
INTERVAL = (10.0, 0.5)
SHORTEST = 1.0  # seconds: what takes less is not worth a line
BEGIN = "working    "
BAR = 20  # characters, on a terminal
NARROW = 80  # columns of a terminal that does not say how many it has
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
        self._stream: TextIO | None = None  # of its own while work is shown

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
        with _stderr_of_its_own() as self._stream:
            thread.start()
            try:
                with shown_by(self):
                    yield
            finally:
                over.set()
                thread.join()
                self._works.clear()
                self._clear()
                self._stream = None

    @property
    def _shows_on(self) -> TextIO:
        return self._stream or sys.stderr

    def _repeat(self, over: threading.Event) -> None:
        while not over.wait(INTERVAL[self._shows_on.isatty()]):
            text = self.text(columns=terminal_columns(self._shows_on))
            if text and not self.paused:
                self._write(text)

    def text(self, *, columns: int = 0) -> str:
        """Return what goes on as one line; empty where nothing does, or not for long.

        On a terminal it has a bar, and is shorter than so many `columns`; 0 is for a pipe.
        """
        works = list(self._works)
        if not works or time.monotonic() - works[0].began < SHORTEST:
            return ""
        names: list[str] = []
        for work in works:
            if work.total:
                return _with_count(names, work, columns)
            names.append(work.what)
        end = f", {clock(time.monotonic() - works[-1].began)} so far"
        return _fitted([f"{BEGIN}{': '.join(names[kept:])}{end}" for kept in (0, -1)], columns)

    def _write(self, text: str) -> None:
        with self._lock:
            self._echo(CLEAR_LINE_ABOVE * self._shown + text)
            self._shown = self._shows_on.isatty()

    def write_epoch(self, text: str) -> None:
        """Write the line of an epoch: on a terminal over the one before."""
        text = shorten_line(text, terminal_columns(self._shows_on))
        with self._lock:
            lines_above = self._shown + self._epoch_above
            self._echo(CLEAR_LINE_ABOVE * lines_above + text)
            self._shown, self._epoch_above = False, self._shows_on.isatty()

    def write_other(self, text: str) -> None:
        """Write a line that stays."""
        with self._lock:
            self._echo(CLEAR_LINE_ABOVE * self._shown + text)
            self._shown = self._epoch_above = False

    def _clear(self) -> None:
        with self._lock:
            if self._shown:
                self._echo(CLEAR_LINE_ABOVE, end="")
                self._shown = False

    def _echo(self, text: str, end: str = "\n") -> None:
        click.echo(text + end, file=self._shows_on, nl=False)


@contextmanager
def _stderr_of_its_own() -> Iterator[TextIO]:
    """Yield standard error as it is now: it is held back while TensorFlow is imported."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # a notebook's, or that of a test
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", encoding=sys.stderr.encoding, errors="replace") as stream:
        yield stream


def _with_count(names: list[str], work: Work, columns: int) -> str:
    """Return how far work is; `names` are those of the work that it is a part of."""
    count = f"{work.done:,} of {work.total:,} {work.what}"
    share = min(1.0, work.done / work.total)
    seconds = time.monotonic() - work.began
    end = f", {clock(seconds)} so far"
    if work.done:
        end = f"  {share:.0%}, about {clock(seconds / share - seconds)} left"
    bars = [_bar(share, length) for length in (BAR, BAR // 2)] if columns else []
    whole = BEGIN + ": ".join([*names, count])
    shorter = [f"{BEGIN}{': '.join([*names[kept:], count])}{end}" for kept in range(len(names) + 1)]
    return _fitted([*(f"{whole}  {bar}{end}" for bar in bars), *shorter], columns)


def _bar(share: float, length: int) -> str:
    filled = round(share * length)
    return f"[{'#' * filled}{'.' * (length - filled)}]"


def _fitted(texts: list[str], columns: int) -> str:
    """Return the first text that a terminal shows in one line; a longer one would not be erased."""
    for text in texts:
        if not columns or len(text) < columns:
            return text
    return shorten_line(texts[-1], columns)


def shorten_line(text: str, columns: int) -> str:
    """Return the beginning of a text that fits into one line of a terminal; 0 is for a pipe."""
    if not columns or len(text) < columns:
        return text
    return f"{text[: max(0, columns - 2)]}…"


def terminal_columns(stream: TextIO) -> int:
    """Return the width of the terminal behind a stream, 0 where there is none."""
    if not stream.isatty():
        return 0
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns
    return NARROW


# One for the process: it has one terminal.
WORK_LINE = WorkLine()
