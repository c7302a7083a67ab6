"""Sweeps as trees of runs in a real MLflow store: trials, failures, the winner, resuming."""

import dataclasses
import itertools
import json
import math
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from pipelines.config.hyperparameters import ConvSpec
from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar, Space, hyper, replace
from pipelines.errors import ApplineError, ExternalFailure, SweepInterrupted, UsageError
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tuning.execution.in_process import InProcess
from tuning.execution.interface import Executor, TrialScheduler
from tuning.execution.trial import Outcome, Work, run_trial, worker_name
from tuning.results.sweep import SweepResult, Trial
from tuning.search import constraints
from tuning.search.definition import Sweep, sweep_objectives
from tuning.search.estimate import estimate
from tuning.search.progress import Progress
from tuning.search.resume import SameWinner, SweepFinished
from tuning.search.sweep import run_sweep, trial_effects
from tuning.search.sweep_tags import DEFINITION
from tuning.search.trial_records import ATTEMPT
from tuning.tracking.interface import NullTracker
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.provenance import PROCESS

OPTIONS = LineOptions()
PIPELINE = LinePipeline(OPTIONS)
DIMENSIONS: dict[str, Dimension] = {
    "units": Choice((2, 4, 8)),
    "train.learning_rate": Choice((0.01, 0.05)),
}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    return open_tracker("line/line", root=tmp_path_factory.mktemp("store") / "mlruns")


