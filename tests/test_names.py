"""Runs and views are called by what they are."""

import pytest

from tuning.reports.names import network_name, scored_name, sweep_view_name, trial_name

CONV = {
    "architecture": "resnet",
    "conv.kernel_size": 5,
    "conv.stride": 1,
    "conv.filters": 32,
    "train.learning_rate": 0.0042813,
}


def test_a_network_is_called_by_architecture_kernel_size_stride_and_filters() -> None:
    assert network_name("vision", CONV) == "resnet k5 s1 f32"


def test_a_network_that_reads_no_kernel_size_is_not_called_by_one() -> None:
    params = {**CONV, "architecture": "tfidf"}
    assert "k5" not in network_name("text", {**params, "architecture": "bow"})


@pytest.mark.parametrize(
    ("searched", "name"),
    [
        (["conv.kernel_size", "train.learning_rate"], "7 · resnet k5 s1 f32"),
        (["train.learning_rate"], "7 · resnet k5 s1 f32 learning_rate=0.0043"),
    ],
)
def test_a_trial_is_called_by_its_number_and_what_tells_it_apart(
    searched: list[str], name: str
) -> None:
    assert trial_name(7, "vision", CONV, searched) == name


def test_a_tested_run_is_called_by_what_it_is_and_scored() -> None:
    assert scored_name("resnet k5", "accuracy", 0.97222) == "resnet k5 · accuracy 0.972"


@pytest.mark.parametrize(
    ("trials", "name"),
    [
        (8, "demo: digits, 8 trials, best 0.972"),
        (1, "demo: digits, 1 trial, best 0.972"),
    ],
)
def test_a_view_is_called_by_its_sweep_and_the_best_score(trials: int, name: str) -> None:
    assert sweep_view_name("demo: digits", trials, 0.97222) == name
