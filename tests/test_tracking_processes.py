"""Several processes on one store: dead ones are noticed, and none is in another's way."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.provenance import PROCESS

ROOT = Path(__file__).parent.parent
BEGIN_A_RUN = """
import sys
from pathlib import Path
from tuning.tracking.mlflow_tracker import open_tracker
run = open_tracker(sys.argv[2], root=Path(sys.argv[1])).start(sys.argv[3], role="train")
run.history({"loss": [0.5]})
print(run.id, flush=True)
sys.stdin.read()
"""


def begin(root: Path, experiment: str, name: str) -> "subprocess.Popen[str]":
    """Start a process that begins a run, prints its id and then waits."""
    command = [sys.executable, "-c", BEGIN_A_RUN, str(root), experiment, name]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_run_of_a_killed_process_becomes_killed_and_a_living_one_continues(
    tracker: MlflowTracker, store_root: Path
) -> None:
    living = tracker.start("of a living process", role="train")
    elsewhere = tracker.start("of another machine", role="train")
    elsewhere.tags({PROCESS: "1 on elsewhere since 1.0"})
    with begin(store_root, tracker.name, "of a killed process") as process:
        assert process.stdout
        killed = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert {row.status for row in tracker.rows()} == {"RUNNING"}
    rows = {row.id: row for row in open_tracker(tracker.name, root=store_root).rows()}
    assert rows[living.id].status == "RUNNING"
    assert rows[elsewhere.id].status == "RUNNING"
    assert rows[killed].status == "KILLED"
    assert f"({process.pid} on " in rows[killed].tags["reason"]


def test_two_processes_end_the_same_dead_runs_at_once(tmp_path: Path) -> None:
    tracker = open_tracker("crowded", root=tmp_path)
    no_such_process = 2**22 + 1
    for number in range(6):
        run = tracker.start(f"run {number}", role="train")
        run.tags({PROCESS: f"{no_such_process} on {socket.gethostname()} since 1.0"})
    # With a connection of its own to the store, as another process would.
    other = replace(tracker, client=MlflowClient(tracking_uri=tracker.store.uri))
    with ThreadPoolExecutor(2) as both:
        list(both.map(MlflowTracker.end_orphans, (tracker, other)))
    assert {row.status for row in tracker.rows()} == {"KILLED"}


@pytest.mark.slow
def test_eight_processes_start_on_a_fresh_store_at_once(tmp_path: Path) -> None:
    root = tmp_path / "fresh"
    processes = [begin(root, "crowded", f"run {number}") for number in range(8)]
    ids = set()
    for process in processes:
        output, _ = process.communicate("", timeout=300)  # which closes their pipes, too
        ids.add(output.strip())
    assert [process.returncode for process in processes] == [0] * 8
    assert {row.id for row in open_tracker("crowded", root=root).rows()} == ids
    assert len(ids) == 8
