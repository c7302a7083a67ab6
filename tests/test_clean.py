"""`appline clean`, on a real store."""

import json
from pathlib import Path

import pytest

from tests.stored_runs_samples import open_store, swept, trained
from tests.test_compare import printed
from tuning.tracking.interface import Record
from tuning.tracking.mlflow_tracker import MlflowTracker


def record(tracker: MlflowTracker, name: str, **changes: object) -> str:
    values = {"name": name, "role": "train", "start_time": 1.0, "end_time": 2.0, **changes}
    return tracker.record(Record(**values))  # type: ignore[arg-type]


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowTracker:
    """Return the tracker of a store with runs of all kinds, in the working directory."""
    monkeypatch.chdir(tmp_path)
    tracker = open_store(tmp_path)
    trained(tracker, "good", (0,))
    failed = tracker.start("failed", role="train")
    failed.text("half of it", "config.yaml")
    record(tracker, "its baseline", role="baseline", parent=failed.id)
    failed.finish("FAILED", "no memory")
    record(tracker, "killed", status="KILLED")
    sweep, _ = swept(tracker, (0,))
    trained(tracker, "newer final", (0,), role="final", sweep=sweep)
    resumable = record(tracker, "resumable", role="sweep", status="KILLED")
    below = {"role": "trial", "parent": resumable, "tags": {"sweep": resumable}}
    record(tracker, "a trial", **below)
    record(tracker, "a failed trial", **below, status="FAILED")
    record(tracker, "empty sweep", role="sweep", status="KILLED")
    tracker.start("running", role="train")
    return tracker


def names(tracker: MlflowTracker) -> set[str]:
    return {row.name for row in tracker.rows()}


def test_what_can_be_removed_is_shown_and_kept(
    tracker: MlflowTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(tracker)
    shown = json.loads(printed(capsys, "clean", "--json"))
    assert {run["name"]: run["why"].partition(" ")[0] for run in shown["runs"]} == {
        "failed": "failed",
        "its baseline": "part",
        "killed": "killed",
        "final": "superseded",
        "empty sweep": "killed",
    }
    assert not shown["removed"]
    assert names(tracker) == before


def test_with_yes_they_are_removed_with_their_artifacts_and_the_others_stay(
    tracker: MlflowTracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (failed,) = tracker.rows(name="failed")
    (good,) = tracker.rows(name="good")
    (folder,) = tmp_path.glob(f"mlruns/artifacts/*/{failed.id}")
    said = json.loads(printed(capsys, "clean", "--yes", "--json"))
    assert said["freed_bytes"] >= len("half of it")
    assert not folder.exists()
    assert list(tmp_path.glob(f"mlruns/artifacts/*/{good.id}/artifacts/predictions/test.csv"))
    assert names(tracker) == {
        "good",
        "tpe sweep on pets",
        "newer final",
        "resumable",
        "a trial",
        "a failed trial",
        "running",
    }
    assert "nothing to remove" in printed(capsys, "clean")
