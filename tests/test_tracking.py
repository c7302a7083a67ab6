"""Runs in a real MLflow store: a local SQLite one, made once for the module."""

import inspect
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from pipelines.errors import ApplineError, UsageError
from pipelines.splits import Part, Splits
from tuning.tracking import interface
from tuning.tracking.mlflow_tracker import (
    MlflowRun,
    MlflowTracker,
    NullRun,
    NullTracker,
    Record,
    download,
    find_run,
    open_tracker,
)
from tuning.tracking.provenance import PROCESS
from tuning.tracking.saved_views import Leaderboard, SweepCharts

matplotlib.use("Agg")
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class FakeSplits(Splits):
    def sizes(self) -> dict[Part, int]:
        return {"train": 80, "val": 10, "test": 10}

    def describe(self) -> dict[str, str]:
        return {}


SPLITS = FakeSplits(dataset="digits", digest="0123456789abcdef")
RECORD = Record(
    name="trial-000",
    role="trial",
    tags={"sweep": "s1"},
    params={"conv.kernel_size": 5},
    history={"loss": [0.9, 0.5, 0.4], "val_accuracy": [0.5, 0.7, 0.6]},
    metrics={"best/val_accuracy": 0.7},
    start_time=1_700_000_000.0,
    end_time=1_700_000_030.0,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture
def tracker(root: Path, request: pytest.FixtureRequest) -> MlflowTracker:
    """Return an experiment of the test's own; making a store takes seconds, an experiment
    milliseconds.
    """
    return open_tracker(f"tests/{request.node.name}", root=root)


@pytest.fixture
def run(tracker: MlflowTracker) -> Iterator[MlflowRun]:
    started = tracker.start("a run", role="train")
    yield started
    started.finish()


def only(tracker: MlflowTracker) -> interface.Row:
    (row,) = tracker.rows()
    return row


def points(tracker: MlflowTracker, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in tracker.client.get_metric_history(run_id, key)]


# ------------------------------------------------------------------------------------------ one run


def test_a_run_keeps_its_role_parent_tags_and_parameters(tracker: MlflowTracker) -> None:
    sweep = tracker.start("sweep", role="sweep")
    tracker.start(
        "final",
        role="final",
        parent=sweep.id,
        tags={"sweep": "s1"},
        params={"conv.kernel_size": 5, "conv.padding": "same"},
    )
    row = tracker.rows(role="final")[0]
    assert row.params == {"conv.kernel_size": "5", "conv.padding": "same"}
    assert (row.tags["sweep"], row.tags["mlflow.parentRunId"], row.status) == (
        "s1",
        sweep.id,
        "RUNNING",
    )
    assert row.tags[PROCESS].startswith(f"{os.getpid()} on {socket.gethostname()}")


def test_a_run_names_the_commit_of_the_folder_one_works_in(
    tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.start("outside of git", role="train")
    assert "mlflow.source.git.commit" not in only(tracker).tags
    monkeypatch.chdir(ROOT)
    tracker.start("inside", role="train")
    inside = tracker.rows(name="inside")[0]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    ).stdout.strip()
    assert inside.tags.get("mlflow.source.git.commit", "") == head


def test_curves_begin_at_step_one_and_summaries_are_at_step_zero(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.history({"loss": [0.9, 0.5]})
    run.metrics({"test/loss": 0.55})
    assert points(tracker, run.id, "loss") == [(1, 0.9), (2, 0.5)]
    assert points(tracker, run.id, "test/loss") == [(0, 0.55)]


def test_numbers_that_are_none_are_named_and_not_stored(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.metrics({"test/loss": math.nan, "test/accuracy": 0.5})
    run.history({"loss": [0.9, math.inf, 0.8]})
    row = only(tracker)
    assert row.metrics == {"test/accuracy": 0.5, "loss": 0.8}
    assert row.tags["not_finite"] == "loss"  # the last to be written
    assert points(tracker, run.id, "loss") == [(1, 0.9), (3, 0.8)]


def test_summaries_show_six_digits_but_counts_and_best_scores_are_exact(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.metrics(
        {
            "test/accuracy": 0.9566666483879089,
            "cost/params": 1_234_567,
            "best/val_accuracy": 0.9566666483879089,
        }
    )
    assert only(tracker).metrics == {
        "test/accuracy": 0.956667,
        "cost/params": 1_234_567.0,
        "best/val_accuracy": 0.9566666483879089,
    }


def test_a_parameter_that_mlflow_would_cut_says_that_it_is_cut(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.params({"long": "x" * 7000})
    assert only(tracker).params["long"].endswith("... [cut: 7,000 characters]")
    assert len(only(tracker).params["long"]) == 6000


def test_more_than_a_batch_holds_is_written_whole(tracker: MlflowTracker, run: MlflowRun) -> None:
    run.params({f"p{number}": number for number in range(250)})
    run.history({"loss": [float(epoch) for epoch in range(2500)]})
    assert len(only(tracker).params) == 250
    assert points(tracker, run.id, "loss")[-1] == (2500, 2499.0)


def test_each_part_of_the_data_is_an_input_with_its_context_and_count(
    tracker: MlflowTracker, run: MlflowRun
) -> None:
    run.dataset(SPLITS)
    inputs = tracker.client.get_run(run.id).inputs.dataset_inputs
    found = {
        each.tags[0].value: (
            each.dataset.name,
            each.dataset.digest,
            json.loads(each.dataset.profile),
        )
        for each in inputs
    }
    assert found == {
        "train": ("digits", "0123456789abcdef-train", {"num_rows": 80}),
        "val": ("digits", "0123456789abcdef-val", {"num_rows": 10}),
        "test": ("digits", "0123456789abcdef-test", {"num_rows": 10}),
    }


def test_texts_tables_figures_and_files_come_back(
    run: MlflowRun, root: Path, tmp_path: Path
) -> None:
    from matplotlib.figure import Figure

    frame = pd.DataFrame({"true": [1, 2], "p": [0.5, 0.25]})
    (tmp_path / "note.txt").write_text("a file")
    run.text("a text", "card.md")
    run.table(frame, "predictions/test.csv")
    run.table(frame, "predictions/test.parquet")
    run.figure(Figure(), "plots/curves.png")
    run.file(tmp_path / "note.txt", "notes")

    def back(path: str) -> Path:
        return download(run.id, path, tmp_path / "back", root=root)

    assert back("card.md").read_text() == "a text"
    assert back("notes/note.txt").read_text() == "a file"
    pd.testing.assert_frame_equal(pd.read_csv(back("predictions/test.csv")), frame)
    pd.testing.assert_frame_equal(pd.read_parquet(back("predictions/test.parquet")), frame)
    assert back("plots/curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_wide_figure_is_drawn_small_enough_for_a_runs_page(
    run: MlflowRun, root: Path, tmp_path: Path
) -> None:
    from matplotlib.figure import Figure
    from PIL import Image

    run.figure(Figure(figsize=(13, 4)), "plots/wide.png")
    run.figure(Figure(figsize=(5, 4)), "plots/narrow.png")
    widths = []
    for name in ("wide", "narrow"):
        with Image.open(
            download(run.id, f"plots/{name}.png", tmp_path / "back", root=root)
        ) as image:
            widths.append(image.width)
    assert widths == [740, 550]


def test_an_artifact_that_is_not_there_is_told(run: MlflowRun, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ApplineError, match=r"no-such\.png"):
        download(run.id, "no-such.png", tmp_path, root=root)


def test_a_description_is_the_runs_note(tracker: MlflowTracker, run: MlflowRun) -> None:
    run.describe("# Verdict")
    assert only(tracker).tags["mlflow.note.content"] == "# Verdict"


def test_the_first_end_of_a_run_counts(tracker: MlflowTracker) -> None:
    run = tracker.start("a run", role="train")
    run.finish("FAILED", "the loss is no number")
    run.finish()
    assert (only(tracker).status, only(tracker).tags["reason"]) == (
        "FAILED",
        "the loss is no number",
    )


def test_a_resumed_run_goes_on_in_the_process_that_resumed_it(tracker: MlflowTracker) -> None:
    run = tracker.start("sweep", role="sweep")
    run.tags({PROCESS: "1 on elsewhere since 1.0"})
    run.finish("KILLED")
    tracker.resume(run.id)
    assert only(tracker).status == "RUNNING"
    assert only(tracker).tags[PROCESS].startswith(f"{os.getpid()} on ")


# ------------------------------------------------------------------------------------ whole records


class Counting:
    """A client that counts its calls."""

    def __init__(self, client: Any) -> None:
        self.client, self.calls = client, list[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.client, name)


def test_a_record_is_written_in_one_batch(tracker: MlflowTracker) -> None:
    client = Counting(tracker.client)
    replace(tracker, client=client).record(RECORD)
    assert client.calls == ["create_run", "log_batch", "set_terminated"]


def test_a_record_keeps_its_times_its_status_and_its_curves(tracker: MlflowTracker) -> None:
    run_id = tracker.record(replace(RECORD, status="FAILED", parent="ab" * 16))
    row = only(tracker)
    assert (row.start_time, row.end_time, row.status) == (
        1_700_000_000.0,
        1_700_000_030.0,
        "FAILED",
    )
    assert row.tags["mlflow.parentRunId"] == "ab" * 16
    assert points(tracker, run_id, "val_accuracy") == [(1, 0.5), (2, 0.7), (3, 0.6)]
    assert [point.timestamp for point in tracker.client.get_metric_history(run_id, "loss")] == [
        1700000010000,
        1700000020000,
        1700000030000,
    ]


# ------------------------------------------------------------------------------------------ finding


def test_rows_are_filtered_and_limited_and_the_newest_comes_first(tracker: MlflowTracker) -> None:
    for number in range(3):
        start = RECORD.start_time + number
        tracker.record(replace(RECORD, name=f"trial-{number}", start_time=start))
    tracker.record(replace(RECORD, name="baseline", role="baseline"))
    newest = tracker.rows(role="trial", limit=2)
    assert [row.name for row in newest] == ["trial-2", "trial-1"]


def test_rows_of_other_experiments_are_seen_only_when_asked_for(
    tracker: MlflowTracker, root: Path
) -> None:
    open_tracker(f"{tracker.name}/other", root=root).record(replace(RECORD, name="abroad"))
    assert tracker.rows() == []
    assert [row.experiment for row in tracker.rows(name="abroad", everywhere=True)] == [
        f"{tracker.name}/other"
    ]


def test_a_run_is_found_by_id_by_the_beginning_of_its_id_and_by_name(
    tracker: MlflowTracker, root: Path
) -> None:
    run_id = tracker.record(replace(RECORD, name="it's found"))
    assert [find_run(text, root=root).id for text in (run_id, run_id[:8], "it's found")] == [
        run_id
    ] * 3


def test_a_name_that_several_runs_have_lists_them(tracker: MlflowTracker, root: Path) -> None:
    ids = [tracker.record(replace(RECORD, name="twice")) for _ in range(2)]
    with pytest.raises(UsageError) as told:
        find_run("twice", root=root)
    assert all(run_id in str(told.value) for run_id in ids)


def test_a_run_that_is_not_there_suggests_the_nearest_name(
    tracker: MlflowTracker, root: Path
) -> None:
    tracker.record(replace(RECORD, name="residual, kernel 5"))
    with pytest.raises(UsageError, match="Did you mean 'residual, kernel 5'"):
        find_run("residual, kernel 6", root=root)


# ---------------------------------------------------------------------------------------- processes


BEGIN = """
import sys
from pathlib import Path
from tuning.tracking.mlflow_tracker import open_tracker
run = open_tracker(sys.argv[2], root=Path(sys.argv[1])).start(sys.argv[3], role="train")
run.history({"loss": [0.5]})
print(run.id, flush=True)
sys.stdin.read()
"""


def begin(root: Path, experiment: str, name: str) -> "subprocess.Popen[str]":
    """Start a process that begins a run and then waits."""
    command = [sys.executable, "-c", BEGIN, str(root), experiment, name]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_run_of_a_killed_process_becomes_killed_at_the_next_start_and_a_living_ones_goes_on(
    tracker: MlflowTracker, root: Path
) -> None:
    living = tracker.start("of a living process", role="train")
    elsewhere = tracker.start("of another machine", role="train")
    elsewhere.tags({PROCESS: "1 on elsewhere since 1.0"})
    with begin(root, tracker.name, "of a killed process") as process:
        assert process.stdout
        killed = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert {row.status for row in tracker.rows()} == {"RUNNING"}
    rows = {row.id: row for row in open_tracker(tracker.name, root=root).rows()}
    assert [rows[run_id].status for run_id in (living.id, elsewhere.id, killed)] == [
        "RUNNING",
        "RUNNING",
        "KILLED",
    ]
    assert f"({process.pid} on " in rows[killed].tags["reason"]


def test_two_processes_end_the_same_dead_runs_at_once(tmp_path: Path) -> None:
    tracker = open_tracker("crowded", root=tmp_path)
    for number in range(6):
        tracker.start(f"run {number}", role="train").tags(
            {PROCESS: f"{2**22 + 1} on {socket.gethostname()} since 1.0"}
        )
    # With a connection of its own to the store, as another process would.
    other = replace(tracker, client=MlflowClient(tracking_uri=tracker.store.uri))
    with ThreadPoolExecutor(2) as both:
        list(both.map(MlflowTracker.end_orphans, (tracker, other)))
    assert {row.status for row in tracker.rows()} == {"KILLED"}


@pytest.mark.slow
def test_eight_processes_start_on_a_fresh_store_at_once(tmp_path: Path) -> None:
    processes = [begin(tmp_path / "fresh", "crowded", f"run {number}") for number in range(8)]
    ids = {
        process.communicate("", timeout=300)[0].strip() for process in processes
    }  # which closes their pipes, too
    assert [process.returncode for process in processes] == [0] * 8
    assert {row.id for row in open_tracker("crowded", root=tmp_path / "fresh").rows()} == ids
    assert len(ids) == 8


# ------------------------------------------------------------------------------------------- stores


def test_a_moved_store_still_has_its_artifacts_and_new_ones_lie_beside_them(tmp_path: Path) -> None:
    before = open_tracker("moved", root=tmp_path / "before").start("a run", role="train")
    before.text("a text", "card.md")
    before.finish()
    (tmp_path / "before").rename(tmp_path / "after")
    tracker = open_tracker("moved", root=tmp_path / "after")
    tracker.start("another", role="train").text("new", "card.md")
    assert (
        download(before.id, "card.md", tmp_path / "back", root=tmp_path / "after").read_text()
        == "a text"
    )
    assert not (tmp_path / "before").exists()


def test_a_deleted_experiment_is_told_with_the_command_that_brings_it_back(
    tracker: MlflowTracker, root: Path
) -> None:
    tracker.client.delete_experiment(tracker.experiment)
    with pytest.raises(
        ApplineError, match=f"mlflow experiments restore --experiment-id {tracker.experiment}"
    ):
        open_tracker(tracker.name, root=root)


def test_a_dead_server_fails_within_five_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(ApplineError, match=r"http://127\.0\.0\.1:9 does not answer"):
        open_tracker("digits", uri="http://127.0.0.1:9")
    assert time.monotonic() - began < 5


def test_an_experiment_is_marked_as_model_development(tracker: MlflowTracker) -> None:
    tags = tracker.client.get_experiment(tracker.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_views_are_kept_with_their_experiment(tracker: MlflowTracker) -> None:
    charts = SweepCharts(
        sweep="s1",
        name="Sweep",
        objective="val_accuracy",
        direction="max",
        searched=["conv.kernel_size"],
    )
    path = tracker.sweep_view(charts)
    tracker.leaderboard_view(Leaderboard(headline="accuracy", direction="max"))
    tags = tracker.client.get_experiment(tracker.experiment).tags
    names = {
        json.loads(value)["name"]
        for key, value in tags.items()
        if key.startswith("mlflow.sharedViewState.")
    }
    assert names == {"Sweep", "Sweep: table", "Leaderboard"}
    assert path.startswith(f"/#/experiments/{tracker.experiment}/runs?viewStateShareKey=")


# ------------------------------------------------------------------------------------------- models


def test_a_model_lies_under_model_with_its_facts_and_the_code_that_answers(
    run: MlflowRun, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "network.keras").write_bytes(b"the network")
    run.model(tmp_path / "network.keras", {"domain": "vision", "classes": ["a", "b"]})
    assert (
        download(run.id, "model/model.keras", tmp_path / "file", root=root).read_bytes()
        == b"the network"
    )
    folder = download(run.id, "model", tmp_path / "whole", root=root)
    assert json.loads((folder / "facts.json").read_text()) == {
        "domain": "vision",
        "classes": ["a", "b"],
    }
    assert (folder / "code" / "pipelines" / "pipeline.py").exists()
    assert "keras==" in (folder / "requirements.txt").read_text()


def test_a_models_page_shows_the_runs_summaries_whenever_they_were_written(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    run = tracker.start("a run", role="train")
    run.history({"loss": [0.5]})
    run.metrics({"test/accuracy": 0.9})
    (tmp_path / "model.keras").write_bytes(b"the network")
    run.model(tmp_path / "model.keras", {"domain": "vision"})
    run.metrics({"cost/mb": 1.5})
    run.finish()
    (output,) = tracker.client.get_run(run.id).outputs.model_outputs
    model = tracker.client.get_logged_model(output.model_id)
    assert {metric.key: metric.value for metric in model.metrics} == {
        "test/accuracy": 0.9,
        "cost/mb": 1.5,
    }
    assert points(tracker, run.id, "test/accuracy") == [(0, 0.9)]


def test_a_model_that_cannot_be_kept_is_marked_as_failed(
    tracker: MlflowTracker, run: MlflowRun, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        run.model(tmp_path / "no-such.keras", {"domain": "vision"})
    assert [
        model.status.value for model in tracker.client.search_logged_models([tracker.experiment])
    ] == ["FAILED"]


# Everything a process needs that knows nothing of this project: a domain that the logged code can
# find, and MLflow.
ANSWER = """
import os, sys, types
import pandas as pd
import mlflow

class Doubling:
    @classmethod
    def predict_raw(cls, served, source):
        return pd.DataFrame({served.facts["name"]: served.model.predict(source.to_numpy(), verbose=0)[:, 0]})

sys.modules["doubling"] = types.SimpleNamespace(Doubling=Doubling)
mlflow.set_tracking_uri(sys.argv[1])
folder = mlflow.artifacts.download_artifacts(f"runs:/{sys.argv[2]}/model")
sys.path.insert(0, os.path.join(folder, "code"))
import pipelines
pipelines.DOMAINS["doubling"] = "doubling:Doubling"
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[2]}/model")
print(pipelines.__file__)
print(model.predict(pd.DataFrame({"x": [1.0, 2.5]})).to_json())
"""


@pytest.mark.slow
def test_a_logged_model_answers_in_a_process_where_appline_is_not_installed(
    run: MlflowRun, root: Path, tmp_path: Path
) -> None:
    import keras

    inputs = keras.Input((1,))
    doubling = keras.Model(
        inputs,
        keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(2.0))(
            inputs
        ),
    )
    doubling.save(tmp_path / "model.keras")
    run.model(tmp_path / "model.keras", {"domain": "doubling", "name": "twice"})
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", ANSWER, f"sqlite:///{root}/mlflow.db", run.id]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    where, answer = done.stdout.strip().splitlines()[-2:]
    assert not where.startswith(str(ROOT))
    assert json.loads(answer) == {"twice": {"0": 2.0, "1": 5.0}}


# ------------------------------------------------------------------------------------------ manners


def test_nothing_is_hidden_in_the_process_or_left_in_its_folder(
    run: MlflowRun, tmp_path: Path
) -> None:
    import mlflow

    run.metrics({"test/accuracy": 0.5})
    assert mlflow.active_run() is None
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_importing_the_tracker_does_not_import_mlflow() -> None:
    program = "import sys, tuning.tracking.mlflow_tracker; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("protocol", "twins"),
    [(interface.Run, (MlflowRun, NullRun)), (interface.Tracker, (MlflowTracker, NullTracker))],
    ids=["run", "tracker"],
)
def test_the_twin_that_does_nothing_has_the_same_methods(
    protocol: type, twins: tuple[type, type]
) -> None:
    methods = [
        name
        for name, member in vars(protocol).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]
    assert len(methods) > 6
    for name in methods:
        wanted = list(inspect.signature(getattr(protocol, name)).parameters.values())
        for twin in twins:
            had = list(inspect.signature(getattr(twin, name)).parameters.values())
            assert [(p.name, p.kind, p.default) for p in had] == [
                (p.name, p.kind, p.default) for p in wanted
            ], f"{twin.__name__}.{name}"


def test_the_twin_that_does_nothing_can_be_used_throughout(tmp_path: Path) -> None:
    tracker = NullTracker()
    run = tracker.start("a run", role="train", params={"a": 1})
    run.metrics({"test/accuracy": 0.5})
    run.model(tmp_path / "no-such.keras", {})
    run.finish()
    assert (run.id, tracker.record(RECORD), tracker.rows(), tracker.url("")) == ("", "", [], "")
