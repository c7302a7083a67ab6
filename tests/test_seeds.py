"""A training with several seeds: what is said of all of them, and what stays the first one's."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from apps import rendering, saved_runs
from apps.list_runs import list_runs
from apps.screen import Screen
from pipelines.config.search_space import replace
from pipelines.errors import TrainingInterrupted, UsageError
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import POINTS, LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.reports.run_card import run_card
from tuning.results.training import TrainResult
from tuning.tracking.interface import NullTracker
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.vault import count_uses
from tuning.training.procedure import Procedure
from tuning.training.train import train

PIPELINE = LinePipeline(LineOptions())
SPEC = replace(LineSpec(), {"train.epochs": 8})
SEEDS = 3


def trained(tracker: MlflowTracker | NullTracker, seeds: int) -> TrainResult:
    return train(PIPELINE, SPEC, tracker, procedure=Procedure(seeds=seeds))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    return open_tracker("line/seeds", root=tmp_path_factory.mktemp("seeds") / "mlruns")


@pytest.fixture(scope="module")
def result(store: MlflowTracker) -> TrainResult:
    return trained(store, SEEDS)


def test_each_further_seed_is_a_run_below_the_training(
    store: MlflowTracker, result: TrainResult
) -> None:
    rows = store.rows(role="seed")
    assert {row.params["fit_seed"] for row in rows} == {"43", "44"}
    assert {row.params["seed"] for row in rows} == {"42"}, "the split is the same"
    assert {row.tags["mlflow.parentRunId"] for row in rows} == {result.run_id}
    assert {row.status for row in rows} == {"FINISHED"}
    tested = [row.metrics["test/mse"] for row in rows]
    assert result.seeds is not None
    values = result.seeds.spread("mse").values
    assert sorted(tested) == pytest.approx(sorted(values[1:]), rel=1e-5)
    assert len(set(values)) == SEEDS, "other seeds, other networks"


def test_mean_error_and_range_are_said_everywhere(
    store: MlflowTracker, result: TrainResult
) -> None:
    assert result.seeds is not None
    spread = result.seeds.spread("mse")
    (row,) = store.rows(run_id=result.run_id)
    expected = [spread.mean, spread.standard_error, min(spread.values), max(spread.values)]
    kept = [row.metrics[f"seeds/{name}"] for name in ("mean", "se", "min", "max")]
    assert kept == pytest.approx(expected, rel=1e-5)
    assert row.metrics["lift/mse"] == pytest.approx(row.metrics["seeds/lift/mean"], rel=1e-5)
    assert row.tags["verdict"].endswith("mean over 3 seeds")
    assert f"± {spread.standard_error:.2g} over 3 seeds against" in result.verdict
    for text in (rendering.train_result(result), run_card(result, [])):
        assert spread.describe() in text
        assert "the model is that of seed 42" in text
        assert "mean of 3 seeds" in text
    plain = json.loads(json.dumps(result.as_json()))["seeds"]
    assert plain["seeds"] == [42, 43, 44]
    assert plain["score"]["values"] == pytest.approx(list(spread.values))
    assert plain["lift"]["mean"] == pytest.approx(result.as_json()["lift"]["mean"])


def test_the_model_is_that_of_a_training_with_one_seed(result: TrainResult) -> None:
    alone = trained(NullTracker(), 1)
    assert alone.seeds is None
    assert result.test == alone.test
    assert result.seeds is not None
    assert result.seeds.test[0] == alone.test


def test_the_seeds_of_a_network_are_one_use_of_the_test_part(
    store: MlflowTracker, result: TrainResult
) -> None:
    assert result.test_uses == 1
    assert count_uses(store, "line-42") == 1


def test_runs_shows_one_line_for_all_seeds(
    store: MlflowTracker, result: TrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = store.store.uri
    list_runs(uri, 20, Screen(json=True))
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["seeds"]["count"] == SEEDS
    assert saved_runs.latest(uri, 20)[0].id == result.run_id


def test_a_seed_with_which_the_training_diverges_is_named_and_counts_in_no_mean(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = LinePipeline.predict

    def predict(self: LinePipeline, *given: Any) -> np.ndarray:
        # What a network answers whose weights have become NaN.
        is_broken = len(tracker.rows(role="seed")) == 1
        return np.full((POINTS, 1), np.nan) if is_broken else fine(self, *given)

    monkeypatch.setattr(LinePipeline, "predict", predict)
    result = trained(tracker, SEEDS)
    assert result.seeds is not None
    assert (result.seeds.seeds, result.seeds.diverged) == ((42, 44), (43,))
    assert "training diverged with 43" in result.seeds_line
    by_seed = {row.params["fit_seed"]: row for row in tracker.rows(role="seed")}
    assert (by_seed["43"].status, by_seed["44"].status) == ("FAILED", "FINISHED")


def test_an_interrupt_in_a_further_seed_keeps_the_model_of_the_first(
    tracker: MlflowTracker,
) -> None:
    epochs = []

    def stop_in_the_second(epoch: int, values: Mapping[str, float]) -> None:
        epochs.append(epoch)
        if epochs.count(1) == 2:
            raise KeyboardInterrupt

    procedure = Procedure(seeds=SEEDS)
    with pytest.raises(TrainingInterrupted) as stopped:
        train(PIPELINE, SPEC, tracker, on_epoch=stop_in_the_second, procedure=procedure)
    (row,) = tracker.rows(role="train")
    assert stopped.value.run_id == row.id
    assert stopped.value.kept
    assert tracker.model_file(row.id)
    assert stopped.value.__notes__ == ["Tested before: 1 of 3 seeds"]
    (further,) = tracker.rows(role="seed")
    assert {row.status, further.status} == {"KILLED"}
    assert not tracker.model_file(further.id)


def test_fewer_than_one_seed_is_refused_before_anything_is_fitted() -> None:
    with pytest.raises(UsageError, match="seeds=0: expected at least one"):
        Procedure(seeds=0)
