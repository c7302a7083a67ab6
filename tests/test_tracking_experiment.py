"""An experiment of an MLflow store as it is opened: moved, deleted, out of reach; its views."""

import inspect
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.config.options import Objective
from pipelines.errors import ApplineError
from tests.tracking_samples import RECORD
from tuning.tracking import interface
from tuning.tracking.experiment_note import NOTE
from tuning.tracking.interface import NullRun, NullTracker
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.saved_views import Leaderboard, SweepCharts
from tuning.tracking.stored_runs import download

ROOT = Path(__file__).parent.parent


def test_a_moved_store_still_has_its_artifacts_and_new_ones_lie_beside_them(tmp_path: Path) -> None:
    before = open_tracker("moved", root=tmp_path / "before").start("a run", role="train")
    before.text("a text", "card.md")
    before.finish()
    (tmp_path / "before").rename(tmp_path / "after")
    tracker = open_tracker("moved", root=tmp_path / "after")
    tracker.start("another", role="train").text("new", "card.md")
    card = download(before.id, "card.md", tmp_path / "back", root=tmp_path / "after")
    assert card.read_text() == "a text"
    assert not (tmp_path / "before").exists()


def test_a_deleted_experiment_is_refused_with_the_command_that_restores_it(
    tracker: MlflowTracker, store_root: Path
) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    command = f"mlflow experiments restore --experiment-id {tracker.experiment_id}"
    with pytest.raises(ApplineError, match=command):
        open_tracker(tracker.name, root=store_root)


def test_a_dead_server_fails_within_five_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(ApplineError, match=r"http://127\.0\.0\.1:9 does not answer"):
        open_tracker("digits", uri="http://127.0.0.1:9")
    assert time.monotonic() - began < 5


def test_an_experiment_is_marked_as_model_development(tracker: MlflowTracker) -> None:
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_views_are_kept_with_their_experiment(tracker: MlflowTracker) -> None:
    charts = SweepCharts(
        sweep="s1",
        name="Sweep",
        objective=Objective(name="val_accuracy", direction="max"),
        headline=Objective(name="accuracy", direction="max"),
        searched=["conv.kernel_size"],
    )
    path = tracker.sweep_view(charts)
    tracker.leaderboard_view(Leaderboard(headline=Objective(name="accuracy", direction="max")))
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    names = set()
    for key, value in tags.items():
        if key.startswith("mlflow.sharedViewState."):
            names.add(json.loads(value)["name"])
    assert names == {"Sweep", "Sweep: table", "Leaderboard"}
    assert path.startswith(f"/#/experiments/{tracker.experiment_id}/runs?viewStateShareKey=")


def test_the_experiments_note_names_its_best_model_and_links_to_its_views(
    tracker: MlflowTracker,
) -> None:
    ids = {}
    for name, score in (("good", 0.97), ("bad", 0.5)):
        run = tracker.start(name, role="train", tags={"data_digest": "d1"})
        run.metrics({"test/accuracy": score})
        run.tags({"verdict": "the network beats [knn]"})
        run.finish()
        ids[name] = run.id
    path = tracker.leaderboard_view(
        Leaderboard(headline=Objective(name="accuracy", direction="max"))
    )
    note = tracker.client.get_experiment(tracker.experiment_id).tags["mlflow.note.content"]
    assert note.startswith("**Best so far** [good](#/experiments/")
    assert ids["good"] in note
    assert ids["bad"] not in note
    assert r"test accuracy 0.97: the network beats \[knn\]" in note
    assert f"[Leaderboard]({path.removeprefix('/')})" in note


def test_importing_the_tracker_does_not_import_mlflow() -> None:
    program = "import sys, tuning.tracking.mlflow_tracker; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("protocol", "implementations"),
    [(interface.Run, (MlflowRun, NullRun)), (interface.Tracker, (MlflowTracker, NullTracker))],
    ids=["run", "tracker"],
)
def test_what_records_nothing_has_the_same_methods(
    protocol: type, implementations: tuple[type, type]
) -> None:
    methods = []
    for name, member in vars(protocol).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            methods.append(name)
    assert len(methods) > 6
    for name in methods:
        expected = _parameters(protocol, name)
        for implementation in implementations:
            received = _parameters(implementation, name)
            assert received == expected, f"{implementation.__name__}.{name}"


def _parameters(owner: type, method: str) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(getattr(owner, method)).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]


def test_what_records_nothing_can_be_used_throughout(tmp_path: Path) -> None:
    tracker = NullTracker()
    run = tracker.start("a run", role="train", params={"a": 1})
    run.metrics({"test/accuracy": 0.5})
    run.model(tmp_path / "no-such.keras", {})
    run.finish()
    assert (run.id, tracker.record(RECORD), tracker.rows(), tracker.url("")) == ("", "", [], "")


def test_a_note_that_a_person_has_written_stays(tracker: MlflowTracker) -> None:
    headline = Objective(name="accuracy", direction="max")
    board = Leaderboard(headline=headline)

    def note() -> str:
        return str(tracker.client.get_experiment(tracker.experiment_id).tags[NOTE])

    tracker.leaderboard_view(board)
    assert note().startswith("**Look at**")
    tracker.client.set_experiment_tag(tracker.experiment_id, NOTE, "Ask Ada before you delete this")
    tracker.leaderboard_view(board)
    assert note() == "Ask Ada before you delete this"