def sweep(
    tracker: MlflowTracker | NullTracker,
    dimensions: dict[str, Dimension] = DIMENSIONS,
    progress: Progress | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> SweepResult:
    defaults = {
        "objectives": (OPTIONS.objective(),),
        "trials": 3,
        "trial_epochs": 2,
        "tuner": "random",
    }
    return run_sweep(
        PIPELINE,
        OPTIONS.space(LineSpec(), dimensions),
        Sweep(**{**defaults, **options}),
        tracker,
        progress=progress,
        executor=executor,
    )


class Stop(Progress):
    """Presses Ctrl-C after the second trial."""

    def ended(self, trial: Trial, best: Trial | None) -> None:
        if trial.number == 2:
            raise KeyboardInterrupt


def scores(result: SweepResult) -> list[float | None]:
    return [trial.score for trial in result.trials]


def test_a_sweep_is_a_tree_of_runs_with_the_same_columns(tracker: MlflowTracker) -> None:
    result = sweep(tracker)
    rows = tracker.rows(sweep=result.run_id)
    roles = sorted(row.tags["role"] for row in rows)
    assert roles == ["baseline", "final", "sweep", "trial", "trial", "trial"]
    children = [row for row in rows if row.tags["role"] != "sweep"]
    assert {row.tags["mlflow.parentRunId"] for row in children} == {result.run_id}
    assert {row.status for row in rows} == {"FINISHED"}
    trials = [row for row in rows if row.tags["role"] == "trial"]
    final = next(row for row in rows if row.tags["role"] == "final")
    assert set(trials[0].params) == set(final.params)
    assert not any(key.startswith("test/") for row in trials for key in row.metrics), (
        "a search never reads test data"
    )
    assert final.metrics["test/mse"] == pytest.approx(result.final.test["mse"], rel=1e-5)
    losses = [trial.score for trial in result.trials if trial.score is not None]
    assert result.best.score == min(losses)


def test_a_sweeps_report_shows_verdicts_curves_and_the_timeline_of_its_workers(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    result = sweep(tracker)
    assert {trial.worker for trial in result.trials} == {worker_name(os.getpid())}
    assert all(trial.start_time > 0 for trial in result.trials)
    report = tracker.client.download_artifacts(result.run_id, "report.html", str(tmp_path))
    headings = re.findall(r"<h2>([^<]*)</h2>", Path(report).read_text())
    assert headings[:2] == ["Lifts", "What was found"]
    assert {"Importance", "Learning curves", "Timeline", "Curves", "Gradients"} <= set(headings)
    assert [lift.baseline for lift in result.final.lifts] == ["mean"]
    assert result.final.lifts[0] == result.final.lift


def test_a_failing_trial_is_recorded_with_its_reason_and_the_sweep_goes_on(
    tracker: MlflowTracker,
) -> None:
    """KerasTuner swallows exceptions: the reason was lost."""
    result = sweep(tracker, {"mode": Choice(("raises", "fine", "diverges"))})
    by_mode = {trial.values["mode"]: trial for trial in result.trials}
    assert by_mode["raises"].score is None
    assert "RuntimeError: this network cannot be built" in by_mode["raises"].reason
    assert "Diverged" in by_mode["diverges"].reason
    rows = {row.params["mode"]: row for row in tracker.rows(role="trial", sweep=result.run_id)}
    row = rows["raises"]
    assert row.status == "FAILED"
    assert "cannot be built" in row.tags["reason"]
    assert result.best.values["mode"] == "fine"


def test_when_every_trial_fails_the_sweep_fails_with_the_first_reason(
    tracker: MlflowTracker,
) -> None:
    """KerasTuner still returned "best" hyperparameters."""
    with pytest.raises(ApplineError, match=r"All 2 trials failed.*cannot be built"):
        sweep(tracker, {"mode": Choice(("raises", "diverges"))})


def test_what_cannot_be_built_is_never_started(tracker: MlflowTracker) -> None:
    result = sweep(tracker, {"units": Choice((2, 13))}, trials=10)
    assert [trial.values["units"] for trial in result.trials] == [2]
    assert result.exhausted


@pytest.mark.parametrize(
    "tuner",
    [
        "tpe",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("hyperband", "random", "bayesian", "grid")
        ),
    ],
)
def test_an_interrupted_sweep_resumes_to_what_an_undisturbed_one_finds(
    tracker: MlflowTracker, tuner: str
) -> None:
    undisturbed = sweep(NullTracker(), tuner=tuner, trials=4)
    with pytest.raises(SweepInterrupted) as stopped:
        sweep(tracker, tuner=tuner, trials=4, progress=Stop())
    assert tracker.rows(run_id=stopped.value.run_id)[0].status == "KILLED"
    resumed = sweep(tracker, tuner=tuner, trials=4, resume=stopped.value.run_id)
    assert [trial.replayed for trial in resumed.trials] == [True, True, False, False]
    assert scores(resumed) == pytest.approx(scores(undisturbed))
    assert resumed.run_id == stopped.value.run_id
    assert {trial.worker for trial in resumed.trials} == {worker_name(os.getpid())}
    assert sorted(trial.start_time for trial in resumed.trials)[0] > 0
    assert len(tracker.rows(role="trial", sweep=resumed.run_id)) == 4
    baselines = [row.name for row in tracker.rows(role="baseline", sweep=resumed.run_id)]
    assert len(baselines) == len(set(baselines)), "resuming does not record baselines again"


def test_a_finished_sweep_is_not_finished_twice(tracker: MlflowTracker) -> None:
    first = sweep(tracker, trials=2)
    with pytest.raises(UsageError, match=r"is finished, with 2 trials.*--trials 12"):
        sweep(tracker, trials=2, resume=first.run_id)
    assert len(tracker.rows(role="final", sweep=first.run_id)) == 1
    assert tracker.rows(run_id=first.run_id)[0].status == "FINISHED"


def test_a_finished_sweep_of_a_whole_space_is_not_finished_twice(tracker: MlflowTracker) -> None:
    space: dict[str, Dimension] = {"units": Choice((2, 4))}
    first = sweep(tracker, space, trials=5)
    with pytest.raises(SweepFinished, match="is finished, with 2 trials"):
        sweep(tracker, space, trials=5, resume=first.run_id)
    assert len(tracker.rows(role="final", sweep=first.run_id)) == 1
    assert tracker.rows(run_id=first.run_id)[0].status == "FINISHED"


def test_an_extended_sweep_trains_its_winner_again_only_if_it_is_another(
    tracker: MlflowTracker,
) -> None:
    """Of rates in order, the first is the better of two, and the third the best of all."""
    rates = (1e-6, 1e-5, 0.05, 1e-7, 1e-8)
    space: dict[str, Dimension] = {"train.learning_rate": Choice(rates)}
    first = sweep(tracker, space, trials=2, tuner="grid")
    other = sweep(tracker, space, trials=3, tuner="grid", resume=first.run_id)
    assert other.best.number == 3
    with pytest.raises(SameWinner, match="of 5 trials the winner is still trial 3"):
        sweep(tracker, space, trials=5, tuner="grid", resume=first.run_id)
    finals = tracker.rows(role="final", sweep=first.run_id)
    assert sorted(row.tags["winner"] for row in finals) == ["1", "3"]
    row = tracker.rows(run_id=first.run_id)[0]
    assert (row.status, row.metrics["cost/trials"]) == ("FINISHED", 5)


class FullDisk(Progress):
    """After the second trial no file can grow any further.

    That is as near to a full disk as a test gets without being root.
    """

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def ended(self, trial: Trial, best: Trial | None) -> None:
        if trial.number == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, self._before[1]))

    def mend(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@pytest.fixture
def disk() -> Iterator[FullDisk]:
    disk = FullDisk()
    yield disk
    disk.mend()


@pytest.mark.slow
def test_a_sweep_that_a_full_disk_broke_resumes_to_what_an_undisturbed_one_finds(
    tracker: MlflowTracker, disk: FullDisk
) -> None:
    undisturbed = sweep(NullTracker(), trials=4)
    with pytest.raises(ExternalFailure, match=r"MLflow at sqlite:.*failed") as broken:
        sweep(tracker, trials=4, progress=disk)
    assert "\n" not in str(broken.value)
    disk.mend()
    again = open_tracker(tracker.name, root=(tracker.store.database or Path()).parent)
    resumed = sweep(again, trials=4, resume=broken.value.sweep_id)
    assert [trial.replayed for trial in resumed.trials] == [True, True, False, False]
    assert scores(resumed) == pytest.approx(scores(undisturbed))
    assert not tracker.rows(status="RUNNING")


@pytest.mark.slow
def test_a_finished_sweep_is_extended_by_a_version_that_knows_more_options(
    tracker: MlflowTracker,
) -> None:
    first = sweep(tracker, trials=2)
    definition = json.loads(tracker.client.get_run(first.run_id).data.tags[DEFINITION])
    del definition["options"]["data"]
    tracker.tag(first.run_id, {DEFINITION: json.dumps(definition)})
    with suppress(SameWinner):
        sweep(tracker, trials=4, resume=first.run_id)
    assert len(tracker.rows(role="trial", sweep=first.run_id)) == 4


def test_resuming_with_another_space_is_refused_with_the_difference(tracker: MlflowTracker) -> None:
    """KerasTuner silently goes on with a stale space."""
    first = sweep(tracker, trials=2)
    with pytest.raises(UsageError, match=r"space.search.units: 2,4,8 then, 2,4 now"):
        sweep(tracker, {**DIMENSIONS, "units": Choice((2, 4))}, resume=first.run_id)


def test_resuming_a_sweep_that_still_runs_is_refused(tracker: MlflowTracker) -> None:
    run = tracker.start("elsewhere", role="sweep", tags={DEFINITION: "{}"})
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        born = psutil.Process(other.pid).create_time()
        tracker.tag(run.id, {PROCESS: f"{other.pid} on {socket.gethostname()} since {born:.2f}"})
        with pytest.raises(UsageError, match="this sweep is still running, in process"):
            sweep(tracker, resume=run.id)
        other.kill()
    run.finish("KILLED")


def test_what_a_sweep_cannot_do_is_refused_before_anything_is_recorded(
    tracker: MlflowTracker,
) -> None:
    before = len(tracker.rows())
    with pytest.raises(UsageError, match="a line network is fitted to train alone"):
        run_sweep(
            PIPELINE,
            OPTIONS.space(replace(LineSpec(), {"train.refit": True}), DIMENSIONS),
            Sweep(objectives=(OPTIONS.objective(),)),
            tracker,
        )
    with pytest.raises(
        UsageError, match=r"train\.epochs cannot be searched: all trials share --trial-epochs"
    ):
        sweep(tracker, {"train.epochs": Choice((2, 4))})
    with pytest.raises(
        UsageError, match="--early-stop asha: early stopping works with one objective; got 2"
    ):
        sweep(
            tracker,
            objectives=sweep_objectives(PIPELINE, PIPELINE.load(), ("val_loss", "cost/params")),
            early_stop="asha",
        )
    with pytest.raises(UsageError, match="--warm-from: grid goes through the space in order"):
        sweep(tracker, tuner="grid", warm_from="auto")
    assert len(tracker.rows()) == before


def test_resuming_what_is_no_sweep_is_refused(tracker: MlflowTracker) -> None:
    with pytest.raises(UsageError, match="no sweep has this id"):
        sweep(tracker, resume="0" * 32)


def test_the_time_limit_ends_the_search_and_the_winner_so_far_is_tested(tmp_path: Path) -> None:
    result = sweep(NullTracker(), trials=500, max_seconds=4.0)
    assert 1 <= len(result.trials) < 500


def test_a_sweep_of_no_trials_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Sweep(objectives=(OPTIONS.objective(),), trials=0)


def test_several_objectives_keep_what_no_other_trial_beats(tracker: MlflowTracker) -> None:
    objectives = (OPTIONS.objective(), Objective(name="cost/params", direction="min"))
    result = sweep(
        tracker, {"units": Choice((2, 4, 8, 16))}, tuner="tpe", trials=4, objectives=objectives
    )
    pairs = [trial.scores for trial in result.trials]
    expected = set()
    for loss, params in pairs:
        others = [pair for pair in pairs if pair != (loss, params)]
        if not any(other[0] <= loss and other[1] <= params for other in others):
            expected.add((loss, params))
    assert {trial.scores for trial in result.front} == expected
    assert result.front[0].score == result.best.score
    tagged = [row for row in tracker.rows(sweep=result.run_id) if row.tags.get("pareto") == "true"]
    assert {row.id for row in tagged} == {trial.run_id for trial in result.front}


def test_a_tuner_of_one_objective_refuses_several(tracker: MlflowTracker) -> None:
    with pytest.raises(
        UsageError, match=r"--tuner bayesian: takes one objective, not 2.*--tuner tpe"
    ):
        sweep(
            tracker,
            tuner="bayesian",
            objectives=(OPTIONS.objective(), Objective(name="cost/params", direction="min")),
        )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["val_loss", "cost/parms"], r"unknown\. Did you mean 'cost/params'"),
        (["cost/params"], r"the first one must be a validation metric"),
        (["val_los"], r"There is no objective 'val_los'\. Did you mean 'val_loss'"),
    ],
)
def test_an_unknown_objective_is_refused_with_the_nearest(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sweep_objectives(PIPELINE, PIPELINE.load(), names)


def test_no_network_above_a_limit_is_started(tracker: MlflowTracker) -> None:
    most = 3 * 4 + 1  # weights of 4 units
    result = sweep(
        tracker, {"units": Choice((2, 4, 8, 16))}, trials=10, limits={"cost/params": most}
    )
    assert {trial.values["units"] for trial in result.trials} == {2, 4}
    assert result.exhausted


def test_what_arithmetic_does_not_reach_is_built_once_for_each_size() -> None:
    built = []

    class Opaque(LinePipeline):
        def cost(self, spec: LineSpec, splits: LineSplits) -> Any:
            return None

        def build(self, spec: LineSpec, splits: LineSplits) -> Any:
            built.append(spec.units)
            return super().build(spec, splits)

    space = OPTIONS.space(LineSpec(), DIMENSIONS)
    is_feasible = constraints.feasible(Opaque(OPTIONS), space, PIPELINE.load(), {"cost/params": 13})
    points = itertools.product((2, 8), (0.01, 0.05))
    answers = [is_feasible({"units": units, "train.learning_rate": rate}) for units, rate in points]
    assert (answers, built) == ([True, True, False, False], [2, 8])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cost/parms=3", "only cost/params and cost/mb can be limited. Did you mean 'cost/params'"),
        ("cost/params=many", "above 0"),
        ("cost/mb=-1", "above 0"),
    ],
)
def test_a_limit_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        constraints.parse((text,))


