"""Trials in real processes: killed, out of memory, hanging, recycled; and a sweep that is killed
whole and taken up again.
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
from tests.killed import assert_the_same, killed_and_undisturbed
from tests.line_trials import WORK, Listener, line_task
from tuning.execution.local_workers import LocalWorkers, count_workers
from tuning.execution.trial import Task


@pytest.fixture(scope="module")
def worker() -> Iterator[LocalWorkers]:
    """One worker for all tests that do not harm it: each start costs an import of TensorFlow."""
    workers = LocalWorkers(1)
    yield workers
    workers.close()


def test_a_trial_in_another_process_has_the_scores_that_it_has_here(worker: LocalWorkers) -> None:
    from tuning.execution.interface import InProcess

    there, here = Listener([line_task(1), line_task(2)]), Listener([line_task(1), line_task(2)])
    worker.run(WORK, there)
    InProcess().run(WORK, here)
    for number in (1, 2):
        assert there.outcomes[number].score == pytest.approx(here.outcomes[number].score, rel=1e-6)
        assert (
            there.outcomes[number].costs["cost/params"]
            == here.outcomes[number].costs["cost/params"]
        )
    assert there.epochs == here.epochs == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_trial_is_stopped_at_the_epoch_at_which_it_was_decided(worker: LocalWorkers) -> None:
    heard = Listener([line_task(1, epochs=9)], stop_at=3)
    worker.run(WORK, heard)
    assert heard.outcomes[1].epochs == 3
    assert heard.outcomes[1].stopped == "enough"


def test_the_reason_of_a_failing_trial_comes_back(worker: LocalWorkers) -> None:
    """KerasTuner's workers lose it."""
    heard = Listener([line_task(1, "raises"), line_task(2, "diverges"), line_task(3)])
    worker.run(WORK, heard)
    assert heard.outcomes[1].reason == "RuntimeError: this network cannot be built"
    assert "Diverged" in heard.outcomes[2].reason
    assert heard.outcomes[3].score is not None


def test_a_killed_worker_loses_only_its_trial_and_is_replaced() -> None:
    workers = LocalWorkers(1, recycled=2)

    class Killer(Listener):
        def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
            if task.number == 1:
                os.kill(workers._workers[0].process.pid or 0, signal.SIGKILL)
            return super().reported(task, epoch, values)

    heard = Killer([line_task(1), line_task(2), line_task(3), line_task(4)])
    workers.run(WORK, heard)
    pid = workers._workers[0].process.pid
    workers.close()
    assert heard.outcomes[1].died
    assert "signal 9" in heard.outcomes[1].reason
    assert all(heard.outcomes[number].score is not None for number in (2, 3, 4))
    assert pid is not None


@pytest.mark.slow
def test_a_trial_past_its_time_is_given_up() -> None:
    workers = LocalWorkers(1, trial_seconds=12.0)
    heard = Listener([line_task(1, epochs=100_000), line_task(2)])
    began = time.monotonic()
    workers.run(WORK, heard)
    workers.close()
    assert "--trial-time" in heard.outcomes[1].reason
    assert heard.outcomes[2].score is not None
    assert time.monotonic() - began < 100


@pytest.mark.parametrize(("asked", "count"), [("0", 0), ("3", 3)])
def test_workers_are_a_number(asked: str, count: int) -> None:
    assert count_workers(asked) == count


def test_auto_is_at_least_one_and_at_most_the_cores() -> None:
    assert 1 <= count_workers("auto") <= (os.cpu_count() or 1)


@pytest.mark.parametrize("asked", ["two", "-1", "1.5", ""])
def test_other_workers_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="expected a number of processes"):
        count_workers(asked)


@pytest.mark.slow
def test_the_data_of_a_killed_parent_goes_with_its_workers(tmp_path: Path) -> None:
    program = """
from tests.line_trials import WORK, Listener, line_task
from tuning.execution.local_workers import LocalWorkers

class Tells(Listener):
    def reported(self, task, epoch, values):
        if epoch == 1: print(workers._folder.name, flush=True)
        return ""

if __name__ == "__main__":
    workers = LocalWorkers(1)
    workers.run(WORK, Tells([line_task(1, epochs=100_000)]))
"""
    script = tmp_path / "killed.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
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


def test_the_data_of_a_sweep_killed_with_its_workers_is_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = "import os, signal; from tuning.execution.local_workers import LocalWorkers; kept = LocalWorkers(0); os.kill(os.getpid(), signal.SIGKILL)"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "TMPDIR": str(tmp_path),
    }
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
        == -signal.SIGKILL
    )
    assert len(list(tmp_path.iterdir())) == 1
    living = LocalWorkers(0)
    assert [path.name for path in tmp_path.iterdir()] == [Path(living._folder.name).name]
    LocalWorkers(0).close()
    assert Path(living._folder.name).is_dir()
    living.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("tuner", "workers"), [("tpe", 1), ("random", 2)])
def test_a_sweep_killed_with_its_workers_resumes_to_what_an_undisturbed_one_finds(
    tmp_path: Path, tuner: str, workers: int
) -> None:
    resumed, undisturbed = killed_and_undisturbed(tmp_path, tuner, f"LocalWorkers({workers})")
    assert_the_same(resumed, undisturbed)
