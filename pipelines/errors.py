"""Errors that a user can put right, each with the exit code of the command line."""

import difflib
from collections.abc import Iterable, Sequence

# The share of letters that two names must have in common, in order: of four, one may be wrong.
NEAR = 0.7


class ApplineError(ValueError):
    """Something failed while running.

    The message is complete: users see no traceback.
    """

    exit_code = 1
    sweep_id = ""  # of the sweep that it broke, which `--resume` continues


class UsageError(ApplineError):
    """A flag, a key or a value does not exist or does not fit."""

    exit_code = 2


class ImpossibleSpec(UsageError):
    """No network can have this combination of hyperparameters, by arithmetic."""


class DataError(ApplineError):
    """Data was refused: the message names the file and the row or column."""

    exit_code = 3


class ExternalFailure(ApplineError):
    """Something failed that a run relies on: MLflow's store, a cluster, the disk."""


class ResultLost(ExternalFailure):
    """What was recorded is not where it was said to be: no sweep can be resumed from there."""


class Diverged(ApplineError):
    """Training stopped because the loss became NaN or infinite."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM while fitting.

    What was learned is saved in the run `run_id`, unless no epoch had ended (`kept` is false).
    """

    def __init__(self, run_id: str, kept: bool) -> None:
        super().__init__(run_id)
        self.run_id = run_id
        self.kept = kept


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a search.

    Finished trials are kept, and `--resume run_id` continues the search.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


def suggest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest of `names`, or "" when none is near."""
    near = nearest(name, names)
    return f" Did you mean {near!r}?" if near else ""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the nearest of `names`, whatever its capitals; "" when none is near."""
    by_small: dict[str, str] = {}
    for known in names:
        by_small.setdefault(known.casefold(), known)
    near = difflib.get_close_matches(name.casefold(), list(by_small), n=1, cutoff=NEAR)
    return by_small[near[0]] if near else ""


def shorten(words: Sequence[object], most: int) -> str:
    """Return at most so many words as a list for people: "a, b and 3 more"."""
    shown = ", ".join(map(str, words[:most]))
    if len(words) <= most:
        return shown
    return f"{shown} and {len(words) - most:,} more"


def count_of(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 image", "1,200 images"."""
    if number == 1:
        return f"1 {one}"
    return f"{number:,} {many or one + 's'}"