@pytest.mark.slow
def test_a_sweep_begins_with_what_an_earlier_one_found(tracker: MlflowTracker) -> None:
    dimensions: dict[str, Dimension] = {"units": Choice((2, 3, 4, 5, 6, 7, 8))}
    first = sweep(tracker, dimensions, trials=4)
    again = sweep(tracker, dimensions, trials=2, warm_from=first.run_id[:8])
    default = LineSpec().units  # which comes first
    others = [trial for trial in first.trials if trial.values["units"] != default]
    best = min(others, key=lambda trial: trial.score or math.inf)
    assert [trial.values["units"] for trial in again.trials] == [default, best.values["units"]]
    auto = sweep(NullTracker(), {"units": Choice((2, 3))}, trials=1, warm_from="auto")
    assert auto.trials, "nothing recorded is nothing to begin with, and no error"


def test_beginning_with_an_unknown_sweep_is_refused(tracker: MlflowTracker) -> None:
    with pytest.raises(UsageError, match="no sweep with trials starts with ffffffff"):
        sweep(tracker, warm_from="ffffffff")


def test_a_budget_of_epochs_starts_no_trial_that_does_not_fit(tracker: MlflowTracker) -> None:
    result = sweep(NullTracker(), trials=50, max_epochs=7)
    assert [trial.epochs for trial in result.trials] == [2, 2, 2]


