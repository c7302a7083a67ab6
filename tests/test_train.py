"""One run in a real store: what is kept when it is interrupted."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tiny import LinePipeline, LineSpec
from tuning.tracking import open_tracker
from tuning.train import Interrupted, train


def test_an_interrupted_training_keeps_its_best_score_under_the_objective_it_had(tmp_path: Path) -> None:
    def stop_at_two(epoch: int, values: Mapping[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    pipeline = LinePipeline()
    tracker = open_tracker("line/line", root=tmp_path / "mlruns")
    with pytest.raises(Interrupted) as stopped:
        train(pipeline, LineSpec(), tracker, objective=pipeline.objective("val_mae"), on_epoch=stop_at_two)
    row = tracker.rows(f"attributes.run_id = '{stopped.value.run_id}'")[0]
    assert row.status == "KILLED"
    assert "best/val_mae" in row.metrics
    assert "best/val_loss" not in row.metrics
