"""KerasTuner's oracles with their traps handled, and two of our own.

KerasTuner stays the search's language: its `HyperParameters`, its `Objective`, its random, Bayesian
and Hyperband oracles (see tests/test_search.py, a test a trap).
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras_tuner as kt

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from tuning.search.constraints import Feasible
from tuning.search.tpe import TpeOracle
from tuning.search.untried_points import UntriedPoints, as_hyperparameters, response

HYPERBAND_FACTOR = 3
ENDLESS = sys.maxsize  # KerasTuner wants a number; the sweep's own budget ends the search


class RandomOracle(UntriedPoints, kt.oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(UntriedPoints, kt.oracles.HyperbandOracle):
    """Hyperband (Li et al. 2018).

    Promoted trials begin anew with more epochs: a schedule that ends there, no checkpoints.
    """


class BayesianOracle(UntriedPoints, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process with upper confidence bounds.

    Where it repeats itself, which it does not notice, a random new point is taken.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point in KerasTuner's form."""
        num_tried = len(self._tried)
        proposal: dict[str, Any] = super().populate_space(trial_id)
        values = proposal.get("values")
        is_random = len(self._tried) > num_tried  # drawn by _random_values, which accepted it
        if is_random or values is None or self.accept(values):
            return proposal
        return response(self._random_values())


class GridOracle(UntriedPoints, kt.Oracle):
    """Every point in order.

    KerasTuner's own grid can neither be resumed nor extended, and does not pass over points.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point in KerasTuner's form."""
        return response(self.first_accepted(self.appline_space.grid()))


def create_oracle(
    space: Space[Any],
    tuner: str,
    objectives: Sequence[Objective],
    *,
    seed: int,
    epochs: int,
    feasible: Feasible,
    first: Iterable[Mapping[str, Scalar]],
) -> Any:
    """Return KerasTuner's oracle for `tuner`.

    It proposes the points of `first` before others, except for grid search.
    """
    # The direction is given, never guessed: KerasTuner takes val_f1_score and others for costs.
    objective = kt.Objective(objectives[0].name, objectives[0].direction)
    common: dict[str, Any] = {
        "objective": objective,
        "hyperparameters": as_hyperparameters(space),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "seed": seed + 1,  # 0 would mean a random one
        "max_consecutive_failed_trials": ENDLESS,
    }
    oracle: Any
    match tuner:
        case "tpe":
            oracle = TpeOracle(max_trials=None, **common)
        case "random":
            oracle = RandomOracle(max_trials=None, **common)
        case "bayesian":
            oracle = BayesianOracle(max_trials=ENDLESS, **common)
        case "hyperband":
            oracle = HyperbandOracle(
                max_epochs=max(2, epochs),
                factor=HYPERBAND_FACTOR,
                hyperband_iterations=ENDLESS,
                **common,
            )
        case _:
            oracle = GridOracle(max_trials=None, **common)
    oracle.verbose = 0  # in a script it would take itself for a notebook and clear the screen
    oracle.prepare(space, objectives, feasible, first)
    return oracle
