"""What makes scores of forecasts doubtful: windows of test in train, copies, a known future."""

import numpy as np

from pipelines.errors import count_of
from pipelines.evaluation.audit import SHOWN
from pipelines.forecast.data import ForecastSplits
from pipelines.splits import Finding

# Shorter pieces of a series are repeated by chance: they are compared with the steps before them.
SHORTEST = 12
# The share of the steps of a piece at which something changes, before its repetition says anything.
CHANGING = 0.5
# The correlation of the changes of a covariate with those of the target from which it is a copy.
COPY = 0.98
COMPARED_ROWS = 50_000  # in which covariates are compared with the target
FEWEST_ROWS = 30  # of which a correlation says something
BASE = np.uint64(1_000_003)
# Distance of two series of standard deviation 1, in a few random directions, below which they are
# compared in full.
CLOSE = 1e-3
NUM_DIRECTIONS = 8


def audit(splits: ForecastSplits) -> tuple[Finding, ...]:
    """Return what lets a model know what it is asked to forecast."""
    return (
        *splits.findings,
        *_repeated_windows(splits),
        *_copied_series(splits),
        *_leaked_future(splits),
    )


# ------------------------------------------------------------------------------ windows


def _repeated_windows(splits: ForecastSplits) -> list[Finding]:
    """Return a finding on test windows whose values, to the last digit, occur in train."""
    length = max(splits.horizon, SHORTEST)
    rows = np.arange(len(splits.raw))
    same_series = _same_series_until(splits, length)
    in_train = same_series & (splits.number + length <= splits.borders[1])
    test = splits.starts["test"] - (length - splits.horizon)
    test = test[(test >= 0) & same_series[np.maximum(test, 0)]]
    changing = _num_changes(splits.raw, length) >= CHANGING * length
    keys = _piece_keys(splits.raw, length)
    train_rows = rows[: len(keys)][in_train[: len(keys)] & changing]
    asked = test[changing[test]]
    known, position = np.unique(keys[train_rows], return_index=True)
    if not len(known):
        return []
    found = np.searchsorted(known, keys[asked])
    is_repeat = known[np.minimum(found, len(known) - 1)] == keys[asked]
    if not is_repeat.any():
        return []
    shown = []
    for row, key in zip(asked[is_repeat][:SHOWN], found[is_repeat][:SHOWN], strict=True):
        other = train_rows[position[key]]
        shown.append(f"train {_place(splits, other)} = test {_place(splits, row)}")
    count, total = int(is_repeat.sum()), len(splits.starts["test"])
    verb = "occurs" if count == 1 else "occur"
    return [
        Finding(
            kind="repeated_windows",
            parts=("train", "test"),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} test windows ({count / total:.1%}) {verb} in train, "
            "value for value",
            advice="what is to be forecast was learned by heart: a series stands twice in the "
            "data, shifted, or repeats itself. Leave the copy out",
            shown=tuple(shown),
        )
    ]


def _place(splits: ForecastSplits, row: int) -> str:
    name = splits.names[splits.series[row]]
    return f"{name} from {splits.frequency.text(int(splits.number[row]))}"


def _same_series_until(splits: ForecastSplits, length: int) -> np.ndarray:
    """Return whether the piece of `length` steps that begins at each row lies in one series."""
    last = np.minimum(np.arange(len(splits.raw)) + length - 1, len(splits.raw) - 1)
    is_inside = np.arange(len(splits.raw)) + length <= len(splits.raw)
    return np.asarray(is_inside & (splits.series == splits.series[last]))


def _num_changes(values: np.ndarray, length: int) -> np.ndarray:
    """Return at how many steps the piece of `length` values at each row changes: `(pieces,)`."""
    changes = np.concatenate([[0], np.cumsum(np.diff(values) != 0)])
    return np.asarray(changes[length - 1 :] - changes[: len(changes) - length + 1])


def _piece_keys(values: np.ndarray, length: int) -> np.ndarray:
    """Return a hash of the `length` values that begin at each row: `(pieces,)` uint64."""
    # Adding 0 makes -0 a 0.
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    bits = bits ^ (bits >> np.uint64(32))
    count = max(0, len(bits) - length + 1)
    keys = np.zeros(count, np.uint64)
    for offset in range(length):
        keys = keys * BASE + bits[offset : offset + count]
    return keys


# ------------------------------------------------------------------------------ series


