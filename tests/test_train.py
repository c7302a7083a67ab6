"""One run in a real store: what an interrupted one keeps, and training again on train + val."""

import dataclasses
import errno
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

from apps import saved_runs
from pipelines.config.search_space import replace
from pipelines.errors import ExternalFailure, ResultLost, TrainingInterrupted, UsageError
from pipelines.model_file import write_model
from pipelines.pipeline import ServingModel
from pipelines.splits import Part
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import POINTS, LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tuning.tracking.interface import TEST_LOSSES, NullTracker
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.stored_runs import find_run, read_table
from tuning.training import record
from tuning.training import train as train_module
from tuning.training.procedure import Procedure
from tuning.training.train import train


def test_an_interrupted_training_keeps_its_best_score_under_the_objective_it_had(
    tracker: MlflowTracker,
) -> None:
    def stop_at_two(epoch: int, values: Mapping[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    pipeline = LinePipeline(LineOptions())
    objective = pipeline.options.objective("val_mae")
    with pytest.raises(TrainingInterrupted) as stopped:
        train(pipeline, LineSpec(), tracker, objective=objective, on_epoch=stop_at_two)
    (row,) = tracker.rows(run_id=stopped.value.run_id)
    assert row.status == "KILLED"
    assert "best/val_mae" in row.metrics
    assert "best/val_loss" not in row.metrics


def test_who_interrupts_a_training_does_not_wait_for_what_is_chosen_on_validation(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In recommendation the weights of item models took 17 s after Ctrl-C."""

    def stop(epoch: int, values: Mapping[str, float]) -> None:
        raise KeyboardInterrupt

    def calibrate(*_: object, **__: object) -> None:
        raise AssertionError("an interrupted network is calibrated")

    monkeypatch.setattr(LinePipeline, "calibrate", calibrate)
    with pytest.raises(TrainingInterrupted):
        train(LinePipeline(LineOptions()), LineSpec(), tracker, on_epoch=stop)


@pytest.mark.parametrize("step", ["predict", "losses", "record_result"])
def test_who_interrupts_a_run_after_its_fit_keeps_one_model(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between the last epoch and the end nothing was kept, and nothing said so."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner: Any = train_module if step == "record_result" else LinePipeline
    monkeypatch.setattr(owner, step, stop)
    with pytest.raises(TrainingInterrupted) as stopped:
        train(LinePipeline(LineOptions()), LineSpec(), tracker)
    assert stopped.value.kept
    (row,) = tracker.rows(run_id=stopped.value.run_id)
    assert row.status == "KILLED"
    models = list(Path(tracker.model_file(row.id)).parents[2].glob("*/artifacts/model.keras"))
    assert len(models) == 1


def test_success_is_not_said_of_a_store_that_was_deleted_and_the_model_is_saved_beside_it(
    tmp_path: Path,
) -> None:
    """SQLite goes on writing into a file that has lost its name."""
    tracker = open_tracker("line/line", root=tmp_path / "mlruns")

    def delete_store(epoch: int, values: Mapping[str, float]) -> None:
        shutil.rmtree(tmp_path / "mlruns", ignore_errors=True)

    with pytest.raises(ResultLost, match="The model was saved beside it") as failed:
        train(LinePipeline(LineOptions()), LineSpec(), tracker, on_epoch=delete_store)
    (saved,) = Path.cwd().glob("model-*.keras")
    assert saved.name in str(failed.value)
    assert "model.weights.h5" in zipfile.ZipFile(saved).namelist()


def test_a_model_that_has_no_room_in_the_store_is_saved_where_there_is_some(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full folder for temporary files "should not happen", and the model was lost."""

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(serving: ServingModel, path: Path) -> None:
        if path.parent == Path():
            raise OSError(errno.EROFS, "Read-only file system")
        write_model(serving, path)

    monkeypatch.setattr(train_module, "save_model", no_room)
    monkeypatch.setattr(record, "write_model", write)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(ExternalFailure, match=r"No space left.*\nThe model was saved") as failed:
        train(LinePipeline(LineOptions()), LineSpec(), tracker)
    (saved,) = tmp_path.glob("model-*.keras")
    assert str(failed.value).endswith(f"--model {saved}")


def test_a_training_keeps_its_test_losses_whose_mean_is_its_score(tmp_path: Path) -> None:
    root = tmp_path / "mlruns"
    pipeline = LinePipeline(LineOptions())
    result = train(pipeline, LineSpec(), open_tracker("line/line", root=root))
    kept = read_table(find_run(result.run_id, root=root), TEST_LOSSES, root=root)
    assert kept is not None
    # Less is better for its headline, so the losses are of that metric itself.
    assert kept["loss"].mean() == pytest.approx(result.test[result.headline.name], rel=1e-5)


class MergingLines(LinePipeline):
    """Lines whose networks may be trained again on val, and that keep what they were fitted to."""

    train_sizes: ClassVar[list[int]] = []
    chose_on_val: ClassVar[list[bool]] = []

    def merge_into_train(self, splits: LineSplits, parts: Sequence[Part]) -> LineSplits:
        joined: list[Part] = ["train", *parts]
        x = {**splits.x, "train": np.concatenate([splits.x[part] for part in joined])}
        y = {**splits.y, "train": np.concatenate([splits.y[part] for part in joined])}
        return dataclasses.replace(splits, x=x, y=y)

    def build(self, spec: LineSpec, splits: LineSplits) -> Any:
        self.train_sizes.append(splits.sizes()["train"])
        return super().build(spec, splits)

    def calibrate(self, model: Any, splits: LineSplits, like: Any = None) -> None:
        self.chose_on_val.append(like is None)


def test_with_refit_the_tested_network_has_learned_from_val_for_the_epochs_that_val_chose() -> None:
    pipeline = MergingLines(LineOptions())
    spec = replace(LineSpec(), {"train.refit": True})
    without_refit = train(pipeline, replace(spec, {"train.refit": False}), NullTracker())
    first: list[int] = []
    again: list[int] = []

    def on_epoch(epoch: int, values: Mapping[str, float]) -> None:
        epochs = first if "val_loss" in values else again
        epochs.append(epoch)

    result = train(pipeline, spec, NullTracker(), on_epoch=on_epoch)
    assert pipeline.train_sizes[-2:] == [POINTS, 2 * POINTS]
    assert pipeline.chose_on_val[-2:] == [True, False], (
        "what is chosen on val is chosen by the network that has not seen it"
    )
    assert first == [1, 2, 3, 4]
    assert again == list(range(1, result.best_epoch + 1))
    assert result.val == without_refit.val, (
        "val scores are those of the network that has not learned from val"
    )
    assert result.test != without_refit.test
    assert any("retrained on train + validation" in note for note in result.notes)


def test_the_model_of_a_final_fit_has_learned_from_all_parts_and_the_scores_from_none_of_them(
    tmp_path: Path,
) -> None:
    pipeline = MergingLines(LineOptions())
    root = tmp_path / "mlruns"
    tested = train(pipeline, LineSpec(), NullTracker())
    fitted_to_all = train(
        pipeline,
        LineSpec(),
        open_tracker("line/line", root=root),
        procedure=Procedure(final_fit="all"),
    )
    assert pipeline.train_sizes[-2:] == [POINTS, 3 * POINTS]
    assert fitted_to_all.test == tested.test
    assert fitted_to_all.val == tested.val
    kept = keras.saving.load_model(fitted_to_all.model_file)
    splits = pipeline.load()
    predictions = pipeline.predict(kept.get_layer("network"), splits, "test")
    assert pipeline.score(predictions, splits, "test") != fitted_to_all.test
    row = find_run(fitted_to_all.run_id, root=root)
    assert row.params["final_fit"] == "all"
    assert any("all of the data, test too" in note for note in fitted_to_all.notes)
    assert "learned from test" in saved_runs.learned_from(row, "test")


def test_refit_of_a_domain_without_it_is_refused_before_anything_is_recorded(
    tracker: MlflowTracker,
) -> None:
    pipeline = LinePipeline(LineOptions())
    spec = replace(LineSpec(), {"train.refit": True})
    message = "a line network is fitted to train alone"
    with pytest.raises(UsageError, match=message):
        train(pipeline, spec, tracker)
    with pytest.raises(UsageError, match=message):
        train(pipeline, LineSpec(), tracker, procedure=Procedure(final_fit="all"))
    assert not tracker.rows()
