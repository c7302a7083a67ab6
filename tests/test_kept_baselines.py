"""Baselines are computed once for the same data, options and code, and can be left out."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from pipelines.config.search_space import Choice, Range, Space, replace
from pipelines.pipeline import Baseline
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tests.test_compare import refused
from tuning.execution.in_process import InProcess
from tuning.results.training import TrainResult
from tuning.search.definition import Sweep
from tuning.search.estimate import estimate
from tuning.search.sweep import run_sweep
from tuning.tracking.interface import NullTracker, Tracker
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.training import kept_baselines
from tuning.training.train import train

SPEC = replace(LineSpec(), {"train.epochs": 1})


class CountedLines(LinePipeline):
    """Lines that count how often their baselines are computed."""

    computed: ClassVar[list[str]] = []

    def baselines(self, splits: LineSplits) -> Iterator[Baseline]:
        for baseline in super().baselines(splits):
            self.computed.append(baseline.name)
            yield baseline


LINES = CountedLines(LineOptions())


@pytest.fixture
def splits(request: pytest.FixtureRequest) -> LineSplits:
    """Data that no other test has, since tests share a store."""
    CountedLines.computed.clear()
    return dataclasses.replace(LINES.load(), digest=request.node.name)


def trained(splits: LineSplits, tracker: Tracker, pipeline: LinePipeline = LINES) -> TrainResult:
    return train(pipeline, SPEC, tracker, splits=splits)


def test_a_second_run_reads_the_baselines_of_the_first_and_compares_equally(
    splits: LineSplits, tracker: MlflowTracker
) -> None:
    first = trained(splits, tracker)
    computed = list(CountedLines.computed)
    second = trained(splits, tracker)
    assert CountedLines.computed == computed != []
    assert f"baselines read from run {first.run_id[:8]}" in " ".join(second.notes)
    assert not any("read from run" in note for note in first.notes)
    assert second.lift == first.lift
    for ours, theirs in zip(first.baselines, second.baselines, strict=True):
        assert ours.name == theirs.name
        assert theirs.val == pytest.approx(ours.val, rel=1e-5)
        assert theirs.test == pytest.approx(ours.test, rel=1e-5)
        assert theirs.seconds == pytest.approx(ours.seconds)
        np.testing.assert_array_equal(ours.losses, theirs.losses)


def test_a_dry_run_of_a_sweep_reads_the_baselines_that_are_kept(
    splits: LineSplits, tracker: MlflowTracker
) -> None:
    sweep = Sweep(objectives=(LINES.options.objective(),), trials=1, trial_epochs=1)
    space = Space(base=SPEC, dimensions={"units": Choice((2, 4))})
    first = estimate(LINES, space, sweep, splits, InProcess(), tracker)
    computed = list(CountedLines.computed)
    assert (first.baselines_from, bool(computed)) == ("", True)
    run = trained(splits, tracker).run_id
    CountedLines.computed.clear()
    assert estimate(LINES, space, sweep, splits, InProcess(), tracker).baselines_from == run
    assert CountedLines.computed == []


def test_a_third_run_reads_from_the_one_that_has_computed(
    splits: LineSplits, tracker: MlflowTracker
) -> None:
    runs = [trained(splits, tracker) for _ in range(3)]
    assert {baseline.read_from for baseline in runs[2].baselines} == {runs[0].run_id}
    # Each run has its own rows, so that every table of the store compares.
    for result in runs:
        rows = [
            row
            for row in tracker.rows(role="baseline")
            if row.tags["mlflow.parentRunId"] == result.run_id
        ]
        assert len(rows) == len(result.baselines)


@pytest.mark.parametrize("changed", ["code", "options", "data"])
def test_baselines_are_computed_again_after_a_change(
    changed: str, splits: LineSplits, tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline: LinePipeline = LINES
    trained(splits, tracker)
    computed = len(CountedLines.computed)
    if changed == "code":
        monkeypatch.setattr(kept_baselines, "code_digest", lambda: "another")
    elif changed == "options":
        pipeline = CountedLines(LineOptions(seed=7))
    else:
        splits = dataclasses.replace(splits, digest=f"{splits.digest} changed")
    again = trained(splits, tracker, pipeline)
    assert len(CountedLines.computed) == 2 * computed
    assert not again.baselines[0].read_from


def test_baselines_of_which_one_was_removed_are_computed_again(
    splits: LineSplits, tracker: MlflowTracker
) -> None:
    trained(splits, tracker)
    computed = len(CountedLines.computed)
    row = tracker.rows(role="baseline")[0]
    tracker.client.delete_run(row.id)
    trained(splits, tracker)
    assert len(CountedLines.computed) == 2 * computed


def test_without_tracking_they_are_computed(splits: LineSplits) -> None:
    for _ in range(2):
        trained(splits, NullTracker())
    assert len(CountedLines.computed) == 2 * len(set(CountedLines.computed))


def test_a_run_without_baselines_says_that_nothing_was_compared(
    splits: LineSplits,
) -> None:
    result = train(LINES, SPEC, NullTracker(), splits=splits, baselines=[])
    assert CountedLines.computed == []
    assert "with no baseline to compare" in result.verdict
    assert any("without baselines" in note for note in result.notes)


def test_a_sweep_can_do_without_baselines(splits: LineSplits) -> None:
    space = LINES.options.space(SPEC, {"train.learning_rate": Range(1e-3, 1e-1, log=True)})
    sweep = Sweep(
        objectives=(LINES.options.objective(),), trials=1, trial_epochs=1, baselines=False
    )
    result = run_sweep(LINES, space, sweep, NullTracker(), splits=splits)
    assert CountedLines.computed == []
    assert result.final.lift is None


def test_a_gate_needs_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "vision", "train", "--gate", "--no-baselines")
    assert "--gate compares with the baselines: leave out --no-baselines" in message
