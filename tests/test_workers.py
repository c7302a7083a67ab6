"""Trials in real processes: killed, out of memory, hanging and replaced.

One sweep is killed as a whole and resumed.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.io.temporary import clear_abandoned
from tests.killed_sweep import assert_the_same, killed_and_undisturbed
from tests.line_trials import WORK, TaskList, line_task
from tuning.execution.in_process import InProcess
from tuning.execution.local_workers import LocalWorkers, count_workers
from tuning.execution.trial import Task

ROOT = Path(__file__).parent.parent
PRINTS_ITS_FOLDER = """
from tests.line_trials import WORK, TaskList, line_task
from tuning.execution.local_workers import LocalWorkers

class PrintsFolder(TaskList):
    def reported(self, task, epoch, values):
        if epoch == 1: print(workers._folder.path, flush=True)
        return ""

if __name__ == "__main__":
    workers = LocalWorkers(1)
    workers.run(WORK, PrintsFolder([line_task(1, epochs=100_000)]))
"""
KILLS_ITSELF = """
import os, signal
from tuning.execution.local_workers import LocalWorkers

workers = LocalWorkers(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[LocalWorkers]:
    """One worker for all tests that do not harm it: each start costs an import of TensorFlow."""
    workers = LocalWorkers(1)
    yield workers
    workers.close()


def test_a_trial_in_another_process_has_the_scores_that_it_has_here(worker: LocalWorkers) -> None:
    in_workers, in_process = (TaskList([line_task(1), line_task(2)]) for _ in range(2))
    worker.run(WORK, in_workers)
    InProcess().run(WORK, in_process)
    for number in (1, 2):
        assert in_workers.outcomes[number].score == pytest.approx(
            in_process.outcomes[number].score, rel=1e-6
        )
        assert (
            in_workers.outcomes[number].costs["cost/params"]
            == in_process.outcomes[number].costs["cost/params"]
        )
    assert in_workers.epochs == in_process.epochs == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_trial_is_stopped_at_the_epoch_at_which_it_was_decided(worker: LocalWorkers) -> None:
    scheduler = TaskList([line_task(1, epochs=9)], stop_at=3)
    worker.run(WORK, scheduler)
    assert scheduler.outcomes[1].epochs == 3
    assert scheduler.outcomes[1].stopped == "enough"


def test_the_reason_of_a_failing_trial_comes_back(worker: LocalWorkers) -> None:
    """KerasTuner's workers lose it."""
    scheduler = TaskList([line_task(1, "raises"), line_task(2, "diverges"), line_task(3)])
    worker.run(WORK, scheduler)
    assert scheduler.outcomes[1].reason == "RuntimeError: this network cannot be built"
    assert "Diverged" in scheduler.outcomes[2].reason
    assert scheduler.outcomes[3].score is not None


@pytest.mark.slow
def test_a_killed_worker_loses_only_its_trial_and_is_replaced() -> None:
    workers = LocalWorkers(1, trials_per_process=2)

    class Killer(TaskList):
        def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
            if task.number == 1:
                os.kill(workers._workers[0].process.pid or 0, signal.SIGKILL)
            return super().reported(task, epoch, values)

    scheduler = Killer([line_task(number) for number in (1, 2, 3, 4)])
    workers.run(WORK, scheduler)
    pid = workers._workers[0].process.pid
    workers.close()
    assert scheduler.outcomes[1].died
    assert "signal 9" in scheduler.outcomes[1].reason
    assert all(scheduler.outcomes[number].score is not None for number in (2, 3, 4))
    assert pid is not None


@pytest.mark.slow
def test_a_trial_past_its_time_is_given_up() -> None:
    workers = LocalWorkers(1, trial_seconds=12.0)
    scheduler = TaskList([line_task(1, epochs=100_000), line_task(2)])
    began = time.monotonic()
    workers.run(WORK, scheduler)
    workers.close()
    assert "--trial-time" in scheduler.outcomes[1].reason
    assert scheduler.outcomes[2].score is not None
    assert time.monotonic() - began < 100


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("3", 3)])
def test_workers_are_a_number(text: str, count: int) -> None:
    assert count_workers(text) == count


def test_auto_is_at_least_one_and_at_most_the_cores() -> None:
    assert 1 <= count_workers("auto") <= (os.cpu_count() or 1)


@pytest.mark.parametrize("text", ["two", "-1", "1.5", ""])
def test_other_workers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a number of processes"):
        count_workers(text)


@pytest.mark.slow
def test_the_data_of_a_killed_parent_goes_with_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "prints_its_folder.py"
    script.write_text(PRINTS_ITS_FOLDER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout
        folder = Path(parent.stdout.readline().strip())
        assert (folder / "work-1.joblib").is_file()
        parent.kill()
    until = time.monotonic() + 60
    while folder.exists() and time.monotonic() < until:
        time.sleep(0.2)
    assert not folder.exists()


def test_the_data_of_a_sweep_killed_with_its_workers_is_removed_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", KILLS_ITSELF], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    living = LocalWorkers(0)
    clear_abandoned()
    assert list(tmp_path.iterdir()) == [living._folder.path]
    living.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("tuner", "workers"), [("tpe", 1), ("random", 2)])
def test_a_sweep_killed_with_its_workers_resumes_to_what_an_undisturbed_one_finds(
    tmp_path: Path, tuner: str, workers: int
) -> None:
    resumed, undisturbed = killed_and_undisturbed(tmp_path, tuner, f"LocalWorkers({workers})")
    assert_the_same(resumed, undisturbed)
