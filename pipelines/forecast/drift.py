"""Series that have left the level at which the model knows them."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.drift import Measure, drift_note, drift_of

if TYPE_CHECKING:
    from pipelines.forecast.histories import History

LEVEL = Measure(name="level", low="lower", high="higher")


def levels(history: "History") -> np.ndarray:
    """Return the mean of the last values that the model looks back at `(series,)`."""
    target = history.panel.target
    lookback = history.facts.lookback
    return np.asarray([target[end + 1 - lookback : end + 1].mean() for end in history.ends])


def drift(history: "History", notes: list[str]) -> np.ndarray:
    """Return how each series leaves its range in training, "" where it does not: `(series,)`.

    A sentence on those that do is appended to `notes`. Of series that the model does not know,
    nothing is said here.
    """
    found = levels(history)
    drifted = np.full(len(found), "", dtype=object)
    positions = history.facts.positions(history.panel.names)
    for row, position in enumerate(positions):
        if position and history.facts.seen:
            known = {LEVEL.name: history.facts.seen[position - 1]}
            drifted[row] = drift_of({LEVEL.name: found[row : row + 1]}, known, (LEVEL,))[0]
    notes += drift_note(drifted, "series")
    return drifted
