"""The commands that every application has: train, tune, evaluate, predict, check, datasets, schema.

Each function is one command from its flags to its output. Heavy modules are imported inside, after
everything that can be refused without them: `--help` and a wrong flag need none of them.
"""

import contextlib
import dataclasses
import json
import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from apps import checks, doubts, progress_display, rendering, resumed_sweep, saved_runs
from apps.pretrained_weights import undecided_by_check
from apps.resolve import COMMAND_LINE, ResolvedCommand, as_names, resolve
from apps.screen import Screen
from apps.standard_input import standard_input_as_file
from apps.typed_command import piped_command, train_command
from pipelines import load_data, pipeline_class, pipeline_for, runtime
from pipelines.config.options import Options, Question
from pipelines.errors import UsageError, count_of

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.pipeline import AnyPipeline, ServingModel
    from pipelines.splits import Part, Splits
    from tuning.execution.interface import Executor
    from tuning.results.folds import FoldsResult
    from tuning.results.training import TrainResult
    from tuning.search.definition import Sweep
    from tuning.tracking.interface import Row, Tracker

GATE_FAILED = 4


def train(options_type: type[Options], context: click.Context) -> None:
    """Train one network, test it beside its baselines, and keep everything in MLflow."""
    command = resolve(context, options_type)
    flags, screen = command.flags, _screen(command)
    # A wrong name is refused before anything is loaded.
    command.options.objective(flags["objective"])
    checks.require_gate_with_baselines(flags)
    _require_store(flags)
    _show_settings(screen, command)
    if flags["folds"]:
        checks.require_folds_alone(command.options, flags)
        _cross_validate(context, screen, command)
        return
    pipeline, splits = _load_data(command, screen)
    doubts.require_none(splits, context, options_type)
    from tuning.training import distribute
    from tuning.training.fit import num_epochs
    from tuning.training.procedure import Procedure, RunLabels
    from tuning.training.train import train as run_training

    strategy = distribute.strategy(flags["distribute"])
    objective = pipeline.objective_for(splits, flags["objective"])
    spec, decisions = _fit_defaults(screen, pipeline, command, splits)
    pipeline.check(spec, splits)
    doubts.say_data(screen, splits, context, options_type)
    _say_decisions(screen, decisions)
    if flags["dry_run"]:
        from tuning.training.dry_run import measure

        with screen.progress("measuring a few steps"):
            cost = measure(pipeline, spec, splits)
        plain = {"dry_run": True, **_data_as_json(splits), "cost": cost.as_json()}
        screen.result(rendering.dry_run(cost), plain)
        return
    _warn_of_long_epochs(screen, pipeline, spec, splits)
    planned = pipeline.cost(spec, splits)
    if planned and not flags["no_tracking"]:
        saved_runs.require_usable(flags["tracking_uri"], planned.params)
    epochs = num_epochs(spec.train, splits.sizes()["train"])
    with screen.progress():
        result = run_training(
            pipeline,
            spec,
            _open_tracker(command, pipeline, splits),
            objective=objective,
            splits=splits,
            baselines=[] if flags["no_baselines"] else None,
            labels=RunLabels(name=flags["run_name"], notes=decisions),
            on_epoch=screen.on_epoch(epochs, objective.name),
            procedure=Procedure(
                seeds=flags["seeds"], strategy=strategy, final_fit=flags["final_fit"]
            ),
        )
    said = screen.said([*splits.notes, *splits.doubts, *decisions])
    screen.result(rendering.train_result(result, flags["tracking_uri"], said), result.as_json())
    _apply_gate(context, result)


