"""Sweeps killed at random moments: is a trial lost, repeated, or left RUNNING?

    python -m benchmarks.kills              # 50 kills, about 45 minutes
    python -m benchmarks.kills --kills 5

A sweep of short trials runs with two workers in a real store. After a random time either the whole
process group, the parent or one worker gets kill -9; then the sweep is resumed, until all trials
are done; then the next sweep begins.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.arguments import parser
from tuning.tracking.interface import Row

TRIALS = 20
LONGEST_WAIT = 25.0  # seconds before a kill
SPACE = ("--only-search", "--search", "conv.kernel_size=2,3", "--search", "conv.filters=4..40")
SHORT = (
    "--limit",
    "300",
    "--set",
    "conv.blocks=2",
    "--trial-epochs",
    "3",
    "--epochs",
    "3",
    "--early-stop",
    "none",
)
COMMAND = ("vision", "tune", *SPACE, *SHORT, "--workers", "2", "--trials", str(TRIALS))


def main() -> None:
    """Kill and resume, and count."""
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=50)
    most_kills = arguments.parse_args().kills
    rng = random.Random(0)
    kills = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        while kills.total() < most_kills:
            run_sweep(Path(folder), rng, most_kills, kills)
        rows = recorded_runs(Path(folder))
    sweeps = [row.id for row in rows if row.tags["role"] == "sweep"]
    lost = repeated = 0
    for sweep_id in sweeps:
        finished = count_finished(rows, sweep_id)
        lost += TRIALS - len(finished)
        repeated += finished.total() - len(finished)
    running = sum(row.status == "RUNNING" for row in rows)
    print(
        f"{dict(kills)} kills in {len(sweeps)} sweeps of {TRIALS} trials: {lost} trials lost, "
        f"{repeated} repeated, {running} runs left RUNNING"
    )
    sys.exit(bool(lost or repeated or running))


def run_sweep(folder: Path, rng: random.Random, most_kills: int, kills: Counter[str]) -> None:
    """Run one sweep to its end through several kills, which are counted by kind."""
    sweep_id = ""
    while True:
        resume = ("--resume", sweep_id) if sweep_id else ()
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.cli", *COMMAND, *resume],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stderr
        for line in process.stderr:
            if line.startswith("sweep "):
                sweep_id = line.split()[1]
                break
        if kills.total() < most_kills:
            time.sleep(rng.uniform(0, LONGEST_WAIT))
            if process.poll() is None:
                kills[kill(process.pid, rng)] += 1
        process.stderr.read()
        if process.wait() == 0:
            return


def kill(pid: int, rng: random.Random) -> str:
    """Kill all processes of a sweep, its parent or one worker, and return which it was.

    A worker is killed only where there is one yet.
    """
    workers = []
    for child in psutil.Process(pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            workers.append(child)
    kind = rng.choice(["all", "parent", *(["worker"] if workers else [])])
    match kind:
        case "worker":
            rng.choice(workers).kill()
        case "parent":
            os.kill(pid, signal.SIGKILL)
        case _:
            os.killpg(pid, signal.SIGKILL)
    return kind


def recorded_runs(folder: Path) -> list[Row]:
    """Return all runs of the store in `folder`."""
    from tuning.tracking.mlflow_tracker import open_tracker

    return open_tracker("vision/digits", root=folder / "mlruns").rows(limit=100_000)


def count_finished(rows: Sequence[Row], sweep_id: str) -> Counter[str]:
    """Return how many finished runs each trial of a sweep has, by number."""
    finished = Counter[str]()
    for row in rows:
        is_trial = row.tags["role"] == "trial" and row.tags["sweep"] == sweep_id
        if is_trial and row.status == "FINISHED":
            finished[row.tags["trial"]] += 1
    return finished


if __name__ == "__main__":
    main()