@pytest.mark.slow
def test_losing_trials_are_stopped_and_a_resumed_sweep_stops_the_same_ones(
    tracker: MlflowTracker,
) -> None:
    dimensions: dict[str, Dimension] = {
        "train.learning_rate": Choice((0.05, 0.04, 0.06, 1e-6, 2e-6))
    }
    options: dict[str, Any] = {
        "trials": 5,
        "trial_epochs": 4,
        "tuner": "grid",
        "early_stop": "asha",
    }
    whole = sweep(NullTracker(), dimensions, **options)
    losing = [trial for trial in whole.trials if trial.saved]
    assert {1e-6, 2e-6} <= {trial.values["train.learning_rate"] for trial in losing}
    assert whole.saved > 0
    assert {trial.epochs for trial in losing} == {2}
    assert all(trial.stopped_early for trial in losing)
    with pytest.raises(SweepInterrupted) as stopped:
        sweep(tracker, dimensions, progress=Stop(), **options)
    resumed = sweep(tracker, dimensions, resume=stopped.value.run_id, **options)
    assert [trial.epochs for trial in resumed.trials] == [trial.epochs for trial in whole.trials]
    assert scores(resumed) == pytest.approx(scores(whole))


class Unlucky:
    """An executor that runs out of memory for batches above `fits`.

    Its processes die as often as `deaths` says.
    """

    slots = 1

    def __init__(self, fits: int = 1000, deaths: int = 0) -> None:
        self.fits, self.deaths = fits, deaths
        self.sizes: list[int] = []

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        while task := scheduler.next_task():
            self.sizes.append(task.spec.train.batch_size)
            if task.spec.train.batch_size > self.fits:
                outcome = Outcome(reason="out of memory", out_of_memory=True)
            elif self.deaths:
                self.deaths -= 1
                outcome = Outcome(reason="its process ended with signal 9 (SIGKILL)", died=True)
            else:
                outcome = run_trial(work, task)
            scheduler.ended(task, outcome)

    def close(self) -> None: ...


