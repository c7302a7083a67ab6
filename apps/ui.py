"""`appline ui`: MLflow's pages on the right store, opened at the comparison.

This file imports no MLflow; the server is a process of its own. Plain `mlflow ui` ignores
MLFLOW_TRACKING_URI, creates an empty database in the working directory, starts 15 processes (2.7
GB) and leaves some behind. Here it is two processes (.5 GB) that end with this one.
"""

import contextlib
import itertools
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
import webbrowser
from collections.abc import Iterator
from typing import IO, Any

import psutil

from apps.signals import interrupted_by_termination
from pipelines.errors import ApplineError
from pipelines.interrupts import NOTICED
from pipelines.io.temporary import temporary_folder
from tuning.tracking.local_store import (
    Store,
    check_server,
    find_store,
    repair_if_moved,
    require_recorded,
)
from tuning.tracking.secrets import basic_authorization, without_credentials
from tuning.tracking.ui_links import experiments_page, view_pages

HOST = "127.0.0.1"  # MLflow has no login
# Seconds.
LONGEST_START = 180.0  # 5 to 10 on a quiet machine
LONGEST_END = 10.0  # after each signal
LONGEST_ANSWER = 30.0
LONGEST_PROBE = 2.0  # of a server on this machine
POLL_INTERVAL = 0.2
OFFERED_PORTS = 100  # how far from a taken port a free one is looked for
SHOWN_LOG_LINES = 15
SHOWN_LINKS = 10  # of other experiments


def serve_ui(
    uri_or_root: str = "", port: int = 5000, open_at: str = "", browser: bool = False
) -> None:
    """Show the store in a browser until Ctrl-C.

    The link goes to stdout: to the path `open_at`, else to the view that was saved last. The other
    experiments' links go to stderr. With `browser` the first link is opened too, where there is a
    screen. For a store that an MLflow server keeps, only the links are printed.

    Raises:
        ApplineError: nothing is recorded yet, the port is taken, or the server does not start.
    """
    store = find_store(uri_or_root)
    if store.is_server:
        check_server(store.uri)
        _show_links(store.uri, open_at)
        return
    require_recorded(store)
    # MLflow answers 404 for the pictures of a store that was moved.
    repair_if_moved(store)
    _require_free(port)
    base = f"http://{HOST}:{port}"
    print(f"Starting MLflow on {store.shown} ...", file=sys.stderr)
    with (
        tempfile.TemporaryFile() as log,
        interrupted_by_termination(),
        _server(store, port, log) as server,
    ):
        try:
            _wait_for_answer(server, base, log)
            link = _show_links(base, open_at)
            print("Press Ctrl-C to stop.", file=sys.stderr)
            if browser and _has_screen():
                webbrowser.open(link)
            server.wait()
        except KeyboardInterrupt:
            # The server is given its time to end.
            NOTICED.set()
            print("Stopped.", file=sys.stderr)
        else:
            raise ApplineError(f"MLflow's server stopped unexpectedly:\n{_last_lines(log)}")


def _show_links(base: str, open_at: str) -> str:
    """Print the link of the page to look at, then those of the other experiments; return it."""
    shown = without_credentials(base)
    pages = _pages(base)
    first = open_at or next(iter(pages.values()), experiments_page())
    print(f"{shown}{first}", flush=True)
    others = {name: path for name, path in pages.items() if path != first}
    for name, path in itertools.islice(others.items(), SHOWN_LINKS):
        print(f"{name}: {shown}{path}", file=sys.stderr)
    if len(others) > SHOWN_LINKS:
        print(f"All experiments: {shown}{experiments_page()}", file=sys.stderr)
    return f"{shown}{first}"


def _has_screen() -> bool:
    """Return whether a browser can open a window; one of text would take the terminal."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@contextlib.contextmanager
def _server(store: Store, port: int, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run MLflow's server; end it and all of its children afterwards."""
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", HOST, "--port", str(port)]
    command += ["--workers", "1"]
    if store.database:
        command += ["--artifacts-destination", (store.database.parent / "artifacts").as_uri()]
    environment = {
        **os.environ,
        # Not on the command line, which every user of this machine may read.
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    # A session of its own: Ctrl-C reaches this process alone, which then ends the group in order.
    # Started in a folder without `mlruns/`, `pipelines/` or a module called `mlflow` that Python
    # would take for the real one.
    with temporary_folder() as folder:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
        try:
            yield server
        finally:
            _end_group(server.pid)
            server.wait()


def _end_group(group: int) -> None:
    """Ask all processes of a group to end, and kill those that do not."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        members = _group_members(group)
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)
        psutil.wait_procs(members, timeout=LONGEST_END)


def _group_members(group: int) -> list[psutil.Process]:
    # Not the children of the first process: one whose parent has ended has no parent any more.
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):  # it has ended since
            if os.getpgid(process.pid) == group:
                members.append(process)
    return members


def _require_free(port: int) -> None:
    if _is_free(port):
        return
    advice = "Choose another one with --port"
    for candidate in range(port + 1, port + OFFERED_PORTS):
        if _is_free(candidate):
            advice = f"Choose a free one: appline ui --port {candidate}"
            break
    raise ApplineError(f"Port {port} of {HOST} is taken{_by_whom(port)}. {advice}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does: connections that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _by_whom(port: int) -> str:
    """Return which MLflow answers at `port`, as the end of a clause; "" when none does."""
    base = f"http://{HOST}:{port}"
    try:
        with urllib.request.urlopen(f"{base}/version", timeout=LONGEST_PROBE) as answer:
            version = answer.read(40).decode(errors="replace")
    except (OSError, ValueError):
        return ""
    return f": an MLflow {version} answers at {base}, perhaps an `appline ui` that is still running"


def _wait_for_answer(server: "subprocess.Popen[bytes]", base: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ApplineError(f"MLflow's server did not start:\n{_last_lines(log)}")
        try:
            urllib.request.urlopen(f"{base}/health", timeout=LONGEST_PROBE).close()
        except OSError:
            time.sleep(POLL_INTERVAL)
        else:
            return
    raise ApplineError(
        f"MLflow's server did not answer for {LONGEST_START:.0f} s:\n{_last_lines(log)}"
    )


def _pages(base: str) -> dict[str, str]:
    """Return the paths of each experiment's newest view by name, from the server `base`."""
    headers = {"Content-Type": "application/json"}
    authorization = basic_authorization(base)
    if authorization:
        headers["Authorization"] = authorization
    request = urllib.request.Request(
        f"{without_credentials(base)}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results": 1000}',
        headers=headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=LONGEST_ANSWER) as answer:
            content: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):  # a server that wants a login: a link still leads there
        return {}
    return view_pages(content.get("experiments", []))


def _last_lines(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-SHOWN_LOG_LINES:])
