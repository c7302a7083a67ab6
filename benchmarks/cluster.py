"""What a cluster costs: the same 40 short trials on local workers, on Ray and on Dask.

The work is done by two processes of one thread each.

    python -m benchmarks.cluster       # Dask is left out where `dask.distributed` is not installed

Each contender runs in a process of its own. Seconds a trial are from the end of the first two
trials (a process imports TensorFlow before its first one) to that of the last; then one of the
processes gets kill -9: seconds until the executor says so. Ray's cluster is a head without CPUs and
two nodes of one; Dask's a scheduler and two workers under their nannies. The Dask executor below
does what `tuning.execution.ray_cluster` does with Ray: the metrics of each epoch go to the
scheduler, whose answer the trial waits for.
"""

import contextlib
import importlib.util
import json
import math
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil

TRIALS, EPOCHS, PROCESSES = 40, 4, 2
TRIALS_WITH_KILL = 6
SECONDS_BETWEEN_KILLS = 2.0
CONTENDERS = ("local", "ray", "dask")


class ShortTrials:
    """A scheduler that hands out short digits trials and records when they ended.

    It kills a process when it is asked to.
    """

    def __init__(self, base: Any, trials: int, kill: bool = False) -> None:
        from pipelines.config.search_space import replace
        from tuning.execution.trial import Task

        self.tasks = []
        for number in range(1, trials + 1):
            filters = 8 + (number - 1) % 10
            spec = replace(base, {"conv.filters": filters, "train.epochs": EPOCHS})
            self.tasks.append(Task(number=number, spec=spec, seed=number))
        self.ends: list[float] = []
        self.kill = kill
        self.killed = -math.inf  # time.monotonic()
        self.death_reported = 0.0

    def next_task(self) -> Any:
        return self.tasks.pop(0) if self.tasks else None

    def reported(self, task: Any, epoch: int, values: Any) -> str:
        is_due = task.number > PROCESSES and not self.death_reported
        # Again after a while: a process between two trials dies unnoticed and is replaced.
        is_due = is_due and time.monotonic() - self.killed > SECONDS_BETWEEN_KILLS
        if self.kill and is_due:
            kill_a_worker()
            self.killed = time.monotonic()
        return ""

    def ended(self, task: Any, outcome: Any) -> None:
        assert outcome.died or not outcome.reason, outcome.reason
        if outcome.died:
            self.death_reported = time.monotonic()
        self.ends.append(time.monotonic())


def kill_a_worker() -> None:
    """Kill one of the processes that trials run in, whoever started it."""
    for process in psutil.process_iter(["cmdline", "pid"]):
        line = " ".join(process.info["cmdline"] or ())
        is_child = "spawn_main" in line and psutil.Process() in process.parents()
        if "ray::_Actor" in line or is_child:
            process.kill()
            return


def dask_trial(pickled_task: bytes, pickled_work: bytes, number: int) -> Any:
    """Run one trial in a Dask worker."""
    from distributed import Queue, get_worker

    from pipelines import runtime
    from tuning.execution.trial import run_trial

    runtime.use_threads(1)
    runtime.import_tensorflow()
    worker = get_worker()
    if not hasattr(worker, "appline_work"):
        worker.appline_work = pickle.loads(pickled_work)
    news, answers = Queue("news"), Queue(f"answers-{number}")

    def report(epoch: int, values: Any) -> str:
        news.put((number, epoch, dict(values)))
        return str(answers.get())

    return run_trial(worker.appline_work, pickle.loads(pickled_task), report)


