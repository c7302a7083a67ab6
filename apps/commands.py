"""The verbs that every application has: train, tune, evaluate, predict, check, datasets, schema.

Each function is one command from its flags to its output. Heavy imports stand inside: `--help` needs none of them.
"""

import contextlib
import dataclasses
import json
import math
import os
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from apps import click_options, progress_display, rendering
from pipelines.config.search_space import hyperparameters
from pipelines.errors import DataError, UsageError
from pipelines.pipeline import AnyPipeline, ServingModel
from tuning.training import runtime

if TYPE_CHECKING:
    from pipelines.pipeline import Splits
    from tuning.execution.interface import Executor
    from tuning.tracking.interface import Row, Tracker
    from tuning.training.train import Report

GATE_FAILED = 4
ANSWER_FILES = (".csv", ".parquet")


def train(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Train one network, test it beside its baselines, and keep everything in MLflow."""
    if context.params["help_set"]:
        click.echo(hyperparameter_table(pipeline_type))
        return
    resolved = click_options.resolve(context, pipeline_type)
    screen = _screen(resolved)
    resolved.pipeline.objective(resolved.options["objective"])  # a wrong name is told before anything is loaded
    _tell_origins(screen, resolved)
    runtime.import_tensorflow(deterministic=resolved.options["deterministic"])
    from tuning.training import distribute, fit
    from tuning.training.train import train as run

    strategy = distribute.strategy(resolved.options["distribute"])

    splits = resolved.pipeline.load()
    objective = resolved.pipeline.objective_for(splits, resolved.options["objective"])
    resolved.pipeline.check(resolved.spec, splits)
    _tell_data(screen, splits)
    if resolved.options["dry_run"]:
        plain = {"dry_run": True, "dataset": splits.dataset, "digest": splits.digest, "sizes": splits.sizes()}
        screen.result("dry run: the data can be read and the network can be built; nothing was trained", plain)
        return
    epochs = fit.num_epochs(resolved.spec.train, splits.sizes()["train"])
    report = run(
        resolved.pipeline,
        resolved.spec,
        _tracker(resolved, splits),
        objective=objective,
        splits=splits,
        name=resolved.options["run_name"],
        on_epoch=screen.on_epoch(epochs, objective.name),
        strategy=strategy,
    )
    screen.result(rendering.report(report, resolved.options["tracking_uri"]), report.plain())
    _gate(context, resolved, report)


def tune(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Search hyperparameters with KerasTuner, train the winner in full, and test it once."""
    if context.params["help_set"]:
        click.echo(hyperparameter_table(pipeline_type))
        return
    resolved = click_options.resolve(context, pipeline_type)
    screen, options = _screen(resolved), resolved.options
    names = _names(options["objective"])
    from tuning.execution import local_workers
    from tuning.execution.trial import COSTS
    from tuning.search import constraints, tuners

    for name in names:
        if name.startswith("cost/"):
            tuners.require("--objective", name, tuple(COSTS))
        else:
            resolved.pipeline.objective(name)
    _tell_origins(screen, resolved)
    space = resolved.space
    max_seconds = duration("--max-time", options["max_time"])
    trial_seconds = duration("--trial-time", options["trial_time"])
    tuners.require("--tuner", options["tuner"], tuners.TUNERS)
    tuners.require("--early-stop", options["early_stop"], ("auto", *tuners.STOPPERS))

    count = local_workers.count_workers(options["workers"])
    most = constraints.parse(options["limit_costs"])
    executor = _executor(options, count, trial_seconds)
    runtime.import_tensorflow(deterministic=options["deterministic"])
    from tuning.search.sweep import Sweep, run_sweep, sweep_objectives

    splits = resolved.pipeline.load()
    objectives = sweep_objectives(resolved.pipeline, splits, names)
    sweep = Sweep(
        objectives=objectives,
        trials=options["trials"],
        tuner=options["tuner"],
        trial_epochs=options["trial_epochs"],
        early_stop=options["early_stop"],
        max_seconds=max_seconds,
        max_epochs=options["max_epochs_total"] or math.inf,
        limits=most,
        warm_from=options["warm_from"],
        name=options["run_name"],
    )
    _tell_data(screen, splits)
    screen.say(
        f"searching  {len(space.dimensions)} hyperparameters: " + "  ".join(f"{key}={domain}" for key, domain in space.dimensions.items())
    )
    with contextlib.closing(executor):
        if options["dry_run"]:
            from tuning.search.estimate import estimate

            screen.say("measuring  a few networks for two epochs each")
            cost = estimate(resolved.pipeline, space, sweep, splits, executor)
            screen.result(rendering.estimate(cost), rendering.plain_estimate(cost))
            return
        tracker = _tracker(resolved, splits)
        sweep = dataclasses.replace(sweep, resume=_sweep_id(tracker, options["resume"]))
        with contextlib.closing(
            progress_display.SweepScreen(screen, objectives[0].name, slots=executor.slots, max_seconds=max_seconds)
        ) as progress:
            found = run_sweep(resolved.pipeline, space, sweep, tracker, splits=splits, executor=executor, progress=progress)
    screen.result(rendering.swept(found, resolved.options["tracking_uri"]), found.plain())
    _gate(context, resolved, found.final)


def evaluate(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Score a saved model on data: a run's own, or others that --data names."""
    row = _row_of(context)
    if not row and context.get_parameter_source("data") in (ParameterSource.DEFAULT, None):
        raise UsageError("--model FILE does not say what it is to be scored on. Expected: --data too")
    base = _pipeline_of(pipeline_type, row.params) if row else None
    resolved = click_options.resolve(context, pipeline_type, base)
    screen = _screen(resolved)
    runtime.import_tensorflow()
    served = _served(context, row)
    _require_domain(served, pipeline_type)
    splits = resolved.pipeline.load()
    _tell_data(screen, splits)
    part = resolved.options["part"]
    network = resolved.pipeline.restore_network(served, splits)
    scores = resolved.pipeline.score(resolved.pipeline.predict(network, splits, part), splits, part)
    if part == "val" and row and row.params.get("train.refit") == "True":
        screen.say("note       this network was trained on val too (train.refit): what it was before is in its run's val/ metrics")
    rows = [[name, rendering.number(value)] for name, value in scores.items()]
    title = f"{resolved.pipeline.domain} / {splits.dataset}: {part}"
    screen.result(rendering.table([title, ""], rows), {"dataset": splits.dataset, "part": part, **scores})


def predict(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Answer for raw input: only the run's id or a model file is needed, not the training data."""
    options = context.params
    _require_inputs(options["inputs"])
    _require_output(options["output"], options["force"])
    row = _row_of(context)
    runtime.import_tensorflow()
    import pandas as pd

    served = _served(context, row)
    _require_domain(served, pipeline_type)
    answers = pd.concat([pipeline_type.predict_raw(served, source) for source in options["inputs"]], ignore_index=True)
    if options["output"]:
        path = Path(options["output"])
        answers.to_parquet(path) if path.suffix.lower() == ".parquet" else answers.to_csv(path, index=False)
        click.echo(f"{len(answers)} rows written to {path}", err=True)
    elif options["json"]:
        click.echo(json.dumps({"answers": json.loads(answers.to_json(orient="records", date_format="iso"))}))
    else:
        click.echo(answers.to_csv(index=False), nl=False)


def check(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Read the data as `train` would and say what is in it, without training."""
    resolved = click_options.resolve(context, pipeline_type)
    screen = _screen(resolved)
    runtime.import_tensorflow()
    splits = resolved.pipeline.load()
    facts = splits.describe()
    rows = [[part, f"{count:,}"] for part, count in splits.sizes().items()] + [[name, value] for name, value in facts.items()]
    text = rendering.table([f"{resolved.pipeline.domain} / {splits.dataset}", ""], rows)
    text += (
        "".join(f"\nnote  {note}" for note in splits.notes)
        + f"\nThe data can be used: appline {pipeline_type.domain} train --data {resolved.pipeline.data}"
    )
    plain = {"dataset": splits.dataset, "digest": splits.digest, "sizes": splits.sizes(), "notes": list(splits.notes), **facts}
    screen.result(text, plain)


def datasets(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """List the data sets that --data knows by name."""
    known = dict(pipeline_type.datasets)
    text = rendering.table(["--data", "what it is"], [[name, what] for name, what in known.items()])
    rendering.Screen(json=context.params["json"]).result(text, known)


def schema(pipeline_type: type[AnyPipeline], context: click.Context) -> None:
    """Print the JSON schema of the hyperparameters that a config file may set."""
    from pydantic import TypeAdapter

    click.echo(json.dumps(TypeAdapter(pipeline_type.spec_type).json_schema(), indent=2))


def hyperparameter_table(pipeline_type: type[AnyPipeline]) -> str:
    """Return every hyperparameter with its default, what `tune` searches, and what it is."""
    rows = [
        [f"{known.key}={known.default}", f"[{pipeline_type.search[known.key]}]" if known.key in pipeline_type.search else "", known.help]
        for known in hyperparameters(pipeline_type.spec_type).values()
    ]
    width = max(len(row[0]) for row in rows) + 2
    return "\n".join(f"{name:<{width}}{what}{' ' + searched if searched else ''}" for name, searched, what in rows)


def duration(flag: str, text: str) -> float:
    """Return the seconds of `90`, `90s`, `10m` or `1h30m`; endless when nothing is given."""
    if not text:
        return math.inf
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if not text.strip() or not match:
        raise UsageError(f"{flag} {text}: expected a duration such as 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _executor(options: Mapping[str, Any], count: int, trial_seconds: float) -> "Executor":
    """Return where trials run: on a cluster, in worker processes, or right here."""
    if options["cluster"]:
        from tuning.execution.ray_cluster import RayCluster

        return RayCluster(options["cluster"], trial_seconds=trial_seconds, deterministic=options["deterministic"])
    if not count and math.isfinite(trial_seconds):
        raise UsageError("--trial-time needs trials in processes of their own, which can be ended. Expected: --workers 1 or more")
    if (count and not options["dry_run"]) or count > 1:
        from tuning.execution.local_workers import LocalWorkers

        return LocalWorkers(count, trial_seconds=trial_seconds, deterministic=options["deterministic"])
    from tuning.execution.interface import InProcess

    return InProcess()


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return a repeatable flag's values; a config file may hold a single one."""
    return (given,) if isinstance(given, str) and given else tuple(given)


def _screen(resolved: click_options.ResolvedCommand) -> rendering.Screen:
    return rendering.Screen(quiet=resolved.options["quiet"], json=resolved.options["json"])


def _tell_origins(screen: rendering.Screen, resolved: click_options.ResolvedCommand) -> None:
    """Say only what differs from the defaults, and where it came from."""
    for key, (value, where) in resolved.origins.items():
        if where != "command line" and value not in (None, "", False):
            screen.say(f"setting    {key}={value}  ({where})")


def _tell_data(screen: rendering.Screen, splits: "Splits") -> None:
    sizes = ", ".join(f"{part} {count:,}" for part, count in splits.sizes().items())
    screen.say(f"data       {splits.dataset}: {sizes}  (digest {splits.digest})")
    for note in splits.notes:
        screen.say(f"note       {note}")


def _tracker(resolved: click_options.ResolvedCommand, splits: "Splits") -> "Tracker":
    from tuning.tracking.interface import NullTracker
    from tuning.tracking.mlflow_tracker import open_tracker

    if resolved.options["no_tracking"]:
        return NullTracker()
    experiment = resolved.options["experiment"] or f"{resolved.pipeline.domain}/{splits.dataset}"
    return open_tracker(experiment, uri=resolved.options["tracking_uri"])


def _sweep_id(tracker: "Tracker", given: str) -> str:
    """Return the whole id of the sweep that `--resume` names by its beginning."""
    if not given:
        return ""
    found = [row.id for row in tracker.rows("tags.role = 'sweep'") if row.id.startswith(given)]
    if len(found) != 1:
        raise UsageError(
            f"--resume {given}: {len(found)} sweeps of this experiment have an id that begins so. See: appline runs. "
            "The experiment follows from --data or --experiment: repeat them"
        )
    return found[0]


def _row_of(context: click.Context) -> "Row | None":
    """Return the run that `--run` names, None when `--model` names a file."""
    run, model = context.params["run"], context.params["model"]
    if bool(run) == bool(model):
        raise UsageError(f"Give the model by --run RUN or by --model FILE, one of them. Received: {'both' if run else 'neither'}")
    if not run:
        return None
    runtime.prepare_environment()
    from tuning.tracking.mlflow_tracker import find_run

    return find_run(run, uri=context.params["tracking_uri"])


def _served(context: click.Context, row: "Row | None") -> ServingModel:
    import tempfile

    from tuning.training.train import read_model

    if row is None:
        return read_model(Path(context.params["model"]))
    from tuning.tracking.mlflow_tracker import download

    with tempfile.TemporaryDirectory() as folder:
        return read_model(download(row.id, "model/model.keras", Path(folder), uri=context.params["tracking_uri"]))


def _require_domain(served: ServingModel, pipeline_type: type[AnyPipeline]) -> None:
    if served.facts["domain"] != pipeline_type.domain:
        raise UsageError(f"This is a {served.facts['domain']} model. Use: appline {served.facts['domain']} ...")


def _pipeline_of(pipeline_type: type[AnyPipeline], params: Mapping[str, str]) -> AnyPipeline:
    """Return the pipeline that a run was made with, from its parameters."""
    from pydantic import TypeAdapter

    hints = typing.get_type_hints(pipeline_type)
    fields = [field.name for field in dataclasses.fields(pipeline_type) if field.name in params]
    # MLflow keeps texts: an option that was left automatic reads "None".
    given = {name: TypeAdapter(hints[name]).validate_python(params[name]) for name in fields if params[name] != "None"}
    return pipeline_type(**given)


def _gate(context: click.Context, resolved: click_options.ResolvedCommand, report: "Report") -> None:
    if resolved.options["gate"] and report.lift and report.lift.mean < 0:
        click.echo(f"gate       failed: the network is worse than {report.lift.baseline}", err=True)
        context.exit(GATE_FAILED)


def _require_output(output: str, force: bool) -> None:
    """Refuse a file that answers cannot be written to before they are computed."""
    path = Path(output)
    if not output:
        return
    if path.exists() and not force:
        raise UsageError(f"--output {path}: exists already and is not overwritten. Choose another name, or add --force")
    if path.is_dir():
        raise UsageError(f"--output {path}: is a folder. Expected the name of a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: there is no folder {path.parent}")
    if path.suffix.lower() not in ANSWER_FILES:
        raise UsageError(f"--output {path}: answers are written as {' or '.join(ANSWER_FILES)}. Received: {path.suffix or 'no suffix'}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--output {path}: cannot be written to")


def _require_inputs(inputs: tuple[str, ...]) -> None:
    """Refuse paths that do not exist before anything heavy is loaded."""
    for name in inputs:
        if not Path(name).exists():
            raise DataError(f"{name}: no such file or folder")
