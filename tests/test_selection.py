"""A sweep's best trials are fitted again, and noise is no reason to win."""

import json
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pytest

from apps import rendering
from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, replace
from pipelines.errors import UsageError
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.reports.run_card import sweep_card
from tuning.reports.selection import select
from tuning.results.sweep import Candidate, SweepResult
from tuning.search.definition import Sweep
from tuning.search.resume import SameWinner
from tuning.search.sweep import run_sweep
from tuning.tracking.interface import NullTracker
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.training.procedure import EarlierFit, Procedure
from tuning.training.train import train

ACCURACY = Objective(name="val_accuracy", direction="max")
OPTIONS = LineOptions()
PIPELINE = LinePipeline(OPTIONS)


def candidate(number: int, *scores: float, weights: int = 100) -> Candidate:
    return Candidate(number=number, score=max(scores), scores=scores, weights=weights)


# --- the rule


def test_the_cheapest_within_one_standard_error_of_the_best_mean_wins() -> None:
    # Variances .0008, .0008 and .0002: the error of a mean of two is sqrt(.0006 / 2) = .0173.
    large = candidate(1, 0.90, 0.94, weights=900)
    small = candidate(2, 0.89, 0.93, weights=100)
    tiny = candidate(3, 0.86, 0.88, weights=10)
    chosen = select([large, small, tiny], ACCURACY)
    assert chosen.standard_error == pytest.approx(np.sqrt(0.0003))
    assert (chosen.best, chosen.winner) == (1, 2)
    assert chosen.describe().startswith(
        "one standard error: trial 2 is the cheapest (100 weights, mean 0.91) within one standard "
        "error of the best mean, 0.92 ± 0.017 of trial 1 (900 weights); trials 2, 3 tie with "
        "trial 1 (no certain difference)"
    )


def test_a_trial_that_is_certainly_better_wins_whatever_it_costs() -> None:
    good = candidate(1, 0.950, 0.951, weights=900)
    bad = candidate(2, 0.70, 0.701, weights=1)
    chosen = select([bad, good], ACCURACY)
    assert (chosen.winner, chosen.ties) == (1, (1,))
    assert "no other one ties with trial 1" in chosen.describe()


def test_of_an_error_the_smallest_is_best() -> None:
    chosen = select(
        [candidate(1, 1.0, 1.1), candidate(2, 3.0, 3.1)],
        Objective(name="val_mae", direction="min"),
    )
    assert (chosen.best, chosen.winner) == (1, 1)


def test_equal_scores_without_any_noise_tie_and_others_do_not() -> None:
    chosen = select([candidate(1, 0.9, 0.9), candidate(2, 0.9, 0.9, weights=5)], ACCURACY)
    assert (chosen.winner, chosen.ties) == (2, (1, 2))
    apart = select([candidate(1, 0.9, 0.9), candidate(2, 0.8, 0.8, weights=5)], ACCURACY)
    assert (apart.winner, apart.ties) == (1, (1,))


@pytest.mark.parametrize(("count", "repetitions"), [(2, 400), (3, 150)])
def test_equal_configurations_with_other_seeds_tie(count: int, repetitions: int) -> None:
    rng = np.random.default_rng(0)
    num_ties = 0
    for _ in range(repetitions):
        scores = rng.normal(0.9, 0.01, size=(count, 2))
        chosen = select([candidate(n, *row) for n, row in enumerate(scores)], ACCURACY)
        num_ties += len(chosen.ties) == count
    assert 0.92 <= num_ties / repetitions <= 0.98


@pytest.mark.parametrize(
    ("asked", "trials", "refitted"),
    [("auto", 20, 3), ("auto", 12, 2), ("auto", 11, 0), ("0", 20, 0), ("5", 20, 5), ("5", 1, 0)],
)
def test_how_many_are_fitted_again_depends_on_what_the_trials_cost(
    asked: str, trials: int, refitted: int
) -> None:
    sweep = Sweep(objectives=(ACCURACY,), refit_top=asked)
    assert sweep.num_refitted(trials) == refitted


@pytest.mark.parametrize("asked", ["1", "-2", "best"])
def test_a_number_that_compares_nothing_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="expected auto, 0 for none, or 2 or more trials"):
        Sweep(objectives=(ACCURACY,), refit_top=asked)


# --- in a sweep


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    return open_tracker("line/line", root=tmp_path_factory.mktemp("store") / "mlruns")


def sweep(tracker: MlflowTracker | NullTracker, trials: int = 3, resume: str = "") -> SweepResult:
    return run_sweep(
        PIPELINE,
        OPTIONS.space(LineSpec(), {"units": Choice((2, 4, 8, 16))}),
        Sweep(
            objectives=(OPTIONS.objective(),),
            trials=trials,
            trial_epochs=2,
            tuner="grid",
            refit_top="2",
            resume=resume,
        ),
        tracker,
    )


