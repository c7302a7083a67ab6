"""Sweeps killed at random moments: is a trial lost, repeated, or left RUNNING?

    python -m benchmarks.kills              # 50 kills, about 45 minutes
    python -m benchmarks.kills --kills 5

A sweep of short trials runs with two workers in a real store. After a random time either the whole process group, the
parent or one worker gets kill -9; then the sweep is resumed, until all trials are done; then the next sweep begins.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.arguments import parser

TRIALS = 20
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
    wanted = parser(__doc__)
    wanted.add_argument("--kills", type=int, default=50)
    kills = wanted.parse_args().kills
    rng = random.Random(0)
    done = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        while sum(done[kind] for kind in ("all", "parent", "worker")) < kills:
            sweep(Path(folder), rng, kills, done)
        lost, repeated, running, sweeps = count(Path(folder))
    print(
        f"{dict(done)} kills in {sweeps} sweeps of {TRIALS} trials: {lost} trials lost, {repeated} repeated, {running} runs left RUNNING"
    )
    sys.exit(bool(lost or repeated or running))


def sweep(folder: Path, rng: random.Random, kills: int, done: Counter[str]) -> None:
    """Run one sweep to its end through several kills."""
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
        if sum(done[kind] for kind in ("all", "parent", "worker")) < kills:
            time.sleep(rng.uniform(0, 25))
            if process.poll() is None:
                done[kill(process.pid, rng)] += 1
        process.stderr.read()
        if process.wait() == 0:
            return


def kill(pid: int, rng: random.Random) -> str:
    """Kill all processes of a sweep, its parent or one of its workers, where there is one yet; return which it was."""
    workers = [
        child
        for child in psutil.Process(pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
    kind = rng.choice(["all", "parent", *(["worker"] if workers else [])])
    match kind:
        case "worker":
            rng.choice(workers).kill()
        case "parent":
            os.kill(pid, signal.SIGKILL)
        case _:
            os.killpg(pid, signal.SIGKILL)
    return kind


def count(folder: Path) -> tuple[int, int, int, int]:
    from tuning.tracking.mlflow_tracker import open_tracker

    rows = open_tracker("vision/digits", root=folder / "mlruns").rows(limit=100_000)
    sweeps = [row.id for row in rows if row.tags["role"] == "sweep"]
    lost = repeated = 0
    for sweep_id in sweeps:
        ended = Counter(
            row.tags["trial"]
            for row in rows
            if row.tags["role"] == "trial"
            and row.tags["sweep"] == sweep_id
            and row.status == "FINISHED"
        )
        lost += TRIALS - len(ended)
        repeated += sum(times - 1 for times in ended.values())
    return lost, repeated, sum(row.status == "RUNNING" for row in rows), len(sweeps)


if __name__ == "__main__":
    main()
