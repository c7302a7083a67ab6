"""A run that was trained again: the same to the last bit, within noise, or different."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from tuning.comparison.difference import Change
from tuning.reports.paired import Paired
from tuning.tracking.interface import Row

Reproduced: TypeAlias = Literal["bit-identical", "within noise", "different"]
REPRODUCES = "reproduces"  # the tag that holds the id of the run that was trained again
SCORES = ("test/", "val/", "best/")
WEIGHTS = "model.weights.h5"  # in a .keras file


@dataclass(frozen=True, kw_only=True, repr=False)
class Reproduction:
    """A run and its repetition.

    `paired` is of the repetition against the run; None where their test units differ, for the
    reason `unpaired`.
    """

    run: Row
    again: Row
    same_weights: bool
    same_answers: bool
    scores: Mapping[str, tuple[float, float]]
    changes: Sequence[Change]
    paired: Paired | None
    unpaired: str

    @property
    def moved(self) -> dict[str, tuple[float, float]]:
        """The scores that are not the same to the last bit, with both values."""
        return {key: (a, b) for key, (a, b) in self.scores.items() if a != b}

    @property
    def outcome(self) -> Reproduced:
        """What the repetition came to: noise is what a paired test cannot tell from chance."""
        if self.same_weights and self.same_answers and not self.moved:
            return "bit-identical"
        if self.paired and self.paired.outcome(self.paired.p_value) == "tie":
            return "within noise"
        return "different"

    def __repr__(self) -> str:
        return f"Reproduction({self.run.id[:8]} as {self.again.id[:8]}: {self.outcome})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run.id,
            "again": self.again.id,
            "outcome": self.outcome,
            "same_weights": self.same_weights,
            "same_answers": self.same_answers,
            "changes": [vars(change) for change in self.changes],
            "scores": {key: {"run": a, "again": b} for key, (a, b) in self.scores.items()},
            "paired": vars(self.paired) if self.paired else None,
            "unpaired": self.unpaired,
        }


def shared_scores(run: Row, again: Row) -> dict[str, tuple[float, float]]:
    """Return the scores that both runs have, those on test first."""
    shared = [key for key in run.metrics if key in again.metrics and key.startswith(SCORES)]
    shared.sort(key=lambda key: [not key.startswith(prefix) for prefix in SCORES])
    return {key: (run.metrics[key], again.metrics[key]) for key in shared}


def without_command(changes: Sequence[Change]) -> list[Change]:
    """Return `changes` but that of the command line, which says nothing of a repetition."""
    return [change for change in changes if change.key != "command"]


def same_weights(first: Path, second: Path) -> bool:
    """Return whether two `.keras` files hold the same weights, to the last bit."""
    ours, theirs = _weights(first), _weights(second)
    if ours.keys() != theirs.keys():
        return False
    return all(_same_bits(ours[name], theirs[name]) for name in ours)


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(first.tobytes() == second.tobytes())


def _weights(path: Path) -> dict[str, np.ndarray]:
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def take(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = np.asarray(node[()])

    with (
        zipfile.ZipFile(path) as archive,
        h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as file,
    ):
        file.visititems(take)
    return arrays