class DaskCluster:
    """The executor interface on Dask's futures and queues."""

    slots = PROCESSES

    def __init__(self, client: Any) -> None:
        self.client = client
        self._running: dict[Any, tuple[Any, Any]] = {}  # task and queue of answers, by future

    def run(self, work: Any, scheduler: Any) -> None:
        """Run trials until `scheduler` has no further ones and all have ended."""
        from distributed import Queue, wait

        news = Queue("news")
        [work_future] = self.client.scatter([pickle.dumps(work)], broadcast=True)
        while True:
            self._hand_out(scheduler, work_future)
            if not self._running:
                return
            with contextlib.suppress(Exception):
                wait(list(self._running), timeout=0.02, return_when="FIRST_COMPLETED")
            for _ in range(news.qsize()):
                self._answer(scheduler, *news.get())
            for future in [future for future in self._running if future.done()]:
                self._end(scheduler, future)

    def close(self) -> None:
        """Leave the cluster."""
        self.client.close()

    def _hand_out(self, scheduler: Any, work_future: Any) -> None:
        from distributed import Queue

        while len(self._running) < PROCESSES and (task := scheduler.next_task()):
            future = self.client.submit(
                dask_trial, pickle.dumps(task), work_future, task.number, retries=0, pure=False
            )
            self._running[future] = (task, Queue(f"answers-{task.number}"))

    def _answer(self, scheduler: Any, number: int, epoch: int, values: Any) -> None:
        for task, answers in self._running.values():
            if task.number == number:
                answers.put(scheduler.reported(task, epoch, values))

    def _end(self, scheduler: Any, future: Any) -> None:
        from tuning.execution.trial import Outcome

        task, _ = self._running.pop(future)
        if future.status == "error":
            outcome = Outcome(reason=str(future.exception()), died=True)
        else:
            outcome = future.result()
        # Else the death of its worker makes Dask run a finished trial again.
        future.release()
        scheduler.ended(task, outcome)


@contextlib.contextmanager
def open_executor(name: str) -> Iterator[Any]:
    """Yield the executor of a contender, and close it with its cluster."""
    match name:
        case "local":
            yield from _local_workers()
        case "ray":
            yield from _ray_cluster()
        case _:
            yield from _dask_cluster()


def _local_workers() -> Iterator[Any]:
    from tuning.execution.local_workers import LocalWorkers

    with contextlib.closing(LocalWorkers(PROCESSES)) as workers:
        yield workers


def _ray_cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    from tuning.execution.ray_cluster import RayCluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(PROCESSES):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    with contextlib.closing(RayCluster(cluster.address)) as ray:
        yield ray
    cluster.shutdown()


def _dask_cluster() -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    with LocalCluster(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None) as cluster:
        yield DaskCluster(Client(cluster))


def contend(name: str) -> None:
    """Run one contender in this process and print its times."""
    from pipelines import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import replace
    from pipelines.vision.options import VisionOptions
    from pipelines.vision.pipeline import VisionPipeline
    from pipelines.vision.spec import VisionSpec
    from tuning.execution.trial import Work

    pipeline = VisionPipeline(VisionOptions())
    base = replace(VisionSpec(), {"conv.blocks": 2, "augment.shift": 0})
    objective = pipeline.options.objective()
    work = Work(pipeline=pipeline, splits=pipeline.load(), objective=objective)
    with open_executor(name) as executor:
        began = time.monotonic()
        trials = ShortTrials(base, TRIALS)
        executor.run(work, trials)
        ends = sorted(trials.ends)
        times: dict[str, float | None] = {
            "start": ends[0] - began,
            "trial": (ends[-1] - ends[PROCESSES - 1]) / (TRIALS - PROCESSES),
            "death_after": None,
        }
        trials = ShortTrials(base, TRIALS_WITH_KILL, kill=True)
        executor.run(work, trials)
        if trials.death_reported:
            times["death_after"] = trials.death_reported - trials.killed
        print(json.dumps(times))


def main() -> None:
    """Run all contenders, one after another."""
    times: dict[str, dict[str, Any]] = {}
    for name in CONTENDERS:
        if name == "dask" and importlib.util.find_spec("distributed") is None:
            print("dask   is not installed")
            continue
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.cluster", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"{name:<7}failed: {done.stderr[-800:]}")
            continue
        times[name] = json.loads(done.stdout.splitlines()[-1])
        print(describe(name, times[name], times["local"]), flush=True)


def describe(name: str, times: dict[str, Any], local: dict[str, Any]) -> str:
    """Return a contender's line."""
    ratio = times["trial"] / local["trial"]
    death = "is not reported"
    if times["death_after"] is not None:
        death = f"is reported after {times['death_after']:.1f} s"
    return (
        f"{name:<7}{times['trial']:.2f} s a trial, {ratio:.2f} of local; "
        f"first trial after {times['start']:.1f} s; a killed process {death}"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        contend(sys.argv[1])
    else:
        main()
