"""Where MLflow keeps things: which store is meant, and creating the local one safely.

This file imports no MLflow. A local store is one folder: `mlflow.db` (SQLite), `artifacts/`, and
`mlflow.location`, the path that the database believes it lies at.
"""

import atexit
import functools
import http.client
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipelines.errors import ApplineError, UsageError, suggest
from pipelines.io.temporary import TemporaryFolder
from tuning.tracking.secrets import basic_authorization, hide_secrets, without_credentials

LOCAL_ROOT = Path("mlruns")
DATABASE = "mlflow.db"
ADDRESS = "MLFLOW_TRACKING_URI"  # the environment's variable for the store
HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?")
SERVER_TIMEOUT = 4  # seconds
DEFAULT_PORT = 5000
LEAST_SPACE = 20 * 2**20  # bytes that a disk must have for a run with a small model
SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
DATABASE_TIMEOUT = 30  # seconds to wait for another writer
# Every column of MLflow's schema that holds an absolute artifact path.
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True, kw_only=True)
class Store:
    """A place for runs: `uri` as MLflow takes it.

    `database` is the file of a local store, None for a server or a remote database.
    """

    uri: str
    database: Path | None = None

    @property
    def shown(self) -> str:
        """Its address as messages show it, without a password."""
        return hide_secrets(self.uri)

    @property
    def is_server(self) -> bool:
        """Whether an MLflow server keeps it."""
        return self.uri.startswith(("http://", "https://"))

    @property
    def is_new(self) -> bool:
        """Whether nothing has been recorded in it yet; false where a server would know."""
        return self.database is not None and not self.database.exists()

    def artifacts(self, experiment: str) -> str | None:
        """Return where a local store keeps artifacts of `experiment`; None if a server decides."""
        if not self.database:
            return None
        # Readable, and never outside of the store: names hold slashes and dots. Two names may share
        # a folder, run ids do not collide.
        folder = re.sub(r"[^A-Za-z0-9_.-]+", "-", experiment).strip(".-") or "experiment"
        return (self.database.parent / "artifacts" / folder).as_uri()


def find_store(uri: str = "", root: Path = LOCAL_ROOT) -> Store:
    """Return the store that is meant.

    It is `uri`, else the environment's MLFLOW_TRACKING_URI, else the local one in the folder
    `root`. A plain path and a `file:` address mean the local store in that folder.

    Raises:
        UsageError: the folder holds a file store, which MLflow 3.17 refuses to work with, or a
            server's address begins without http.
    """
    uri = uri or os.environ.get(ADDRESS, "")
    if HOST_AND_PORT.fullmatch(uri) and not Path(uri).exists():
        raise UsageError(
            f"--tracking-uri {uri}: the address of a server begins with http:// or https://. "
            f"Expected --tracking-uri http://{uri}"
        )
    if uri.startswith("sqlite:///"):
        path = uri.removeprefix("sqlite:///").partition("?")[0]
        return _local_store(Path(unquote(path)))
    if uri.startswith("file:"):
        return _local_store(Path(unquote(urlsplit(uri).path)) / DATABASE)
    one_slash = re.match(r"([a-z+]+):/(?=[^/])", uri)
    if "://" in uri:
        _require_scheme(uri)
    elif one_slash and one_slash[1] in SCHEMES:
        meant = uri.replace(":/", "://", 1)
        raise UsageError(
            f"{hide_secrets(uri)}: an address has two slashes. Did you mean "
            f"--tracking-uri {hide_secrets(meant)}?"
        )
    if "://" in uri or uri == "databricks":
        return Store(uri=uri.rstrip("/"))
    folder = Path(uri).expanduser() if uri else root
    return _local_store(folder / DATABASE)


def _require_scheme(uri: str) -> None:
    scheme = urlsplit(uri).scheme.partition("+")[0]  # what follows is the database's driver
    if scheme not in SCHEMES:
        raise UsageError(
            f"{hide_secrets(uri)}: MLflow keeps no runs at an address that begins with "
            f"{scheme}://.{suggest(scheme, SCHEMES)} Expected a folder, or one of "
            f"{', '.join(f'{known}://' for known in SCHEMES)} (--tracking-uri, {ADDRESS})"
        )


def is_named(uri: str) -> bool:
    """Return whether somebody has said which store is meant, by `uri` or in the environment."""
    return bool(uri or os.environ.get(ADDRESS))


def _local_store(database: Path) -> Store:
    # MLflow stores the path: it must not depend on the working directory.
    database = database.resolve()
    folder = database.parent
    if not database.exists() and any(folder.glob("[0-9]*/meta.yaml")):
        raise UsageError(
            f"{folder} holds an MLflow file store, which MLflow 3 no longer supports. "
            "Move its runs into a database, then try again:\n"
            f"  mlflow migrate-filestore --source {folder} --target sqlite:///{database}"
        )
    return Store(uri=f"sqlite:///{database}", database=database)


