"""DemoSweep trials: appline's sweep against a raw build-compile-fit loop and stock KerasTuner, the same 30 networks on digits.

    python -m benchmarks.trials

CPU a trial: each contender runs in a process of its own, after imports and loading; CPU seconds are the process' own, all
threads; the first trial of each (TensorFlow warms up) is left out. Trials a minute with two workers: between the ends of
the first and the last trial, KerasTuner as its chief and two workers, appline with `--workers 2`.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPOCHS = 4
KERNELS, STRIDES, FILTERS = (2, 3, 5), (1,), (8, 10, 12, 14, 16, 18, 20, 24, 28, 32)
TRIALS = len(KERNELS) * len(STRIDES) * len(FILTERS)
CONTENDERS = ("raw", "appline", "kerastuner")
PORT = 18765


def appline_sweep(
    pipeline: Any, splits: Any, base: Any, clock: Any = time.process_time, workers: int = 0
) -> list[float]:
    from pipelines.config.search_space import Choice
    from tuning.execution.interface import InProcess
    from tuning.execution.local_workers import LocalWorkers
    from tuning.search.progress import Progress
    from tuning.search.sweep import Sweep, run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    marks: list[float] = []

    class Enough(Exception):
        """The trials are over; what follows is no trial."""

    class Marks(Progress):
        def ended(self, trial: Any, best: Any) -> None:
            marks.append(clock())
            if len(marks) == TRIALS:
                raise Enough

    space = pipeline.space(
        base,
        {
            "conv.kernel_size": Choice(KERNELS),
            "conv.stride": Choice(STRIDES),
            "conv.filters": Choice(FILTERS),
        },
    )
    sweep = Sweep(
        trials=TRIALS, tuner="grid", trial_epochs=EPOCHS, objectives=(pipeline.objective(),)
    )
    executor = LocalWorkers(workers) if workers else InProcess()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        run_sweep(
            pipeline,
            space,
            sweep,
            open_tracker("bench", root=Path(folder)),
            splits=splits,
            executor=executor,
            progress=Marks(),
        )
    executor.close()
    return marks


def model_of(
    pipeline: Any, splits: Any, base: Any, kernel_size: int, stride: int, filters: int
) -> Any:
    import keras

    from pipelines.config.search_space import replace

    spec = replace(
        base, {"conv.kernel_size": kernel_size, "conv.stride": stride, "conv.filters": filters}
    )
    model = pipeline.training_model(pipeline.build(spec, splits), spec, splits)
    model.compile(
        keras.optimizers.AdamW(spec.train.learning_rate), **pipeline.compile_arguments(spec, splits)
    )
    return model


def arrays(splits: Any) -> dict[str, Any]:
    import numpy as np

    eye = np.eye(len(splits.classes), dtype="float32")
    part = {
        name: (splits.images(name).x.astype("float32"), eye[splits.images(name).y])
        for name in ("train", "val")
    }
    return {
        "x": part["train"][0],
        "y": part["train"][1],
        "validation_data": part["val"],
        "batch_size": 128,
        "epochs": EPOCHS,
        "verbose": 0,
    }


def raw(pipeline: Any, splits: Any, base: Any) -> list[float]:
    marks = []
    for kernel_size in KERNELS:
        for stride in STRIDES:
            for filters in FILTERS:
                model_of(pipeline, splits, base, kernel_size, stride, filters).fit(**arrays(splits))
                marks.append(time.process_time())
    return marks


def kerastuner(
    pipeline: Any, splits: Any, base: Any, clock: Any = time.process_time, folder: str = ""
) -> list[float]:
    import keras_tuner as kt

    marks: list[float] = []

    class Grid(kt.GridSearch):
        def _configure_tensorboard_dir(
            self, callbacks: Any, trial: Any, execution: int = 0
        ) -> None:
            """As shipped it needs tensorboard, which nothing brings."""

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            marks.append(clock())

    def build(hp: kt.HyperParameters) -> Any:
        chosen = (
            hp.Choice("kernel_size", list(KERNELS)),
            hp.Choice("stride", list(STRIDES)),
            hp.Choice("filters", list(FILTERS)),
        )
        return model_of(pipeline, splits, base, *chosen)

    with tempfile.TemporaryDirectory() as own:
        Grid(
            build,
            objective=kt.Objective("val_accuracy", "max"),
            max_trials=TRIALS,
            directory=folder or own,
        ).search(**arrays(splits))
    return marks


def contend(name: str) -> None:
    """Run one contender in this process and print its CPU seconds a trial."""
    from tuning.training import runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import replace
    from pipelines.vision.pipeline import VisionPipeline, VisionSpec

    pipeline = VisionPipeline()
    base = replace(VisionSpec(), {"conv.blocks": 2, "augment.shift": 0})
    splits = pipeline.load()
    began = time.perf_counter()
    if name == "appline-2":
        marks = appline_sweep(pipeline, splits, base, time.time, workers=2)
    elif name == "kerastuner-2":
        marks = kerastuner(pipeline, splits, base, time.time, folder=sys.argv[2])
    else:
        marks = {"raw": raw, "appline": appline_sweep, "kerastuner": kerastuner}[name](
            pipeline, splits, base
        )
    wall = time.perf_counter() - began
    if name.endswith("-2"):
        print(json.dumps({"marks": marks}))
        return
    print(
        json.dumps(
            {"cpu": (marks[-1] - marks[0]) / (len(marks) - 1), "trials": len(marks), "wall": wall}
        )
    )


def main() -> None:
    """Run all contenders, one after another, and print their ratios."""
    found = {}
    for name in CONTENDERS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.trials", name],
            capture_output=True,
            text=True,
            check=True,
        )
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:<12}{found[name]['cpu']:.2f} CPU s a trial  ({found[name]['trials']} trials)",
            flush=True,
        )
    print(
        f"appline / raw         {found['appline']['cpu'] / found['raw']['cpu']:.2f}   (target <= 1.10)"
    )
    print(f"appline / kerastuner  {found['appline']['cpu'] / found['kerastuner']['cpu']:.2f}")
    ours, theirs = a_minute(_marks("appline-2")), a_minute(kerastuner_with_two_workers())
    print(
        f"two workers           appline {ours:.1f}, kerastuner {theirs:.1f} trials a minute: {ours / theirs:.2f} times (target >= 2.0)"
    )


def a_minute(marks: list[float]) -> float:
    return 60 * (len(marks) - 1) / (max(marks) - min(marks))


def _marks(name: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.trials", name],
        capture_output=True,
        text=True,
        check=True,
    )
    marks: list[float] = json.loads(done.stdout.splitlines()[-1])["marks"]
    return marks


def kerastuner_with_two_workers() -> list[float]:
    """Return when each trial ended; the chief, which does not end by itself, is killed."""
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for role in ("chief", "tuner0", "tuner1"):
            address = {
                "KERASTUNER_TUNER_ID": role,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(PORT),
            }
            command = [sys.executable, "-m", "benchmarks.trials", "kerastuner-2", folder]
            started.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **address},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        chief, *workers = started
        found = [worker.communicate()[0].splitlines() for worker in workers]
        chief.kill()
        chief.wait()
        return [mark for lines in found for mark in json.loads(lines[-1])["marks"]]


if __name__ == "__main__":
    contend(sys.argv[1]) if len(sys.argv) > 1 else main()
