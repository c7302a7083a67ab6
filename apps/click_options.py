"""Flags made from dataclass fields, and what they come to: defaults, then config files, environment, command line."""

import copy
import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pipelines.config import files as config_files
from pipelines.config.search_space import Dimension, Hyperparameter, Space, find, hyperparameters, parse_dimension, replace
from pipelines.errors import UsageError
from pipelines.pipeline import AnyPipeline

LIMIT = "limit"
MOST_SEED = 2**32 - 1  # NumPy's legacy generator and scikit-learn take no more
# Hyperparameters that have a flag of their own, where a domain has them; the flag has the key's last part as its name.
SHORTCUTS = ("architecture", "start_from", "train.epochs", "train.batch_size", "train.learning_rate")


def of_fields(owner: type) -> list[click.Option]:
    """Return one flag for each field of a dataclass whose fields were declared by `option`; a whole number is 0 or more."""
    hints = typing.get_type_hints(owner, include_extras=False)
    kinds = {
        name: click.IntRange(min=0, max=MOST_SEED if name == "seed" else None) if kind is int else kind for name, kind in hints.items()
    }
    return [flag(field.name, kinds[field.name], field.default, field.metadata["help"]) for field in dataclasses.fields(owner)]


def of_run(options: Iterable[click.Option]) -> list[click.Option]:
    """Return the flags without their defaults: those of the run that is looked at hold."""
    flags = [copy.copy(option) for option in options]
    for one in flags:
        one.show_default = False
        one.help = f"{one.help} (default: the run's)"
    return flags


def flag(name: str, kind: Any, default: Any, help: str) -> click.Option:
    """Return one flag; `kind` is a Python type, a `Literal`, or a type that may be None."""
    word = f"--{name.replace('_', '-')}"
    shared: dict[str, Any] = {"default": default, "help": help, "envvar": f"APPLINE_{name.upper()}", "show_envvar": False}
    if isinstance(kind, types.UnionType):  # int | None: not given is the automatic choice
        (kind,) = (inner for inner in typing.get_args(kind) if inner is not type(None))
    if kind is bool:
        return click.Option([f"{word}/--no-{word[2:]}" if default else word], is_flag=True, **shared)
    if typing.get_origin(kind) is typing.Literal:
        kind = click.Choice(typing.get_args(kind))
    return click.Option([word], type=kind, show_default=default not in ("", None), **shared)


class Limit(click.ParamType):  # type: ignore[type-arg]
    """A number of examples, or a bound such as cost/params=200000."""

    name = "N | COST=MOST"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int | str:
        if isinstance(value, int) or "=" in value:
            return typing.cast("int | str", value)
        try:
            return int(value)
        except ValueError:
            self.fail(f"expected a number of examples, or COST=MOST such as cost/params=200000. Received: {value}", param, context)


def with_cost_limits(option: click.Option) -> click.Option:
    """Return the option `--limit` of the data as one that also bounds what a searched network may cost; other options as they are."""
    if option.name != LIMIT:
        return option

    def split(context: click.Context, param: click.Parameter, values: tuple[int | str, ...]) -> int:
        context.params["limit_costs"] = tuple(value for value in values if isinstance(value, str))
        return next((value for value in reversed(values) if isinstance(value, int)), 0)

    words = f"{option.help}; or, and again, COST=MOST: start no network above, such as cost/params=200000 or cost/mb=2"
    return click.Option(["--limit"], type=Limit(), multiple=True, callback=split, envvar=option.envvar, help=words)


def of_spec(spec_type: type, *, search: bool) -> list[click.Option]:
    """Return the flags that set hyperparameters, and with `search` those that search them."""
    several: dict[str, Any] = {"multiple": True, "metavar": "KEY=VALUE"}
    flags = [
        click.Option(["--config"], type=click.Path(path_type=Path), multiple=True, help="YAML file of options; repeatable, later wins"),
        click.Option(["--set", "set_"], help="fix a hyperparameter: --set conv.kernel_size=5; repeatable", **several),
        *(_shortcut(name, one) for name, one in _shortcuts(spec_type).items()),
        click.Option(["--help-set"], is_flag=True, help="list every hyperparameter with its default, and stop"),
    ]
    if search:
        flags += [
            click.Option(["--search"], help="search a hyperparameter: 3,5,7 or 1e-4..1e-2:log; repeatable", **several),
            click.Option(["--only-search"], is_flag=True, help="search nothing but what --search and config files name"),
        ]
    return flags


def _shortcuts(spec_type: type) -> dict[str, Hyperparameter]:
    """Return the hyperparameters that have a flag of their own, by the flag's name."""
    known = hyperparameters(spec_type)
    return {key.rpartition(".")[2]: known[key] for key in SHORTCUTS if key in known}


