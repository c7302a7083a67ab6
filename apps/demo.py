"""`appline demo`: for each application a short sweep on real embedded data, the winner tested, and all of it compared."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apps import progress_display, rendering
from pipelines import pipeline_class
from pipelines.config.search_space import Choice, Dimension, Scalar, replace
from tuning.execution.local_workers import LocalWorkers, count_workers
from tuning.training import runtime

if TYPE_CHECKING:
    from tuning.execution.interface import Executor
    from tuning.search.sweep import SweepResult


@dataclass(frozen=True, kw_only=True)
class DemoSweep:
    """A sweep that ends within about a minute on two cores."""

    domain: str
    trials: int
    trial_epochs: int
    fixed: Mapping[str, Scalar]
    searched: Mapping[str, Dimension]


DEMOS = (
    DemoSweep(
        domain="vision",
        trials=8,
        trial_epochs=4,
        fixed={"train.epochs": 16, "conv.blocks": 2},  # a third block would leave a stride of 2 no room on 8x8 pixels
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
            "architecture": Choice(("vgg", "resnet")),
        },
    ),
    DemoSweep(
        domain="text",
        trials=4,
        trial_epochs=2,  # in one, the network learns too little by itself for its settings to matter
        fixed={"train.epochs": 5, "embedding.width": 32},
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
        },
    ),
    DemoSweep(
        domain="recommend",
        trials=4,
        trial_epochs=1,
        fixed={"train.epochs": 2},
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
        },
    ),
    DemoSweep(
        domain="forecast",
        trials=4,
        trial_epochs=1,
        fixed={"train.epochs": 3},
        searched={
            "conv.kernel_size": Choice((8, 16, 24)),
            "conv.stride": Choice((8, 12)),
            "conv.filters": Choice((16, 32)),
        },
    ),
)


def run_demo(folder: Path) -> None:
    """Run every demo into `folder`/mlruns, then print the leaderboards, what was found, and how to look at it."""
    began = time.perf_counter()
    # One set of processes for all sweeps: each imports TensorFlow once, while this one does.
    with contextlib.closing(LocalWorkers(count_workers("auto"))) as executor:
        runtime.import_tensorflow()
        screen = rendering.Screen()
        found = [_run(short, folder, screen, executor) for short in DEMOS]
    for swept in found:
        click.echo("")
        click.echo(rendering.swept(swept))
    minutes = (time.perf_counter() - began) / 60
    click.echo(f"\n{minutes:.1f} minutes in all: " + ", ".join(f"{swept.final.domain} {swept.seconds / 60:.1f}" for swept in found))
    click.echo("Compare the runs in MLflow: make ui   (or: appline ui)")


def _run(short: DemoSweep, folder: Path, screen: rendering.Screen, executor: "Executor") -> "SweepResult":
    from tuning.search.sweep import Sweep, run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    pipeline: Any = pipeline_class(short.domain)()
    screen.say(f"\n{short.domain}: {short.trials} trials on {pipeline.data}")
    splits = pipeline.load()
    objective = pipeline.objective_for(splits)
    sweep = Sweep(
        objectives=(objective,),
        trials=short.trials,
        trial_epochs=short.trial_epochs,
        early_stop="none",  # so few trials are all wanted whole: each tells something of kernel size, stride and filters
        name=f"demo: {splits.dataset}",
    )
    return run_sweep(
        pipeline,
        pipeline.space(replace(pipeline.spec_type(), short.fixed), short.searched),
        sweep,
        open_tracker(f"{short.domain}/{splits.dataset}", root=folder / "mlruns"),
        splits=splits,
        executor=executor,
        progress=progress_display.SweepScreen(screen, objective.name, slots=executor.slots),
    )
