"""Intervals of a mean difference hold the truth as often as they say, where it is known."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.noise import (
    right_or_wrong,
    same_configuration,
    several_seeds,
    share_covered,
    uneven_classes,
)
from tuning.reports.intervals import bootstrap_interval, seeds_interval

REPETITIONS = 200


@pytest.mark.parametrize(
    "simulated",
    [right_or_wrong(150), uneven_classes(180, 20), several_seeds(3, 300), several_seeds(5, 300)],
)
def test_a_95_percent_interval_holds_the_true_lift_in_92_to_98_percent(
    simulated: Callable[[np.random.Generator], bool],
) -> None:
    assert 0.92 <= share_covered(simulated, REPETITIONS, seed=0) <= 0.98


def test_two_equal_configurations_with_other_seeds_are_a_tie() -> None:
    assert share_covered(same_configuration(5, 300), 40, seed=0) >= 0.92


def test_the_sizes_of_classes_are_no_part_of_the_noise_of_balanced_accuracy() -> None:
    # The rare class is answered better throughout, the common one no better: all of the spread of
    # the weighted differences lies between the classes.
    strata = np.array([0] * 90 + [1] * 10)
    differences = np.where(strata == 1, 5.0, 0.0)
    assert bootstrap_interval(differences, 0, strata) == (0.0, 0.5)
    low, high = bootstrap_interval(differences, 0)
    assert high - low > 0.5


def test_a_stratum_of_two_units_has_all_of_its_variance() -> None:
    strata = np.array([0, 0, 1, 1])
    differences = np.array([0.0, 1.0, 0.0, 1.0])
    low, high = bootstrap_interval(differences, 0, strata)
    # One draw of two: the mean of a stratum is 0 or 1, and never .5.
    assert (low, high) == (0.0, 1.0)


def test_seeds_that_differ_widen_the_interval_and_equal_ones_leave_that_of_the_units() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, size=400)
    same = np.stack([differences] * 3)
    low, high = seeds_interval(same)
    alone = bootstrap_interval(differences, 0)
    assert (low, high) == pytest.approx(alone, abs=0.01)
    apart = same + np.array([[-0.3], [0.0], [0.3]])
    wider = seeds_interval(apart)
    assert wider[0] < low
    assert wider[1] > high


def test_no_spread_at_all_is_a_tie() -> None:
    assert bootstrap_interval(np.full(10, 0.2), 0) == (0.0, 0.2)
    assert seeds_interval(np.full((3, 10), -0.25)) == (-0.25, 0.0)
