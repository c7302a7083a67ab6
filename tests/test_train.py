"""One run in a real store: what is kept when it is interrupted."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import UsageError
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tuning.tracking.interface import NullTracker
from tuning.tracking.mlflow_tracker import open_tracker
from tuning.training.train import Interrupted, train


def test_an_interrupted_training_keeps_its_best_score_under_the_objective_it_had(
    tmp_path: Path,
) -> None:
    def stop_at_two(epoch: int, values: Mapping[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    pipeline = LinePipeline()
    tracker = open_tracker("line/line", root=tmp_path / "mlruns")
    with pytest.raises(Interrupted) as stopped:
        train(
            pipeline,
            LineSpec(),
            tracker,
            objective=pipeline.objective("val_mae"),
            on_epoch=stop_at_two,
        )
    row = tracker.rows(run_id=stopped.value.run_id)[0]
    assert row.status == "KILLED"
    assert "best/val_mae" in row.metrics
    assert "best/val_loss" not in row.metrics


class JoinedLines(LinePipeline):
    """Lines whose networks may be trained again on val, and that tell what they were fitted to."""

    fitted: ClassVar[list[int]] = []
    settled: ClassVar[list[bool]] = []

    def merge_train_val(self, splits: LineSplits) -> LineSplits:
        both = [
            {**values, "train": np.concatenate([values["train"], values["val"]])}
            for values in (splits.x, splits.y)
        ]
        return dataclasses.replace(splits, x=both[0], y=both[1])

    def build(self, spec: LineSpec, splits: LineSplits) -> Any:
        self.fitted.append(splits.sizes()["train"])
        return super().build(spec, splits)

    def calibrate(self, model: Any, splits: LineSplits, like: Any = None) -> None:
        self.settled.append(like is None)


def test_with_refit_the_tested_network_has_learned_from_val_for_the_epochs_that_val_chose() -> None:
    pipeline = JoinedLines()
    epochs: list[tuple[int, bool]] = []
    spec = replace(LineSpec(), {"train.refit": True})
    alone = train(pipeline, replace(spec, {"train.refit": False}), NullTracker())
    report = train(
        pipeline,
        spec,
        NullTracker(),
        on_epoch=lambda epoch, values: epochs.append((epoch, "val_loss" in values)),
    )
    first = [epoch for epoch, looked_at_val in epochs if looked_at_val]
    again = [epoch for epoch, looked_at_val in epochs if not looked_at_val]
    assert pipeline.fitted[-2:] == [64, 128]
    assert pipeline.settled[-2:] == [True, False], (
        "what is chosen on val is chosen by the network that has not seen it"
    )
    assert first == [1, 2, 3, 4]
    assert again == list(range(1, report.best_epoch + 1))
    assert report.val == alone.val, (
        "val scores are those of the network that has not learned from val"
    )
    assert report.test != alone.test
    assert any("trained again on train and val" in note for note in report.notes)


def test_refit_of_a_domain_without_it_is_refused_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    tracker = open_tracker("line/line", root=tmp_path / "mlruns")
    with pytest.raises(
        UsageError, match=r"train\.refit=true: a line network is fitted to train alone"
    ):
        train(LinePipeline(), replace(LineSpec(), {"train.refit": True}), tracker)
    assert not tracker.rows()
