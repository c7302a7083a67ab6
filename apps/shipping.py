"""The commands that take a model out of the house: `register`."""

import re
from typing import TYPE_CHECKING

import click

from apps import rendering, saved_runs
from apps.commands import find_row
from apps.screen import Screen
from pipelines import pipeline_class, runtime
from pipelines.config.options import Options
from pipelines.errors import ApplineError, UsageError

if TYPE_CHECKING:
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
    runtime.import_tensorflow()
    from tuning.tracking.registry import Registered

    uri = params["tracking_uri"]
    with screen.progress("asking the model about an example"):
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
