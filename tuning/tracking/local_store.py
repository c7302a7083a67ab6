"""Where MLflow keeps things: which store is meant, and making the local one safely. Imports no
MLflow.

A local store is one folder: `mlflow.db` (SQLite), `artifacts/`, and `mlflow.location`, the path
that the database believes it lies at.
"""

import http.client
import os
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import ApplineError, UsageError

DATABASE = "mlflow.db"
# Every column of MLflow's schema that holds an absolute artifact path.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A place for runs: `uri` as MLflow takes it; `database` is the file of a local store, None for
    a server or a remote database.
    """

    uri: str
    database: Path | None = None

    @property
    def served(self) -> bool:
        """Whether an MLflow server keeps it."""
        return self.uri.startswith(("http://", "https://"))

    def artifacts(self, experiment: str) -> str | None:
        """Return where a local store keeps the artifacts of `experiment`; None where a server
        decides.
        """
        if not self.database:
            return None
        # Readable, and never outside of the store: names hold slashes and dots. Two names may share
        # a folder, run ids do not collide.
        folder = re.sub(r"[^A-Za-z0-9_.-]+", "-", experiment).strip(".-") or "experiment"
        return (self.database.parent / "artifacts" / folder).as_uri()


def find_store(uri: str = "", root: Path = Path("mlruns")) -> Store:
    """Return the store that is meant: `uri`, else the environment's MLFLOW_TRACKING_URI, else the
    local one in the folder `root`.

    A plain path and a `file:` address mean the local store in that folder.

    Raises:
        UsageError: the folder holds a file store, which MLflow 3.17 refuses to work with.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("sqlite:///"):
        return _local(Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0])))
    if uri.startswith("file:"):
        return _local(Path(unquote(urlsplit(uri).path)) / DATABASE)
    if "://" in uri or uri == "databricks":
        return Store(uri=uri.rstrip("/"))
    return _local((Path(uri).expanduser() if uri else root) / DATABASE)


def _local(database: Path) -> Store:
    database = database.resolve()  # MLflow stores the path: it must not depend on where one stands
    folder = database.parent
    if not database.exists() and any(folder.glob("[0-9]*/meta.yaml")):
        raise UsageError(
            f"{folder} holds an MLflow file store, which MLflow 3 no longer works with. Move its runs into a database, then try again:\n"
            f"  mlflow migrate-filestore --source {folder} --target sqlite:///{database}"
        )
    return Store(uri=f"sqlite:///{database}", database=database)


def prepare(store: Store, create: Callable[[str, str], None]) -> None:
    """Make sure that `store` can be opened; `create(uri, artifacts)` fills an empty SQLite database
    with MLflow's tables.

    Raises:
        ApplineError: its server does not answer, or its folder cannot be written; the message says
            what to do.
    """
    if store.served:
        check_server(store.uri)
    elif store.database:
        try:
            _prepare_local(store.database, create)
        except OSError as error:
            raise ApplineError(
                f"{store.database}: no MLflow store can be made here: {error}. Choose another place: --tracking-uri PATH"
            ) from error


def _prepare_local(database: Path, create: Callable[[str, str], None]) -> None:
    if _settled(database):
        return
    from filelock import FileLock

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        if _settled(database):
            return
        if database.exists():
            repair_artifact_paths(database)
        else:
            _build(database, create)
        _remember(database)


def _remember(database: Path) -> None:
    """Write where `database` lies, whole or not at all: the disk may be full."""
    aside = database.with_suffix(f".location.{os.getpid()}")
    try:
        aside.write_text(f"{database.parent}\n")
        aside.rename(_location(database))
    finally:
        aside.unlink(missing_ok=True)


def _location(database: Path) -> Path:
    """Return the file that remembers where `database` lay when its paths were written."""
    return database.with_suffix(".location")


def _settled(database: Path) -> bool:
    location = _location(database)
    return (
        database.exists()
        and location.exists()
        and location.read_text().strip() == str(database.parent)
    )


def _build(database: Path, create: Callable[[str, str], None]) -> None:
    # MLflow's migrations take seconds, and a second process that meets the half-made file crashes:
    # build aside, rename when done.
    aside = database.with_suffix(f".{os.getpid()}")
    aside.unlink(missing_ok=True)
    try:
        create(f"sqlite:///{aside}", (database.parent / "artifacts").as_uri())
        connection = sqlite3.connect(aside)
        connection.execute(
            "PRAGMA journal_mode=WAL"
        )  # kept in the file: readers and one writer do not wait for each other
        connection.close()
        aside.rename(database)
    finally:
        aside.unlink(missing_ok=True)


def repair_artifact_paths(database: Path) -> int:
    """Point a store that was moved or copied at the artifacts beside it; return how many paths were
    changed.

    MLflow stores absolute paths: without this a moved project loses its artifacts, and a copied one
    writes into the original.
    """
    database = database.resolve()
    location = _location(database)
    if not location.exists():  # not made here: nobody knows which paths belong to it
        return 0
    old = Path(location.read_text().strip()).as_uri()
    new = database.parent.as_uri()
    if old == new:
        return 0
    connection = sqlite3.connect(database, timeout=30)
    with connection:
        changed = sum(_repoint(connection, table, column, old, new) for table, column in _PATHS)
    connection.close()
    _remember(database)
    return changed


def _repoint(database: sqlite3.Connection, table: str, column: str, old: str, new: str) -> int:
    moved = (
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
    )
    return database.execute(moved, (new, len(old) + 1, len(old) + 1, f"{old}/")).rowcount


def check_server(uri: str) -> None:
    """Ask the server whether it is there, before MLflow is imported (seconds) and begins to retry
    (minutes).
    """
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=4).close()
    except urllib.error.HTTPError:
        return  # it answers: whatever it holds against this page, MLflow will say
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ApplineError(
            f"The MLflow server {uri} does not answer: {reason}\n"
            "  Start it:        mlflow server --host 127.0.0.1 --port 5000\n"
            "  Or go local:     --tracking-uri mlruns    (and unset MLFLOW_TRACKING_URI, if it is set)"
        ) from error