def prepare(store: Store, create: Callable[[str, str], None]) -> None:
    """Make sure that `store` can be opened.

    `create(uri, artifacts)` fills an empty SQLite database with MLflow's tables.

    Raises:
        ApplineError: its server does not answer, or its folder cannot be written; the message says
            what to do.
    """
    if store.is_server:
        check_server(store.uri)
    elif store.database:
        try:
            if store.database.exists():
                _require_writable(store.database)
            _prepare_database(store.database, create)
        except OSError as error:
            raise ApplineError(
                f"{store.database}: no MLflow store can be created here: {error}. "
                "Choose another place: --tracking-uri PATH"
            ) from error


def _require_writable(database: Path) -> None:
    if not _is_writable(database):
        raise ApplineError(
            f"{database.parent}: this MLflow store cannot be written: it is read-only, or belongs "
            "to somebody else. Choose another place: --tracking-uri PATH"
        )


def _require_space(folder: Path, num_bytes: int) -> None:
    usage = shutil.disk_usage(folder)
    free = usage.free
    if usage.total and free < num_bytes:  # /proc and the like are none
        raise ApplineError(
            f"{folder}: {free / 2**20:,.1f} MB are free on its disk, and a run with such a model "
            f"needs {num_bytes / 2**20:,.0f}. Remove what nobody needs (appline clean), or choose "
            "other places: --tracking-uri PATH for runs, TMPDIR for temporary files"
        )


def _is_writable(database: Path) -> bool:
    # SQLite writes files beside its database too.
    return os.access(database.parent, os.W_OK) and os.access(database, os.W_OK)


def require_recorded(store: Store) -> None:
    """Refuse a local store that does not exist yet.

    Raises:
        ApplineError: the message says how a store comes to be.
    """
    if store.is_new:
        raise ApplineError(
            f"{store.database}: nothing is recorded here yet. "
            "First train something: appline vision train --data digits"
        )


def require_store(store: Store) -> None:
    """Refuse a local store that somebody has named and that does not exist.

    Raises:
        UsageError: the message gives the nearest store beside it.
    """
    if not store.database or store.database.exists():
        return
    folder = store.database.parent
    beside = [path.parent.name for path in folder.parent.glob(f"*/{DATABASE}")]
    raise UsageError(
        f"{folder}: no such store: it holds no {DATABASE}.{suggest(folder.name, beside)}"
    )


def readable(store: Store) -> Store:
    """Return a store from which the runs of `store` can be read.

    It is `store` itself, or a copy of its database where that cannot be written: SQLite and MLflow
    open none without writing beside it. The copy is deleted when the process ends.

    Raises:
        ApplineError: nothing is recorded there, or its server does not answer.
    """
    if store.is_server:
        check_server(store.uri)
    require_recorded(store)
    if not store.database:
        return store
    if _is_writable(store.database):
        return store
    files = _database_files(store.database)
    states = [path.stat() for path in files]
    return _copy_to_read(
        store.database, tuple((state.st_mtime_ns, state.st_size) for state in states)
    )


def _database_files(database: Path) -> list[Path]:
    """Return the files of a SQLite database; the second holds what was written last."""
    files = (database, database.with_name(f"{database.name}-wal"))
    return [path for path in files if path.exists()]


@functools.cache
def _copy_to_read(database: Path, state: tuple[tuple[int, int], ...]) -> Store:
    """Return a copy of `database`, made once for each `state` of its files."""
    kept = TemporaryFolder()
    atexit.register(kept.remove)
    folder = kept.path
    for path in _database_files(database):
        shutil.copyfile(path, folder / path.name)
    copy = folder / database.name
    location = _location_file(database)
    if location.exists():
        _replace_folder(copy, location.read_text().strip(), database.parent)
    return Store(uri=f"sqlite:///{copy}", database=copy)


def _prepare_database(database: Path, create: Callable[[str, str], None]) -> None:
    if _is_ready(database):
        return
    from filelock import FileLock

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):
        # Another process may have prepared it while this one waited.
        if _is_ready(database):
            return
        if database.exists():
            repair_artifact_paths(database)
        else:
            _create_aside(database, create)
        _write_location(database)


def _is_ready(database: Path) -> bool:
    """Return whether `database` exists and its paths fit the folder that it is in."""
    location = _location_file(database)
    if not database.exists() or not location.exists():
        return False
    return location.read_text().strip() == str(database.parent)


def read_only_address(database: Path) -> str:
    """Return the address by which sqlite3 opens `database`, and never creates or changes it."""
    return f"file:{quote(str(database))}?mode=ro"


def artifact_folder(database: Path, address: str) -> Path | None:
    """Return the folder of an artifact address in `database`; None where it is on no disk.

    It is right for a store that was moved, whose addresses have not been repaired yet.
    """
    split = urlsplit(address)
    if split.scheme not in ("", "file"):
        return None
    folder = Path(unquote(split.path))
    location = _location_file(database)
    if not location.exists():
        return folder
    before = Path(location.read_text().strip())
    if folder.is_relative_to(before):
        return database.parent / folder.relative_to(before)
    return folder


def _location_file(database: Path) -> Path:
    """Return the file that says where `database` was when its paths were written."""
    return database.with_suffix(".location")