def _cross_validate(context: click.Context, screen: Screen, command: ResolvedCommand) -> None:
    """Train and test in each fold; what is read, chosen and found is said of each."""
    flags, options_type = command.flags, type(command.options)
    of_first: dict[str, Any] = {"fold": f"1/{flags['folds']}"}
    options = dataclasses.replace(command.options, **of_first)
    pipeline, first = _load_data(dataclasses.replace(command, options=options), screen)
    doubts.require_none(first, context, options_type)
    from tuning.training import distribute
    from tuning.training.fit import num_epochs
    from tuning.training.folds import Chosen, Folds, cross_validate

    doubts.say_data(screen, first, context, options_type)
    whole = pipeline_for(command.options)
    strategy = distribute.strategy(flags["distribute"])
    objective = pipeline.objective_for(first, flags["objective"])
    said = [*first.notes, *first.doubts]

    def choose(fold: "AnyPipeline", splits: "Splits") -> Chosen:
        spec, decisions = _fit_defaults(screen, fold, command, splits)
        fold.check(spec, splits)
        screen.say(f"fold       {fold.options.fold}: {rendering.sizes(splits)}")
        _say_decisions(screen, decisions)
        said.extend([*splits.notes, *splits.doubts, *decisions])
        return Chosen(spec=spec, notes=decisions)

    epochs = num_epochs(command.spec.train, first.sizes()["train"])
    with screen.progress():
        result = cross_validate(
            whole,
            Folds(
                count=flags["folds"],
                name=flags["run_name"],
                baselines=not flags["no_baselines"],
                strategy=strategy,
            ),
            first,
            choose,
            _open_tracker(command, pipeline, first),
            objective=objective,
            on_epoch=screen.on_epoch(epochs, objective.name),
        )
    text = rendering.folds_result(result, flags["tracking_uri"], screen.said(said))
    screen.result(text, result.as_json())
    _apply_gate(context, result)


def tune(options_type: type[Options], context: click.Context) -> None:
    """Search hyperparameters with KerasTuner, train the winner in full, and test it once."""
    command, recorded = resumed_sweep.resolve_sweep(context, options_type)
    flags, screen = command.flags, _screen(command)
    if recorded and resumed_sweep.is_finished(recorded, flags["trials"]):
        resumed_sweep.show_finished(recorded, screen, flags["tracking_uri"])
        return
    names = as_names(flags["objective"])
    checks.require_gate_with_baselines(flags)
    checks.require_search_names(command.options, names, flags["tuner"], flags["early_stop"])
    max_seconds = checks.duration("--max-time", flags["max_time"])
    trial_seconds = checks.duration("--trial-time", flags["trial_time"])
    from tuning.search import constraints

    limits = constraints.parse(flags["limit_costs"])
    _require_sweep(command)
    _show_settings(screen, command)
    checks.require_workers(flags["workers"], flags["cluster"], trial_seconds)
    pipeline, splits = _load_data(command, screen)
    doubts.require_none(splits, context, options_type)
    with contextlib.closing(_make_executor(flags, trial_seconds)) as executor:
        from tuning.search.definition import Sweep, sweep_objectives
        from tuning.search.resume import SweepFinished

        decisions: list[str] = []
        if not recorded:
            spec, decisions = _fit_defaults(screen, pipeline, command, splits, command.dimensions)
            dimensions = pipeline.fit_search(command.dimensions, splits)
            command = dataclasses.replace(command, spec=spec, dimensions=dimensions)
        least = flags["min_receptive_field"]
        limits |= constraints.least_field(least, pipeline, command.spec, splits)
        sweep = Sweep(
            objectives=sweep_objectives(pipeline, splits, names),
            trials=flags["trials"],
            tuner=flags["tuner"],
            trial_epochs=flags["trial_epochs"],
            baselines=not flags["no_baselines"],
            early_stop=flags["early_stop"],
            max_seconds=max_seconds,
            max_epochs=flags["max_epochs_total"] or math.inf,
            limits=limits,
            warm_from=_warm_from(flags),
            refit_top=flags["refit_top"],
            final_fit=flags["final_fit"],
            name=flags["run_name"],
            resume=recorded.row.id if recorded else "",
            flags=resumed_sweep.flags_to_record(command),
        )
        doubts.say_data(screen, splits, context, options_type)
        _say_decisions(screen, decisions)
        _show_searched(screen, command)
        _warn_of_long_epochs(screen, pipeline, command.spec, splits)
        if flags["dry_run"]:
            _estimate_sweep(screen, pipeline, command, sweep, splits, executor)
            return
        try:
            _run_sweep(context, screen, pipeline, command, sweep, splits, executor)
        except SweepFinished:
            if not recorded:
                raise
            resumed_sweep.show_finished(recorded, screen, flags["tracking_uri"])