def test_a_trial_that_ran_out_of_memory_is_tried_once_with_half_the_batch(
    tracker: MlflowTracker,
) -> None:
    executor = Unlucky(fits=16)
    result = sweep(tracker, trials=1, executor=executor)
    assert executor.sizes == [32, 16]
    row = tracker.rows(role="trial", sweep=result.run_id)[0]
    assert row.status == "FINISHED"
    assert row.tags[ATTEMPT] == "2"
    assert row.params["train.batch_size"] == "16"


def forget_the_end(tracker: MlflowTracker, sweep_id: str) -> None:
    """Leave a sweep as if its process had died before the final run."""
    for row in tracker.rows(role="final", sweep=sweep_id):
        tracker.client.delete_run(row.id)
    tracker.client.set_terminated(sweep_id, "KILLED")


def test_a_winner_that_needed_half_the_batch_is_trained_in_full_with_that(
    tracker: MlflowTracker,
) -> None:
    """The whole batch would not fit into memory at the end either.

    A resumed sweep knows it from the trial's run.
    """
    result = sweep(tracker, trials=1, executor=Unlucky(fits=16))
    (final,) = tracker.rows(role="final", sweep=result.run_id)
    assert final.params["train.batch_size"] == "16"
    forget_the_end(tracker, result.run_id)
    again = sweep(tracker, trials=1, executor=Unlucky(fits=16), resume=result.run_id)
    assert (result.best.batch_size, again.best.batch_size) == (16, 16)
    (final,) = tracker.rows(role="final", sweep=result.run_id)
    assert final.params["train.batch_size"] == "16"


def test_a_trial_that_runs_out_of_memory_twice_has_failed(tracker: MlflowTracker) -> None:
    executor = Unlucky(fits=8)
    with pytest.raises(ApplineError, match="out of memory"):
        sweep(tracker, trials=1, executor=executor)
    assert executor.sizes == [32, 16]


