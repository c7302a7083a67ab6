"""The names that `tune` takes; nothing heavy is imported, so that a wrong one is told at once."""

from typing import Literal, TypeAlias

from pipelines.errors import UsageError, suggest

TunerName: TypeAlias = Literal["tpe", "random", "bayesian", "hyperband", "grid"]
TUNERS: tuple[TunerName, ...] = ("tpe", "random", "bayesian", "hyperband", "grid")
SEVERAL: tuple[TunerName, ...] = ("tpe", "random", "grid")  # that take several objectives
StopperName: TypeAlias = Literal["none", "asha", "median"]
STOPPERS: tuple[StopperName, ...] = ("none", "asha", "median")


def require(flag: str, name: str, names: tuple[str, ...]) -> None:
    """Refuse a name that is none of `names`; the nearest one is given."""
    if name not in names:
        raise UsageError(f"{flag} {name}: unknown.{suggest(name, names)} Known: {', '.join(names)}")
