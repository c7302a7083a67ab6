"""The test part is read once, after everything was chosen, and how often it was read is counted."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipelines.config.search_space import Dimension, Range, replace
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from pipelines.vision.data import VisionSplits
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tuning.results.sweep import SweepResult
from tuning.search.definition import Sweep
from tuning.search.sweep import run_sweep
from tuning.tracking.interface import NullTracker
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.tracking.vault import OFTEN, count_uses, often_used
from tuning.training.train import train

LINES = LinePipeline(LineOptions())
DIGITS = VisionPipeline(VisionOptions(data="digits", limit=120))


def sweep(pipeline: AnyPipeline, splits: Splits) -> SweepResult:
    """Search a small network by what earlier trials have scored."""
    fixed: dict[str, Any] = {"train.epochs": 2}
    if pipeline is DIGITS:
        fixed |= {"conv.filters": 4, "conv.blocks": 1, "train.batch_size": 64}
    dimensions: dict[str, Dimension] = {"train.learning_rate": Range(1e-3, 1e-1, log=True)}
    options = pipeline.options
    return run_sweep(
        pipeline,
        options.space(replace(options.spec_type(), fixed), dimensions),
        Sweep(objectives=(options.objective(),), trials=3, trial_epochs=2, tuner="tpe"),
        NullTracker(),
        splits=splits,
    )


def permuted(splits: Splits) -> Splits:
    """Return the splits with the labels of test in another order."""
    rng = np.random.default_rng(0)
    if isinstance(splits, VisionSplits):
        test = dataclasses.replace(splits.test, y=rng.permutation(splits.test.y))
        return dataclasses.replace(splits, test=test)
    assert isinstance(splits, LineSplits)
    y = {**splits.y, "test": rng.permutation(splits.y["test"])}
    return dataclasses.replace(splits, y=y)


@pytest.mark.parametrize(
    "pipeline", [LINES, pytest.param(DIGITS, marks=pytest.mark.slow)], ids=["line", "digits"]
)
def test_a_sweep_is_the_same_whatever_the_labels_of_test_are(pipeline: AnyPipeline) -> None:
    splits = pipeline.load()
    first, second = sweep(pipeline, splits), sweep(pipeline, permuted(splits))
    assert [trial.values for trial in first.trials] == [trial.values for trial in second.trials]
    assert [trial.scores for trial in first.trials] == [trial.scores for trial in second.trials]
    assert first.best.number == second.best.number
    assert (first.final.best_epoch, first.final.val) == (second.final.best_epoch, second.final.val)
    # The permuted test part was read: it is what the final score is of.
    assert first.final.test != second.final.test


def test_uses_of_a_test_part_are_counted_over_the_whole_store(tracker: MlflowTracker) -> None:
    # Other tests write into the same store.
    splits = dataclasses.replace(LINES.load(), digest="of-no-other-test")
    spec = replace(LineSpec(), {"train.epochs": 1})
    results = [train(LINES, spec, tracker, splits=splits) for _ in range(2)]
    assert [result.test_uses for result in results] == [1, 2]
    assert count_uses(tracker, splits.digest) == 2
    assert count_uses(tracker, "another") == 0
    (row,) = tracker.rows(run_id=results[1].run_id)
    assert row.metrics["audit/test_uses"] == 2
    assert "**Test part** used 2 times, this one included" in row.tags["mlflow.note.content"]


@pytest.mark.parametrize(("uses", "is_said"), [(1, False), (OFTEN - 1, False), (OFTEN, True)])
def test_that_a_test_part_was_used_often_is_said(uses: int, is_said: bool) -> None:
    notes = often_used(uses)
    assert bool(notes) is is_said
    if is_said:
        assert f"was used {uses} times: treat it as validation" in notes[0]