def _copied_series(splits: ForecastSplits) -> list[Finding]:
    """Return a finding on series that are another one, perhaps in other units."""
    bounds = np.searchsorted(splits.series, np.arange(len(splits.names) + 1))
    groups: dict[tuple[int, int], list[int]] = {}
    for series, begin in enumerate(bounds[:-1]):
        first = int(splits.number[begin])
        groups.setdefault((first, int(bounds[series + 1] - begin)), []).append(series)
    pairs: list[tuple[int, int]] = []
    for (_, length), members in groups.items():
        if length < SHORTEST or len(members) < 2:
            continue
        values = np.stack([splits.raw[bounds[one] : bounds[one] + length] for one in members])
        pairs += [(members[first], members[second]) for first, second in _copies_among(values)]
    if not pairs:
        return []
    shown = [f"{splits.names[first]} = {splits.names[second]}" for first, second in pairs[:SHOWN]]
    count, total = len(pairs), len(splits.names)
    what = "is a copy" if count == 1 else "are copies"
    return [
        Finding(
            kind="copied_series",
            parts=("train", "test"),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} series {what} of another, perhaps in other units",
            advice="it is learned and scored twice, so that error bars are too narrow. Leave "
            "copies out of the data",
            shown=tuple(shown),
        )
    ]


def _copies_among(values: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (first, copy) of rows of `values` `(series, steps)` that are linear copies."""
    from scipy.spatial import cKDTree

    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    varies = np.flatnonzero(spread[:, 0] > 0)
    if len(varies) < 2:
        return []
    scaled = centred[varies] / spread[varies]
    directions = np.random.default_rng(0).normal(size=(values.shape[1], NUM_DIRECTIONS))
    tree = cKDTree(scaled @ directions / np.sqrt(values.shape[1]))
    copies: dict[int, int] = {}
    for first, second in sorted(tree.query_pairs(CLOSE)):
        is_copy = np.abs(scaled[first] - scaled[second]).max() < CLOSE
        if is_copy and first not in copies:
            copies.setdefault(second, first)
    return [(int(varies[first]), int(varies[second])) for second, first in copies.items()]


# ------------------------------------------------------------------------------ covariates


def _leaked_future(splits: ForecastSplits) -> list[Finding]:
    """Return a finding on covariates that move as the target does at a step still to come.

    Changes are compared, not values: two series that both grow are alike without a leak.
    """
    leaks = []
    num_afterwards = len(splits.columns) - len(splits.known)
    target = _changes(splits, 0)
    for position, name in enumerate(splits.columns):
        is_known = position >= num_afterwards
        # What is known in advance must not hold a step of the horizon; what is known afterwards
        # must not hold a later one than its own.
        shifts = range(1 - splits.horizon if is_known else 1, splits.horizon + 1)
        leak = _strongest_shift(_changes(splits, 1 + position), target, shifts)
        if leak is not None:
            shift, correlation = leak
            when = "at the same step"
            if shift:
                later = "later" if shift > 0 else "earlier"
                when = f"{count_of(abs(shift), 'step')} {later}"
            leaks.append(f"{name} is the target {when} (correlation of changes {correlation:.3f})")
    if not leaks:
        return []
    count, total = len(leaks), len(splits.columns)
    hold = "covariates holds" if count == 1 else "covariates hold"
    return [
        Finding(
            kind="leaked_future",
            parts=("train", "test"),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} {hold} the future of the target: "
            f"{'; '.join(leaks[:SHOWN])}",
            advice="it will not be known when a forecast is made. Leave the column out of the "
            "data, or out of --known-future",
            shown=tuple(leaks[:SHOWN]),
        )
    ]


def _changes(splits: ForecastSplits, channel: int) -> np.ndarray:
    """Return the change of a channel at each row, NaN at the first row of a series: `(rows,)`."""
    values = splits.rows[:COMPARED_ROWS, channel].astype(np.float64)
    series = splits.series[: len(values)]
    changes = np.full(len(values), np.nan)
    changes[1:] = np.where(series[1:] == series[:-1], np.diff(values), np.nan)
    return changes


def _strongest_shift(
    covariate: np.ndarray, target: np.ndarray, shifts: range
) -> tuple[int, float] | None:
    """Return the shift at which `covariate` is nearest to `target` that many rows later.

    With it their correlation; None where they are no copies at any shift.
    """
    best: tuple[int, float] | None = None
    for shift in shifts:
        if abs(shift) >= len(target):
            continue
        ahead, behind = max(shift, 0), max(-shift, 0)
        now = covariate[behind : len(covariate) - ahead]
        then = target[ahead : len(target) - behind]
        both = np.isfinite(now) & np.isfinite(then)
        if both.sum() < FEWEST_ROWS:
            continue
        now, then = now[both], then[both]
        norm = np.sqrt(now.dot(now) * then.dot(then))
        if not norm:
            continue
        correlation = float(now.dot(then) / norm)
        if abs(correlation) >= COPY and (best is None or abs(correlation) > abs(best[1])):
            best = (shift, correlation)
    return best