@pytest.fixture(scope="module")
def result(tracker: MlflowTracker) -> SweepResult:
    return sweep(tracker)


def test_the_refits_are_runs_of_the_sweep_that_read_no_test_data(
    tracker: MlflowTracker, result: SweepResult
) -> None:
    assert result.selection is not None
    rows = tracker.rows(role="seed", sweep=result.run_id)
    assert len(rows) == 4
    assert {row.tags["mlflow.parentRunId"] for row in rows} == {result.run_id}
    assert not [name for row in rows for name in row.metrics if name.startswith("test/")]
    assert len({row.params["fit_seed"] for row in rows}) == 4, "no two have the same luck"
    assert {row.tags["mlflow.runColor"] for row in rows} == {"#0072b2"}
    recorded: dict[int, list[float]] = {}
    for row in rows:
        recorded.setdefault(int(row.tags["refit_of"]), []).append(row.metrics["best/val_loss"])
    for found in result.selection.candidates:
        assert sorted(recorded[found.number]) == pytest.approx(sorted(found.scores), rel=1e-5)
    losses = sorted(trial.score for trial in result.trials if trial.score is not None)
    assert sorted(found.score for found in result.selection.candidates) == losses[:2]


def test_terminal_card_json_and_tags_say_which_rule_has_chosen_what(
    tracker: MlflowTracker, result: SweepResult
) -> None:
    assert result.selection is not None
    assert result.best.number == result.selection.winner
    rule = result.selection.describe()
    assert f"chosen by  {rule}" in rendering.sweep_result(result)
    assert "**Chosen by** one standard error: trial" in sweep_card(result, {})
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["rule"] == rule
    assert plain["selection"]["winner"] == result.best.number
    (own,) = tracker.rows(run_id=result.run_id)
    (final,) = tracker.rows(role="final", sweep=result.run_id)
    assert own.tags["chosen_by"] == final.tags["chosen_by"] == rule
    assert final.tags["winner"] == str(result.best.number)
    assert own.metrics["cost/refits_s"] > 0


def test_an_extended_sweep_does_not_repeat_the_refits_that_it_has(
    tracker: MlflowTracker, result: SweepResult
) -> None:
    before = {row.id for row in tracker.rows(role="seed", sweep=result.run_id)}
    with suppress(SameWinner):
        sweep(tracker, trials=4, resume=result.run_id)
    after = tracker.rows(role="seed", sweep=result.run_id)
    assert len(tracker.rows(role="trial", sweep=result.run_id)) == 4
    assert before <= {row.id for row in after}
    fits = {(row.tags["refit_of"], row.params["fit_seed"]) for row in after}
    assert len(fits) == len(after)


# --- the winner in full


def with_epochs(epochs: int) -> LineSpec:
    spec: LineSpec = replace(LineSpec(), {"train.epochs": epochs})
    return spec


def procedure(epochs: int, score: float) -> Procedure:
    spec = with_epochs(epochs)
    return Procedure(earlier=EarlierFit(name="trial 7", score=score, spec=spec, seed=5))


def test_where_the_trial_was_better_than_the_whole_training_its_weights_are_kept(
    tracker: MlflowTracker,
) -> None:
    # Stands for a training that ends badly: one epoch, where the trial had six.
    alone = train(PIPELINE, with_epochs(1), NullTracker())
    kept = train(PIPELINE, with_epochs(1), tracker, procedure=procedure(6, score=0.0))
    assert kept.best_epoch_score < alone.best_epoch_score
    (note,) = [note for note in kept.notes if "the weights are those of trial 7" in note]
    assert f"{kept.best_epoch_score:.4g} after 6 epochs" in note
    assert f"{alone.best_epoch_score:.4g} trained in full (1)" in note
    (row,) = tracker.rows(run_id=kept.run_id)
    assert row.tags["weights_of"] == "trial 7"
    assert row.metrics["best/val_loss"] == pytest.approx(kept.best_epoch_score, rel=1e-5)
    assert tracker.curve(kept.run_id, "loss") != tracker.curve(kept.run_id, "trial 7/loss")
    assert len(tracker.curve(kept.run_id, "trial 7/loss")) == 6


@pytest.mark.parametrize("score", [0.0, 1e9])
def test_the_whole_training_is_kept_where_it_is_better(score: float) -> None:
    alone = train(PIPELINE, with_epochs(4), NullTracker())
    calls: list[int] = []

    def count(epoch: int, values: Mapping[str, float]) -> None:
        calls.append(epoch)

    kept = train(
        PIPELINE,
        with_epochs(4),
        NullTracker(),
        on_epoch=count,
        procedure=procedure(1, score=score),
    )
    assert kept.test == alone.test
    # A trial that was no better is not even repeated.
    assert len(calls) == (5 if score == 0.0 else 4)