def _run_sweep(
    context: click.Context,
    screen: Screen,
    pipeline: "AnyPipeline",
    command: ResolvedCommand,
    sweep: "Sweep",
    splits: "Splits",
    executor: "Executor",
) -> None:
    from tuning.search.sweep import run_sweep
    from tuning.training.fit import num_epochs

    flags = command.flags
    tracker = _open_tracker(command, pipeline, splits)
    display = progress_display.SweepDisplay(
        screen,
        sweep.objective.name,
        slots=executor.slots,
        max_seconds=sweep.max_seconds,
        final_epochs=num_epochs(command.space.base.train, splits.sizes()["train"]),
        space=command.space,
    )
    with contextlib.closing(display), screen.progress():
        result = run_sweep(
            pipeline,
            command.space,
            sweep,
            tracker,
            splits=splits,
            executor=executor,
            progress=display,
        )
    said = screen.said([*splits.notes, *splits.doubts])
    screen.result(rendering.sweep_result(result, flags["tracking_uri"], said), result.as_json())
    _apply_gate(context, result.final)


def _estimate_sweep(
    screen: Screen,
    pipeline: "AnyPipeline",
    command: ResolvedCommand,
    sweep: "Sweep",
    splits: "Splits",
    executor: "Executor",
) -> None:
    from tuning.search.estimate import estimate

    screen.say("measuring  a few networks for two epochs each")
    flags = command.flags
    with screen.progress():
        tracker = saved_runs.look(flags["tracking_uri"], track=not flags["no_tracking"])
        cost = estimate(pipeline, command.space, sweep, splits, executor, tracker)
    screen.result(rendering.estimate(cost), cost.as_json())


def evaluate(options_type: type[Options], context: click.Context) -> None:
    """Score a saved model on data: that of its run, or other data that --data names."""
    is_data_given = context.get_parameter_source("data") not in (ParameterSource.DEFAULT, None)
    if context.params["model"] and not context.params["run"] and not is_data_given:
        raise UsageError(
            "--model also needs --data: the model file does not say what to score it on"
        )
    row = find_row(context, options_type)
    base = saved_runs.options_of_run(options_type, row) if row else None
    if base and is_data_given:
        base = dataclasses.replace(base, limit=0)  # what bounded the training bounds no other data
    command = resolve(context, options_type, base)
    checks.require_output(command.flags["output"], command.flags["force"])
    checks.require_data(command.options)
    checks.require_columns(command.options.data, command.options, command.origins)
    screen = _screen(command)
    with screen.progress("loading the model"):
        serving = load_model(context, row)
    asked = command.flags["part"] or ("all" if is_data_given else "test")
    pipeline = pipeline_for(command.options)
    with screen.progress(f"reading {command.options.data}"):
        splits = pipeline.load_hold_out(serving) if asked == "all" else pipeline.load()
    # A hold-out is the test part of its splits.
    part: Part = cast("Part", "test" if asked == "all" else asked)
    screen.say(rendering.data_lines(splits))
    network = pipeline.restore_network(serving, splits)
    with screen.progress("predicting"):
        predictions = pipeline.predict(network, splits, part)
    scores = pipeline.score(predictions, splits, part)
    if command.flags["output"]:
        _write_table(pipeline.table(predictions, splits, part), command.flags["output"])
    learned = saved_runs.learned_from(row, asked) if row else ""
    if learned:
        screen.say(f"note       {learned}")
    title = f"{pipeline.domain} / {splits.dataset}: {asked}, {splits.sizes()[part]:,} examples"
    rows = [[name, rendering.format_number(value)] for name, value in scores.items()]
    table = rendering.table([title, ""], rows)
    count = splits.sizes()[part]
    from tuning.results.training import tables_as_json

    tables = pipeline.score_tables(predictions, splits, part)
    plain = {"dataset": splits.dataset, "part": asked, "examples": count, **scores}
    text = "\n\n".join([table, *map(rendering.scores_by, tables.values())])
    screen.result(text, {**plain, **tables_as_json(tables)})


