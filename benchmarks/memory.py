"""Memory over a long sweep: the parent after 20 and 200 trials, and the most that a worker had.

python -m benchmarks.memory                # 200 trials
python -m benchmarks.memory --trials 50
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.arguments import parser

WARM_TRIALS = 20  # after which the parent's memory is compared with that at the end


def main() -> None:
    """Run one sweep of very short trials with two workers."""
    arguments = parser(__doc__)
    arguments.add_argument("--trials", type=int, default=200)
    trials = arguments.parse_args().trials
    if trials <= WARM_TRIALS:
        arguments.error(f"--trials: expected more than {WARM_TRIALS}. Received: {trials}")
    parent, workers = measure(trials)
    warm, last = parent[WARM_TRIALS - 1], parent[-1]
    print(
        f"parent  {warm:.0f} MB after {WARM_TRIALS} trials, {last:.0f} MB after {len(parent)}: "
        f"{last / warm:.3f} times (target <= 1.10)"
    )
    print(f"worker  at most {max(workers):.0f} MB")


def measure(trials: int) -> tuple[list[float], list[float]]:
    """Return the megabytes of the parent and of the largest worker at the end of each trial."""
    from pipelines import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import Choice, Range, replace
    from pipelines.vision.options import VisionOptions
    from pipelines.vision.pipeline import VisionPipeline
    from pipelines.vision.spec import VisionSpec
    from tuning.execution.local_workers import LocalWorkers
    from tuning.search.definition import Sweep
    from tuning.search.progress import Progress
    from tuning.search.sweep import run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    parent: list[float] = []
    workers: list[float] = []

    class Memory(Progress):
        def ended(self, trial: Any, best: Any) -> None:
            process = psutil.Process()
            parent.append(megabytes(process))
            sizes = [0.0]
            for child in process.children():
                if "spawn_main" in " ".join(child.cmdline()):
                    sizes.append(megabytes(child))
            workers.append(max(sizes))

    options = VisionOptions(limit=300)
    spec = replace(VisionSpec(), {"conv.blocks": 1, "train.epochs": 1})
    rates = Range(1e-4, 1e-2, log=True)
    space = options.space(spec, {"conv.filters": Choice((4, 6, 8)), "train.learning_rate": rates})
    sweep = Sweep(objectives=(options.objective(),), trials=trials, trial_epochs=1)
    with contextlib.closing(LocalWorkers(2)) as executor, tempfile.TemporaryDirectory() as folder:
        run_sweep(
            VisionPipeline(options),
            space,
            sweep,
            open_tracker("memory", root=Path(folder)),
            executor=executor,
            progress=Memory(),
        )
    return parent, workers


def megabytes(process: psutil.Process) -> float:
    """Return the memory that a process holds."""
    return float(process.memory_info().rss / 2**20)


if __name__ == "__main__":
    main()
