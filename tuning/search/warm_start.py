"""What earlier sweeps found, as points that a new one tries first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.config.search_space import Scalar, Space
from pipelines.errors import UsageError
from pipelines.splits import Splits
from tuning.tracking.interface import Row, Tracker

if TYPE_CHECKING:
    from tuning.search.sweep import Sweep

POINTS = 5
LOOKED_AT = 200


def points(
    space: Space[Any], sweep: "Sweep", splits: Splits, tracker: Tracker
) -> list[dict[str, Scalar]]:
    """Return at most five points of `space` that did well before: those of one sweep, or of all
    winners with `auto`.

    Winners on the very same data come first, then those of the same experiment, then others of the
    domain; the newest first among equals. What a point does not say of `space` is as in the
    defaults.

    Raises:
        UsageError: there is no such sweep, or it has nothing to offer for this space.
    """
    if not sweep.warm_from:
        return []
    rows = (
        _winners(space, splits, tracker)
        if sweep.warm_from == "auto"
        else _best_trials(sweep, tracker)
    )
    found: dict[Any, dict[str, Scalar]] = {}
    for row in rows:
        values = _point(space, row.params)
        if values is not None:
            found.setdefault(space.identity(values), values)
    if not found and sweep.warm_from != "auto":
        raise UsageError(
            f"--warm-from {sweep.warm_from}: none of its trials lies in this space. Search more with --search, or leave it out"
        )
    return list(found.values())[:POINTS]


def _best_trials(sweep: "Sweep", tracker: Tracker) -> list[Row]:
    rows = tracker.rows(role="trial", sweep=sweep.warm_from, limit=10_000, everywhere=True)
    if not rows:
        raise UsageError(
            f"--warm-from {sweep.warm_from}: no sweep with trials has an id that begins so. See: appline runs"
        )
    key = f"best/{sweep.objective.name}"
    sign = -1 if sweep.objective.direction == "max" else 1
    scored = [row for row in rows if key in row.metrics]
    return sorted(scored, key=lambda row: sign * row.metrics[key])


def _winners(space: Space[Any], splits: Splits, tracker: Tracker) -> list[Row]:
    rows = tracker.rows(role="final", status="FINISHED", limit=LOOKED_AT, everywhere=True)
    kin = [
        row for row in rows if set(space.dimensions) <= set(row.params)
    ]  # of the same domain: it has these hyperparameters
    return sorted(
        kin,
        key=lambda row: (
            row.tags.get("data_digest") != splits.digest,
            row.tags.get("dataset") != splits.dataset,
        ),
    )


def _point(space: Space[Any], params: Mapping[str, str]) -> dict[str, Scalar] | None:
    """Return a run's values of what `space` searches, None when one lies outside of it."""
    from pipelines.config.search_space import find, hyperparameters

    known = hyperparameters(type(space.base))
    values = space.defaults()
    for key in space.dimensions:
        if key in params:
            try:
                values[key] = find(known, key).parse(params[key])
            except UsageError:
                return None
            if not space.holds(key, values[key]):
                return None
    return values
