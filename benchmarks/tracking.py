"""What keeping runs costs, and how long people wait for a store that has grown.

    python -m benchmarks.tracking                # all; a store of 2,000 runs takes minutes to fill
    python -m benchmarks.tracking --runs 200     # a smaller store

It measures the time that tracking adds to a training (every call of the tracker and of its run,
which a training without tracking does not make), the CPU that a trial's record takes, `appline
compare` and the search for all runs of a store, and what `appline ui` starts. Compared with: at
most 2 % of a training of 60 s, 50 ms a trial, 3 s for 2,000 runs.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import arguments

EPOCHS = 20
TRIAL_EPOCHS = 20
TRIALS = 60  # that are timed; the first ones open the store
FIRST = 10
MODELS = 100  # of the large store; the others are trials
UNITS = 500  # of test, whose losses each model keeps
LONG_TRAINING = 60.0  # seconds
PORT = 18766
ROOT = Path(__file__).parent.parent


class Clock:
    """Counts the time inside of calls; one inside of another counts once."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0
        self.calls = 0
        self._is_running = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        if self._is_running:
            yield
            return
        self._is_running = True
        self.calls += 1
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._is_running = False
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu


class Timed:
    """A tracker, or a run that it has started, whose calls are timed."""

    def __init__(self, target: Any, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*positional: Any, **named: Any) -> Any:
            with self._clock.running():
                result = found(*positional, **named)
            return Timed(result, self._clock) if name in ("start", "resume") else result

        return call


def training(root: Path) -> dict[str, float]:
    """Return what tracking adds to a training of a small network on digits."""
    from pipelines.config.search_space import replace
    from pipelines.vision.options import VisionOptions
    from pipelines.vision.pipeline import VisionPipeline
    from pipelines.vision.spec import VisionSpec
    from tuning.tracking.mlflow_tracker import open_tracker
    from tuning.training.train import train

    pipeline = VisionPipeline(VisionOptions(data="digits"))
    splits = pipeline.load()
    spec = replace(VisionSpec(), {"architecture": "vgg", "train.epochs": EPOCHS})
    clock = Clock()
    tracker = Timed(open_tracker("training/digits", root=root), clock)
    began = time.perf_counter()
    train(pipeline, spec, tracker, splits=splits)
    whole = time.perf_counter() - began
    return {
        "whole_s": whole,
        "tracking_s": clock.wall,
        "tracking_cpu_s": clock.cpu,
        "calls": clock.calls,
        "percent_of_60_s": 100 * clock.wall / LONG_TRAINING,
    }


def record(tracker: Any, number: int, sweep: str) -> None:
    """Record a trial as a sweep does: curves, 60 parameters and costs, in one batch."""
    from tuning.tracking.interface import Record

    curve = [1 / (1 + epoch) for epoch in range(TRIAL_EPOCHS)]
    now = time.time()
    tracker.record(
        Record(
            name=f"{number} · vgg k3 s1 f32",
            role="trial",
            parent=sweep,
            tags={"sweep": sweep, "trial": str(number), "dataset": "digits", "data_digest": "d"},
            params={f"block.value_{key}": key for key in range(60)},
            history=dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), curve),
            metrics={"best/val_accuracy": number / 10_000, "cost/train_s": 1.0, "cost/params": 9},
            card=f"**Trial {number}** val_accuracy 0.5",
            start_time=now - 1,
            end_time=now,
        )
    )


def trial(root: Path) -> dict[str, float]:
    """Return the CPU and the time that a trial's record takes, in milliseconds."""
    from tuning.tracking.mlflow_tracker import open_tracker

    tracker = open_tracker("trials/trials", root=root)
    sweep = tracker.start("sweep", role="sweep")
    wall, cpu = [], []
    for number in range(TRIALS):
        began, cpu_began = time.perf_counter(), time.process_time()
        record(tracker, number, sweep.id)
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - cpu_began))
    sweep.finish()
    return {
        "cpu_ms": statistics.median(cpu[FIRST:]),
        "ms": statistics.median(wall[FIRST:]),
    }


def large_store(root: Path, runs: int) -> dict[str, float]:
    """Return the seconds of `compare` and of a search over a store of so many runs."""
    import numpy as np
    import pandas as pd

    from tuning.tracking.interface import TEST_LOSSES
    from tuning.tracking.mlflow_tracker import open_tracker

    tracker = open_tracker("vision/digits", root=root)
    models = min(MODELS, runs // 2)
    rng = np.random.default_rng(0)
    for number in range(models):
        losses = (rng.random(UNITS) < 0.1).astype(float)
        run = tracker.start(
            f"model {number}",
            role="train",
            tags={"domain": "vision", "dataset": "digits", "data_digest": "d"},
            params={"architecture": "vgg", "conv.kernel_size": 3},
        )
        lift = {"lift/accuracy": 0.1, "lift/low": 0.0, "lift/high": 0.2}
        run.metrics({"test/accuracy": 1 - losses.mean(), **lift})
        run.table(pd.DataFrame({"loss": losses}), TEST_LOSSES)
        run.finish()
    for number in range(runs - models):
        record(tracker, number, "sweep")
    return {
        "runs": len(tracker.rows(limit=runs + 1)),
        "search_s": _seconds(lambda: tracker.rows(limit=runs)),
        "best_ten_s": _seconds(lambda: tracker.rows(role="train", limit=10)),
        "compare_s": _command_seconds(root, "compare"),
        "runs_s": _command_seconds(root, "runs"),
        "help_s": _command_seconds(root, "--version"),
    }


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _command_seconds(root: Path, *words: str) -> float:
    """Return how long a command of the command line takes, its start included."""
    command = [sys.executable, "-m", "apps.cli", *words]
    if words[0] != "--version":
        command += ["--tracking-uri", str(root)]
    return _seconds(lambda: subprocess.run(command, check=True, capture_output=True, cwd=ROOT))


def ui(root: Path) -> dict[str, float]:
    """Return the seconds until `appline ui` prints its link, its processes and their memory."""
    import psutil

    command = [sys.executable, "-m", "apps.cli", "ui", "--no-browser", "--port", str(PORT)]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--tracking-uri", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        seconds = time.perf_counter() - began
        members = psutil.Process(process.pid).children(recursive=True)
        memory = sum(member.memory_info().rss for member in members)
        process.terminate()
    return {"seconds": seconds, "processes": len(members), "mb": memory / 2**20}


def main() -> None:
    """Measure in a store of its own, and print each part as JSON."""
    parser = arguments.parser(__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="of the large store")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large"
        # First, as in a command of its own: what it loads counts.
        print("training", _rounded(training(Path(folder) / "training")), flush=True)
        print("trial", _rounded(trial(Path(folder) / "trials")), flush=True)
        print("large store", _rounded(large_store(large, asked.runs)), flush=True)
        print("ui", _rounded(ui(large)), flush=True)


def _rounded(values: dict[str, float]) -> str:
    return json.dumps({name: round(value, 2) for name, value in values.items()})


if __name__ == "__main__":
    main()
