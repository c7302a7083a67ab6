"""A sweep of the line domain that is killed with kill -9 and resumed, beside an undisturbed one.

Each is a process of its own.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuning.tracking.interface import Row
from tuning.tracking.mlflow_tracker import open_tracker

TRIALS = 8
PROGRAM = """
import sys
from pathlib import Path

from pipelines.config.search_space import Choice, Range
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.search.definition import Sweep
from tuning.search.progress import Progress
from tuning.search.sweep import run_sweep
from tuning.tracking.mlflow_tracker import open_tracker

class Print(Progress):
    def begun(self, run_id, trials): print("sweep", run_id, flush=True)
    def ended(self, trial, best): print("ended", trial.number, flush=True)

if __name__ == "__main__":
    from tuning.execution.local_workers import LocalWorkers
    from tuning.execution.ray_cluster import RayCluster
    root, trials, tuner, executor, resume = sys.argv[1:]
    options = LineOptions()
    rates = Range(0.001, 0.1, log=True)
    space = options.space(
        LineSpec(), {"units": Choice((2, 3, 4, 5, 6, 8)), "train.learning_rate": rates}
    )
    sweep = Sweep(
        objectives=(options.objective(),),
        trials=int(trials),
        trial_epochs=3,
        resume=resume,
        tuner=tuner,
        early_stop="none",
    )
    executor = eval(executor)
    tracker = open_tracker("line/line", root=Path(root))
    pipeline = LinePipeline(options)
    run_sweep(pipeline, space, sweep, tracker, executor=executor, progress=Print())
    executor.close()
"""


def killed_and_undisturbed(folder: Path, tuner: str, executor: str) -> tuple[list[Row], list[Row]]:
    """Return all runs of a killed and resumed sweep, and those of an undisturbed one.

    The whole process group of the first was killed after four trials.
    """
    with start(folder / "undisturbed", tuner, executor) as undisturbed:
        assert undisturbed.wait() == 0
    with start(folder / "killed", tuner, executor) as killed:
        assert killed.stdout
        sweep_id = killed.stdout.readline().split()[1]
        for line in killed.stdout:
            if line.strip() == "ended 4":
                os.killpg(killed.pid, signal.SIGKILL)
                break
    with start(folder / "killed", tuner, executor, resume=sweep_id) as resumed:
        assert resumed.wait() == 0
    return recorded_rows(folder / "killed"), recorded_rows(folder / "undisturbed")


def recorded_rows(folder: Path) -> list[Row]:
    return open_tracker("line/line", root=folder / "mlruns").rows()


def start(folder: Path, tuner: str, executor: str, resume: str = "") -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    script = folder / "sweep.py"
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, str(script), str(folder / "mlruns"), str(TRIALS), tuner, executor, resume],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        start_new_session=True,
    )


def assert_the_same(resumed: list[Row], undisturbed: list[Row]) -> None:
    """Check that a resumed sweep ends like the undisturbed one.

    No finished trial is lost or repeated, no run stays RUNNING, numbering continues, and the scores
    are the same.
    """
    assert {row.status for row in resumed} <= {"FINISHED", "KILLED"}
    actual, expected = finished_trials(resumed), finished_trials(undisturbed)
    numbers = [str(number) for number in range(1, TRIALS + 1)]
    assert [row.tags["trial"] for row in actual] == numbers
    assert [row.params["units"] for row in actual] == [row.params["units"] for row in expected]
    assert val_losses(actual) == pytest.approx(val_losses(expected))


def val_losses(rows: list[Row]) -> list[float]:
    return [row.metrics["best/val_loss"] for row in rows]


def finished_trials(rows: list[Row]) -> list[Row]:
    finished = [row for row in rows if row.tags["role"] == "trial" and row.status == "FINISHED"]
    return sorted(finished, key=lambda row: int(row.tags["trial"]))
