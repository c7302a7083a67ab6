"""Where train, val and test begin, and which windows each of them holds."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pipelines.errors import DataError
from pipelines.evaluation.folds import Fold
from pipelines.forecast.panel import Panel
from pipelines.forecast.protocol import WindowProtocol
from pipelines.splits import PARTS, Part

SHOWN_SERIES = 5
# The steps at which train, val and test begin, and the one at which test has ended.
Borders: TypeAlias = tuple[int, int, int, int]


def find_borders(panel: Panel, protocol: WindowProtocol, notes: list[str]) -> Borders:
    """Return the steps at which train, val and test begin, and where test ends.

    Raises:
        DataError: the protocol asks for more steps than there are, or for a fold of fewer than are
            forecast at once.
    """
    borders = _borders_of_parts(panel, protocol, notes)
    if protocol.fold is None:
        return borders
    return _borders_of_fold(borders, protocol.fold, protocol.horizon)


def _borders_of_fold(borders: Borders, fold: Fold, horizon: int) -> Borders:
    """Return the borders where test is one of `fold.count` stretches of the test part.

    Train grows from fold to fold, and val keeps its length: the rolling origin of Tashman (2000).
    """
    first, begin_val, begin_test, end = borders
    steps = (end - begin_test) // fold.count
    if steps < horizon:
        most = (end - begin_test) // horizon
        helps = f"At most {most} folds" if most > 1 else "Give test more steps (--split)"
        raise DataError(
            f"{fold.count} folds of a test part of {end - begin_test:,} steps have {steps:,} each: "
            f"too few for --horizon {horizon}. {helps}, or a shorter horizon"
        )
    end -= (fold.count - fold.number) * steps
    return first, end - steps - (begin_test - begin_val), end - steps, end


def _borders_of_parts(panel: Panel, protocol: WindowProtocol, notes: list[str]) -> Borders:
    first, end = int(panel.number.min()), int(panel.number.max()) + 1
    total = end - first
    if protocol.counts is None:
        val, test = (round(share * total) for share in protocol.shares[1:])
        return first, end - test - val, end - test, end
    train, val, test = protocol.counts
    asked = train + val + test
    if asked > total:
        raise DataError(
            f"--split {train}/{val}/{test} asks for {asked:,} steps. The data has {total:,}"
        )
    if asked < total:
        notes.append(
            f"The last {total - asked:,} steps are not used: "
            f"--split asks for {asked:,} of {total:,}"
        )
    return first, first + train, first + train + val, first + asked


def without_late_series(panel: Panel, borders: Borders, notes: list[str]) -> Panel:
    """Return the panel without series that begin only after train has ended.

    Nothing about them may be learned.

    Raises:
        DataError: no series is left.
    """
    is_train = panel.number < borders[1]
    counts = np.bincount(panel.series[is_train], minlength=len(panel.names))
    is_late = counts < 2
    if not is_late.any():
        return panel
    if is_late.all():
        raise DataError(
            "No series has two rows in the training part. "
            "Give it more steps: --split TRAIN/VAL/TEST"
        )
    late = _names(panel, np.flatnonzero(is_late))
    notes.append(f"{is_late.sum()} series begin after the training part and are left out: {late}")
    return panel.select(~is_late)


def window_starts(
    panel: Panel, protocol: WindowProtocol, borders: Borders
) -> dict[Part, np.ndarray]:
    """Return for each part the rows at which its windows begin to forecast: `(windows,)`.

    The rows to forecast lie inside the part; the history may reach back over its border.

    Raises:
        DataError: a part has too few steps for a window.
    """
    starts: dict[Part, np.ndarray] = {}
    for index, part in enumerate(PARTS):
        begin, end = borders[index], borders[index + 1]
        inside = _starts_between(panel, protocol, begin, end)
        if not len(inside):
            longest = int(np.bincount(panel.series).max())
            raise DataError(
                f"The {part} part has {end - begin:,} steps: too few for one window of "
                f"--lookback {protocol.lookback} and --horizon {protocol.horizon} "
                f"(the longest series has {longest:,} rows). "
                "Shorten them, or give the part more: --split TRAIN/VAL/TEST"
            )
        starts[part] = _limited(panel, inside, protocol.limit, part)
    return starts


def _starts_between(panel: Panel, protocol: WindowProtocol, begin: int, end: int) -> np.ndarray:
    position = np.arange(len(panel.series))
    first = np.searchsorted(panel.series, panel.series, side="left")
    last = np.searchsorted(panel.series, panel.series, side="right")
    has_history = position - first >= protocol.lookback
    has_future = last - position >= protocol.horizon
    is_inside = (panel.number >= begin) & (panel.number + protocol.horizon <= end)
    return np.asarray(position[has_history & has_future & is_inside])


def _limited(panel: Panel, starts: np.ndarray, limit: int, part: Part) -> np.ndarray:
    """Return at most `limit` windows: the latest of train, of other parts evenly spread ones."""
    if not limit or len(starts) <= limit:
        return starts
    by_time = np.argsort(panel.number[starts], kind="stable")
    if part == "train":
        kept = by_time[-limit:]
    else:
        kept = by_time[np.linspace(0, len(starts) - 1, limit).astype(int)]
    return np.asarray(starts[np.sort(kept)])


def note_unscored(panel: Panel, starts: np.ndarray, notes: list[str]) -> None:
    """Add a note for series that have no window among `starts`, those of the test part."""
    unscored = np.setdiff1d(np.arange(len(panel.names)), panel.series[starts])
    if len(unscored):
        notes.append(
            f"{len(unscored)} series are too short for a window in the test part and are not "
            f"scored: {_names(panel, unscored)}"
        )


def _names(panel: Panel, positions: "Sequence[int] | np.ndarray") -> str:
    return ", ".join(panel.names[position] for position in positions[:SHOWN_SERIES])
