"""Where MLflow keeps things, without MLflow.

Which store is meant, and a local one that is created, moved or refused.
"""

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.errors import ApplineError, UsageError
from tuning.tracking.local_store import (
    Store,
    find_store,
    prepare,
    readable,
    repair_artifact_paths,
    repair_if_moved,
    require_usable,
)


def create(uri: str, artifacts: str) -> None:
    """Stand in for MLflow: create the tables that hold absolute paths."""
    path = uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection as database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        database.execute("CREATE TABLE logged_models (artifact_location TEXT)")
        database.execute("CREATE TABLE model_versions (source TEXT, storage_location TEXT)")
        database.execute("INSERT INTO experiments VALUES (?)", (f"{artifacts}/digits",))
        database.execute("INSERT INTO experiments VALUES ('s3://bucket/elsewhere')")


def locations(root: Path) -> list[str]:
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        return [row[0] for row in database.execute("SELECT artifact_location FROM experiments")]


def test_the_local_store_is_an_absolute_sqlite_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_store().uri == f"sqlite:///{tmp_path.resolve()}/mlruns/mlflow.db"


def test_the_flag_wins_over_the_environment_and_that_over_the_local_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example/")
    assert find_store("http://other.example", tmp_path).uri == "http://other.example"
    assert find_store("", tmp_path).uri == "http://mlflow.example"


@pytest.mark.parametrize("form", ["{root}", "file://{root}", "sqlite:///{root}/mlflow.db"])
def test_a_path_a_file_address_and_a_sqlite_address_mean_the_same_local_store(
    form: str, tmp_path: Path
) -> None:
    assert find_store(form.format(root=tmp_path)) == find_store(root=tmp_path)


def test_another_database_is_left_to_mlflow() -> None:
    assert find_store("postgresql://host/mlflow") == Store(uri="postgresql://host/mlflow")


def test_an_old_file_store_is_refused_with_the_command_that_moves_it(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(UsageError, match="mlflow migrate-filestore --source"):
        find_store(root=tmp_path)


def test_an_experiments_artifacts_lie_in_a_readable_folder_inside_the_store(tmp_path: Path) -> None:
    store = find_store(root=tmp_path)
    assert store.artifacts("vision/digits") == (tmp_path / "artifacts" / "vision-digits").as_uri()
    assert store.artifacts("../../etc") == (tmp_path / "artifacts" / "etc").as_uri()
    assert store.artifacts("...") == (tmp_path / "artifacts" / "experiment").as_uri()


def test_a_new_store_is_created_once_in_wal_mode_and_leaves_nothing_aside(tmp_path: Path) -> None:
    created: list[str] = []

    def counted(uri: str, artifacts: str) -> None:
        created.append(uri)
        create(uri, artifacts)

    store = find_store(root=tmp_path / "mlruns")
    prepare(store, counted)
    prepare(store, counted)
    assert len(created) == 1
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    names = {path.name for path in (tmp_path / "mlruns").iterdir()}
    assert names <= {"artifacts", "mlflow.db", "mlflow.lock", "mlflow.location"}


def test_a_creation_that_fails_leaves_no_unfinished_database(tmp_path: Path) -> None:
    def failing(uri: str, artifacts: str) -> None:
        create(uri, artifacts)
        raise OSError("disk full")

    with pytest.raises(ApplineError, match="disk full"):
        prepare(find_store(root=tmp_path), failing)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_folder_that_cannot_be_created_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ApplineError, match="Choose another place: --tracking-uri"):
        prepare(find_store(root=tmp_path / "file" / "mlruns"), create)


def test_a_new_store_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    prepare(find_store(root=tmp_path), create)
    modes = {name: (tmp_path / name).stat().st_mode & 0o077 for name in ("mlflow.db", "artifacts")}
    assert modes == {"mlflow.db": 0, "artifacts": 0}


def make_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file look like one of a read-only disk: the tests may run as root."""
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)


def test_a_copied_store_without_write_access_is_read_and_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(find_store(root=tmp_path / "before"), create)
    shutil.copytree(tmp_path / "before", tmp_path / "copy")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "copy").rglob("*")}
    make_read_only(monkeypatch)
    store = readable(find_store(root=tmp_path / "copy"))
    assert store.database is not None
    assert readable(find_store(root=tmp_path / "copy")) == store, "it is copied once"
    # The paths are those of the copy that was asked for, not of where its database is read.
    assert locations(store.database.parent)[0] == (tmp_path / "copy/artifacts/digits").as_uri()
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "copy").rglob("*")}


def test_a_store_that_cannot_be_written_is_refused_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(find_store(root=tmp_path), create)
    make_read_only(monkeypatch)
    with pytest.raises(ApplineError, match=r"cannot be written: it is read-only, or belongs"):
        prepare(find_store(root=tmp_path), create)


def test_a_moved_store_points_at_its_artifacts_where_they_are_now(tmp_path: Path) -> None:
    prepare(find_store(root=tmp_path / "before"), create)
    (tmp_path / "before").rename(tmp_path / "after")
    prepare(find_store(root=tmp_path / "after"), create)
    assert locations(tmp_path / "after") == [
        (tmp_path / "after/artifacts/digits").as_uri(),
        "s3://bucket/elsewhere",
    ]


def test_a_moved_store_is_repaired_before_its_pages_are_shown(tmp_path: Path) -> None:
    prepare(find_store(root=tmp_path / "before"), create)
    (tmp_path / "before").rename(tmp_path / "after")
    repair_if_moved(find_store(root=tmp_path / "after"))
    assert locations(tmp_path / "after")[0] == (tmp_path / "after/artifacts/digits").as_uri()


def test_repairing_says_how_many_paths_it_changed_and_finds_nothing_the_second_time(
    tmp_path: Path,
) -> None:
    prepare(find_store(root=tmp_path / "before"), create)
    (tmp_path / "before").rename(tmp_path / "after")
    assert [repair_artifact_paths(tmp_path / "after" / "mlflow.db") for _ in range(2)] == [1, 0]


def test_a_dead_server_is_named_within_five_seconds_with_a_way_out() -> None:
    began = time.monotonic()
    with pytest.raises(ApplineError, match=r"http://127\.0\.0\.1:9 does not answer") as caught:
        prepare(find_store("http://127.0.0.1:9"), create)
    assert re.search(r"mlflow server(.|\n)*--tracking-uri mlruns", str(caught.value))
    assert time.monotonic() - began < 5


def test_a_disk_without_room_for_a_run_is_refused_with_other_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was noticed when the training was over."""
    store = find_store(str(tmp_path / "mlruns"))
    free = shutil.disk_usage(tmp_path)._replace(free=100 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    require_usable(store, model_bytes=30 * 2**20)
    with pytest.raises(ApplineError, match=r"100\.0 MB are free .* needs 120\. .*TMPDIR"):
        require_usable(store, model_bytes=50 * 2**20)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://bucket/runs", "keeps no runs at an address that begins with s3://"),
        ("postgres://me:secret@host/runs", r"postgres://\. Did you mean 'postgresql'\?"),
        ("http:/localhost:5000", "Did you mean --tracking-uri http://localhost:5000?"),
    ],
)
def test_an_address_where_mlflow_keeps_no_runs_is_refused_at_once(uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        find_store(uri)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("uri", ["postgresql+psycopg2://host/runs", "https://host", "mysql://h/d"])
def test_addresses_of_servers_and_databases_are_taken(uri: str) -> None:
    assert find_store(uri).uri == uri
