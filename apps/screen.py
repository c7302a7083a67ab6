"""Where output goes: results on stdout, progress on stderr."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from tuning.tracking.secrets import hide_secrets

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

    def result(self, text: str, plain: Mapping[str, Any]) -> None:
        """Print `text`, or with `--json` the object that stands for it."""
        if self.json:
            click.echo(json.dumps(_without_nan(plain), default=str, allow_nan=False))
        else:
            click.echo(text)

    def on_epoch(self, epochs: int, objective: str) -> "EpochLine":
        """Return a callable that shows the epochs of a training."""
        return EpochLine(self, epochs, objective)


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
