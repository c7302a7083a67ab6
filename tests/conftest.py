"""What tests share: nothing is written outside `tmp_path`, and TensorFlow is quiet."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines import runtime
from pipelines.pretrained import fetch, weights
from pipelines.pretrained.catalogue import MINILM
from tuning.tracking import mlflow_client
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker

runtime.prepare_environment()

# Workers of pytest-xdist share the cores: with a thread for each core they would only wait for
# each other.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    runtime.use_threads(max(1, runtime.num_cores() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))

# A suite that a script starts in the background ignores Ctrl-C, and so would the commands that
# tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Likewise nohup, and the hang-up of a terminal.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


PERSONS_CACHE = weights.cache_folder()  # where weights are, and are brought to


@pytest.fixture(autouse=True)
def _own_folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test runs in a folder of its own, with no setting of the person who runs it.

    There are no pretrained weights, whatever this machine has.
    """
    monkeypatch.chdir(tmp_path)
    empty = tmp_path_factory.getbasetemp() / "empty-cache"
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(empty))
    for name in ("MLFLOW_TRACKING_URI", "APPLINE_DATA", "APPLINE_SEED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the real weights of MiniLM, which are brought here where they are missing."""
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(PERSONS_CACHE))
    if not weights.is_here(MINILM.name):
        fetch.fetch(MINILM)
    return weights.folder_of(MINILM)


@pytest.fixture(scope="session", autouse=True)
def _databases_from_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow's migrations, which fill each new database in a second, run once.

    Every further one is a copy of the first, with an address of its own for artifacts.
    """
    migrate = mlflow_client._create_database
    first = tmp_path_factory.mktemp("database") / "mlflow.db"

    def create(uri: str, artifacts: str) -> None:
        if not first.exists():
            migrate(f"sqlite:///{first}", artifacts)
        database = Path(uri.removeprefix("sqlite:///"))
        database.write_bytes(first.read_bytes())
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (f"{artifacts}/0",))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_client, "_create_database", create)
        yield


@pytest.fixture(scope="session")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local MLflow store that tests share."""
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture
def tracker(store_root: Path, request: pytest.FixtureRequest) -> MlflowTracker:
    """An experiment of the test's own: creating one takes milliseconds."""
    return open_tracker(f"tests/{request.node.name}", root=store_root)


@pytest.fixture
def run(tracker: MlflowTracker) -> Iterator[MlflowRun]:
    """A run that is being written."""
    started = tracker.start("a run", role="train")
    yield started
    started.finish()