def _shortcut(name: str, one: Hyperparameter) -> click.Option:
    literal = typing.get_origin(one.type) is typing.Literal
    kind = click.Choice(typing.get_args(one.type)) if literal else type(one.default)
    return click.Option([f"--{name.replace('_', '-')}"], type=kind, help=f"{one.help}  [default: {one.default}]")


@dataclass(frozen=True, kw_only=True)
class ResolvedCommand:
    """What flags, environment and config files come to, and where each value that is no default came from."""

    pipeline: AnyPipeline
    spec: Any
    dimensions: Mapping[str, Dimension]
    options: Mapping[str, Any]  # the command's own flags
    origins: Mapping[str, tuple[object, str]]  # key: (value, where it came from)

    @property
    def space(self) -> Space[Any]:
        return self.pipeline.space(self.spec, self.dimensions)


def resolve(context: click.Context, pipeline_type: type[AnyPipeline], base: AnyPipeline | None = None) -> ResolvedCommand:
    """Bring a command's values together; `base` is a pipeline whose options stand in for the defaults.

    Raises:
        UsageError: a key or value that does not exist or does not fit, with the nearest name.
    """
    params = {param.name: param for param in context.command.params if param.name}
    values = dict(context.params)
    known = hyperparameters(pipeline_type.spec_type)
    origins: dict[str, tuple[object, str]] = {}
    hyper_values: dict[str, object] = {}
    searches: dict[str, str] = {}

    for path in values.get("config", ()):
        read = config_files.read(path, pipeline_type, set(params) - {"config", "set_", "search", "help_set"} - set(known))
        for setting in read.options.values():
            if context.get_parameter_source(setting.key) in (ParameterSource.DEFAULT, None):
                values |= _converted(params[setting.key], setting)
                origins[setting.key] = (setting.value, setting.where)
            elif setting.key == LIMIT and not values[LIMIT]:  # the command line bounds a cost, the file the examples
                values[LIMIT] = _converted(params[LIMIT], setting)[LIMIT]
        for setting in read.hyperparameters.values():
            hyper_values[setting.key] = setting.value
            origins[setting.key] = (setting.value, setting.where)
        searches |= {key: str(setting.value) for key, setting in read.search.items()}

    for name in params:
        source = context.get_parameter_source(name)
        if source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT) and name not in ("config", "set_", "search"):
            origins[name] = (values[name], "command line" if source is ParameterSource.COMMANDLINE else f"APPLINE_{name.upper()}")
    for name, one in _shortcuts(pipeline_type.spec_type).items():
        if values.get(name) is not None:
            hyper_values[one.key] = values[name]
    for key, text in _pairs(values.get("set_", ()), "--set"):
        hyper_values[key] = text
        origins[key] = (text, "command line")
    searches |= dict(_pairs(values.get("search", ()), "--search"))

    fields = {field.name for field in dataclasses.fields(pipeline_type)}
    chosen = {name: value for name, value in values.items() if name in fields}
    if base is not None:
        given = {name for name in fields if name in origins}
        pipeline = dataclasses.replace(base, **{name: value for name, value in chosen.items() if name in given})
    else:
        pipeline = pipeline_type(**chosen)
    return ResolvedCommand(
        pipeline=pipeline,
        spec=replace(pipeline_type.spec_type(), hyper_values),
        dimensions=_domains(pipeline_type, hyper_values, searches, only=bool(values.get("only_search"))),
        options={name: value for name, value in values.items() if name not in fields},
        origins=origins,
    )


def _domains(pipeline_type: type[AnyPipeline], fixed: Iterable[str], searches: Mapping[str, str], *, only: bool) -> dict[str, Dimension]:
    """Return what is searched: the domain's own space without what is fixed, widened by `searches`."""
    known = hyperparameters(pipeline_type.spec_type)
    dimensions = {} if only else {key: domain for key, domain in pipeline_type.search.items() if key not in fixed}
    return dimensions | {key: parse_dimension(find(known, key), text) for key, text in searches.items()}


def _pairs(texts: Iterable[str], word: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{word} {text}: expected KEY=VALUE, such as {word} conv.kernel_size={'5' if word == '--set' else '3,5,7'}")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _converted(param: click.Parameter, setting: config_files.Setting) -> dict[str, Any]:
    """Return what a config file's value comes to, by name, as the flag of the same name would take it."""
    if setting.value is None:
        return {setting.key: param.default}
    scratch = click.Context(click.Command("scratch"))
    value = str(setting.value).split(",") if param.multiple else setting.value
    try:
        return {setting.key: param.process_value(scratch, value), **scratch.params}
    except click.BadParameter as error:
        raise UsageError(f"{setting.where}: {setting.key}: {error.message}") from None
