"""What a cluster's way costs: the same 40 short trials on local workers, on Ray and on Dask, two processes of one thread each.

    python -m benchmarks.cluster            # Dask is left out where `dask.distributed` is not installed

Each contender runs in a process of its own. Seconds a trial are from the end of the first two trials (a process imports TensorFlow
before its first one) to that of the last; then one of the processes gets kill -9: seconds until the executor tells. Ray's cluster is
a head without CPUs and two nodes of one; Dask's a scheduler and two workers under their nannies. The Dask executor below
does what `tuning.execution.ray_cluster` does with Ray: news of each epoch go to the brain, whose answer the trial waits for.
"""

import contextlib
import importlib.util
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil

TRIALS, EPOCHS, PROCESSES = 40, 4, 2
CONTENDERS = ("local", "ray", "dask")


class Tasks:
    """A brain that hands out short digits trials, keeps the times at which they ended, and kills a process if it is told to."""

    def __init__(self, base: Any, trials: int, kill: bool = False) -> None:
        from pipelines.config.search_space import replace
        from tuning.execution.trial import Task

        specs = [
            replace(base, {"conv.filters": 8 + number % 10, "train.epochs": EPOCHS})
            for number in range(trials)
        ]
        self.tasks = [
            Task(number=number, spec=spec, seed=number)
            for number, spec in enumerate(specs, start=1)
        ]
        self.ends: list[float] = []
        self.kill, self.killed, self.known = kill, 0.0, 0.0

    def next_task(self) -> Any:
        return self.tasks.pop(0) if self.tasks else None

    def reported(self, task: Any, epoch: int, values: Any) -> str:
        if self.kill and task.number == 3 and not self.killed:
            kill_a_worker()
            self.killed = time.monotonic()
        return ""

    def ended(self, task: Any, outcome: Any) -> None:
        assert outcome.died or not outcome.reason, outcome.reason
        if outcome.died:
            self.known = time.monotonic()
        self.ends.append(time.monotonic())


def kill_a_worker() -> None:
    """Kill one of the processes that trials run in, whoever started it."""
    for process in psutil.process_iter(["cmdline", "pid"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = "ray::_Actor" in line or (
            "spawn_main" in line and psutil.Process() in process.parents()
        )
        if ours:
            process.kill()
            return


def dask_trial(packed: bytes, data: bytes, number: int) -> Any:
    from distributed import Queue, get_worker

    from tuning.execution.trial import run_trial
    from tuning.training import runtime

    runtime.use_threads(1)
    runtime.import_tensorflow()
    worker = get_worker()
    if not hasattr(worker, "appline_work"):
        worker.appline_work = pickle.loads(data)
    news, answers = Queue("news"), Queue(f"answers-{number}")

    def report(epoch: int, values: Any) -> str:
        news.put((number, epoch, dict(values)))
        return str(answers.get())

    return run_trial(worker.appline_work, pickle.loads(packed), report)


class DaskCluster:
    """The executor interface on Dask's futures and queues."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, work: Any, brain: Any) -> None:
        from distributed import Queue, wait

        from tuning.execution.trial import Outcome

        news, busy = Queue("news"), {}
        [data] = self.client.scatter([pickle.dumps(work)], broadcast=True)
        while True:
            while len(busy) < PROCESSES and (task := brain.next_task()):
                future = self.client.submit(
                    dask_trial, pickle.dumps(task), data, task.number, retries=0, pure=False
                )
                busy[future] = (task, Queue(f"answers-{task.number}"))
            if not busy:
                return
            with contextlib.suppress(Exception):
                wait(list(busy), timeout=0.02, return_when="FIRST_COMPLETED")
            for _ in range(news.qsize()):
                number, epoch, values = news.get()
                task, answers = next(
                    ((task, answers) for task, answers in busy.values() if task.number == number),
                    (None, None),
                )
                if task:
                    answers.put(brain.reported(task, epoch, values))
            for future in [future for future in busy if future.done()]:
                task, _ = busy.pop(future)
                outcome = (
                    Outcome(reason=str(future.exception()), died=True)
                    if future.status == "error"
                    else future.result()
                )
                future.release()  # else the death of its worker makes Dask run a finished trial again
                brain.ended(task, outcome)

    def close(self) -> None:
        self.client.close()


@contextlib.contextmanager
def executor(name: str) -> Iterator[Any]:
    if name == "local":
        from tuning.execution.local_workers import LocalWorkers

        made = LocalWorkers(PROCESSES)
        yield made
        made.close()
    elif name == "ray":
        from ray.cluster_utils import Cluster

        from tuning.execution.ray_cluster import RayCluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(PROCESSES):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        ray = RayCluster(cluster.address)
        yield ray
        ray.close()
        cluster.shutdown()
    else:
        import dask
        from distributed import Client, LocalCluster

        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        with LocalCluster(
            n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None
        ) as cluster:
            yield DaskCluster(Client(cluster))


def contend(name: str) -> None:
    """Run one contender in this process and print its times."""
    from tuning.training import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import replace
    from pipelines.vision.pipeline import VisionPipeline, VisionSpec
    from tuning.execution.trial import Work

    pipeline = VisionPipeline()
    base = replace(VisionSpec(), {"conv.blocks": 2, "augment.shift": 0})
    work = Work(pipeline=pipeline, splits=pipeline.load(), objective=pipeline.objective())
    with executor(name) as runs:
        brain, began = Tasks(base, TRIALS), time.monotonic()
        runs.run(work, brain)
        first, last = sorted(brain.ends)[PROCESSES - 1], max(brain.ends)
        found = {"start": min(brain.ends) - began, "trial": (last - first) / (TRIALS - PROCESSES)}
        brain = Tasks(base, 6, kill=True)
        runs.run(work, brain)
        print(json.dumps({**found, "known": brain.known - brain.killed if brain.known else None}))


def main() -> None:
    """Run all contenders, one after another."""
    found = {}
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
        found[name] = json.loads(done.stdout.splitlines()[-1])
        ratio = found[name]["trial"] / found["local"]["trial"]
        known = "not told" if found[name]["known"] is None else f"{found[name]['known']:.1f} s"
        print(
            f"{name:<7}{found[name]['trial']:.2f} s a trial, {ratio:.2f} of local; first trial after {found[name]['start']:.1f} s; "
            f"a killed process is known after {known}",
            flush=True,
        )


if __name__ == "__main__":
    contend(sys.argv[1]) if len(sys.argv) > 1 else main()
