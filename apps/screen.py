"""Where output goes: results on stdout, progress on stderr."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from apps.rendering import clock
from apps.work_line import WORK_LINE
from pipelines.io.progress import working
from tuning.tracking.secrets import hide_secrets

SHORTEST_LEFT = 3  # seconds of a training that are worth saying


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where output goes: `say` for progress (stderr), `result` for what was asked for (stdout)."""

    quiet: bool = False
    json: bool = False

    def say(self, text: str) -> None:
        """Print progress, unless the command is quiet."""
        if not self.quiet:
            WORK_LINE.write_other(hide_secrets(text))

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
    def progress(self, what: str = "") -> Iterator[None]:
        """Show how far work is, where it takes more than a moment; the block itself is `what`."""
        if self.quiet:
            yield
            return
        with WORK_LINE.running():
            if not what:
                yield
                return
            with working(what):
                yield


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
        self._first_ended = 0.0  # time.monotonic(), of the first epoch of a fit

    def __call__(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._screen.quiet:
            return
        if epoch == 1:
            self._first_ended = time.monotonic()
        count = str(epoch)
        if self._epochs:
            count = f"{epoch}/{self._epochs}"
        score = "retraining: nothing is held out for validation"
        if self._objective in values:
            score = f"{self._objective} {values[self._objective]:.4g}{self._time_left(epoch)}"
        WORK_LINE.write_epoch(f"epoch {count}  loss {values['loss']:.4g}  {score}")

    def _time_left(self, epoch: int) -> str:
        """Return the most that the training will still take; it may be stopped before."""
        if epoch == 1 or not self._epochs:
            return ""
        each = (time.monotonic() - self._first_ended) / (epoch - 1)
        left = each * (self._epochs - epoch)
        return f"  at most {clock(left)} left" if left >= SHORTEST_LEFT else ""
