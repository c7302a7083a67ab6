"""What a user can put right: errors that carry the exit code of the command line."""

import difflib
from collections.abc import Iterable


class ApplineError(ValueError):
    """Something failed while running. The message is complete: a user sees it without a traceback."""

    exit_code = 1


class UsageError(ApplineError):
    """A flag, a key or a value that does not exist or does not fit."""

    exit_code = 2


class ImpossibleSpec(UsageError):
    """A combination of hyperparameters that no network can have, found by arithmetic."""


class DataError(ApplineError):
    """Data that was refused: the message names the file and the row or column."""

    exit_code = 3


class ExternalFailure(ApplineError):
    """Something outside failed that a run relies on: MLflow's store, a cluster, the disk."""

    sweep_id = ""  # of the sweep that it broke, which `--resume` takes up again


class Diverged(ApplineError):
    """Training stopped because the loss is no number any more."""


def suggest(name: str, names: Iterable[str]) -> str:
    """Say which of `names` comes nearest to `name`: " Did you mean 'x'?", or "" when none is near."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
