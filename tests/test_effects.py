"""What a sweep's trials say of each hyperparameter, and what they cannot say."""

import numpy as np
import pytest

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar
from tuning.reports import plots
from tuning.reports.run_card import describe_effect
from tuning.reports.significance import effects
from tuning.results.sweep import Effect, Trial

ACCURACY = Objective(name="val_accuracy", direction="max")


def found(
    dimensions: dict[str, Dimension], trials: list[tuple[dict[str, Scalar], float]]
) -> dict[str, Effect]:
    return {effect.key: effect for effect in effects(trials, dimensions, ACCURACY)}


KERNEL: dict[str, Dimension] = {"kernel": Choice((3, 5))}
THREE = {**KERNEL, "stride": Choice((1, 2)), "filters": Choice((8, 16))}
TRIALS: list[tuple[dict[str, Scalar], float]] = [
    ({"kernel": 3, "stride": 1, "filters": 8}, 0.5),
    ({"kernel": 3, "stride": 1, "filters": 16}, 0.52),
    ({"kernel": 3, "stride": 1, "filters": 8}, 0.54),
    ({"kernel": 5, "stride": 2, "filters": 16}, 0.9),
    ({"kernel": 5, "stride": 2, "filters": 8}, 0.91),
    ({"kernel": 5, "stride": 2, "filters": 16}, 0.92),
]


def test_hyperparameters_that_changed_in_the_same_trials_are_not_told_apart() -> None:
    by_key = found(THREE, TRIALS)
    assert by_key["kernel"].together == ("stride",)
    assert by_key["stride"].together == ("kernel",)
    assert by_key["filters"].together == ()
    assert describe_effect(by_key["kernel"]).endswith("together with stride: not told apart")


def test_p_values_are_corrected_for_the_number_of_hyperparameters() -> None:
    alone = found(KERNEL, TRIALS)["kernel"].p_value
    assert found(THREE, TRIALS)["kernel"].p_value == pytest.approx(3 * alone)


def test_a_value_that_was_tried_once_does_not_have_the_winners_colour() -> None:
    once = TRIALS[:3] + TRIALS[3:4]
    figure = plots.effects([found(KERNEL, once)["kernel"]], ACCURACY)
    colors = {line.get_color() for line in figure.axes[0].lines}
    assert "C1" not in colors
    figure = plots.effects([found(KERNEL, TRIALS)["kernel"]], ACCURACY)
    assert "C1" in {line.get_color() for line in figure.axes[0].lines}


def test_progress_shows_trials_by_their_numbers_not_by_the_order_in_which_they_ended() -> None:
    trials = [
        Trial(number=number, values={}, scores=(score,), seconds=1.0, epochs=1)
        for number, score in ((3, 0.3), (1, 0.1), (4, 0.2))
    ]
    axes = plots.progress(trials, ACCURACY).axes[0]
    (dots,) = axes.collections
    assert np.asarray(dots.get_offsets()).tolist() == [[1, 0.1], [3, 0.3], [4, 0.2]]
    (line,) = axes.lines
    assert np.asarray(line.get_ydata()).tolist() == [0.1, 0.3, 0.3]