def predict(options_type: type[Options], context: click.Context) -> None:
    """Predict for raw input: only a run's id or a model file is needed, not the training data."""
    question = Question(name="predict_raw", help="", metavar="", options=options_type.predict_type)
    ask(options_type, question, context)


def ask(options_type: type[Options], question: Question, context: click.Context) -> None:
    """Let a trained model answer `question` about what was typed, and write the answers."""
    params = context.params
    names = [field.name for field in dataclasses.fields(question.options)]
    options = question.options(**{name: params[name] for name in names})
    if question.takes_files:
        piped = piped_command(context, options_type)
        checks.require_inputs(params["inputs"], needed=options.needs_input, piped=piped)
    else:
        checks.require_words(question, params["inputs"], needed=options.needs_input)
    options.check(params["inputs"], params["force"])
    checks.require_output(params["output"], params["force"])
    checks.require_picture(options.picture, params["inputs"], params["force"])
    row = find_row(context, options_type)
    if not options.skip_unreadable:
        for source in params["inputs"]:
            checks.require_columns(source, options, names)
    import pandas as pd

    from pipelines.io.spreadsheet_safe import neutralise_formulas

    screen = Screen(quiet=params["quiet"], json=params["json"])
    with screen.progress("loading the model"):
        serving = load_model(context, row)
    answer = getattr(pipeline_class(options_type.domain), question.name)
    notes: list[str] = []
    tables = []
    with (
        screen.progress(),
        standard_input_as_file(params["inputs"], options_type.standard_input) as inputs,
    ):
        # Where no input is needed, the model is asked about what it knows.
        for source in inputs or [""]:
            tables.append(answer(serving, source, options, notes))
    answers = pd.concat(tables, ignore_index=True)
    if notes:
        screen.say(rendering.notes(notes))
    if not len(answers.columns):
        return  # such as vectors, which the domain has written
    if params["safe_csv"]:
        answers = neutralise_formulas(answers)
    if params["output"]:
        _write_table(answers, params["output"])
    elif params["json"]:
        records = json.loads(answers.to_json(orient="records", date_format="iso"))
        click.echo(json.dumps({"answers": records}))
    else:
        click.echo(answers.to_csv(index=False), nl=False)


def _write_table(table: "pd.DataFrame", output: str) -> None:
    from pipelines.io.whole_files import write_table

    write_table(table, Path(output))
    click.echo(f"{count_of(len(table), 'row')} written to {output}", err=True)


def check(options_type: type[Options], context: click.Context) -> None:
    """Do all that `train` does before it trains, and say what is in the data."""
    command = resolve(context, options_type)
    command.options.objective(command.flags["objective"])
    screen = _screen(command)
    fix = checks.require_fix(command.flags["fix"], command.options.limit)
    _show_settings(screen, command)
    pipeline, splits = _load_data(command, screen)
    pipeline.objective_for(splits, command.flags["objective"])
    undecided = undecided_by_check(command, options_type)
    left_open = ("architecture",) if undecided else ()
    spec, decisions = _fit_defaults(screen, pipeline, command, splits, left_open)
    decisions += [undecided] if undecided else []
    pipeline.check(spec, splits)
    if fix:
        doubts.write_clean(pipeline, splits, fix, screen)
    next_command = train_command(context, options_type, clean=fix)
    notes = [*splits.notes, *decisions]
    plain = {**_data_as_json(splits), "notes": notes, **splits.describe()}
    plain["findings"] = [finding.as_json() for finding in splits.findings]
    plain["next"] = next_command
    _say_decisions(screen, decisions)
    screen.result(rendering.data_report(splits, options_type.domain, next_command), plain)
    doubts.require_none(splits, context, options_type)


