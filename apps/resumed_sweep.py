"""`tune --resume SWEEP`: the sweep's own run knows its options, its data, its space and its flags.

What is typed beside `--resume` may change budgets and places; what would make another sweep of it
is refused before anything is read.
"""

import dataclasses
import json
import shlex
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from apps import saved_runs
from apps.resolve import COMMAND_LINE, Origin, ResolvedCommand, as_names, resolve
from apps.screen import Screen
from pipelines import DOMAINS
from pipelines.config.options import Options
from pipelines.config.search_space import (
    Dimension,
    flatten,
    hyperparameters,
    parse_dimension,
    replace,
)
from pipelines.errors import UsageError
from tuning.search.sweep_tags import DEFINITION, EXHAUSTED, FIELD, FLAGS, TRIALS
from tuning.tracking.provenance import PROCESS, alive

if TYPE_CHECKING:
    from tuning.tracking.interface import Row

# Flags that a resumed sweep may be given anew: how long it goes on, where, and what is printed.
MAY_CHANGE = frozenset(
    {
        "trials",
        "max_time",
        "max_epochs_total",
        "trial_time",
        "refit_top",
        "workers",
        "cluster",
        "gate",
        "no_baselines",
        "strict",
        "dry_run",
        "tracking_uri",
        "json",
        "quiet",
        "verbose",
    }
)
# Flags of one command, which the next one does not take over.
NOT_KEPT = frozenset({"dry_run", "tracking_uri", "json", "quiet", "verbose", "config", "search"})
DEFINING = (
    "objective",
    "tuner",
    "early_stop",
    "trial_epochs",
    "limit_costs",
    "min_receptive_field",
    "experiment",
)
# Flags that only begin a sweep, or say what else is said.
PLAYS_NO_PART = frozenset({"resume", "only_search", "no_tracking", "help_set"})


@dataclass(frozen=True, kw_only=True)
class RecordedSweep:
    """A sweep as its run has it."""

    row: "Row"
    options: Options
    spec: Any
    dimensions: Mapping[str, Dimension]
    flags: Mapping[str, Any]

    @property
    def domain(self) -> str:
        """The application that it belongs to."""
        return self.options.domain


def resolve_sweep(
    context: click.Context, options_type: type[Options]
) -> tuple[ResolvedCommand, RecordedSweep | None]:
    """Return a command of `tune`, with `--resume` as the sweep was begun, and that sweep.

    Raises:
        UsageError: there is no such sweep, or the flags beside `--resume` make another one of it.
    """
    typed = resolve(context, options_type)
    given = typed.flags["resume"]
    if not given:
        return typed, None
    recorded = find_recorded(options_type, given, typed.flags["tracking_uri"])
    return continued(typed, recorded), recorded


def find_recorded(options_type: type[Options], given: str, uri: str) -> RecordedSweep:
    """Return the sweep whose id begins with `given`, or whose run has this name.

    Raises:
        UsageError: there is none, it is no sweep, or one of another application.
    """
    try:
        row = saved_runs.find(given, uri)
    except UsageError as error:
        raise UsageError(f"--resume {given}: {error}") from None
    domain = row.domain
    if row.role != "sweep" or DEFINITION not in row.tags:
        raise UsageError(_no_sweep(given, row, uri))
    if domain != options_type.domain:
        command = _command(domain, row, uri)
        raise UsageError(f"--resume {given}: this is a sweep of {domain}. Use: {command}")
    if row.status == "RUNNING" and alive(row.tags):
        raise UsageError(
            f"--resume {given}: this sweep is still running, in process {row.tags[PROCESS]}"
        )
    definition = json.loads(row.tags[DEFINITION])
    space = definition["space"]
    known = hyperparameters(options_type.spec_type)
    base = {key: value for key, value in space["base"].items() if key in known}
    dimensions = {}
    for key, text in space["search"].items():
        dimensions[key] = parse_dimension(known[key], text)
    return RecordedSweep(
        row=row,
        options=_options(options_type, definition["options"]),
        spec=replace(options_type.spec_type(), base),
        dimensions=dimensions,
        flags={
            "trials": int(row.params["trials"]),
            **json.loads(row.tags.get(FLAGS, "{}")),
            **_defining_flags(definition, row),
        },
    )