def _write_location(database: Path) -> None:
    """Write where `database` is, completely or not at all: the disk may be full."""
    aside = database.with_suffix(f".location.{os.getpid()}")
    try:
        aside.write_text(f"{database.parent}\n")
        aside.rename(_location_file(database))
    finally:
        aside.unlink(missing_ok=True)


def _create_aside(database: Path, create: Callable[[str, str], None]) -> None:
    # MLflow's migrations take seconds, and a second process that meets the unfinished file crashes:
    # create it under another name, rename it when it is complete.
    aside = database.with_suffix(f".{os.getpid()}")
    aside.unlink(missing_ok=True)
    # For its owner alone, like the artifacts: runs hold data, such as tables of predictions.
    aside.touch(mode=0o600)
    artifacts = database.parent / "artifacts"
    artifacts.mkdir(mode=0o700, exist_ok=True)
    try:
        create(f"sqlite:///{aside}", artifacts.as_uri())
        connection = sqlite3.connect(aside)
        # Kept in the file: readers and one writer do not wait for each other.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        aside.rename(database)
    finally:
        aside.unlink(missing_ok=True)


def repair_if_moved(store: Store) -> None:
    """Point a local store at the artifacts beside it where it was moved since it was written.

    One that cannot be written stays as it is.
    """
    database = store.database
    if database and database.exists() and _is_writable(database) and not _is_ready(database):
        from filelock import FileLock

        with FileLock(database.with_suffix(".lock")):
            repair_artifact_paths(database)


def repair_artifact_paths(database: Path) -> int:
    """Point a store that was moved or copied at the artifacts beside it.

    Return how many paths were changed. MLflow stores absolute paths: without this a moved project
    loses its artifacts, and a copied one writes into the original.
    """
    database = database.resolve()
    location = _location_file(database)
    if not location.exists():
        # Not created by appline: it is unknown which of its paths belong to it.
        return 0
    changed = _replace_folder(database, location.read_text().strip(), database.parent)
    _write_location(database)
    return changed


def _replace_folder(database: Path, before: str, after: Path) -> int:
    """Replace the folder of the store in all paths of `database`; return how many were changed."""
    old, new = Path(before).as_uri(), after.as_uri()
    if old == new:
        return 0
    changed = 0
    connection = sqlite3.connect(database, timeout=DATABASE_TIMEOUT)
    with connection:
        for table, column in PATH_COLUMNS:
            changed += _replace_prefix(connection, table, column, old, new)
    connection.close()
    return changed


def _replace_prefix(
    connection: sqlite3.Connection, table: str, column: str, before: str, after: str
) -> int:
    """Replace the folder `before` at the beginning of a column's paths; return how many changed."""
    statement = (
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
    )
    length = len(before) + 1
    return connection.execute(statement, (after, length, length, f"{before}/")).rowcount


def require_usable(store: Store, model_bytes: int = 0) -> None:
    """Refuse a store that no run can be written to, before there is one to write.

    A model of `model_bytes` lies twice on a disk while it is written.

    Raises:
        ApplineError: its server does not answer, its folder cannot be written, or a disk is full.
    """
    if store.is_server:
        check_server(store.uri)
    if not store.database:
        return
    nearest = next(folder for folder in store.database.parents if folder.exists())
    for folder in (nearest, Path(tempfile.gettempdir())):
        _require_space(folder, LEAST_SPACE + 2 * model_bytes)
    if store.database.exists():
        _require_writable(store.database)
        return
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ApplineError(
            f"{store.database}: no MLflow store can be created here: {nearest} cannot be written "
            "to. Choose another place: --tracking-uri PATH"
        )


def _why_silent(address: str, error: Exception) -> str:
    """Return why a server does not answer, in words of people."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror):
        return f"there is no host called {urlsplit(address).hostname}"
    if isinstance(reason, TimeoutError):
        return f"it takes more than {SERVER_TIMEOUT} seconds"
    if isinstance(reason, ConnectionRefusedError):
        return "nothing listens there"
    return str(getattr(reason, "strerror", None) or reason)


def _port(address: str) -> int:
    """Return the port of a server's address, MLflow's own where it names none."""
    with suppress(ValueError):  # a number that is no port
        return urlsplit(address).port or DEFAULT_PORT
    return DEFAULT_PORT


def check_server(uri: str) -> None:
    """Ask the server whether it is there.

    This comes before MLflow is imported (seconds) and begins to retry (minutes).

    Raises:
        ApplineError: it does not answer.
    """
    address = without_credentials(uri)
    request = urllib.request.Request(f"{address}/health")
    authorization = basic_authorization(uri)
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        urllib.request.urlopen(request, timeout=SERVER_TIMEOUT).close()
    except urllib.error.HTTPError:
        # It answers: if it refuses this page, MLflow will say why.
        return
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ApplineError(
            f"The MLflow server {address} does not answer: {_why_silent(address, error)}\n"
            f"  Start it:        mlflow server --host 127.0.0.1 --port {_port(address)}\n"
            "  Or go local:     --tracking-uri mlruns    "
            "(and unset MLFLOW_TRACKING_URI, if it is set)"
        ) from error
