"""What a run writes into a real MLflow store: values, curves, data, files, its end."""

import json
import math
import os
import socket
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pipelines.errors import ApplineError
from tests.tracking_samples import SPLITS, only_row, points
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.tracking.provenance import PROCESS
from tuning.tracking.stored_runs import download

ROOT = Path(__file__).parent.parent


# --- parameters and tags


def test_a_run_keeps_its_role_parent_tags_and_parameters(tracker: MlflowTracker) -> None:
    sweep = tracker.start("sweep", role="sweep")
    tracker.start(
        "final",
        role="final",
        parent=sweep.id,
        tags={"sweep": "s1"},
        params={"conv.kernel_size": 5, "conv.padding": "same"},
    )
    (row,) = tracker.rows(role="final")
    assert row.params == {"conv.kernel_size": "5", "conv.padding": "same"}
    assert row.tags["sweep"] == "s1"
    assert row.tags["mlflow.parentRunId"] == sweep.id
    assert row.status == "RUNNING"
    assert row.tags[PROCESS].startswith(f"{os.getpid()} on {socket.gethostname()}")


def test_a_run_names_the_commit_of_the_folder_one_works_in(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.start("outside of git", role="train")
    assert "mlflow.source.git.commit" not in only_row(tracker).tags
    monkeypatch.chdir(ROOT)
    tracker.start("inside", role="train")
    (inside,) = tracker.rows(name="inside")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert inside.tags.get("mlflow.source.git.commit", "") == head.stdout.strip()


def test_a_parameter_that_mlflow_would_truncate_says_that_it_is_truncated(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.params({"long": "x" * 7000})
    text = only_row(tracker).params["long"]
    assert text.endswith("... [cut: 7,000 characters]")
    assert len(text) == 6000


# --- metrics


def test_curves_begin_at_step_one_and_summaries_are_at_step_zero(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.history({"loss": [0.9, 0.5]})
    run.metrics({"test/loss": 0.55})
    assert points(tracker, run.id, "loss") == [(1, 0.9), (2, 0.5)]
    assert points(tracker, run.id, "test/loss") == [(0, 0.55)]


def test_a_curve_is_read_back_from_its_first_epoch_without_summaries(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.history({"loss": [0.9, 0.5]})
    run.metrics({"loss": 0.4})
    assert tracker.curve(run.id, "loss") == [0.9, 0.5]


def test_numbers_that_are_not_finite_are_named_and_not_stored(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.metrics({"test/loss": math.nan, "test/accuracy": 0.5})
    run.history({"loss": [0.9, math.inf, 0.8]})
    row = only_row(tracker)
    assert row.metrics == {"test/accuracy": 0.5, "loss": 0.8}
    assert row.tags["not_finite"] == "loss"  # the last to be written
    assert points(tracker, run.id, "loss") == [(1, 0.9), (3, 0.8)]


def test_summaries_show_six_digits_but_counts_are_exact(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.metrics(
        {
            "test/accuracy": 0.9566666483879089,
            "cost/params": 1_234_567,
            "best/val_accuracy": 0.9566666483879089,
        }
    )
    assert only_row(tracker).metrics == {
        "test/accuracy": 0.956667,
        "cost/params": 1_234_567.0,
        "best/val_accuracy": 0.956667,
    }


def test_more_than_a_batch_holds_is_written_whole(tracker: MlflowTracker, run: MlflowRun) -> None:
    run.params({f"p{number}": number for number in range(250)})
    run.history({"loss": [float(epoch) for epoch in range(2500)]})
    assert len(only_row(tracker).params) == 250
    assert points(tracker, run.id, "loss")[-1] == (2500, 2499.0)


# --- data and files


def test_each_part_of_the_data_is_an_input_with_its_context_and_count(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.dataset(SPLITS)
    inputs = tracker.client.get_run(run.id).inputs.dataset_inputs
    written = {}
    for each in inputs:
        dataset = each.dataset
        count = json.loads(dataset.profile)
        written[each.tags[0].value] = (dataset.name, dataset.digest, count)
    assert written == {
        "train": ("digits", "0123456789abcdef-train", {"num_rows": 80}),
        "val": ("digits", "0123456789abcdef-val", {"num_rows": 10}),
        "test": ("digits", "0123456789abcdef-test", {"num_rows": 10}),
    }


def test_texts_tables_figures_and_files_come_back(
    run: MlflowRun, store_root: Path, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"true": [1, 2], "p": [0.5, 0.25]})
    (tmp_path / "note.txt").write_text("a file")
    run.text("a text", "card.md")
    run.table(frame, "predictions/test.csv")
    run.table(frame, "predictions/test.parquet")
    run.figure(Figure(), "plots/curves.png")
    run.file(tmp_path / "note.txt", "notes")

    def back(path: str) -> Path:
        return download(run.id, path, tmp_path / "back", root=store_root)

    assert back("card.md").read_text() == "a text"
    assert back("notes/note.txt").read_text() == "a file"
    pd.testing.assert_frame_equal(pd.read_csv(back("predictions/test.csv")), frame)
    pd.testing.assert_frame_equal(pd.read_parquet(back("predictions/test.parquet")), frame)
    assert back("plots/curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("figure_width", "pixels"), [(13, 740), (5, 550)])
def test_a_wide_figure_is_drawn_small_enough_for_a_runs_page(
    run: MlflowRun, store_root: Path, tmp_path: Path, figure_width: int, pixels: int
) -> None:
    run.figure(Figure(figsize=(figure_width, 4)), "plots/figure.png")
    with Image.open(download(run.id, "plots/figure.png", tmp_path, root=store_root)) as image:
        assert image.width == pixels


def test_an_artifact_that_is_not_there_is_named(
    run: MlflowRun, store_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ApplineError, match=r"no-such\.png"):
        download(run.id, "no-such.png", tmp_path, root=store_root)


def test_a_description_is_the_runs_note(tracker: MlflowTracker, run: MlflowRun) -> None:
    run.describe("# Verdict")
    assert only_row(tracker).tags["mlflow.note.content"] == "# Verdict"


# --- the end


def test_the_first_end_of_a_run_counts(tracker: MlflowTracker) -> None:
    run = tracker.start("a run", role="train")
    run.finish("FAILED", "the loss is not a number")
    run.finish()
    row = only_row(tracker)
    assert (row.status, row.tags["reason"]) == ("FAILED", "the loss is not a number")


def test_a_resumed_run_continues_in_the_process_that_resumed_it(tracker: MlflowTracker) -> None:
    run = tracker.start("sweep", role="sweep")
    run.tags({PROCESS: "1 on elsewhere since 1.0"})
    run.finish("KILLED")
    tracker.resume(run.id)
    row = only_row(tracker)
    assert row.status == "RUNNING"
    assert row.tags[PROCESS].startswith(f"{os.getpid()} on ")


def test_nothing_is_hidden_in_the_process_or_left_in_its_folder(
    run: MlflowRun, tmp_path: Path
) -> None:
    import mlflow

    run.metrics({"test/accuracy": 0.5})
    assert mlflow.active_run() is None
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert list(tmp_path.iterdir()) == []
