"""`appline ui`: MLflow's pages on the right store, opened at the comparison. Imports no MLflow; the
server is a process of its own.

Plain `mlflow ui` ignores MLFLOW_TRACKING_URI, makes an empty database where one stands, starts 15
processes (2.7 GB) and leaves some behind. Here it is two processes (.5 GB) that end with this one.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

from pipelines.errors import ApplineError
from tuning.tracking.local_store import Store, check_server, find_store
from tuning.tracking.saved_views import newest_page

HOST = "127.0.0.1"  # MLflow has no login
LONGEST_START = 180.0  # seconds; 5 to 10 on a quiet machine


def serve_ui(uri_or_root: str = "", port: int = 5000, open_at: str = "") -> None:
    """Show the store in a browser until Ctrl-C; `open_at` is the path of a page, else the view that
    was saved last.

    For a store that an MLflow server keeps, print the link only.

    Raises:
        ApplineError: nothing is recorded yet, the port is taken, or the server does not come up.
    """
    store = find_store(uri_or_root)
    if store.served:
        check_server(store.uri)
        print(store.uri + (open_at or _newest(store.uri)))
        return
    if store.database and not store.database.exists():
        raise ApplineError(
            f"{store.database}: nothing is recorded here yet. First train something: appline vision train --data digits"
        )
    _require_free(port)
    base = f"http://{HOST}:{port}"
    print(f"Starting MLflow on {store.uri} ...", file=sys.stderr)
    with tempfile.TemporaryFile() as log, _terminable(), _server(store, port, log) as server:
        try:
            _wait(server, base, log)
            print(base + (open_at or _newest(base)), flush=True)
            print("Ctrl-C ends it.", file=sys.stderr)
            server.wait()
        except KeyboardInterrupt:
            print("Ended.", file=sys.stderr)
        else:
            raise ApplineError(f"MLflow's server ended by itself:\n{_tail(log)}")


@contextmanager
def _server(store: Store, port: int, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run MLflow's server; end it and all of its children afterwards."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store.uri,
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    command += ["--workers", "1"]
    if store.database:
        command += ["--artifacts-destination", (store.database.parent / "artifacts").as_uri()]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    # A session of its own: Ctrl-C reaches this process alone, which then ends the group in order.
    # Started in a folder without `mlruns/`, `pipelines/` or a module called `mlflow` that Python
    # would take for the real one.
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
        try:
            yield server
        finally:
            _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    for last_word, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(server.pid, last_word)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _alive(server):
            time.sleep(0.1)
    server.wait()


def _alive(server: "subprocess.Popen[bytes]") -> bool:
    server.poll()  # a dead child counts as a member of its group until it is asked for
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does."""

    def interrupt(signal_number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_free(port: int) -> None:
    if _free(port):
        return
    other = next((candidate for candidate in range(port + 1, port + 100) if _free(candidate)), 0)
    raise ApplineError(
        f"Port {port} of {HOST} is taken{_by_whom(port)}."
        + (
            f" Choose a free one: appline ui --port {other}"
            if other
            else " Choose another one with --port"
        )
    )


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the server does: connections that linger do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _by_whom(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/version", timeout=2) as answer:
            version = answer.read(40).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    return f": an MLflow {version} answers at http://{HOST}:{port}, perhaps an `appline ui` that runs already"


def _wait(server: "subprocess.Popen[bytes]", base: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ApplineError(f"MLflow's server did not start:\n{_tail(log)}")
        try:
            urllib.request.urlopen(f"{base}/health", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise ApplineError(f"MLflow's server did not answer for {LONGEST_START:.0f} s:\n{_tail(log)}")


def _newest(base: str) -> str:
    """Return the path of the view that was saved last in the store behind the server `base`."""
    request = urllib.request.Request(
        f"{base}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results": 1000}',
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):  # a server that wants a login: the link still leads there
        return newest_page([])
    return newest_page(found.get("experiments", []))


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-15:])
