"""KerasTuner's oracles with their traps handled, and a grid of our own.

KerasTuner stays the search's language: its `HyperParameters`, its `Objective`, its random, Bayesian
and Hyperband oracles (see tests/test_search.py, a test a trap).
"""

from typing import Any

import keras_tuner as kt

from tuning.search.untried_points import UntriedPoints, response


class RandomOracle(UntriedPoints, kt.oracles.RandomSearchOracle):
    """Random search."""


class HyperbandOracle(UntriedPoints, kt.oracles.HyperbandOracle):
    """Hyperband (Li et al. 2018).

    Promoted trials start over with more epochs, their schedule ending there; no checkpoint is used.
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
