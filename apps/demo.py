"""`appline demo`: a short sweep for each application on real embedded data, and a comparison."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps import progress_display, rendering
from apps.screen import Screen
from pipelines import DOMAINS, options_class, pipeline_for, runtime
from pipelines.config.search_space import replace
from pipelines.io.samples import require_samples
from tuning.execution.local_workers import LocalWorkers, count_workers

if TYPE_CHECKING:
    from tuning.execution.interface import Executor
    from tuning.results.sweep import SweepResult


def run_demo(folder: Path) -> None:
    """Run every demo into `folder`/mlruns, then print the results and how to look at them."""
    require_samples("The data of the demo comes")
    began = time.perf_counter()
    # One set of processes for all sweeps: each imports TensorFlow once, while this one does.
    with contextlib.closing(LocalWorkers(count_workers("auto"))) as executor:
        runtime.import_tensorflow()
        screen = Screen()
        results = [_run(domain, folder, screen, executor) for domain in DOMAINS]
    for result in results:
        click.echo("")
        click.echo(rendering.sweep_result(result))
    total = (time.perf_counter() - began) / 60
    parts = [f"{result.final.domain} {result.seconds / 60:.1f}" for result in results]
    click.echo(f"\n{total:.1f} minutes in all: {', '.join(parts)}")
    click.echo("Compare the runs in MLflow: make ui   (or: appline ui)")


def _run(domain: str, folder: Path, screen: Screen, executor: "Executor") -> "SweepResult":
    from tuning.search.definition import Sweep
    from tuning.search.sweep import run_sweep
    from tuning.tracking.mlflow_tracker import open_tracker

    demo = options_class(domain).demo_here()
    options = options_class(domain)()
    if demo.data:
        options = dataclasses.replace(options, data=demo.data)
    screen.say(f"\n{domain}: {demo.trials} trials on {options.data}")
    pipeline = pipeline_for(options)
    with screen.progress(f"reading {options.data}"):
        splits = pipeline.load()
    objective = pipeline.objective_for(splits)
    sweep = Sweep(
        objectives=(objective,),
        trials=demo.trials,
        trial_epochs=demo.trial_epochs,
        # So few trials are all wanted whole: each tells something of kernel size, stride and
        # filters.
        early_stop="none",
        name=f"demo: {splits.dataset}",
    )
    given = {*demo.fixed, *demo.searched}
    with screen.progress():
        base = pipeline.fit_defaults(replace(options.spec_type(), demo.fixed), splits, given)
    display = progress_display.SweepDisplay(screen, objective.name, slots=executor.slots)
    with contextlib.closing(display), screen.progress():
        return run_sweep(
            pipeline,
            options.space(base, demo.searched),
            sweep,
            open_tracker(f"{domain}/{splits.dataset}", root=folder / "mlruns"),
            splits=splits,
            executor=executor,
            progress=display,
        )
