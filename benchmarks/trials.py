"""Short trials: appline's sweep, a raw build-compile-fit loop, and stock KerasTuner.

All three train the same 30 networks on digits.

    python -m benchmarks.trials

CPU a trial: each contender runs in a process of its own, after imports and loading; CPU seconds are
the process' own, all threads; the first trial of each (TensorFlow warms up) is left out. Trials a
minute with two workers: between the ends of the first and the last trial, KerasTuner as its chief
and two workers, appline with `--workers 2`.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCHS = 4
KERNEL_SIZES, STRIDES, FILTERS = (2, 3, 5), (1,), (8, 10, 12, 14, 16, 18, 20, 24, 28, 32)
TRIALS = len(KERNEL_SIZES) * len(STRIDES) * len(FILTERS)
CONTENDERS = ("raw", "appline", "kerastuner")
PORT = 18765


@dataclass(frozen=True)
class Contest:
    """What all contenders train."""

    pipeline: Any
    splits: Any
    base: Any

    def model(self, kernel_size: int, stride: int, filters: int) -> Any:
        """Return one of the networks, compiled."""
        import keras

        from pipelines.config.search_space import replace

        spec = replace(
            self.base,
            {"conv.kernel_size": kernel_size, "conv.stride": stride, "conv.filters": filters},
        )
        network = self.pipeline.build(spec, self.splits)
        model = self.pipeline.training_model(network, spec, self.splits)
        optimizer = keras.optimizers.AdamW(spec.train.learning_rate)
        model.compile(optimizer, **self.pipeline.compile_arguments(spec, self.splits))
        return model

    def fit_arguments(self) -> dict[str, Any]:
        """Return what `keras.Model.fit` takes."""
        x, y = self._arrays("train")
        return {
            "x": x,
            "y": y,
            "validation_data": self._arrays("val"),
            "batch_size": 128,
            "epochs": EPOCHS,
            "verbose": 0,
        }

    def _arrays(self, part: Any) -> tuple[Any, Any]:
        import numpy as np

        images = self.splits.images(part)
        one_hot = np.eye(len(self.splits.classes), dtype="float32")
        return images.x.astype("float32"), one_hot[images.y]


Clock = Callable[[], float]


def appline_sweep(
    contest: Contest, clock: Clock = time.process_time, workers: int = 0
) -> list[float]:
    """Return when each trial of a sweep ended."""
    from pipelines.config.search_space import Choice
    from tuning.execution.in_process import InProcess
    from tuning.execution.local_workers import LocalWorkers
    from tuning.search.definition import Sweep
    from tuning.search.progress import Progress
    from tuning.search.sweep import run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    ends: list[float] = []

    class TrialsAreOver(Exception):
        """What follows is no trial."""

    class Ends(Progress):
        def ended(self, trial: Any, best: Any) -> None:
            ends.append(clock())
            if len(ends) == TRIALS:
                raise TrialsAreOver

    options = contest.pipeline.options
    space = options.space(
        contest.base,
        {
            "conv.kernel_size": Choice(KERNEL_SIZES),
            "conv.stride": Choice(STRIDES),
            "conv.filters": Choice(FILTERS),
        },
    )
    sweep = Sweep(
        trials=TRIALS, tuner="grid", trial_epochs=EPOCHS, objectives=(options.objective(),)
    )
    executor = LocalWorkers(workers) if workers else InProcess()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(TrialsAreOver):
        run_sweep(
            contest.pipeline,
            space,
            sweep,
            open_tracker("bench", root=Path(folder)),
            splits=contest.splits,
            executor=executor,
            progress=Ends(),
        )
    executor.close()
    return ends


def raw_loop(contest: Contest) -> list[float]:
    """Return when each fit of a plain loop ended."""
    ends = []
    for kernel_size in KERNEL_SIZES:
        for stride in STRIDES:
            for filters in FILTERS:
                contest.model(kernel_size, stride, filters).fit(**contest.fit_arguments())
                ends.append(time.process_time())
    return ends


def kerastuner_search(
    contest: Contest, clock: Clock = time.process_time, folder: str = ""
) -> list[float]:
    """Return when each trial of KerasTuner's own search ended."""
    import keras_tuner as kt

    ends: list[float] = []

    class Grid(kt.GridSearch):
        def _configure_tensorboard_dir(
            self, callbacks: Any, trial: Any, execution: int = 0
        ) -> None:
            """As shipped it needs tensorboard, which nothing brings."""

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            ends.append(clock())

    def build(hp: kt.HyperParameters) -> Any:
        kernel_size = hp.Choice("kernel_size", list(KERNEL_SIZES))
        stride = hp.Choice("stride", list(STRIDES))
        filters = hp.Choice("filters", list(FILTERS))
        return contest.model(kernel_size, stride, filters)

    with tempfile.TemporaryDirectory() as temporary:
        tuner = Grid(
            build,
            objective=kt.Objective("val_accuracy", "max"),
            max_trials=TRIALS,
            directory=folder or temporary,
        )
        tuner.search(**contest.fit_arguments())
    return ends