def _no_sweep(given: str, row: "Row", uri: str) -> str:
    """Return the message for a run that is no sweep: often one of its trials, or its winner."""
    role = row.role
    sweep = row.tags.get("sweep", "")
    domain = row.domain
    if sweep and domain in DOMAINS:
        command = shlex.join(["appline", domain, "tune", "--resume", sweep[:8], *_store(uri)])
        return f"--resume {given}: this is a run of a sweep ({role}). Continue the sweep: {command}"
    return f"--resume {given}: no sweep has this id, it is a run of {role}. List them: appline runs"


def _options(options_type: type[Options], recorded: Mapping[str, Any]) -> Options:
    """Return the options of a sweep; one that its version did not have yet has its default."""
    from pydantic import TypeAdapter

    hints = typing.get_type_hints(options_type, include_extras=True)
    values = {}
    for field in dataclasses.fields(options_type):
        if field.name in recorded:
            adapter = TypeAdapter(hints[field.name])
            values[field.name] = adapter.validate_python(recorded[field.name])
    return options_type(**values)


def _defining_flags(definition: Mapping[str, Any], row: "Row") -> dict[str, Any]:
    """Return the flags that decide what the trials are."""
    most = dict(definition["limits"])
    least = most.pop(FIELD, 0)
    limits = tuple(f"{name}={limit:g}" for name, limit in most.items())
    return {
        "objective": tuple(definition["objective"].split(", ")),
        "tuner": definition["tuner"],
        "early_stop": definition["early_stop"],
        "trial_epochs": definition["trial_epochs"],
        "limit_costs": limits,
        "min_receptive_field": f"{least:g}" if least else "",
        "experiment": row.experiment,
    }


def flags_to_record(command: ResolvedCommand) -> dict[str, Any]:
    """Return the flags of a new sweep that its definition does not hold, for `FLAGS`."""
    kept = {}
    for name, value in command.flags.items():
        is_kept = name not in DEFINING and name not in PLAYS_NO_PART and name not in NOT_KEPT
        if is_kept and value not in (None, "", (), False):
            kept[name] = value
    return kept


def continued(typed: ResolvedCommand, recorded: RecordedSweep) -> ResolvedCommand:
    """Return the command that goes on with a sweep: as it was, with what may be given anew.

    Raises:
        UsageError: what is typed would make another sweep; the message says which flags.
    """
    differences = [*_different_options(typed, recorded), *_different_space(typed, recorded)]
    differences += _different_flags(typed, recorded)
    if differences:
        short = recorded.row.id[:8]
        raise UsageError(
            f"--resume {short}: this sweep was started otherwise: {'; '.join(differences)}. "
            "Leave that out to go on with it (--trials, --max-time, --workers and other budgets "
            f"may change), or begin a new sweep with what it found: --warm-from {short}"
        )
    flags = dict(typed.flags)
    for name, value in recorded.flags.items():
        is_known = name in flags and name not in PLAYS_NO_PART
        if is_known and name not in typed.origins:
            flags[name] = value
    flags |= {name: recorded.flags[name] for name in DEFINING}
    return dataclasses.replace(
        typed,
        options=recorded.options,
        spec=recorded.spec,
        dimensions=recorded.dimensions,
        flags=flags,
    )


def _different_options(typed: ResolvedCommand, recorded: RecordedSweep) -> Iterator[str]:
    for name in type(recorded.options).option_names():
        before, now = getattr(recorded.options, name), getattr(typed.options, name)
        if name in typed.origins and now != before:
            yield _difference(_flag(name), before, now, typed.origins[name])


