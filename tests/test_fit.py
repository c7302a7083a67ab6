"""One fit: seeds, best weights, early stopping, divergence, gradients."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.config.hyperparameters import TrainSpec
from pipelines.errors import Diverged
from pipelines.recommend.spec import RecommendTrainSpec
from pipelines.text.spec import TextTrainSpec
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.reports import plots
from tuning.training.fit import FitResult, fit, num_epochs
from tuning.training.monitor import Watch, layer_group
from tuning.training.schedule import LearningRateTable, one_cycle

PIPELINE = LinePipeline(LineOptions())
SPLITS = PIPELINE.load()
OBJECTIVE = PIPELINE.options.objective()


def fitted(
    spec: LineSpec | None = None,
    *,
    seed: int = 1,
    deadline: float = math.inf,
    gradients: bool = False,
) -> FitResult:
    watch = Watch(objective=OBJECTIVE, deadline=deadline, gradients=gradients)
    return fit(PIPELINE, spec or LineSpec(), SPLITS, seed=seed, watch=watch)


def with_training(train: TrainSpec) -> LineSpec:
    return replace(LineSpec(), train=train)


def same_weights(a: FitResult, b: FitResult) -> bool:
    pairs = zip(a.model.weights, b.model.weights, strict=True)
    return all(np.array_equal(one.numpy(), other.numpy()) for one, other in pairs)


def val_mse(result: FitResult) -> float:
    """Return the error of the network that was kept."""
    predictions = PIPELINE.predict(result.model, SPLITS, "val")
    return PIPELINE.score(predictions, SPLITS, "val")["mse"]


IDLE: dict[str, Any] = {
    "epochs": 6,
    "batch_size": 32,
    "learning_rate": 1e-9,
    "warmup": 0.0,
    "optimizer": "sgd",
}


def test_automatic_patience_is_half_of_the_epochs_and_a_text_network_is_never_stopped() -> None:
    """What TF-IDF says already, the network of texts says better only late."""
    assert len(fitted(with_training(TrainSpec(**IDLE))).history["loss"]) == 1 + 3
    assert len(fitted(with_training(TextTrainSpec(**IDLE))).history["loss"]) == 6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first = fitted(seed=1)
    assert same_weights(first, fitted(seed=1))
    assert not same_weights(first, fitted(seed=2))


def test_the_returned_weights_are_those_of_the_best_epoch() -> None:
    rising = TrainSpec(epochs=6, batch_size=32, learning_rate=1.0, warmup=0.8, optimizer="sgd")
    result = fitted(with_training(rising))
    assert result.best_score == min(result.history["val_loss"])
    assert result.history["val_loss"][result.best_epoch - 1] == result.best_score
    assert val_mse(result) == pytest.approx(result.best_score, rel=1e-4)


def test_the_moving_average_is_what_is_validated_and_kept() -> None:
    """Keras overwrites the weights with their average at the end of each fit.

    What is kept must be what was validated.
    """
    averaged = TrainSpec(epochs=5, batch_size=32, learning_rate=0.05, ema=0.9)
    result = fitted(with_training(averaged))
    assert val_mse(result) == pytest.approx(result.best_score, rel=1e-4)


def test_a_fit_stops_when_validation_gets_no_better() -> None:
    idle = TrainSpec(epochs=50, batch_size=32, learning_rate=1e-9, patience=2, optimizer="sgd")
    result = fitted(with_training(idle))
    assert len(result.history["loss"]) < 50
    assert "no better val_loss for 2 epochs" in result.stopped


def test_a_loss_that_is_not_a_number_stops_with_a_reason() -> None:
    with pytest.raises(Diverged, match=r"loss is nan .* in epoch 1: lower train.learning_rate"):
        fitted(LineSpec(mode="diverges"))


def test_a_deadline_stops_within_one_epoch() -> None:
    result = fitted(deadline=0.0)
    assert len(result.history["loss"]) == 1
    assert result.stopped == "the time is up"


def test_gradient_norms_are_logged_by_group_of_layers() -> None:
    result = fitted(gradients=True)
    names = {name for name in result.history if name.startswith("grad_norm/")}
    assert names == {"grad_norm/block1", "grad_norm/head"}
    assert all(math.isfinite(value) and value > 0 for value in result.history["grad_norm/head"])
    assert layer_group("network/block1_2_conv/kernel") == "block1"


def test_watching_gradients_changes_nothing_in_the_result() -> None:
    assert same_weights(fitted(), fitted(gradients=True))


def test_epochs_that_were_given_are_the_epochs() -> None:
    assert num_epochs(TrainSpec(epochs=3), 10) == 3


@pytest.mark.parametrize(
    ("train", "epochs_by_examples"),
    [
        (TrainSpec(), {1_000: 40, 55_000: 10, 600_000: 7}),
        (TextTrainSpec(), {500: 24, 3_000: 8, 100_000: 6}),
        (RecommendTrainSpec(), {100_000: 30, 1_000_000: 10, 20_000_000: 3}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_epochs_follow_the_number_of_examples_unless_they_are_given(
    train: TrainSpec, epochs_by_examples: dict[int, int]
) -> None:
    for examples, epochs in epochs_by_examples.items():
        assert num_epochs(train, examples) == epochs


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = one_cycle(40, peak=1.0, warmup=0.25)
    assert rates[0] == pytest.approx(0.04)
    assert rates.argmax() == 10
    assert rates[10] == 1.0
    assert rates[25] == pytest.approx(0.5)
    assert 0 < rates[39] < 0.01
    assert one_cycle(40, peak=1.0, warmup=0.0)[0] == 1.0


def test_the_table_of_learning_rates_gives_each_step_its_own_and_keeps_the_last() -> None:
    schedule = LearningRateTable(one_cycle(10, peak=0.1, warmup=0.3))
    last = schedule.rates[9]
    rates = [float(schedule(step)) for step in (0, 3, 9, 50)]
    assert rates == pytest.approx([0.004, 0.1, last, last])
    again = LearningRateTable.from_config(schedule.get_config())
    assert np.array_equal(again.rates, schedule.rates)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
def test_every_optimizer_learns(optimizer: Any) -> None:
    train = TrainSpec(epochs=8, batch_size=16, learning_rate=0.02, optimizer=optimizer)
    result = fitted(with_training(train))
    assert result.best_score < result.history["val_loss"][0]


def test_the_axis_of_a_few_epochs_has_whole_numbers() -> None:
    figure = plots.curves({"loss": [3, 2, 1], "val_loss": [3, 2.5, 2]}, OBJECTIVE, 3)
    for axes in figure.axes:
        assert all(float(tick).is_integer() for tick in axes.get_xticks())
