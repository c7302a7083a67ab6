"""What tests share: nothing is written outside `tmp_path`, and TensorFlow is quiet."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import runtime
from pipelines.pretrained import fetch, weights
from pipelines.pretrained.catalogue import MINILM
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker

runtime.prepare_environment()

# A suite that a script starts in the background ignores Ctrl-C, and so would the commands that
# tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a local MLflow store. Creating one takes seconds, so tests share it."""
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