def _different_space(typed: ResolvedCommand, recorded: RecordedSweep) -> Iterator[str]:
    before, now = flatten(recorded.spec), flatten(typed.spec)
    for key in sorted(typed.given):
        if key in recorded.dimensions:
            yield f"{key} was searched ({recorded.dimensions[key]}), not {now[key]}"
        elif now[key] != before[key]:
            yield f"{key} was {before[key]}, not {now[key]}"
    for key in sorted(typed.searched):
        dimension = typed.dimensions[key]
        if key not in recorded.dimensions:
            yield f"{key} was not searched"
        elif str(recorded.dimensions[key]) != str(dimension):
            yield f"{key} was searched as {recorded.dimensions[key]}, not {dimension}"


def _different_flags(typed: ResolvedCommand, recorded: RecordedSweep) -> Iterator[str]:
    for name, now in typed.flags.items():
        if name in MAY_CHANGE or name in PLAYS_NO_PART or name not in typed.origins:
            continue
        if name not in recorded.flags:  # of an older version, which did not keep it
            continue
        before = recorded.flags[name]
        if name in ("objective", "limit_costs"):
            before, now = as_names(before), as_names(now)
        is_automatic = now in ("auto", 0, "")
        if now != before and not is_automatic:
            yield _difference(_flag(name), before, now, typed.origins[name])
    if typed.flags["no_tracking"]:
        yield "it is kept in MLflow, not --no-tracking"


def _difference(flag: str, before: object, now: object, origin: Origin) -> str:
    place = "" if origin.where == COMMAND_LINE else f" ({origin.where})"
    return f"{flag} was {_shown(before)}, not {_shown(now)}{place}"


def _shown(value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or "not given"
    if value in ("", None):
        return "not given"
    return str(value)


def _flag(name: str) -> str:
    word = {"limit_costs": "limit"}.get(name, name)
    return f"--{word.replace('_', '-')}"


# --------------------------------------------------------------------------------- finished sweeps


def is_finished(recorded: RecordedSweep, trials: int) -> bool:
    """Return whether nothing is left to do: it has all its trials and a winner that was tested."""
    row = recorded.row
    if row.status != "FINISHED":
        return False
    has_all = row.metrics.get(TRIALS, 0) >= trials
    return has_all or row.tags.get(EXHAUSTED) == "true"


def show_finished(recorded: RecordedSweep, screen: Screen, uri: str) -> None:
    """Print what a finished sweep found, how its model is used, and how it is extended."""
    row = saved_runs.find(recorded.row.id, uri)  # trials may have been added to it
    final = saved_runs.winner_of(row, uri)
    num_trials = int(row.metrics.get(TRIALS, 0))
    tests = {}
    for name, value in final.metrics.items():
        if name.startswith("test/"):
            tests[name.removeprefix("test/")] = value
    scores = ", ".join(f"{name} {value:.4g}" for name, value in tests.items())
    best = f"trial {int(row.metrics.get('best/trial', 0))}"
    predict = ["appline", recorded.domain, "predict", "INPUT", "--run", final.id[:8]]
    extend = _command(recorded.domain, row, uri, "--trials", str(num_trials + 10))
    lines = [
        f"finished   the sweep {row.id[:8]}: {_counted(num_trials)}, the winner is {best}; "
        "nothing was trained again",
        f"test       {final.tags.get('verdict', '')}  {scores}",
        f"run        {final.id[:8]}",
        f"next       {shlex.join([*predict, *_store(uri)])}",
    ]
    if row.tags.get(EXHAUSTED) == "true":
        lines.append("extend     every point of its space was tried: a wider one is a new sweep")
    else:
        lines.append(f"extend     {extend}")
    plain = {
        "sweep_id": row.id,
        "finished": True,
        "trials": num_trials,
        "final": {"run_id": final.id, "test": tests},
    }
    screen.result("\n".join(lines), plain)


def _counted(trials: int) -> str:
    return "1 trial" if trials == 1 else f"{trials:,} trials"


def _command(domain: str, row: "Row", uri: str, *further: str) -> str:
    words = ["appline", domain, "tune", "--resume", row.id[:8], *further, *_store(uri)]
    return shlex.join(words)


def _store(uri: str) -> list[str]:
    return ["--tracking-uri", uri] if uri else []
