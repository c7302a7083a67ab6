"""Inputs that leave what training has seen, told by single numbers that describe each of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# How far beyond the smallest and the largest training value an input may lie, as a share of the
# distance of those two: new examples of the same kind are beyond them now and then.
MARGIN = 0.25
DIGITS = 3
DRIFT = "drift"  # the column that says of each input how it leaves what training has seen


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The smallest and the largest value that a number had in training."""

    low: float
    high: float

    def below(self, values: np.ndarray) -> np.ndarray:
        """Return which values lie clearly below: `(n,)`."""
        return np.asarray(values < self.low - self._margin)

    def above(self, values: np.ndarray) -> np.ndarray:
        """Return which values lie clearly above: `(n,)`."""
        return np.asarray(values > self.high + self._margin)

    @property
    def _margin(self) -> float:
        return MARGIN * (self.high - self.low)

    def __str__(self) -> str:
        return f"{self.low:.{DIGITS}g} to {self.high:.{DIGITS}g}"


def seen_in(values: np.ndarray) -> Seen:
    """Return the range of the finite values of training `(n,)`."""
    finite = values[np.isfinite(values)]
    return Seen(low=float(finite.min()), high=float(finite.max()))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number that describes an input, and the words for one that is too small or too large."""

    name: str
    low: str
    high: str


def drift_of(
    values: Mapping[str, np.ndarray], seen: Mapping[str, Seen], measures: tuple[Measure, ...]
) -> np.ndarray:
    """Return for each input how it leaves what training has seen, "" where it does not: `(n,)`.

    `values` are numbers `(n,)` by measure, NaN where there is none. Measures that a model does not
    know, as one that an earlier version saved, say nothing.
    """
    words: list[list[str]] = [[] for _ in next(iter(values.values()))]
    for measure in measures:
        if measure.name not in seen:
            continue
        known, found = seen[measure.name], values[measure.name]
        for is_beyond, word in (
            (known.below(found), measure.low),
            (known.above(found), measure.high),
        ):
            for row in np.flatnonzero(is_beyond):
                value = f"{found[row]:.{DIGITS}g}"
                words[row].append(f"{word} ({measure.name} {value}, in training {known})")
    return np.asarray(["; ".join(each) for each in words], dtype=object)


def drift_note(drift: np.ndarray, many: str) -> list[str]:
    """Return a sentence on inputs that leave what training has seen, none where none does.

    `many` is what inputs are called.
    """
    rows = np.flatnonzero(drift != "")
    if not len(rows):
        return []
    verb = "is" if len(rows) == 1 else "are"
    first = str(drift[rows[0]]).partition("; ")[0]
    example = "" if len(rows) == 1 else "the first: "
    return [
        f"{len(rows):,} of {len(drift):,} {many} {verb} unlike all in training, so that answers "
        f"are less sure: {example}{first}"
    ]