def contend(name: str) -> None:
    """Run one contender in this process and print its CPU seconds a trial.

    With two workers, print when each trial ended.
    """
    from pipelines import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import replace
    from pipelines.vision.options import VisionOptions
    from pipelines.vision.pipeline import VisionPipeline
    from pipelines.vision.spec import VisionSpec

    pipeline = VisionPipeline(VisionOptions())
    base = replace(VisionSpec(), {"conv.blocks": 2, "augment.shift": 0})
    contest = Contest(pipeline, pipeline.load(), base)
    began = time.perf_counter()
    match name:
        case "appline-2":
            ends = appline_sweep(contest, time.time, workers=2)
        case "kerastuner-2":
            ends = kerastuner_search(contest, time.time, folder=sys.argv[2])
        case "appline":
            ends = appline_sweep(contest)
        case "kerastuner":
            ends = kerastuner_search(contest)
        case _:
            ends = raw_loop(contest)
    seconds = time.perf_counter() - began
    if name.endswith("-2"):
        print(json.dumps({"ends": ends}))
        return
    cpu = (ends[-1] - ends[0]) / (len(ends) - 1)
    print(json.dumps({"cpu": cpu, "trials": len(ends), "wall": seconds}))


def main() -> None:
    """Run all contenders, one after another, and print their ratios."""
    cpu = {}
    for name in CONTENDERS:
        result = run_contender(name)
        cpu[name] = result["cpu"]
        print(f"{name:<12}{cpu[name]:.2f} CPU s a trial  ({result['trials']} trials)", flush=True)
    print(f"appline / raw         {cpu['appline'] / cpu['raw']:.2f}   (target <= 1.10)")
    print(f"appline / kerastuner  {cpu['appline'] / cpu['kerastuner']:.2f}")
    appline = trials_per_minute(run_contender("appline-2")["ends"])
    kerastuner = trials_per_minute(kerastuner_with_two_workers())
    print(
        f"two workers           appline {appline:.1f}, kerastuner {kerastuner:.1f} trials a "
        f"minute: {appline / kerastuner:.2f} times (target >= 2.0)"
    )


def run_contender(name: str) -> dict[str, Any]:
    """Return what a contender prints, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trials", name],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def trials_per_minute(ends: list[float]) -> float:
    """Return the rate between the first and the last of these moments, in seconds."""
    return 60 * (len(ends) - 1) / (max(ends) - min(ends))


def kerastuner_with_two_workers() -> list[float]:
    """Return when each trial ended; the chief, which does not end by itself, is killed."""
    with tempfile.TemporaryDirectory() as folder:
        chief, *workers = [_start_tuner(role, folder) for role in ("chief", "tuner0", "tuner1")]
        ends: list[float] = []
        for worker in workers:
            output, _ = worker.communicate()
            ends += json.loads(output.splitlines()[-1])["ends"]
        chief.kill()
        chief.wait()
    return ends


def _start_tuner(role: str, folder: str) -> "subprocess.Popen[str]":
    address = {
        "KERASTUNER_TUNER_ID": role,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(PORT),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.trials", "kerastuner-2", folder],
        env={**os.environ, **address},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        contend(sys.argv[1])
    else:
        main()
