"""What tests share: nothing is written outside `tmp_path`, and TensorFlow is quiet."""

import signal
from pathlib import Path

import pytest

from tuning.training import runtime

runtime.prepare_environment()

# A suite that a script starts in the background ignores Ctrl-C, and so would the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in a folder of its own, with no setting of the person who runs it."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "APPLINE_DATA", "APPLINE_SEED"):
        monkeypatch.delenv(name, raising=False)
