"""One fit: seeds, best weights, early stopping, divergence, gradients."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipelines.config.hyperparameters import TrainSpec
from pipelines.errors import Diverged
from pipelines.recommend.spec import RecommendTrainSpec
from pipelines.text.spec import TextTrainSpec
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.reports import plots
from tuning.training import fit as fitting
from tuning.training.fit import Fitted, Watch, fit, layer_group, num_epochs

PIPELINE = LinePipeline()
SPLITS = PIPELINE.load()


def fitted(spec: LineSpec | None = None, *, seed: int = 1, **watch: object) -> Fitted:
    return fit(
        PIPELINE,
        spec or LineSpec(),
        SPLITS,
        seed=seed,
        watch=Watch(objective=PIPELINE.objective(), **watch),
    )  # type: ignore[arg-type]


def weights(one: Fitted) -> list[np.ndarray]:
    return [weight.numpy() for weight in one.model.weights]


def test_automatic_patience_is_half_of_the_epochs_and_a_text_network_is_never_stopped() -> None:
    """What the closed form of texts answers already, its network says better only late."""
    idle = {"epochs": 6, "batch_size": 32, "learning_rate": 1e-9, "warmup": 0.0, "optimizer": "sgd"}
    assert len(fitted(replace(LineSpec(), train=TrainSpec(**idle))).history["loss"]) == 1 + 3
    assert len(fitted(replace(LineSpec(), train=TextTrainSpec(**idle))).history["loss"]) == 6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = fitted(seed=1), fitted(seed=1), fitted(seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(weights(first), weights(again), strict=True))
    assert not all(
        np.array_equal(a, b) for a, b in zip(weights(first), weights(other), strict=True)
    )


def test_the_returned_weights_are_those_of_the_best_epoch() -> None:
    rising = replace(
        LineSpec(),
        train=TrainSpec(epochs=6, batch_size=32, learning_rate=1.0, warmup=0.8, optimizer="sgd"),
    )
    one = fitted(rising)
    assert one.best_score == min(one.history["val_loss"])
    assert one.history["val_loss"][one.best_epoch - 1] == one.best_score
    assert PIPELINE.score(PIPELINE.predict(one.model, SPLITS, "val"), SPLITS, "val")[
        "mse"
    ] == pytest.approx(one.best_score, rel=1e-4)


def test_the_moving_average_is_what_is_validated_and_kept() -> None:
    """Keras overwrites the weights with their average at the end of each fit; what is kept must be
    what was validated.
    """
    one = fitted(
        replace(LineSpec(), train=TrainSpec(epochs=5, batch_size=32, learning_rate=0.05, ema=0.9))
    )
    assert PIPELINE.score(PIPELINE.predict(one.model, SPLITS, "val"), SPLITS, "val")[
        "mse"
    ] == pytest.approx(one.best_score, rel=1e-4)


def test_a_fit_stops_when_validation_gets_no_better() -> None:
    one = fitted(
        replace(
            LineSpec(),
            train=TrainSpec(
                epochs=50, batch_size=32, learning_rate=1e-9, patience=2, optimizer="sgd"
            ),
        )
    )
    assert len(one.history["loss"]) < 50
    assert "no better val_loss for 2 epochs" in one.stopped


def test_a_loss_that_is_no_number_stops_with_a_reason() -> None:
    with pytest.raises(Diverged, match=r"loss is nan .* in epoch 1: lower train.learning_rate"):
        fitted(LineSpec(mode="diverges"))


def test_a_deadline_stops_within_one_epoch() -> None:
    one = fitted(deadline=0.0)
    assert len(one.history["loss"]) == 1
    assert one.stopped == "the time is up"


def test_gradient_norms_are_logged_by_group_of_layers() -> None:
    one = fitted(gradients=True)
    assert {name for name in one.history if name.startswith("grad_norm/")} == {
        "grad_norm/block1",
        "grad_norm/head",
    }
    assert all(math.isfinite(value) and value > 0 for value in one.history["grad_norm/head"])
    assert layer_group("network/block1_2_conv/kernel") == "block1"


def test_watching_gradients_changes_nothing_in_the_result() -> None:
    assert all(
        np.array_equal(a, b)
        for a, b in zip(weights(fitted()), weights(fitted(gradients=True)), strict=True)
    )


def test_epochs_follow_the_number_of_examples_unless_they_are_given() -> None:
    assert num_epochs(TrainSpec(epochs=3), 10) == 3
    assert [num_epochs(TrainSpec(), examples) for examples in (1_000, 55_000, 600_000)] == [
        40,
        10,
        7,
    ]
    assert [num_epochs(TextTrainSpec(), examples) for examples in (500, 3_000, 100_000)] == [
        24,
        8,
        6,
    ]
    assert [
        num_epochs(RecommendTrainSpec(), examples) for examples in (100_000, 1_000_000, 20_000_000)
    ] == [30, 10, 3]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = fitting.one_cycle(40, peak=1.0, warmup=0.25)
    assert rates[0] == pytest.approx(0.04)
    assert rates.argmax() == 10
    assert rates[10] == 1.0
    assert rates[25] == pytest.approx(0.5)
    assert 0 < rates[39] < 0.01
    assert fitting.one_cycle(40, peak=1.0, warmup=0.0)[0] == 1.0


def test_the_table_of_learning_rates_gives_each_step_its_own_and_keeps_the_last() -> None:
    schedule = fitting.Tabulated(fitting.one_cycle(10, peak=0.1, warmup=0.3))
    assert [float(schedule(step)) for step in (0, 3, 9, 50)] == pytest.approx(
        [0.004, 0.1, schedule.rates[9], schedule.rates[9]]
    )
    assert np.array_equal(
        fitting.Tabulated.from_config(schedule.get_config()).rates, schedule.rates
    )


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimizer_learns(optimizer: str) -> None:
    train = TrainSpec(epochs=8, batch_size=16, learning_rate=0.02, optimizer=optimizer)  # type: ignore[arg-type]
    one = fitted(replace(LineSpec(), train=train))
    assert one.best_score < one.history["val_loss"][0]


def test_the_axis_of_a_few_epochs_has_whole_numbers() -> None:
    figure = plots.curves({"loss": [3, 2, 1], "val_loss": [3, 2.5, 2]}, PIPELINE.objective(), 3)
    assert all(float(tick).is_integer() for axes in figure.axes for tick in axes.get_xticks())
