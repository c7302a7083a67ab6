"""Flags of the command line, made from dataclass fields: nothing is declared twice."""

import copy
import dataclasses
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from annotated_types import Ge, Le

from pipelines.config.expected import NUMBER, SWITCH, WHOLE_NUMBER, with_point
from pipelines.config.options import Options, PredictOptions
from pipelines.config.search_space import Hyperparameter, hyperparameters
from pipelines.errors import suggest

LIMIT = "limit"
# Hyperparameters that have a flag of their own, where a domain has them; the flag has the key's
# last part as its name.
SHORTCUTS = (
    "architecture",
    "start_from",
    "train.epochs",
    "train.batch_size",
    "train.learning_rate",
)


def make_flag(name: str, kind: Any, default: Any, help: str) -> click.Option:
    """Return one flag.

    `kind` is a click type, a Python type, a `Literal`, or one of these or None.
    """
    word = f"--{name.replace('_', '-')}"
    shared: dict[str, Any] = {
        "default": default,
        "help": help,
        "envvar": f"APPLINE_{name.upper()}",
        "show_envvar": False,
    }
    if kind is bool:
        if default:
            word = f"{word}/--no-{name.replace('_', '-')}"
        return click.Option([word], is_flag=True, **shared)
    return click.Option(
        [word], type=_click_type(kind), show_default=default not in ("", None), **shared
    )


def _click_type(kind: Any) -> Any:
    if isinstance(kind, types.UnionType):  # int | None: not given is the automatic choice
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return _click_type(inner[0])
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    if typing.get_origin(kind) is typing.Annotated:
        plain, *bounds = typing.get_args(kind)
        return _bounded(plain, bounds)
    return kind


def _bounded(plain: Any, bounds: Iterable[Any]) -> Any:
    """Return the click type for whole numbers within `Ge` and `Le`; other types as they are."""
    if plain is not int:
        return plain
    least = most = None
    for bound in bounds:
        if isinstance(bound, Ge):
            least = bound.ge
        elif isinstance(bound, Le):
            most = bound.le
    return click.IntRange(min=typing.cast(Any, least), max=typing.cast(Any, most))


def options_flags(options_type: type[Options | PredictOptions]) -> list[click.Option]:
    """Return one flag for each option of a domain."""
    hints = typing.get_type_hints(options_type, include_extras=True)
    flags = []
    for field in dataclasses.fields(options_type):
        help = field.metadata["help"]
        if field.metadata["repeatable"]:
            flags.append(_joining_flag(field.name, help))
        else:
            flags.append(make_flag(field.name, hints[field.name], field.default, help))
    return flags


def plain_reason(error: click.BadParameter) -> str:
    """Return why a value does not fit its flag, without words of programmers."""
    received, is_type, _ = error.message.partition(" is not a valid ")
    kind = error.param.type if error.param else None
    if isinstance(kind, click.Choice):
        received = error.message.partition(" is not one of ")[0]
        choices = list(map(str, kind.choices))
        hint = suggest(received.strip("'"), choices)
        return f"expected {' or '.join(choices)}. Received: {received}.{hint}"
    if isinstance(kind, click.IntRange) and not is_type:
        received = error.message.partition(" is not in the range ")[0]
    if isinstance(kind, click.IntRange) and kind.min is not None:
        upper = "or more" if kind.max is None else f"to {kind.max}"
        expected = f"a whole number, {kind.min} {upper}"
    elif isinstance(kind, click.types.IntParamType):
        expected = WHOLE_NUMBER
    elif isinstance(kind, click.types.FloatParamType):
        expected = NUMBER
    elif isinstance(kind, click.types.BoolParamType):
        expected = SWITCH
    else:
        return error.message
    hint = with_point(received.strip("'"))
    return f"expected {expected}. Received: {received}.{hint}"


class _Names(click.types.StringParamType):
    """Texts; those in a variable of the environment are separated by commas."""

    envvar_list_splitter = ","


def _joining_flag(name: str, help: str) -> click.Option:
    """Return a flag that may be given several times: its values are joined by commas."""

    def join(context: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str:
        return ",".join(values)

    return click.Option(
        [f"--{name.replace('_', '-')}"],
        type=_Names(),
        multiple=True,
        callback=join,
        envvar=f"APPLINE_{name.upper()}",
        help=help,
    )


def without_defaults(options: Iterable[click.Option]) -> list[click.Option]:
    """Return the flags with a help text that says: by default as in the run."""
    flags = []
    for option in options:
        flag = copy.copy(option)
        flag.show_default = False
        flag.help = f"{flag.help} (default: the run's)"
        flags.append(flag)
    return flags


class LimitType(click.ParamType):  # type: ignore[type-arg]
    """A number of examples, or a bound such as cost/params=200000."""

    name = "N | COST=MOST"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        if isinstance(value, int) or "=" in value:
            return typing.cast("int | str", value)
        try:
            return int(value)
        except ValueError:
            self.fail(
                "expected a number of examples, or COST=MOST such as cost/params=200000. "
                f"Received: {value}",
                param,
                context,
            )


def with_cost_limits(option: click.Option) -> click.Option:
    """Return the option `--limit` as one that also bounds what a searched network may cost.

    Other options are returned as they are.
    """
    if option.name != LIMIT:
        return option

    def split(context: click.Context, param: click.Parameter, values: tuple[int | str, ...]) -> int:
        costs = []
        count = 0
        for value in values:
            if isinstance(value, str):
                costs.append(value)
            else:
                count = value
        context.params["limit_costs"] = tuple(costs)
        return count

    help = (
        f"{option.help}; or, repeatable, COST=MOST: start no larger network, "
        "such as cost/params=200000 or cost/mb=2"
    )
    return click.Option(
        ["--limit"],
        type=LimitType(),
        multiple=True,
        callback=split,
        envvar=option.envvar,
        help=help,
    )


def spec_flags(spec_type: type, *, search: bool) -> list[click.Option]:
    """Return the flags that set hyperparameters, and with `search` those that search them."""
    pairs: dict[str, Any] = {"multiple": True, "metavar": "KEY=VALUE"}
    flags = [
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            multiple=True,
            help="YAML file of options; repeatable, later wins",
        ),
        click.Option(
            ["--set", "set_"],
            help="fix a hyperparameter: --set conv.kernel_size=5; repeatable",
            **pairs,
        ),
    ]
    for name, hyperparameter in shortcuts(spec_type).items():
        flags.append(_shortcut_flag(name, hyperparameter))
    flags.append(
        click.Option(
            ["--help-set"],
            is_flag=True,
            help="list every hyperparameter with its default, and stop",
        )
    )
    if search:
        flags += [
            click.Option(
                ["--search"],
                help="search a hyperparameter: 3,5,7 or 1e-4..1e-2:log; repeatable",
                **pairs,
            ),
            click.Option(
                ["--only-search"],
                is_flag=True,
                help="search nothing but what --search and config files name",
            ),
        ]
    return flags


def shortcuts(spec_type: type) -> dict[str, Hyperparameter]:
    """Return the hyperparameters that have a flag of their own, by the name of the flag."""
    known = hyperparameters(spec_type)
    return {key.rpartition(".")[2]: known[key] for key in SHORTCUTS if key in known}


def _shortcut_flag(name: str, hyperparameter: Hyperparameter) -> click.Option:
    kind: Any = type(hyperparameter.default)
    if hyperparameter.choices:
        kind = click.Choice(hyperparameter.choices)
    help = f"{hyperparameter.help}  [default: {hyperparameter.default}]"
    return click.Option([f"--{name.replace('_', '-')}"], type=kind, help=help)
