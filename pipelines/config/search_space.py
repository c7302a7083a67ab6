"""Hyperparameters as data: a spec holds one value for each, a space holds several for some.

A spec is a frozen dataclass whose fields are scalars or further specs (`conv: ConvSpec`). Its dotted keys
(`conv.kernel_size`) are the names that `--set`, `--search`, config files, KerasTuner and MLflow's columns share.
"""

import dataclasses
import itertools
import math
import typing
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pipelines.errors import UsageError, suggest

if TYPE_CHECKING:
    import numpy as np

Scalar: TypeAlias = bool | int | float | str
S = TypeVar("S")


def hyper(default: Any, help: str) -> Any:
    """Declare one hyperparameter of a spec: its default, and the sentence that `--help` shows for it."""
    return dataclasses.field(default=default, metadata={"help": help})


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
    """A hyperparameter between `low` and `high`, both included; whole when both ends are whole; `log` spreads it evenly by factor."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise UsageError(f"A range runs from low to high{', above 0 when it is logarithmic' if self.log else ''}. Received: {self}")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" + (":log" if self.log else "")


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
            reason = error.errors()[0]["msg"].removeprefix("Input should be ")
            hint = suggest(str(value), map(str, typing.get_args(self.type)))
            raise UsageError(f"{self.key}: expected {reason}. Received: {value!r}.{hint}") from None

    @property
    def expected(self) -> str:
        return " or ".join(kind.__name__ for kind in _plain_types(self.type))


def _plain_types(annotation: Any) -> tuple[type, ...]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain_types(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return tuple({type(value) for value in typing.get_args(annotation)})
    return (annotation,)


def hyperparameters(spec_type: type) -> Mapping[str, Hyperparameter]:
    """Return every scalar field of `spec_type`, nested ones under dotted keys, in order of declaration."""
    return _hyperparameters(typing.cast(Hashable, spec_type))


@cache
def _hyperparameters(spec: Hashable) -> Mapping[str, Hyperparameter]:
    spec_type = typing.cast(Any, spec)
    found = {}
    hints = typing.get_type_hints(spec_type, include_extras=True)
    for field in dataclasses.fields(spec_type):
        if dataclasses.is_dataclass(hints[field.name]):
            nested = flatten(field.default)
            for key, inner in hyperparameters(hints[field.name]).items():
                full = f"{field.name}.{key}"
                found[full] = dataclasses.replace(inner, key=full, default=nested[key])
        else:
            found[field.name] = Hyperparameter(
                key=field.name, type=hints[field.name], default=typing.cast(Scalar, field.default), help=field.metadata["help"]
            )
    return MappingProxyType(found)


def flatten(spec: object) -> dict[str, Scalar]:
    """Return the spec's values under dotted keys: the columns of MLflow."""
    flat: dict[str, Scalar] = {}
    for field in dataclasses.fields(typing.cast(Any, spec)):
        value = getattr(spec, field.name)
        if dataclasses.is_dataclass(value):
            flat.update({f"{field.name}.{key}": inner for key, inner in flatten(value).items()})
        else:
            flat[field.name] = value
    return flat


def replace(spec: S, values: Mapping[str, object]) -> S:
    """Return `spec` with the dotted keys of `values` replaced, each checked against its field.

    Raises:
        UsageError: a key does not exist (the nearest one is named) or a value does not fit.
    """
    known = hyperparameters(type(spec))
    nested: dict[str, dict[str, object]] = {}
    own: dict[str, object] = {}
    for key, value in values.items():
        own_or_nested(key, find(known, key).parse(value), own, nested)
    for name, inner in nested.items():
        own[name] = replace(getattr(spec, name), inner)
    return typing.cast(S, dataclasses.replace(typing.cast(Any, spec), **own))


def own_or_nested(key: str, value: object, own: dict[str, object], nested: dict[str, dict[str, object]]) -> None:
    """Sort one dotted key: `conv.filters` goes to `nested["conv"]["filters"]`, `architecture` to `own`."""
    name, _, rest = key.partition(".")
    if rest:
        nested.setdefault(name, {})[rest] = value
    else:
        own[name] = value


def find(known: Mapping[str, Hyperparameter], key: str) -> Hyperparameter:
    """Return the hyperparameter called `key`; raise `UsageError` with the nearest name when there is none."""
    if key in known:
        return known[key]
    ending = [name for name in known if name.endswith(f".{key}")]
    hint = f" Did you mean {ending[0]!r}?" if ending else suggest(key, known)
    raise UsageError(f"No hyperparameter is called {key!r}.{hint} All of them: appline <domain> train --help-set")


