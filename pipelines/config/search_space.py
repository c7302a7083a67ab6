"""Hyperparameters as data: a spec holds one value for each, a space holds several for some.

A spec is a frozen dataclass whose fields are scalars or further specs (`conv: ConvSpec`). Its
dotted keys (`conv.kernel_size`) are the names that `--set`, `--search`, config files, KerasTuner
and MLflow's columns share.
"""

import dataclasses
import itertools
import math
import re
import typing
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pipelines.config.expected import NAMES_OF_TYPES, expected_value, with_point
from pipelines.config.other_names import HYPERPARAMETERS
from pipelines.errors import UsageError, suggest

if TYPE_CHECKING:
    import numpy as np

Scalar: TypeAlias = bool | int | float | str
S = TypeVar("S")


@dataclass(frozen=True)
class Except:
    """All values but these: under which a key matters."""

    values: tuple[Scalar, ...]

    def __contains__(self, value: object) -> bool:
        return value not in self.values


def describe_allowed(allowed: "tuple[Scalar, ...] | Except") -> str:
    """Return the values under which a key matters, as words: `conv or caser`."""
    if isinstance(allowed, Except):
        return f"anything but {_listed(allowed.values)}"
    return _listed(allowed)


def _listed(values: "tuple[Scalar, ...]") -> str:
    return " or ".join(str(value) or "nothing" for value in values)


# For each key that does not always matter: the keys that decide it, and their values under which
# it does.
Conditions: TypeAlias = Mapping[str, Mapping[str, tuple[Scalar, ...] | Except]]
OTHER_MARKS = re.compile(r"[],;:|/\s[()-]")  # that people write between values, or around them
RANGE_STEPS = 4  # a grid takes five points of a continuous range: its ends and three between


def hyper(default: Any, help: str) -> Any:
    """Declare a hyperparameter of a spec: its default, and its sentence of help."""
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class OneOf:
    """Annotates a text field that takes one of `names`, which are known only when the program runs.

    `architecture: Annotated[str, OneOf(REGISTRY)]` takes the names in the registry, also those that
    are registered later.
    """

    names: Mapping[str, object]

    def __hash__(self) -> int:
        return id(self.names)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.names))


@dataclass(frozen=True)
class Choice:
    """A hyperparameter that takes one of these values."""

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) < len(self.values):
            raise UsageError(f"A choice needs distinct values. Received: {self.values}")

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


@dataclass(frozen=True)
class Range:
    """A hyperparameter from `low` to `high`, both included; whole numbers when both ends are whole.

    With `log`, values are spread evenly by factor, not by difference.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if self.log and self.low <= 0:
            raise UsageError(f"A logarithmic range lies above 0. Received: {self}")
        if self.low > self.high:
            turned = Range(self.high, self.low, self.log)
            raise UsageError(f"A range runs from low to high. Received: {self}. Expected: {turned}")
        if self.low == self.high:
            raise UsageError(f"A range has two different ends. Received: {self}")

    @property
    def whole(self) -> bool:
        """Whether the range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def steps(self, count: int) -> list[float]:
        """Return `count` + 1 values from `low` to `high` in steps of equal size."""
        values = []
        for step in range(count + 1):
            share = step / count
            if self.log:
                values.append(self.low * (self.high / self.low) ** share)
            else:
                values.append(self.low + (self.high - self.low) * share)
        return values

    def __str__(self) -> str:
        if self.log:
            return f"{self.low}..{self.high}:log"
        return f"{self.low}..{self.high}"


