"""Sweeps as trees of runs in a real MLflow store: trials, failures, the winner, interruption and resumption."""

import math
from pathlib import Path

import pytest

from pipelines.errors import ApplineError, UsageError
from pipelines.space import Choice, Domain
from tests.tiny import LinePipeline, LineSpec
from tuning.conductor import Trial
from tuning.progress import Progress
from tuning.runs import NullTracker
from tuning.search import TUNERS
from tuning.sweep import Sweep, SweepInterrupted, Swept, run_sweep
from tuning.tracking import MlflowTracker, open_tracker

PIPELINE = LinePipeline()
DOMAINS: dict[str, Domain] = {"units": Choice((2, 4, 8)), "train.learning_rate": Choice((0.01, 0.05))}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    return open_tracker("line/line", root=tmp_path_factory.mktemp("store") / "mlruns")


def sweep(tracker: MlflowTracker | NullTracker, domains: dict[str, Domain] = DOMAINS, **options: object) -> Swept:
    progress, executor = options.pop("progress", None), options.pop("executor", None)
    chosen = Sweep(**{"objectives": (PIPELINE.objective(),), "trials": 3, "trial_epochs": 2, "tuner": "random", **options})  # type: ignore[arg-type]
    return run_sweep(PIPELINE, PIPELINE.space(LineSpec(), domains), chosen, tracker, progress=progress, executor=executor)  # type: ignore[arg-type]


class Stop(Progress):
    """Somebody who presses Ctrl-C after the second trial."""

    def ended(self, trial: Trial, best: Trial | None) -> None:
        if trial.number == 2:
            raise KeyboardInterrupt


def scores(found: Swept) -> list[float | None]:
    return [trial.score for trial in found.trials]


def test_a_sweep_is_a_tree_of_runs_with_the_same_columns(tracker: MlflowTracker) -> None:
    found = sweep(tracker)
    rows = tracker.rows(f"tags.sweep = '{found.run_id}'")
    roles = sorted(row.tags["role"] for row in rows)
    assert roles == ["baseline", "final", "sweep", "trial", "trial", "trial"]
    assert all(row.tags["mlflow.parentRunId"] == found.run_id for row in rows if row.tags["role"] != "sweep")
    assert {row.status for row in rows} == {"FINISHED"}
    trials = [row for row in rows if row.tags["role"] == "trial"]
    final = next(row for row in rows if row.tags["role"] == "final")
    assert set(trials[0].params) == set(final.params)
    assert not any(key.startswith("test/") for row in trials for key in row.metrics), "a search never reads test data"
    assert final.metrics["test/mse"] == pytest.approx(found.final.test["mse"], rel=1e-5)
    assert max(trial.score or math.inf for trial in found.trials) >= (found.best.score or math.inf)


def test_a_failing_trial_is_recorded_with_its_reason_and_the_sweep_goes_on(tracker: MlflowTracker) -> None:
    """KerasTuner swallows exceptions: the reason was lost."""
    found = sweep(tracker, {"mode": Choice(("raises", "fine", "diverges"))})
    by_mode = {trial.values["mode"]: trial for trial in found.trials}
    assert by_mode["raises"].score is None
    assert "RuntimeError: this network cannot be built" in by_mode["raises"].reason
    assert "Diverged" in by_mode["diverges"].reason
    row = next(row for row in tracker.rows(f"tags.sweep = '{found.run_id}' and tags.role = 'trial'") if row.params["mode"] == "raises")
    assert row.status == "FAILED"
    assert "cannot be built" in row.tags["reason"]
    assert found.best.values["mode"] == "fine"


def test_when_every_trial_fails_the_sweep_fails_with_the_first_reason(tracker: MlflowTracker) -> None:
    """KerasTuner still returned "best" hyperparameters."""
    with pytest.raises(ApplineError, match=r"All 2 trials failed.*cannot be built"):
        sweep(tracker, {"mode": Choice(("raises", "diverges"))})


def test_what_cannot_be_built_is_never_started(tracker: MlflowTracker) -> None:
    found = sweep(tracker, {"units": Choice((2, 13))}, trials=10)
    assert [trial.values["units"] for trial in found.trials] == [2]
    assert found.exhausted


@pytest.mark.parametrize("tuner", TUNERS)
def test_an_interrupted_sweep_resumes_to_what_an_undisturbed_one_finds(tracker: MlflowTracker, tuner: str) -> None:
    undisturbed = sweep(NullTracker(), tuner=tuner, trials=4)
    with pytest.raises(SweepInterrupted) as stopped:
        sweep(tracker, tuner=tuner, trials=4, progress=Stop())
    assert tracker.rows(f"attributes.run_id = '{stopped.value.run_id}'")[0].status == "KILLED"
    resumed = sweep(tracker, tuner=tuner, trials=4, resume=stopped.value.run_id)
    assert [trial.replayed for trial in resumed.trials] == [True, True, False, False]
    assert scores(resumed) == pytest.approx(scores(undisturbed))
    assert resumed.run_id == stopped.value.run_id
    assert len(tracker.rows(f"tags.sweep = '{resumed.run_id}' and tags.role = 'trial'")) == 4


def test_a_finished_sweep_is_extended(tracker: MlflowTracker) -> None:
    first = sweep(tracker, trials=2)
    more = sweep(tracker, trials=4, resume=first.run_id)
    assert scores(more)[:2] == pytest.approx(scores(first))
    assert len(more.trials) == 4


def test_resuming_with_another_space_is_refused_with_the_difference(tracker: MlflowTracker) -> None:
    """KerasTuner silently goes on with a stale space."""
    first = sweep(tracker, trials=2)
    with pytest.raises(UsageError, match=r"space.search.units: 2,4,8 then, 2,4 now"):
        sweep(tracker, {**DOMAINS, "units": Choice((2, 4))}, resume=first.run_id)


def test_resuming_what_is_no_sweep_is_refused(tracker: MlflowTracker) -> None:
    with pytest.raises(UsageError, match="no sweep has this id"):
        sweep(tracker, resume="0" * 32)


def test_the_time_limit_ends_the_search_and_the_winner_so_far_is_tested(tmp_path: Path) -> None:
    found = sweep(NullTracker(), trials=500, max_seconds=4.0)
    assert 1 <= len(found.trials) < 500


def test_a_sweep_of_no_trials_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Sweep(objectives=(PIPELINE.objective(),), trials=0)
