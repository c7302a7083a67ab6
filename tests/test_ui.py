"""`appline ui`, and a tracker that writes through the server it starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from apps.ui import serve_ui
from pipelines.errors import ApplineError
from tuning.tracking.mlflow_tracker import MlflowTracker, Record, download, find_run, open_tracker
from tuning.tracking.saved_views import SweepCharts, page

ROOT = Path(__file__).parent.parent
CHARTS = SweepCharts(
    sweep="s1",
    name="Sweep",
    objective="val_accuracy",
    direction="max",
    searched=["conv.kernel_size"],
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class FakeMlflow(BaseHTTPRequestHandler):
    """A server that answers as MLflow does where `appline ui` asks."""

    def do_GET(self) -> None:  # the name is http.server's
        self._answer(b"3.17.2" if self.path == "/version" else b"OK")

    def do_POST(self) -> None:  # the name is http.server's
        view = {"name": "Sweep", "createdAt": 1, "mode": "CHART", "state": ""}
        tags = [{"key": "mlflow.sharedViewState.v1", "value": json.dumps(view)}]
        self._answer(json.dumps({"experiments": [{"experiment_id": "3", "tags": tags}]}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def fake_mlflow() -> Iterator[int]:
    """Return the port of a fake MLflow server."""
    with HTTPServer(("127.0.0.1", 0), FakeMlflow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_for_a_server_only_the_link_of_the_newest_view_is_printed(
    fake_mlflow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_ui(f"http://127.0.0.1:{fake_mlflow}")
    assert capsys.readouterr().out == f"http://127.0.0.1:{fake_mlflow}{page('3', 'v1', 'CHART')}\n"


def test_a_page_that_is_asked_for_is_the_one_whose_link_is_printed(
    fake_mlflow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_ui(f"http://127.0.0.1:{fake_mlflow}", open_at="/#/experiments/7")
    assert capsys.readouterr().out == f"http://127.0.0.1:{fake_mlflow}/#/experiments/7\n"


def test_a_taken_port_names_who_has_it_and_the_next_free_one(
    fake_mlflow: int, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(
        ApplineError,
        match=rf"Port {fake_mlflow} .* an MLflow 3\.17\.2 answers (.|\n)*appline ui --port \d+",
    ) as told:
        serve_ui(str(tmp_path), port=fake_mlflow)
    suggested = int(str(told.value).rpartition(" ")[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", suggested))


def test_a_store_without_runs_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(ApplineError, match="nothing is recorded here yet"):
        serve_ui(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_told() -> None:
    with pytest.raises(ApplineError, match="does not answer"):
        serve_ui("http://127.0.0.1:9")


# ---------------------------------------------------------------------------------- the real server


@dataclass(frozen=True)
class ServingModel:
    """A running `serve_ui`: its process, the link that it printed, and the address before the
    link's `/#`.
    """

    process: "subprocess.Popen[str]"
    link: str

    @property
    def base(self) -> str:
        return self.link.partition("/#")[0]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    """Return a tracker that has written one sweep view into a local store."""
    tracker = open_tracker("vision/digits", root=tmp_path_factory.mktemp("ui") / "mlruns")
    tracker.sweep_view(CHARTS)
    return tracker


def serve(tracker: MlflowTracker) -> ServingModel:
    assert tracker.store.database
    program = f"from apps.ui import serve_ui; serve_ui({str(tracker.store.database.parent)!r}, {free_port()})"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    return ServingModel(process, process.stdout.readline().strip())


@pytest.fixture(scope="module")
def served(local: MlflowTracker) -> Iterator[ServingModel]:
    started = serve(local)
    with started.process:
        yield started
        started.process.terminate()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        body: bytes = answer.read()
    return body


@pytest.mark.slow
def test_the_link_leads_to_the_view_that_was_saved_last(
    served: ServingModel, local: MlflowTracker
) -> None:
    assert served.link == served.base + local.sweep_view(CHARTS)
    assert b"<title>MLflow</title>" in get(served.base)


@pytest.mark.slow
def test_the_server_is_two_processes_that_listen_on_this_machine_only(served: ServingModel) -> None:
    children = psutil.Process(served.process.pid).children(recursive=True)
    assert len(children) == 2
    addresses = {
        connection.laddr.ip
        for child in children
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.slow
def test_a_tracker_writes_and_reads_through_the_server_without_a_word(
    served: ServingModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = open_tracker("through/server", uri=served.base)
    sweep = tracker.start("sweep", role="sweep", tags={"sweep": "s1"})
    trial = tracker.record(
        Record(
            name="trial-000",
            role="trial",
            parent=sweep.id,
            params={"conv.kernel_size": 5},
            history={"loss": [0.9, 0.5]},
            start_time=time.time(),
            end_time=time.time(),
        )
    )
    sweep.text("a text", "card.md")
    (tmp_path / "network.keras").write_bytes(b"the network")
    sweep.model(tmp_path / "network.keras", {"domain": "vision"})
    sweep.finish()
    assert find_run(trial[:10], served.base).metrics == {"loss": 0.5}
    assert download(sweep.id, "card.md", tmp_path / "back", uri=served.base).read_text() == "a text"
    assert (
        download(sweep.id, "model/model.keras", tmp_path / "back", uri=served.base).read_bytes()
        == b"the network"
    )
    assert (
        tracker.url(trial)
        == f"{served.base}/#/experiments/{tracker.experiment}/runs/{trial}?workflowType=machine_learning"
    )
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_artifacts_of_the_local_store_are_shown_by_the_server(
    served: ServingModel, local: MlflowTracker
) -> None:
    run = local.start("a run", role="train")
    run.text("a text", "card.md")
    run.finish()
    assert get(f"{served.base}/get-artifact?path=card.md&run_uuid={run.id}") == b"a text"


@pytest.mark.slow
@pytest.mark.parametrize("last_word", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_ends_with_all_its_children(last_word: signal.Signals, local: MlflowTracker) -> None:
    with serve(local).process as process:
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, last_word)
        assert process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
