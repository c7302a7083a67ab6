"""What all oracles share: the space in KerasTuner's terms, and points that were not tried."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras_tuner as kt
import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar, Space
from tuning.search.constraints import Feasible

# Random draws before the points of a space that are left are listed, where it has at most
# MOST_LISTED; a larger one is drawn from for longer, because a limit may leave little of it.
DRAWS = 200
DRAWS_OF_LARGE_SPACE = 5_000
MOST_LISTED = 50_000

TrialStatus = kt.engine.trial.TrialStatus
# A point of the space without the keys that do not matter there.
Identity: TypeAlias = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class TrialResult:
    """How a trial did: its score for each objective, none when it failed.

    `stopped_at` is the epoch at which it was stopped early, 0 when it was not.
    """

    scores: tuple[float, ...] = ()
    stopped_at: int = 0


def as_hyperparameters(space: Space[Any]) -> kt.HyperParameters:
    """Return the space in KerasTuner's terms, flat and declared as data.

    Nothing is discovered by building models.
    """
    declared = kt.HyperParameters()
    defaults = space.defaults()
    for key, dimension in space.dimensions.items():
        _declare(declared, key, dimension, defaults[key])
    return declared


def _declare(declared: kt.HyperParameters, key: str, dimension: Dimension, default: Any) -> None:
    if isinstance(dimension, Choice):
        if all(isinstance(value, bool) for value in dimension.values):
            declared.Boolean(key, default=default)  # Choice would give 1 and 0 back
            return
        is_ordered = False if isinstance(default, str) else None  # None: KerasTuner decides
        declared.Choice(key, list(dimension.values), default=default, ordered=is_ordered)
        return
    low, high = dimension.low, dimension.high
    sampling = "log" if dimension.log else "linear"
    if dimension.whole:
        declared.Int(key, int(low), int(high), default=int(default), sampling=sampling)
    else:
        declared.Float(key, low, high, default=float(default), sampling=sampling)


class UntriedPoints:
    """Mixed into an oracle: it proposes only points that can be built and were not tried."""

    appline_space: Space[Any]
    appline_objectives: Sequence[Objective]
    appline_feasible: Feasible

    def prepare(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        feasible: Feasible,
        first: Iterable[Mapping[str, Scalar]],
    ) -> None:
        """Set what KerasTuner's constructors know nothing of; `first` is tried before others."""
        self.appline_space = space
        self.appline_objectives = objectives
        self.appline_feasible = feasible
        self._first = [dict(values) for values in first]
        self._tried: set[Identity] = set()
        self._infeasible: set[Identity] = set()  # remembered, as finding it out may take a second

    def save(self) -> None:
        """Write nothing, as a sweep's state is its runs in MLflow.

        KerasTuner's state files are neither atomic nor checked.
        """

    def _save_trial(self, trial: Any) -> None:
        """Write nothing."""

    def accept(self, values: Mapping[str, Scalar]) -> bool:
        """Whether this point is new and can be built; it counts as tried from now on."""
        identity = self.appline_space.identity(values)
        if identity in self._tried or identity in self._infeasible:
            return False
        if self.appline_feasible(values):
            self._tried.add(identity)
            return True
        self._infeasible.add(identity)
        return False

    def record_result(self, trial_id: str, result: TrialResult) -> None:
        """Record all that is known of a trial.

        KerasTuner itself keeps only the score of the first objective.
        """

    def first_accepted(self, points: Iterable[dict[str, Scalar]]) -> dict[str, Scalar] | None:
        """Return the first of `points` that is accepted, None when there is none."""
        for values in points:
            if self.accept(values):
                return values
        return None

    def next_first_values(self) -> dict[str, Scalar] | None:
        """Return the next point that is tried before all others; None when they are used up."""
        while self._first:
            values = self._first.pop(0)
            if self.accept(values):
                return values
        return None

    def _random_values(self) -> dict[str, Scalar] | None:
        """Return untried values.

        This overrides KerasTuner's method, which gives up after drawing 20 points that were tried
        before, long before a space is exhausted.
        """
        oracle: Any = self
        values = self.next_first_values()
        if values is not None:
            return values
        count = self.appline_space.count()
        is_listed = count is not None and count <= MOST_LISTED
        for _ in range(DRAWS if is_listed else DRAWS_OF_LARGE_SPACE):
            values = {}
            for hyperparameter in oracle.hyperparameters.space:
                values[hyperparameter.name] = hyperparameter.random_sample(oracle._seed_state)
                oracle._seed_state += 1
            if self.accept(values):
                return values
        if not is_listed:
            return None
        points = list(self.appline_space.grid())
        np.random.default_rng(oracle._seed_state).shuffle(points)
        return self.first_accepted(points)


def response(values: Mapping[str, Scalar] | None) -> dict[str, Any]:
    """Return what KerasTuner's `populate_space` answers; without values the search is over."""
    status = TrialStatus.STOPPED if values is None else TrialStatus.RUNNING
    return {"status": status, "values": values}
