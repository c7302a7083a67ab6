"""What earlier sweeps have found, as points that a new one tries first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space, find, hyperparameters
from pipelines.errors import UsageError
from pipelines.splits import Splits
from tuning.tracking.interface import Row, Tracker

AUTO = "auto"  # from all winners, not from one sweep
MOST_POINTS = 5
MOST_WINNERS = 200  # that are looked at, the newest ones
MOST_TRIALS = 10_000  # of one sweep


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Where points come from: `source` is the beginning of a sweep's id, or `auto`."""

    source: str
    space: Space[Any]
    objective: Objective
    splits: Splits
    tracker: Tracker

    def points(self) -> list[dict[str, Scalar]]:
        """Return at most five points of the space that did well before.

        They are those of one sweep, or of all winners with `auto`. Winners on the very same data
        come first, then those of the same data set, then others of the domain; the newest first
        among equals. What a run does not say of the space is as in the defaults.

        Raises:
            UsageError: there is no such sweep, or none of its points lies in this space.
        """
        if self.source == AUTO:
            return self._points_of(self._winners())
        points = self._points_of(self._best_trials())
        if not points:
            raise UsageError(
                f"--warm-from {self.source}: none of its trials lies in this space. "
                "Search more with --search, or leave --warm-from out"
            )
        return points

    def _best_trials(self) -> list[Row]:
        rows = self.tracker.rows(
            role="trial", sweep=self.source, limit=MOST_TRIALS, everywhere=True
        )
        if not rows:
            raise UsageError(
                f"--warm-from {self.source}: no sweep with trials starts with {self.source}. "
                "List the sweeps: appline runs"
            )
        metric = f"best/{self.objective.name}"
        scored = [row for row in rows if metric in row.metrics]
        sign = -1 if self.objective.direction == "max" else 1
        return sorted(scored, key=lambda row: sign * row.metrics[metric])

    def _winners(self) -> list[Row]:
        rows = self.tracker.rows(
            role="final", status="FINISHED", limit=MOST_WINNERS, everywhere=True
        )
        # Those of the same domain have all of these hyperparameters.
        same_domain = [row for row in rows if set(self.space.dimensions) <= set(row.params)]
        return sorted(same_domain, key=self._distance)

    def _distance(self, row: Row) -> tuple[bool, bool]:
        is_other_data = row.tags.get("data_digest") != self.splits.digest
        is_other_dataset = row.tags.get("dataset") != self.splits.dataset
        return is_other_data, is_other_dataset

    def _points_of(self, rows: Sequence[Row]) -> list[dict[str, Scalar]]:
        points: dict[Any, dict[str, Scalar]] = {}
        for row in rows:
            values = self._point(row.params)
            if values is not None:
                points.setdefault(self.space.identity(values), values)
        return list(points.values())[:MOST_POINTS]

    def _point(self, params: Mapping[str, str]) -> dict[str, Scalar] | None:
        """Return a run's values of what the space searches, None when one lies outside of it."""
        known = hyperparameters(type(self.space.base))
        values = self.space.defaults()
        for key in self.space.dimensions:
            if key not in params:
                continue
            try:
                values[key] = find(known, key).parse(params[key])
            except UsageError:
                return None
            if not self.space.holds(key, values[key]):
                return None
        return values
