"""The values of a command: defaults, then config files, environment, command line."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from apps.click_options import LIMIT, plain_reason, shortcuts
from apps.flags import FLAGS_OF_COMMANDS
from pipelines.config.files import Setting, read_config, require_fitting
from pipelines.config.options import Options
from pipelines.config.search_space import (
    Choice,
    Dimension,
    Space,
    describe_allowed,
    find,
    flatten,
    hyperparameters,
    parse_dimension,
    replace,
)
from pipelines.errors import UsageError

COMMAND_LINE = "command line"
# Flags that hold values of other names.
CONTAINERS = ("config", "set_", "search", "help_set")
GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A value that is not a default, and where it came from."""

    value: object
    where: str


@dataclass(frozen=True, kw_only=True)
class ResolvedCommand:
    """The values of a command, brought together from flags, environment and config files."""

    options: Options
    spec: Any
    dimensions: Mapping[str, Dimension]
    flags: Mapping[str, Any]  # the command's own
    origins: Mapping[str, Origin]  # by key, of each value that is no default
    given: frozenset[str]  # keys of hyperparameters that a person has set
    searched: frozenset[str] = frozenset()  # keys that a person has asked to search
    ignored: Sequence[Setting] = ()  # of config files, for other commands

    @property
    def space(self) -> Space[Any]:
        """What is searched, around the spec: of `dimensions` those that matter somewhere."""
        return self._whole_space.without(self.unsearched)

    @property
    def unsearched(self) -> list[str]:
        """Keys of `dimensions` that play no part in any of the networks."""
        return self._whole_space.without_effect()

    @property
    def without_effect(self) -> list[str]:
        """Keys that a person has set and that play no part in the network."""
        space = self._whole_space
        unread = []
        for key in sorted(self.given):
            # The value that is given counts as searched: other keys may decide about it.
            alone = dataclasses.replace(
                space, dimensions={**self.dimensions, key: Choice((flatten(self.spec)[key],))}
            )
            if key in alone.without_effect():
                unread.append(key)
        return unread

    def why_not(self, key: str) -> str:
        """Return why a key plays no part: the values of other keys under which it would."""
        reasons = []
        for other, allowed in self._whole_space.missed_conditions(key).items():
            if not allowed:
                return f"no network of {self.options.domain} reads it"
            reasons.append(f"{other}={describe_allowed(allowed)}")
        return f"it matters with {' and '.join(reasons)} alone"

    @property
    def _whole_space(self) -> Space[Any]:
        return self.options.space(self.spec, self.dimensions)


def resolve(
    context: click.Context, options_type: type[Options], base: Options | None = None
) -> ResolvedCommand:
    """Bring a command's values together; the options of `base` stand in for the defaults.

    Raises:
        UsageError: a key or value does not exist or does not fit; the message gives the nearest
            name.
    """
    values = _Values(context, options_type)
    values.read_config_files()
    values.read_flags()
    option_names = options_type.option_names()
    chosen, flags = {}, {}
    for name, value in values.flags.items():
        if name in option_names:
            chosen[name] = value
        else:
            flags[name] = value
    if chosen.get("data") == "":
        raise UsageError(
            f"--data is empty, as of a variable that is not set. Expected a file, a folder, or a "
            f"name: appline {options_type.domain} datasets"
        )
    spec = replace(options_type.spec_type(), values.hyperparameters)
    if base is None:
        options = options_type(**chosen)
        options.require_weights(spec)
    else:
        given = {name: value for name, value in chosen.items() if name in values.origins}
        options = dataclasses.replace(base, **given)
    dimensions: dict[str, Dimension] = {}
    if "search" in context.params:
        only = bool(values.flags.get("only_search"))
        dimensions = search_dimensions(
            options_type, values.hyperparameters, values.searches, only=only
        )
        for key in dimensions.keys() & options_type.weights_keys:
            dimension = dimensions[key]
            for value in dimension.values if isinstance(dimension, Choice) else ():
                options.require_weights(replace(spec, {key: value}))
    return ResolvedCommand(
        options=options,
        spec=spec,
        dimensions=dimensions,
        flags=flags,
        origins=values.origins,
        given=frozenset(values.hyperparameters),
        searched=frozenset(values.searches),
        ignored=values.ignored,
    )