def datasets(options_type: type[Options], context: click.Context) -> None:
    """List the data sets that --data knows by name."""
    known = dict(options_type.datasets)
    screen = Screen(json=context.params["json"])
    screen.result(rendering.table(["--data", "what it is"], list(known.items())), known)


def schema(options_type: type[Options], context: click.Context) -> None:
    """Print the JSON schema of the hyperparameters that a config file may set."""
    from pydantic import TypeAdapter

    click.echo(json.dumps(TypeAdapter(options_type.spec_type).json_schema(), indent=2))


def _make_executor(flags: Mapping[str, Any], trial_seconds: float) -> "Executor":
    """Return where trials run: on a cluster, in worker processes, or in this process."""
    from tuning.execution.local_workers import LocalWorkers, count_workers

    count = count_workers(flags["workers"])
    if flags["cluster"]:
        from tuning.execution.ray_cluster import RayCluster

        return RayCluster(
            flags["cluster"],
            trial_seconds=trial_seconds,
            deterministic=flags["deterministic"],
        )
    # A dry run measures one network after the other: one worker would only add its start.
    if count > 1 or (count and not flags["dry_run"]):
        return LocalWorkers(
            count, trial_seconds=trial_seconds, deterministic=flags["deterministic"]
        )
    from tuning.execution.in_process import InProcess

    return InProcess()


def _screen(command: ResolvedCommand) -> Screen:
    return Screen(quiet=command.flags["quiet"], json=command.flags["json"])


def _show_settings(screen: Screen, command: ResolvedCommand) -> None:
    """Print what differs from the defaults and was not typed, and where it came from."""
    for key, origin in command.origins.items():
        if origin.where != COMMAND_LINE and origin.value not in (None, "", False):
            screen.say(f"setting    {key}={origin.value}  ({origin.where})")
    if command.ignored:
        keys = ", ".join(setting.key for setting in command.ignored)
        screen.say(f"note       left out, because another command takes it: {keys}")
    for key in command.without_effect:
        screen.say(f"note       {key} plays no part here: {command.why_not(key)}")


def _load_data(command: ResolvedCommand, screen: Screen) -> "tuple[AnyPipeline, Splits]":
    """Return the pipeline of a command and its data, while the reading is shown.

    TensorFlow is imported when the data could be read: a wrong path or column is refused at once.
    """
    with screen.progress(f"reading {command.options.data}"):
        splits = load_data(command.options)
    with screen.progress("loading TensorFlow"):
        runtime.import_tensorflow(deterministic=command.flags["deterministic"])
    return pipeline_for(command.options), splits


def _fit_defaults(
    screen: Screen,
    pipeline: "AnyPipeline",
    command: ResolvedCommand,
    splits: "Splits",
    searched: Collection[str] = (),
) -> tuple[Any, list[str]]:
    """Return the spec with what nobody has set decided by the data, and why it was decided so.

    `searched` are the keys that a search goes through.
    """
    # Whatever architecture would be chosen, a search goes through its own.
    given = {*command.given, *({"architecture"} & set(searched))}
    decisions: list[str] = []
    with screen.progress():
        spec = pipeline.fit_defaults(command.spec, splits, given, decisions)
    return spec, decisions


def _say_decisions(screen: Screen, decisions: Sequence[str]) -> None:
    for decision in decisions:
        screen.say(f"choice     {decision}")


def _warn_of_long_epochs(
    screen: Screen, pipeline: "AnyPipeline", spec: Any, splits: "Splits"
) -> None:
    """Say so where an epoch takes long, before it has begun."""
    from tuning.training.dry_run import long_epoch

    epoch = long_epoch(pipeline, spec, splits)
    if epoch is None:
        return
    cheaper = "Smaller kernels, fewer filters or smaller inputs cost less"
    if epoch.flag:
        cheaper = f"With {epoch.flag} it takes {rendering.clock(epoch.shorter)} at most"
    screen.say(
        f"warning    an epoch of this network may take {rendering.clock(epoch.seconds)} here. "
        f"{cheaper}. Measure it first: train --dry-run"
    )


