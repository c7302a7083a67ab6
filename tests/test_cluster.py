"""Trials on a real Ray cluster whose nodes are processes on this machine.

A node dies, and a driver does.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ApplineError
from tests.killed_sweep import assert_the_same, killed_and_undisturbed
from tests.line_trials import WORK, TaskList, line_task
from tuning.execution.trial import Task

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="the extra `cluster` is not installed"
    ),
    # Ray's own sockets and child processes, which it leaves to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::FutureWarning",
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and two nodes with one each: three raylets on this machine."""
    from ray.cluster_utils import Cluster

    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
    except Exception as error:
        # A container may forbid what Ray needs: that says nothing about this project.
        pytest.skip(f"Ray cannot start a cluster of its own here: {error}")
    yield cluster
    cluster.shutdown()


def test_trials_on_a_cluster_have_the_scores_that_they_have_here(cluster: Any) -> None:
    from tuning.execution.in_process import InProcess
    from tuning.execution.ray_cluster import RayCluster

    on_cluster, in_process = (
        TaskList([line_task(1), line_task(2), line_task(3, "raises")]) for _ in range(2)
    )
    ray = RayCluster(cluster.address)
    assert ray.slots == 2
    ray.run(WORK, on_cluster)
    ray.close()
    InProcess().run(WORK, in_process)
    assert [on_cluster.outcomes[number].reason for number in (1, 2)] == ["", ""]
    for number in (1, 2):
        assert on_cluster.outcomes[number].score == pytest.approx(
            in_process.outcomes[number].score, rel=1e-6
        )
    assert on_cluster.outcomes[3].reason == "RuntimeError: this network cannot be built"
    assert sorted(on_cluster.epochs) == sorted(in_process.epochs)


def test_a_killed_node_loses_only_its_trial_and_a_stopped_trial_stops(cluster: Any) -> None:
    from tuning.execution.ray_cluster import RayCluster

    ray = RayCluster(cluster.address)

    class NodeKiller(TaskList):
        def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
            if not self.outcomes and len(cluster.nodes) == 2:
                cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
            return super().reported(task, epoch, values)

    long_tasks = [line_task(number, epochs=60) for number in (1, 2)]
    scheduler = NodeKiller([*long_tasks, line_task(3)], stop_at=50)
    ray.run(WORK, scheduler)
    ray.close()
    died = [number for number, outcome in scheduler.outcomes.items() if outcome.died]
    assert len(died) == 1
    assert len(scheduler.outcomes) == 3
    assert scheduler.outcomes[3].score is not None
    survivor = next(number for number in (1, 2) if number not in died)
    assert scheduler.outcomes[survivor].stopped == "enough"


def test_a_sweep_whose_driver_is_killed_resumes_to_what_an_undisturbed_one_finds(
    cluster: Any, tmp_path: Path
) -> None:
    while len(cluster.nodes) < 2:  # the test above kills one
        cluster.nodes.append(cluster.add_node(num_cpus=1))
    cluster.wait_for_nodes()
    resumed, undisturbed = killed_and_undisturbed(
        tmp_path, "random", f"RayCluster({cluster.address!r})"
    )
    assert_the_same(resumed, undisturbed)


def test_an_address_where_no_cluster_is_says_how_to_start_one() -> None:
    from tuning.execution.ray_cluster import RayCluster

    with pytest.raises(ApplineError, match=r"no Ray cluster answers there.*ray start --head"):
        RayCluster("127.0.0.1:1")
