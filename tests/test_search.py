"""KerasTuner's traps, each with the test that would have caught it, on real oracles."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

import keras_tuner as kt
import pytest

from pipelines.config.hyperparameters import ConvSpec, TrainSpec
from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Range, Scalar, Space, hyper
from pipelines.errors import UsageError
from tuning.search.ask_tell import Proposal, Searcher
from tuning.search.constraints import Feasible
from tuning.search.tuners import TUNERS
from tuning.search.untried_points import as_hyperparameters


@dataclass(frozen=True, kw_only=True)
class Spec:
    flag: bool = hyper(False, "on or off")
    conv: ConvSpec = ConvSpec()
    train: TrainSpec = TrainSpec()


# KerasTuner takes a second for each proposal.
BAYESIAN = pytest.param("bayesian", marks=pytest.mark.slow)
ACCURACY = Objective(name="val_accuracy", direction="max")
SMALL: dict[str, Dimension] = {
    "conv.kernel_size": Choice((3, 5, 7)),
    "conv.stride": Choice((1, 2)),
    "conv.filters": Choice((16, 32, 64)),
}


def searcher(
    dimensions: Mapping[str, Dimension] = SMALL,
    *,
    tuner: str = "random",
    seed: int = 42,
    objective: Objective = ACCURACY,
    feasible: Feasible = lambda values: True,
) -> Searcher:
    return Searcher(
        Space(base=Spec(), dimensions=dimensions),
        tuner=tuner,
        objectives=(objective,),
        seed=seed,
        epochs=9,
        feasible=feasible,
    )


def score(values: Mapping[str, Scalar]) -> float:
    kernel_size, filters = float(values["conv.kernel_size"]), float(values["conv.filters"])
    return 1 - abs(kernel_size - 5) / 10 - abs(filters - 32) / 100


def ask_all(search: Searcher, most: int) -> list[Proposal]:
    proposals: list[Proposal] = []
    while len(proposals) < most and (proposal := search.ask()) is not None:
        proposals.append(proposal)
        search.tell(proposal.number, (score(proposal.values),))
    return proposals


@pytest.mark.parametrize("tuner", ["tpe", "random", BAYESIAN, "grid"])
def test_no_point_is_proposed_twice_and_an_exhausted_space_is_said_so(tuner: str) -> None:
    proposals = ask_all(searcher(tuner=tuner), 50)
    assert len(proposals) == 18
    assert len({tuple(proposal.values.items()) for proposal in proposals}) == 18


@pytest.mark.parametrize("tuner", ["tpe", "random", "hyperband", BAYESIAN, "grid"])
def test_what_cannot_be_built_is_never_proposed(tuner: str) -> None:
    search = searcher(tuner=tuner, feasible=lambda values: values["conv.kernel_size"] != 7)
    proposals = ask_all(search, 30)
    assert proposals
    assert all(proposal.values["conv.kernel_size"] != 7 for proposal in proposals)


@pytest.mark.parametrize("tuner", ["tpe", "random"])
def test_the_little_that_a_limit_leaves_of_an_infinite_space_is_found(tuner: str) -> None:
    rates: dict[str, Dimension] = {**SMALL, "train.learning_rate": Range(1e-4, 1e-2)}

    def is_low(values: Mapping[str, Scalar]) -> bool:
        return float(values["train.learning_rate"]) < 1.1e-4

    assert len(ask_all(searcher(rates, tuner=tuner, feasible=is_low), 5)) == 5


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_the_defaults_are_the_first_trial(tuner: str) -> None:
    first = searcher(tuner=tuner).ask()
    assert first is not None
    assert first.values == {"conv.kernel_size": 3, "conv.stride": 1, "conv.filters": 32}


@pytest.mark.parametrize("tuner", TUNERS)
def test_the_same_seed_and_results_give_the_same_proposals(tuner: str) -> None:
    """Resuming replays the results.

    KerasTuner's own state is stale after a change and lost after a kill.
    """
    ranges: dict[str, Dimension] = {**SMALL, "train.learning_rate": Range(1e-4, 1e-2, log=True)}
    once, again = (ask_all(searcher(ranges, tuner=tuner), 12) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("seed", [0, 1])
def test_every_seed_is_a_seed_zero_too(seed: int) -> None:
    """KerasTuner takes seed=0 for a random one."""
    assert ask_all(searcher(seed=seed), 8) == ask_all(searcher(seed=seed), 8)


def test_a_boolean_stays_a_boolean() -> None:
    """`hp.Choice([True, False])` returns 1 and 0."""
    for tuner in TUNERS:
        proposal = searcher({"flag": Choice((True, False))}, tuner=tuner).ask()
        assert proposal
        assert isinstance(proposal.values["flag"], bool)


def test_the_direction_is_given_and_never_guessed() -> None:
    """KerasTuner infers min for val_f1_score."""
    search = searcher(objective=Objective(name="val_f1_score", direction="max"))
    assert search._oracle.objective == kt.Objective("val_f1_score", "max")


def test_the_space_is_declared_flat_and_nothing_is_built_to_discover_it() -> None:
    ranges = {
        "train.learning_rate": Range(1e-4, 1e-2, log=True),
        "conv.blocks": Range(1, 4),
    }
    declared = as_hyperparameters(Space(base=Spec(), dimensions={**SMALL, **ranges}))
    assert [hp.name for hp in declared.space] == [*SMALL, *ranges]
    assert all(not hp.conditions for hp in declared.space)


def test_failures_in_a_row_do_not_end_a_search() -> None:
    """KerasTuner gives up after three."""
    search = searcher()
    for _ in range(6):
        proposal = search.ask()
        assert proposal is not None
        search.tell(proposal.number, None)
    assert search.ask() is not None


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_a_trial_without_a_finite_score_is_failed_and_not_run_again(bad: float | None) -> None:
    search = searcher()
    first = search.ask()
    assert first is not None
    search.tell(first.number, None if bad is None else (bad,))
    second = search.ask()
    assert second is not None
    assert second.values != first.values
    assert next(iter(search._oracle.trials.values())).status == "FAILED"


def test_hyperband_says_how_many_epochs_a_trial_gets() -> None:
    proposals = ask_all(searcher(tuner="hyperband"), 40)
    assert {proposal.epochs for proposal in proposals} >= {1, 3, 9}


@pytest.mark.slow
def test_bayesian_search_comes_to_the_best_region_sooner_than_the_grid_does() -> None:
    ranges: dict[str, Dimension] = {"conv.kernel_size": Range(1, 30), "conv.filters": Range(1, 100)}
    best = {}
    for tuner in ("bayesian", "grid"):
        proposals = ask_all(searcher(ranges, tuner=tuner), 25)
        best[tuner] = max(score(proposal.values) for proposal in proposals)
    assert best["bayesian"] > best["grid"]


def test_an_unknown_tuner_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'bayesian'"):
        searcher(tuner="bayesien")


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to search"):
        searcher({})


def test_no_search_needs_tensorboard() -> None:
    """KerasTuner's loop imports it in every trial, and hides that it is missing.

    The lock file does not list it.
    """
    assert importlib.util.find_spec("tensorboard") is None
