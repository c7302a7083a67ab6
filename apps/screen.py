"""Where output goes: results on stdout, progress on stderr."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from pipelines.io.progress import reading_shown_by
from tuning.tracking.secrets import hide_secrets

# Seconds between two lines about the files that are read: on a pipe, on a terminal.
READING_INTERVAL = (10.0, 0.5)
CLEAR_LINE_ABOVE = "\x1b[1A\x1b[2K"  # as a terminal takes it


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where output goes: `say` for progress (stderr), `result` for what was asked for (stdout)."""

    quiet: bool = False
    json: bool = False

    def say(self, text: str) -> None:
        """Print progress, unless the command is quiet."""
        if not self.quiet:
            click.echo(hide_secrets(text), err=True)

    def said(self, notes: Sequence[str]) -> Sequence[str]:
        """Return those of `notes` that `say` has shown: all, unless the command is quiet."""
        return () if self.quiet else notes

    def result(self, text: str, plain: Mapping[str, Any]) -> None:
        """Print `text`, or with `--json` the object that stands for it."""
        if self.json:
            click.echo(json.dumps(_without_nan(plain), default=str, allow_nan=False))
        else:
            click.echo(text)

    def on_epoch(self, epochs: int, objective: str) -> "EpochLine":
        """Return a callable that shows the epochs of a training."""
        return EpochLine(self, epochs, objective)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Show how far the reading of files is, where it takes more than a moment."""
        if self.quiet:
            yield
            return
        with reading_shown_by(ReadingLine()):
            yield


class ReadingLine:
    """Prints how many files are read: on a terminal in one line, else now and then a line."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._interval = READING_INTERVAL[self._is_terminal]
        self._next = time.monotonic() + self._interval
        self._begun = False

    def __call__(self, what: str, done: int, total: int) -> None:
        is_last_shown = self._begun and done == total
        if time.monotonic() < self._next and not is_last_shown:
            return
        line = f"reading    {done:,} of {total:,} {what}"
        if self._is_terminal and self._begun:
            line = CLEAR_LINE_ABOVE + line
        click.echo(line, err=True)
        self._begun = True
        self._next = time.monotonic() + self._interval


def _without_nan(plain: Any) -> Any:
    """Return plain data with null for NaN and infinity, which JSON does not have."""
    if isinstance(plain, Mapping):
        return {key: _without_nan(value) for key, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [_without_nan(value) for value in plain]
    if isinstance(plain, float) and not math.isfinite(plain):
        return None
    return plain


class EpochLine:
    """Prints one line for each epoch; on a terminal, a single line that is overwritten."""

    def __init__(self, screen: Screen, epochs: int, objective: str) -> None:
        self._screen = screen
        self._epochs = epochs
        self._objective = objective
        self._is_terminal = sys.stderr.isatty()
        self._begun = False

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._screen.quiet:
            return
        count = str(epoch)
        if self._epochs:
            count = f"{epoch}/{self._epochs}"
        score = "on train + validation"
        if self._objective in values:
            score = f"{self._objective} {values[self._objective]:.4g}"
        line = f"epoch {count}  loss {values['loss']:.4g}  {score}"
        # A training may end at any epoch: each line ends itself, and the next one clears it.
        if self._is_terminal and self._begun:
            line = CLEAR_LINE_ABOVE + line
        click.echo(line, err=True)
        self._begun = True