@pytest.mark.slow
def test_a_trial_whose_process_died_is_run_once_more_as_it_was(tracker: MlflowTracker) -> None:
    undisturbed = sweep(NullTracker(), trials=2)
    executor = Unlucky(deaths=1)
    assert scores(sweep(tracker, trials=2, executor=executor)) == pytest.approx(scores(undisturbed))
    assert executor.sizes == [32, 32, 32]


def test_a_trial_recorded_whole_by_a_process_that_died_before_saying_so_is_over(
    tracker: MlflowTracker,
) -> None:
    first = sweep(tracker, trials=2)
    forget_the_end(tracker, first.run_id)
    tracker.client.set_terminated(first.trials[1].run_id, "KILLED")
    again = sweep(tracker, trials=2, resume=first.run_id)
    assert [trial.replayed for trial in again.trials] == [True, True]
    assert tracker.rows(run_id=first.trials[1].run_id)[0].status == "FINISHED"


def test_an_estimate_counts_the_space_and_measures_its_networks() -> None:
    settings = Sweep(objectives=(OPTIONS.objective(),), trials=3, trial_epochs=4, tuner="random")
    space = OPTIONS.space(LineSpec(), {**DIMENSIONS, "units": Choice((2, 4, 13))})
    cost = estimate(PIPELINE, space, settings, PIPELINE.load(), InProcess(), NullTracker())
    assert (cost.space.total, cost.space.impossible, cost.space.equal) == (6, 2, 0)
    assert cost.trials == 3
    assert cost.share == pytest.approx((2 + 2 * 0.8) / 4), (
        "of the median rule: no trial is stopped before epoch 2"
    )
    for measured in cost.measured:
        assert measured.params == 3 * int(measured.values["units"]) + 1
    assert cost.seconds > 3 * cost.trial_s > 0


def test_no_longer_is_measured_than_the_sweep_itself_may_take() -> None:
    sweep = Sweep(objectives=(OPTIONS.objective(),), trials=1000, trial_epochs=40, tuner="random")
    # As many points that a few of them take much less than a quarter of it, however slow the first.
    space = OPTIONS.space(LineSpec(), {"units": Choice(tuple(range(20, 1020)))})
    splits = PIPELINE.load()
    whole = estimate(PIPELINE, space, sweep, splits, InProcess(), NullTracker())
    assert len(whole.measured) > 1
    short = dataclasses.replace(sweep, max_seconds=0.01)
    assert len(estimate(PIPELINE, space, short, splits, InProcess(), NullTracker()).measured) == 1


@dataclass(frozen=True, kw_only=True)
class TwoKinds:
    """Networks of which one kind alone has convolutions."""

    architecture: Literal["conv", "two_tower"] = hyper("conv", "family of the network")
    conv: ConvSpec = ConvSpec()


def test_a_hyperparameter_has_effects_only_where_it_matters() -> None:
    """A two-tower network has no kernel: its scores say nothing about kernel sizes."""
    space = Space(
        base=TwoKinds(),
        dimensions={
            "architecture": Choice(("conv", "two_tower")),
            "conv.kernel_size": Choice((3, 5)),
        },
        conditions={"conv": {"architecture": ("conv",)}},
    )
    scored = [("conv", 3, 0.6), ("conv", 5, 0.7), ("two_tower", 3, 0.1), ("two_tower", 5, 0.2)]
    trials = []
    for number, (architecture, kernel_size, score) in enumerate(scored, start=1):
        values: dict[str, Scalar] = {
            "architecture": architecture,
            "conv.kernel_size": kernel_size,
        }
        trials.append(Trial(number=number, values=values, scores=(score,), seconds=1.0, epochs=1))
    accuracy = Objective(name="val_accuracy", direction="max")
    by_key = {effect.key: effect for effect in trial_effects(trials, space, accuracy)}
    levels = by_key["conv.kernel_size"].levels
    assert {value: (level.mean, level.count) for value, level in levels.items()} == {
        "3": (0.6, 1),
        "5": (0.7, 1),
    }
    assert by_key["architecture"].levels["two_tower"].count == 2
    without_convolutions = trial_effects(trials[2:], space, accuracy)
    assert without_convolutions == []