@dataclass
class _Values:
    """The values of a command while they are brought together, the weaker sources first."""

    context: click.Context
    options_type: type[Options]
    flags: dict[str, Any] = field(default_factory=dict)
    hyperparameters: dict[str, object] = field(default_factory=dict)
    searches: dict[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    ignored: list[Setting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flags = dict(self.context.params)
        self._params = {param.name: param for param in self.context.command.params if param.name}

    def read_config_files(self) -> None:
        """Read the files of `--config`, later ones over earlier ones."""
        known = hyperparameters(self.options_type.spec_type)
        short = shortcuts(self.options_type.spec_type)
        names = set(self._params) - set(CONTAINERS) - set(known)
        for path in self.flags.get("config", ()):
            read = read_config(path, self.options_type, names, FLAGS_OF_COMMANDS - names)
            for setting in read.options.values():
                if setting.key in short:
                    require_fitting(short[setting.key], setting)
                self._take_option(setting)
            for setting in read.hyperparameters.values():
                self.hyperparameters[setting.key] = setting.value
                self.origins[setting.key] = Origin(value=setting.value, where=setting.where)
            self.ignored += read.ignored
            if "search" not in self._params:
                self.ignored += read.search.values()
                continue
            for setting in read.search.values():
                self.searches[setting.key] = str(setting.value)

    def _take_option(self, setting: Setting) -> None:
        param = self._params[setting.key]
        if self.context.get_parameter_source(setting.key) in GIVEN:
            # The command line may bound a cost and the file the number of examples.
            if setting.key == LIMIT and not self.flags[LIMIT]:
                self.flags[LIMIT] = _convert(param, setting)[LIMIT]
            return
        self.flags |= _convert(param, setting)
        self.origins[setting.key] = Origin(value=setting.value, where=setting.where)

    def read_flags(self) -> None:
        """Read the environment and the command line."""
        for name in self._params:
            source = self.context.get_parameter_source(name)
            if source not in GIVEN or name in CONTAINERS:
                continue
            is_flag = source is ParameterSource.COMMANDLINE
            where = COMMAND_LINE if is_flag else f"APPLINE_{name.upper()}"
            self.origins[name] = Origin(value=self.flags[name], where=where)
        for name, hyperparameter in shortcuts(self.options_type.spec_type).items():
            if self.flags.get(name) is not None:
                self.hyperparameters[hyperparameter.key] = self.flags[name]
        for key, text in _pairs(self.flags.get("set_", ()), "--set", example="5"):
            self.hyperparameters[key] = text
            self.origins[key] = Origin(value=text, where=COMMAND_LINE)
        self.searches |= dict(_pairs(self.flags.get("search", ()), "--search", example="3,5,7"))


def search_dimensions(
    options_type: type[Options],
    fixed: Iterable[str],
    searches: Mapping[str, str],
    *,
    only: bool,
) -> dict[str, Dimension]:
    """Return what is searched: the domain's own space without what is fixed, and `searches`."""
    known = hyperparameters(options_type.spec_type)
    dimensions: dict[str, Dimension] = {}
    if not only:
        for key, dimension in options_type.search.items():
            if key not in fixed:
                dimensions[key] = dimension
    for key, text in searches.items():
        dimensions[key] = parse_dimension(find(known, key), text)
    return dimensions


def as_names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the values of a repeatable flag; a config file may hold a single text."""
    if isinstance(given, str):
        return (given,) if given else ()
    return tuple(given)


def _pairs(texts: Iterable[str], flag: str, *, example: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{flag} {text}: expected KEY=VALUE, such as {flag} conv.kernel_size={example}"
            )
        pairs.append((key.strip(), value.strip()))
    return pairs


def _convert(param: click.Parameter, setting: Setting) -> dict[str, Any]:
    """Return the value of a config file, by name, as the flag of the same name would take it."""
    if setting.value is None:
        return {setting.key: param.default}
    scratch = click.Context(click.Command("scratch"))
    value = setting.value
    if param.multiple:
        value = list(map(str, value)) if isinstance(value, list) else str(value).split(",")
    try:
        return {setting.key: param.process_value(scratch, value), **scratch.params}
    except click.BadParameter as error:
        raise UsageError(f"{setting.where}: {setting.key}: {plain_reason(error)}") from None