Dimension: TypeAlias = Choice | Range


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """One scalar field of a spec: its dotted key, its annotated type, its default and its help."""

    key: str
    type: Any
    default: Scalar
    help: str

    def parse(self, value: object) -> Scalar:
        """Return `value` (a flag's text, or what a YAML file holds) as this field's type.

        Raises:
            UsageError: the value does not fit; the message says what was expected.
        """
        from pydantic import TypeAdapter, ValidationError  # .2 s that `--help` need not wait for

        if isinstance(value, bool) and bool not in _plain_types(self.type):
            raise UsageError(f"{self.key}: expected {self.expected}. Received: {value}")
        try:
            return typing.cast(Scalar, TypeAdapter(self.type).validate_python(value))
        except ValidationError as error:
            expected = expected_value(error.errors()[0])
            hint = with_point(value) or suggest(str(value), map(str, self.choices))
            message = f"{self.key}: expected {expected}. Received: {value!r}.{hint}"
            raise UsageError(message) from None

    @property
    def choices(self) -> tuple[Scalar, ...]:
        """The values that the field can take, where its type lists them (`Literal`, `OneOf`)."""
        if typing.get_origin(self.type) is typing.Literal:
            return typing.get_args(self.type)
        if typing.get_origin(self.type) is typing.Annotated:
            for annotation in typing.get_args(self.type)[1:]:
                if isinstance(annotation, OneOf):
                    return tuple(annotation.names)
        return ()

    @property
    def expected(self) -> str:
        """What the type takes, for messages."""
        return " or ".join(NAMES_OF_TYPES[kind] for kind in _plain_types(self.type))


