"""The commands that take a model out of the house: `register`, `export`."""

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from apps import checks, rendering, saved_runs
from apps.commands import find_row, load_model
from apps.resolve import resolve
from apps.screen import Screen
from pipelines import pipeline_class, pipeline_for, runtime
from pipelines.config.options import Options
from pipelines.errors import ApplineError, UsageError, count_of
from pipelines.io.paths import require_new_file

if TYPE_CHECKING:
    from pipelines import exports
    from pipelines.config.options import Objective
    from pipelines.pipeline import AnyPipeline, ServingModel
    from tuning.tracking.interface import Row

# What MLflow refuses in a name, and what `models:/NAME@ALIAS` could not be read with.
NAME = r"[^/:@\"'\s][^/:@\"']*"
ALIAS = r"(?!v\d+$|latest$)[A-Za-z_][\w-]*"


def register(options_type: type[Options], context: click.Context) -> None:
    """Register the model of a run in MLflow under a name, and call this version by an alias.

    The version says what the model scored and on which data, and has an input example that the
    model has answered. `--run models:/NAME@ALIAS` names it wherever a run is taken.
    """
    params = context.params
    if not params["run"]:
        raise UsageError(
            "Name the run whose model is registered: --run RUN. List them: appline runs"
        )
    if params["alias"] and not re.fullmatch(ALIAS, params["alias"]):
        raise UsageError(
            f"--alias {params['alias']}: expected letters, digits, - and _, such as champion; "
            "latest and v1 are MLflow's own"
        )
    row = find_row(context, options_type)
    assert row is not None
    name = params["name"] or _default_name(row)
    if not re.fullmatch(NAME, name):
        raise UsageError(f"--name {name}: expected a name without / : @ and quotes")
    screen = Screen(quiet=params["quiet"], json=params["json"])
    from tuning.tracking.registry import Registered

    uri = params["tracking_uri"]
    with screen.progress("asking the model about an example"):
        runtime.import_tensorflow()
        serving = saved_runs.read_run_model(row, uri)
        pipeline_type = pipeline_class(options_type.domain)
        example = pipeline_type.example(serving.facts)
        answers = pipeline_type.predict_raw(serving, example)
    if not len(answers):
        raise ApplineError("The model gives no answer to an example, so it is not registered")
    target = Registered(name=name, version="", alias=params["alias"])
    registered = saved_runs.register(row, target, example, _description(row), uri)
    plain = {
        "name": name,
        "version": registered.version,
        "alias": registered.alias,
        "run": registered.address,
        "run_id": row.id,
    }
    screen.result(
        f"registered  {name}, version {registered.version}: {row.name} ({row.id[:8]})\n"
        f"next        appline {options_type.domain} predict INPUT --run {registered.address}",
        plain,
    )


def export(options_type: type[Options], context: click.Context) -> None:
    """Write a model in a format of other tools, if it answers there as it does here.

    64 examples of the run's data, or of --data, are asked of both; the largest difference, the
    agreement, size and latency are printed, and logged to the run. Where it answers otherwise,
    nothing is written. With --quantize, so is what that costs on the validation part.
    """
    params = context.params
    from pipelines import exports

    exports.require_quantizable(params["format"], params["quantize"])
    given = context.get_parameter_source("data") not in (ParameterSource.DEFAULT, None)
    if params["model"] and not params["run"] and not given:
        raise UsageError("--model also needs --data: examples that the export is proved on")
    row = find_row(context, options_type)
    base = saved_runs.options_of_run(options_type, row) if row else None
    command = resolve(context, options_type, base)
    checks.require_data(command.options)
    chosen: exports.Format = params["format"]
    stem = f"{options_type.domain}-{row.id[:8] if row else Path(params['model']).stem}"
    path = Path(params["output"] or f"{stem}{exports.ENDINGS[chosen]}")
    _require_place(path, exports.ENDINGS[chosen], params["force"])
    if chosen in exports.NUMBERS_ALONE:
        require_new_file("--output", exports.facts_file(path), params["force"])
    screen = Screen(quiet=params["quiet"], json=params["json"])
    with screen.progress("loading the model"):
        serving = load_model(context, row)
    exports.require_format(exports.input_types(serving.model), chosen)
    pipeline = pipeline_for(command.options)
    with screen.progress(f"reading {command.options.data}"):
        inputs = pipeline.served_inputs(serving, exports.EXAMPLES)
        target, headline = _target(pipeline, serving, chosen, params["quantize"])
    with screen.progress(f"writing {chosen} and asking it"):
        portable = pipeline.portable_model(serving)
        proof = exports.export(serving, portable, target, inputs, path)
    if row:
        saved_runs.log_metrics(row, _as_metrics(proof), params["tracking_uri"])
    plain = {"file": str(path), **dataclasses.asdict(proof)}
    screen.result(_told(proof, path, headline), plain)


