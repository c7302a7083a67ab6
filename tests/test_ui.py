"""`appline ui`, and a tracker that writes through the server it starts."""

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from apps.cli import main
from apps.ui import serve_ui
from pipelines.config.options import Objective
from pipelines.errors import ApplineError
from tests.browser import RunningUi, serve, served
from tuning.tracking.interface import Record
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.saved_views import SweepCharts
from tuning.tracking.stored_runs import download, find_run
from tuning.tracking.ui_links import run_page, view_page

ROOT = Path(__file__).parent.parent
CHARTS = SweepCharts(
    sweep="s1",
    name="Sweep",
    objective=Objective(name="val_accuracy", direction="max"),
    headline=Objective(name="accuracy", direction="max"),
    searched=["conv.kernel_size"],
)


class FakeMlflow(BaseHTTPRequestHandler):
    """A server that answers as MLflow does where `appline ui` asks."""

    def do_GET(self) -> None:  # the name is http.server's
        self._answer(b"3.17.2" if self.path == "/version" else b"OK")

    def do_POST(self) -> None:  # the name is http.server's
        view = {"name": "Sweep", "createdAt": 1, "mode": "CHART", "state": ""}
        tags = [{"key": "mlflow.sharedViewState.v1", "value": json.dumps(view)}]
        older = [{"key": "mlflow.sharedViewState.v0", "value": json.dumps({"createdAt": 0})}]
        experiments = [
            {"experiment_id": "2", "name": "text/reviews", "tags": older},
            {"experiment_id": "3", "name": "vision/digits", "tags": tags},
            {"experiment_id": "4", "name": "without views", "tags": []},
        ]
        self._answer(json.dumps({"experiments": experiments}).encode())

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


def test_for_a_server_the_newest_link_is_printed_and_those_of_other_experiments_beside_it(
    fake_mlflow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    base = f"http://127.0.0.1:{fake_mlflow}"
    serve_ui(base)
    captured = capsys.readouterr()
    assert captured.out == f"{base}{view_page('3', 'v1', 'CHART')}\n"
    assert captured.err == f"text/reviews: {base}{view_page('2', 'v0', 'CHART')}\n"


@pytest.mark.parametrize("port", ["0", "65536", "-1"])
def test_a_port_out_of_range_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ui", "--port", port])
    assert ended.value.code == 2
    assert f"expected a whole number, 1 to 65535. Received: {port}" in capsys.readouterr().err


def test_a_page_that_is_asked_for_is_the_one_whose_link_is_printed(
    fake_mlflow: int, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_ui(f"http://127.0.0.1:{fake_mlflow}", open_at="/#/experiments/7")
    assert capsys.readouterr().out == f"http://127.0.0.1:{fake_mlflow}/#/experiments/7\n"


def test_a_taken_port_names_who_has_it_and_the_next_free_one(
    fake_mlflow: int, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.db").touch()
    message = rf"Port {fake_mlflow} .* an MLflow 3\.17\.2 answers (.|\n)*appline ui --port \d+"
    with pytest.raises(ApplineError, match=message) as caught:
        serve_ui(str(tmp_path), port=fake_mlflow)
    suggested = int(str(caught.value).rpartition(" ")[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", suggested))


def test_a_store_without_runs_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(ApplineError, match="nothing is recorded here yet"):
        serve_ui(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_named() -> None:
    with pytest.raises(ApplineError, match="does not answer"):
        serve_ui("http://127.0.0.1:9")


# --- the real server


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    """Return a tracker that has written one sweep view into a local store."""
    tracker = open_tracker("vision/digits", root=tmp_path_factory.mktemp("ui") / "mlruns")
    tracker.sweep_view(CHARTS)
    return tracker


def store_of(tracker: MlflowTracker) -> Path:
    assert tracker.store.database
    return tracker.store.database.parent


@pytest.fixture(scope="module")
def running_ui(local: MlflowTracker) -> Iterator[RunningUi]:
    with served(store_of(local)) as running:
        yield running


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        body: bytes = answer.read()
    return body


@pytest.mark.slow
def test_the_link_leads_to_the_view_that_was_saved_last(
    running_ui: RunningUi, local: MlflowTracker
) -> None:
    assert running_ui.link == running_ui.base + local.sweep_view(CHARTS)
    assert b"<title>MLflow</title>" in get(running_ui.base)


@pytest.mark.slow
def test_the_server_is_two_processes_that_listen_on_this_machine_only(
    running_ui: RunningUi,
) -> None:
    children = psutil.Process(running_ui.process.pid).children(recursive=True)
    assert len(children) == 2
    addresses = set()
    for child in children:
        for connection in child.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.add(connection.laddr.ip)
    assert addresses == {"127.0.0.1"}


@pytest.mark.slow
def test_a_tracker_writes_and_reads_through_the_server_without_a_word(
    running_ui: RunningUi, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = open_tracker("through/server", uri=running_ui.base)
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
    assert find_run(trial[:10], running_ui.base).metrics == {"loss": 0.5}
    assert (
        download(sweep.id, "card.md", tmp_path / "back", uri=running_ui.base).read_text()
        == "a text"
    )
    network = download(sweep.id, "model/model.keras", tmp_path / "back", uri=running_ui.base)
    assert network.read_bytes() == b"the network"
    assert tracker.url(trial) == running_ui.base + run_page(tracker.experiment_id, trial)
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_artifacts_of_the_local_store_are_shown_by_the_server(
    running_ui: RunningUi, local: MlflowTracker
) -> None:
    run = local.start("a run", role="train")
    run.text("a text", "card.md")
    run.finish()
    assert get(f"{running_ui.base}/get-artifact?path=card.md&run_uuid={run.id}") == b"a text"


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_all_its_children(stop: signal.Signals, local: MlflowTracker) -> None:
    with serve(store_of(local)).process as process:
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, stop)
        assert process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
