"""Memory over a long sweep: the parent after 200 trials against after 20, and the most that a worker had.

python -m benchmarks.memory                # 200 trials
python -m benchmarks.memory --trials 50
"""

import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.arguments import parser


def main() -> None:
    """Run one sweep of very short trials with two workers."""
    wanted = parser(__doc__)
    wanted.add_argument("--trials", type=int, default=200)
    trials = wanted.parse_args().trials
    if trials <= 20:
        wanted.error(
            f"--trials: expected more than the 20 that memory is compared with. Received: {trials}"
        )
    from tuning.training import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import Choice, Range, replace
    from pipelines.vision.pipeline import VisionPipeline, VisionSpec
    from tuning.execution.local_workers import LocalWorkers
    from tuning.search.progress import Progress
    from tuning.search.sweep import Sweep, run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    own: list[float] = []
    workers_had: list[float] = []
    parent = psutil.Process()

    class Memory(Progress):
        def ended(self, trial: Any, best: Any) -> None:
            own.append(parent.memory_info().rss / 2**20)
            its = [
                child.memory_info().rss / 2**20
                for child in parent.children()
                if "spawn_main" in " ".join(child.cmdline())
            ]
            workers_had.append(max(its, default=0.0))

    pipeline = VisionPipeline(limit=300)
    spec = replace(VisionSpec(), {"conv.blocks": 1, "train.epochs": 1})
    space = pipeline.space(
        spec,
        {"conv.filters": Choice((4, 6, 8)), "train.learning_rate": Range(1e-4, 1e-2, log=True)},
    )
    workers = LocalWorkers(2)
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(objectives=(pipeline.objective(),), trials=trials, trial_epochs=1)
        run_sweep(
            pipeline,
            space,
            sweep,
            open_tracker("memory", root=Path(folder)),
            executor=workers,
            progress=Memory(),
        )
    workers.close()
    print(
        f"parent  {own[19]:.0f} MB after 20 trials, {own[-1]:.0f} MB after {len(own)}: {own[-1] / own[19]:.3f} times (target <= 1.10)"
    )
    print(f"worker  at most {max(workers_had):.0f} MB")


if __name__ == "__main__":
    main()