def parse_dimension(hyperparameter: Hyperparameter, text: str) -> Dimension:
    """Read what `--search key=...` gives: `3,5,7`, or `1e-4..1e-2` with `:log` behind it for an even spread by factor."""
    body, _, suffix = text.partition(":")
    low, dots, high = body.partition("..")
    if dots:
        if suffix not in ("", "log"):
            raise UsageError(f"{hyperparameter.key}: a range is low..high or low..high:log. Received: {text!r}")
        ends = hyperparameter.parse(low), hyperparameter.parse(high)
        if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
            raise UsageError(f"{hyperparameter.key}: takes names, so list them with commas. Received: {text!r}")
        return Range(typing.cast(float, ends[0]), typing.cast(float, ends[1]), log=bool(suffix))
    return Choice(tuple(hyperparameter.parse(value.strip()) for value in text.split(",")))


@dataclass(frozen=True, kw_only=True)
class Space(Generic[S]):
    """A spec with several values in some places.

    `base` holds the values of everything that is not searched. `dimensions` holds what is, by dotted key.
    `conditions` says when a key matters at all: `{"transfer.backbone": ("architecture", ("transfer",))}`.
    """

    base: S
    dimensions: Mapping[str, Dimension]
    conditions: Mapping[str, tuple[str, tuple[Scalar, ...]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        known = hyperparameters(type(self.base))
        for key, domain in self.dimensions.items():
            ends = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
            for value in ends:
                find(known, key).parse(value)

    def defaults(self) -> dict[str, Scalar]:
        """Return the base's own values of what is searched; where a domain does not hold it, the domain's first."""
        flat = flatten(self.base)
        return {key: flat[key] if self.holds(key, flat[key]) else _values(domain)[0] for key, domain in self.dimensions.items()}

    def holds(self, key: str, value: Scalar) -> bool:
        """Whether `key` is searched and may have this value."""
        domain = self.dimensions.get(key)
        if isinstance(domain, Range):
            return isinstance(value, int | float) and domain.low <= value <= domain.high
        return domain is not None and value in domain.values

    def spec(self, values: Mapping[str, Scalar]) -> S:
        """Return the point of this space that has `values` for its searched keys."""
        return replace(self.base, {key: values[key] for key in self.dimensions})

    def identity(self, values: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
        """Return what tells this point from others: searched keys that do not matter here are left out."""
        flat = {**flatten(self.base), **values}
        return tuple((key, values[key]) for key in self.dimensions if self._matters(key, flat))

    def _matters(self, key: str, flat: Mapping[str, Scalar]) -> bool:
        prefix = key.partition(".")[0]
        condition = self.conditions.get(key) or self.conditions.get(prefix)
        return condition is None or flat[condition[0]] in condition[1]

    def count(self) -> int | None:
        """Return how many points the space has, equal and impossible ones included; None when a range makes it endless."""
        if any(isinstance(domain, Range) and not domain.whole for domain in self.dimensions.values()):
            return None
        return math.prod(len(_values(domain)) for domain in self.dimensions.values())

    def grid(self) -> Iterator[dict[str, Scalar]]:
        """Yield every point in order, the last key changing fastest; a continuous range gives five points."""
        for values in itertools.product(*(_values(domain) for domain in self.dimensions.values())):
            yield dict(zip(self.dimensions, values, strict=True))

    def draw(self, rng: "np.random.Generator") -> dict[str, Scalar]:
        """Return one point at random."""
        return {key: _drawn(domain, rng) for key, domain in self.dimensions.items()}

    def describe(self) -> dict[str, Any]:
        """Return the space as plain data: what a sweep's fingerprint and a resolved config hold."""
        return {"base": flatten(self.base), "search": {key: str(domain) for key, domain in self.dimensions.items()}}


def _drawn(domain: Dimension, rng: "np.random.Generator") -> Scalar:
    if isinstance(domain, Choice):
        return domain.values[rng.integers(len(domain.values))]
    if domain.log:
        value = math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
        return round(value) if domain.whole else value
    return int(rng.integers(int(domain.low), int(domain.high) + 1)) if domain.whole else float(rng.uniform(domain.low, domain.high))


def _values(domain: Dimension) -> tuple[Scalar, ...]:
    if isinstance(domain, Choice):
        return domain.values
    if domain.whole:
        return tuple(range(int(domain.low), int(domain.high) + 1))
    steps = [step / 4 for step in range(5)]
    if domain.log:
        return tuple(domain.low * (domain.high / domain.low) ** step for step in steps)
    return tuple(domain.low + (domain.high - domain.low) * step for step in steps)