def _target(
    pipeline: "AnyPipeline",
    serving: "ServingModel",
    chosen: "exports.Format",
    quantize: "exports.Quantization",
) -> "tuple[exports.Target, Objective]":
    """Return what is written, and the metric to tell of it on validation where it is quantized.

    Raises:
        UsageError, DataError: networks of this domain are not quantized, or the data does not fit.
    """
    from pipelines import exports

    if quantize == "none":
        return exports.Target(format=chosen), pipeline.options.headline
    splits = pipeline.load()
    pipeline.restore_network(serving, splits)
    inputs = pipeline.portable_inputs(serving, splits, "val")

    def score(runner: exports.Runner) -> dict[str, float]:
        answers = exports.in_batches(runner, inputs)
        return pipeline.score(pipeline.portable_predictions(answers), splits, "val")

    target = exports.Target(format=chosen, quantize=quantize, score=score)
    return target, pipeline.headline_metric(splits)


def _require_place(path: Path, ending: str, force: bool) -> None:
    if ending and path.suffix.lower() != ending:
        raise UsageError(f"--output {path}: expected a name that ends in {ending}")
    if not ending and path.exists():
        raise UsageError(f"--output {path}: exists already. Choose another name for the folder")
    require_new_file("--output", path, force)


def _told(proof: "exports.Proof", path: Path, headline: "Objective") -> str:
    """Return what was proved, as lines for people."""
    from pipelines.exports import NUMBERS_ALONE, facts_file

    agreement = "" if proof.agreement is None else f", {proof.agreement:.1%} the same best answer"
    lines = [
        f"written     {path} ({proof.num_bytes / 2**20:.2f} MB)",
        f"proved      {count_of(proof.examples, 'example')}: largest difference "
        f"{proof.largest_difference:.2g} (at most {proof.tolerance:.2g}){agreement}",
        f"latency     {proof.latency_ms:.2f} ms an example, in Keras {proof.keras_latency_ms:.2f}",
    ]
    if proof.scores:
        before, after = proof.full_scores[headline.name], proof.scores[headline.name]
        lines.insert(
            2,
            f"costs       validation {headline.name} {before:.4g} before, {after:.4g} as "
            f"{proof.quantize} ({after - before:+.2g})",
        )
    if proof.format in NUMBERS_ALONE:
        lines.append(f"beside it   {facts_file(path)}: what it was trained on, for whoever asks it")
    return "\n".join(lines)


def _as_metrics(proof: "exports.Proof") -> dict[str, float]:
    """Return a proof as metrics of the run."""
    values = {
        "largest_difference": proof.largest_difference,
        "mb": proof.num_bytes / 2**20,
        "latency_ms_p50": proof.latency_ms,
    }
    if proof.agreement is not None:
        values["agreement"] = proof.agreement
    for name, value in proof.scores.items():
        values[f"val_{name}"] = value
        values[f"val_{name}_cost"] = value - proof.full_scores[name]
    form = proof.format if proof.quantize == "none" else f"{proof.format}-{proof.quantize}"
    return {f"export/{form}/{name}": value for name, value in values.items()}


def _default_name(row: "Row") -> str:
    data = re.sub(r"[^\w.-]+", "-", row.tags.get("dataset", "")).strip("-.")
    return f"{row.domain}-{data or 'model'}"


def _description(row: "Row") -> str:
    """Return what people read about a version, as Markdown: verdict, metric, data."""
    from tuning.comparison.headline import headline_of
    from tuning.reports.run_card import escape

    lines = [f"**{escape(row.tags['verdict'])}**"] if "verdict" in row.tags else []
    headline = headline_of(row)
    if headline:
        score = rendering.format_number(row.metrics[f"test/{headline.name}"])
        better = "more" if headline.direction == "max" else "less"
        lines.append(f"- {escape(headline.name)} {score} on test ({better} is better)")
    digest = row.tags.get("data_digest", "")
    lines.append(
        f"- data {escape(row.tags.get('dataset', 'unknown'))}, digest {digest or 'unknown'}"
    )
    lines.append(f"- run {escape(row.name)}, {row.id}")
    return "\n".join(lines)