def _plain_types(annotation: Any) -> tuple[type, ...]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain_types(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return tuple({type(value) for value in typing.get_args(annotation)})
    return (annotation,)


def hyperparameters(spec_type: type) -> Mapping[str, Hyperparameter]:
    """Return every scalar field of `spec_type` in order; those of nested specs have dotted keys."""
    return _hyperparameters(typing.cast(Hashable, spec_type))


@cache
def _hyperparameters(spec: Hashable) -> Mapping[str, Hyperparameter]:
    spec_type = typing.cast(Any, spec)
    declared = {}
    hints = typing.get_type_hints(spec_type, include_extras=True)
    for field in dataclasses.fields(spec_type):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            nested_defaults = flatten(field.default)
            for key, inner in hyperparameters(typing.cast(type, hint)).items():
                full = f"{field.name}.{key}"
                default = nested_defaults[key]
                declared[full] = dataclasses.replace(inner, key=full, default=default)
        else:
            declared[field.name] = Hyperparameter(
                key=field.name,
                type=hint,
                default=typing.cast(Scalar, field.default),
                help=field.metadata["help"],
            )
    return MappingProxyType(declared)


def flatten(spec: object) -> dict[str, Scalar]:
    """Return the spec's values under dotted keys: the columns of MLflow."""
    flat: dict[str, Scalar] = {}
    for field in dataclasses.fields(typing.cast(Any, spec)):
        value = getattr(spec, field.name)
        if dataclasses.is_dataclass(value):
            for key, inner in flatten(value).items():
                flat[f"{field.name}.{key}"] = inner
        else:
            flat[field.name] = value
    return flat


def replace(spec: S, values: Mapping[str, object]) -> S:
    """Return `spec` with the dotted keys of `values` replaced, each checked against its field.

    Raises:
        UsageError: a key does not exist (the nearest one is named) or a value does not fit.
    """
    known = hyperparameters(type(spec))
    replaced: dict[str, object] = {}
    nested: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        parsed = find(known, key).parse(value)
        group, _, rest = key.partition(".")
        if rest:
            nested.setdefault(group, {})[rest] = parsed
        else:
            replaced[key] = parsed
    for group, inner in nested.items():
        replaced[group] = replace(getattr(spec, group), inner)
    return typing.cast(S, dataclasses.replace(typing.cast(Any, spec), **replaced))


def find(known: Mapping[str, Hyperparameter], key: str) -> Hyperparameter:
    """Return the hyperparameter called `key`.

    Raises:
        UsageError: there is none; the message gives the nearest name.
    """
    if key in known:
        return known[key]
    meant = meant_by(known, key)
    hint = f" Did you mean {meant[0]!r}?" if meant else suggest(key, known)
    raise UsageError(f"There is no hyperparameter {key!r}.{hint} List them all: --help-set")


def meant_by(known: Iterable[str], name: str) -> list[str]:
    """Return the keys of hyperparameters that a name may mean: none is called nearly so.

    It is a whole key, what another tool calls one, the end of some, or the group of some.
    """
    plain = name.lower().replace("-", "_")
    keys = list(known)
    if plain in keys:
        return [plain]
    elsewhere = HYPERPARAMETERS.get(plain.rpartition(".")[2])
    if elsewhere in keys:
        return [str(elsewhere)]
    same_ending = [key for key in keys if key.endswith(f".{plain}")]
    return same_ending or [key for key in keys if key.startswith(f"{plain}.")]


def parse_dimension(hyperparameter: Hyperparameter, text: str) -> Dimension:
    """Read the value of `--search key=...`: `3,5,7`, or a range such as `1e-4..1e-2`.

    A range that ends in `:log` is spread evenly by factor.

    Raises:
        UsageError: it is neither, or a value does not fit the hyperparameter.
    """
    body, _, suffix = text.partition(":")
    low, dots, high = body.partition("..")
    # A free text, such as the path ../weights.h5, has no range.
    is_free_text = _plain_types(hyperparameter.type) == (str,) and not hyperparameter.choices
    if not dots or is_free_text:
        return _parse_choice(hyperparameter, text)
    if suffix not in ("", "log") or not (low.strip() and high.strip()):
        raise UsageError(
            f"{hyperparameter.key}: a range is low..high or low..high:log. Received: {text!r}"
        )
    ends = hyperparameter.parse(low), hyperparameter.parse(high)
    for end in ends:
        if isinstance(end, bool | str):
            raise UsageError(
                f"{hyperparameter.key} has named values: list them with commas. Received: {text!r}"
            )
    try:
        return Range(typing.cast(float, ends[0]), typing.cast(float, ends[1]), log=bool(suffix))
    except UsageError as error:
        raise UsageError(f"{hyperparameter.key}: {error}") from None


def _parse_choice(hyperparameter: Hyperparameter, text: str) -> Choice:
    """Read values with commas between them; other marks are named."""
    try:
        return Choice(tuple(hyperparameter.parse(value.strip()) for value in text.split(",")))
    except UsageError:
        meant = _with_commas(hyperparameter, text)
        if not meant:
            raise
        raise UsageError(
            f"{hyperparameter.key}: values to search have commas between them. "
            f"Received: {text!r}. Expected {meant}"
        ) from None


def _with_commas(hyperparameter: Hyperparameter, text: str) -> str:
    """Return how values with other marks between them are to be written; "" where they are none."""
    words = [word for word in OTHER_MARKS.split(text) if word]
    try:
        values = [hyperparameter.parse(word) for word in words]
    except UsageError:
        return ""
    if len(set(values)) < 2:
        return ""
    form = f"{hyperparameter.key}={','.join(words)}"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, *_, high = sorted(zip(values, words, strict=True))
        form += f", or a range: {hyperparameter.key}={low[1]}..{high[1]}"
    return form


@dataclass(frozen=True, kw_only=True)
class Space(Generic[S]):
    """A spec with several values in some places.

    `base` holds the values of everything that is not searched, `dimensions` what is searched, by
    dotted key. `conditions` says when a key matters at all, by the key or by its group (`transfer`
    for `transfer.backbone`): `{"transfer.backbone": {"architecture": ("transfer",)}}`.
    """

    base: S
    dimensions: Mapping[str, Dimension]
    conditions: Conditions = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        known = hyperparameters(type(self.base))
        for key, dimension in self.dimensions.items():
            for value in _ends(dimension):
                find(known, key).parse(value)

    def defaults(self) -> dict[str, Scalar]:
        """Return the base's values of the searched keys.

        Where a dimension does not contain the base's value, its first value stands in.
        """
        flat = flatten(self.base)
        values = {}
        for key, dimension in self.dimensions.items():
            if self.holds(key, flat[key]):
                values[key] = flat[key]
            else:
                values[key] = _grid_values(dimension)[0]
        return values

    def holds(self, key: str, value: Scalar) -> bool:
        """Return whether `key` is searched and may have this value."""
        dimension = self.dimensions.get(key)
        if dimension is None:
            return False
        if isinstance(dimension, Choice):
            return value in dimension.values
        return isinstance(value, int | float) and dimension.low <= value <= dimension.high

    def spec(self, values: Mapping[str, Scalar]) -> S:
        """Return the point of this space that has `values` for its searched keys."""
        return replace(self.base, {key: values[key] for key in self.dimensions})

    def identity(self, values: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
        """Return what tells this point from others: the searched keys that matter there."""
        flat = {**flatten(self.base), **values}
        pairs = []
        for key in self.dimensions:
            if self._matters(key, flat):
                pairs.append((key, values[key]))
        return tuple(pairs)

    def without_effect(self) -> list[str]:
        """Return the searched keys that matter at no point of this space.

        They decide nothing about the architectures that are searched, or about the one that is
        fixed.
        """
        return [key for key in self.dimensions if self.missed_conditions(key)]

    def without(self, keys: Collection[str]) -> "Space[S]":
        """Return the space in which these keys are not searched."""
        kept = {key: value for key, value in self.dimensions.items() if key not in keys}
        return dataclasses.replace(self, dimensions=kept)

    def missed_conditions(self, key: str) -> Mapping[str, tuple[Scalar, ...] | Except]:
        """Return what `key` would need to matter and no point of this space has.

        That is the keys that decide about it, and their values under which it would matter.
        """
        flat = flatten(self.base)
        missed = {}
        for name in (key, key.partition(".")[0]):
            for other, allowed in self.conditions.get(name, {}).items():
                dimension = self.dimensions.get(other)
                if dimension is None:
                    possible: tuple[Scalar, ...] = (flat[other],)
                else:
                    possible = _ends(dimension)
                if not any(value in allowed for value in possible):
                    missed[other] = allowed
        return missed

    def matters(self, key: str, values: Mapping[str, Scalar]) -> bool:
        """Return whether `key` has any effect on the network at this point."""
        return self._matters(key, {**flatten(self.base), **values})

    def _matters(self, key: str, flat: Mapping[str, Scalar]) -> bool:
        group = key.partition(".")[0]
        for name in (key, group):
            for other, allowed in self.conditions.get(name, {}).items():
                if flat[other] not in allowed:
                    return False
        return True

    def count(self) -> int | None:
        """Return the number of points, also equal and impossible ones; None if it is infinite."""
        total = 1
        for dimension in self.dimensions.values():
            if isinstance(dimension, Range) and not dimension.whole:
                return None
            total *= len(_grid_values(dimension))
        return total

    def grid(self) -> Iterator[dict[str, Scalar]]:
        """Yield every point in order, the last key changing fastest.

        A continuous range gives five points.
        """
        for combination in itertools.product(*map(_grid_values, self.dimensions.values())):
            yield dict(zip(self.dimensions, combination, strict=True))

    def draw(self, rng: "np.random.Generator") -> dict[str, Scalar]:
        """Return one point at random."""
        return {key: _draw(dimension, rng) for key, dimension in self.dimensions.items()}

    def describe(self) -> dict[str, Any]:
        """Return the space as plain data, for a sweep's fingerprint and a resolved config."""
        search = {key: str(dimension) for key, dimension in self.dimensions.items()}
        return {"base": flatten(self.base), "search": search}


def _ends(dimension: Dimension) -> tuple[Scalar, ...]:
    if isinstance(dimension, Choice):
        return dimension.values
    return (dimension.low, dimension.high)


def _draw(dimension: Dimension, rng: "np.random.Generator") -> Scalar:
    if isinstance(dimension, Choice):
        return dimension.values[rng.integers(len(dimension.values))]
    if dimension.log:
        value = math.exp(rng.uniform(math.log(dimension.low), math.log(dimension.high)))
        if dimension.whole:
            return round(value)
        return value
    if dimension.whole:
        return int(rng.integers(int(dimension.low), int(dimension.high) + 1))
    return float(rng.uniform(dimension.low, dimension.high))


def _grid_values(dimension: Dimension) -> tuple[Scalar, ...]:
    if isinstance(dimension, Choice):
        return dimension.values
    if dimension.whole:
        return tuple(range(int(dimension.low), int(dimension.high) + 1))
    return tuple(dimension.steps(RANGE_STEPS))