def _require_store(flags: Mapping[str, Any]) -> None:
    """Refuse a store that cannot be used, and a sweep that is not in it, before data is read."""
    if not flags["no_tracking"] and not flags["dry_run"]:
        saved_runs.require_usable(flags["tracking_uri"])
    _warm_from(flags)


def _warm_from(flags: Mapping[str, Any]) -> str:
    """Return the id of the sweep that `--warm-from` names; `auto` and "" as they are."""
    named = str(flags.get("warm_from") or "")
    if named in ("", "auto"):
        return named
    return saved_runs.find_sweep(named, flags["tracking_uri"]).id


def _require_sweep(command: ResolvedCommand) -> None:
    """Refuse to search what all trials share, a sweep that changes nothing, an unusable store."""
    from tuning.search.constraints import require_searchable

    require_searchable(command.dimensions)
    if command.dimensions and not command.space.dimensions:
        key = command.unsearched[0]
        raise UsageError(f"There is nothing to search. {key}: {command.why_not(key)}")
    _require_store(command.flags)


def _show_searched(screen: Screen, command: ResolvedCommand) -> None:
    """Print what is searched, and what somebody asked for that would change nothing."""
    screen.say(rendering.searched(command.space.dimensions))
    for key in sorted(command.searched.intersection(command.unsearched)):
        screen.say(f"note       {key} is not searched: {command.why_not(key)}")


def _data_as_json(splits: "Splits") -> dict[str, Any]:
    return {"dataset": splits.dataset, "digest": splits.digest, "sizes": splits.sizes()}


def _open_tracker(command: ResolvedCommand, pipeline: "AnyPipeline", splits: "Splits") -> "Tracker":
    flags = command.flags
    return saved_runs.open_tracker(
        pipeline,
        splits,
        flags["tracking_uri"],
        experiment=flags["experiment"],
        track=not flags["no_tracking"],
    )


def find_row(context: click.Context, options_type: type[Options]) -> "Row | None":
    """Return the run that `--run` names, of a sweep its final; None when `--model` names a file.

    Raises:
        UsageError: there is no such run, or the model is one of another application.
    """
    run, model = context.params["run"], context.params.get("model", "")
    if model.startswith("models:/"):
        raise UsageError(f"{model} names a registered model. Use: --run {model}")
    if bool(run) == bool(model):
        received = "both" if run else "neither"
        raise UsageError(f"Name the model by --run RUN or by --model FILE. Received: {received}")
    from pipelines.model_file import domain_of

    uri = context.params["tracking_uri"]
    row = saved_runs.winner_of(saved_runs.find(run, uri), uri) if run else None
    domain = row.domain if row else domain_of(Path(model))
    if domain != options_type.domain:
        flag = ("--run", run) if run else ("--model", model)
        verb = str(context.command.name)
        words = shlex.join(["appline", domain, verb, *context.params.get("inputs", ()), *flag])
        raise UsageError(f"This is a {domain} model. Use: {words}")
    return row


def load_model(context: click.Context, row: "Row | None") -> "ServingModel":
    """Return the model of a run that `find_row` has found, or of the file behind `--model`."""
    runtime.import_tensorflow()
    from pipelines.model_file import read_model

    if row is None:
        return read_model(Path(context.params["model"]))
    return saved_runs.read_run_model(row, context.params["tracking_uri"])


def _apply_gate(context: click.Context, result: "TrainResult | FoldsResult") -> None:
    """Exit with a code of its own where what answers is worse than the strongest baseline.

    That the network adds nothing is said, and is no failure: the answers are as good.
    """
    failure = result.gate_failure
    if context.params["gate"] and failure:
        click.echo(f"gate       failed: {failure}", err=True)
        context.exit(GATE_FAILED)
