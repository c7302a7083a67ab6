"""The names that `tune` takes: nothing heavy is imported, a wrong one is refused at once."""

from typing import Literal, TypeAlias

from pipelines.errors import UsageError, suggest

TunerName: TypeAlias = Literal["tpe", "random", "bayesian", "hyperband", "grid"]
TUNERS: tuple[TunerName, ...] = ("tpe", "random", "bayesian", "hyperband", "grid")
MULTI_OBJECTIVE_TUNERS: tuple[TunerName, ...] = ("tpe", "random", "grid")
StopperName: TypeAlias = Literal["none", "asha", "median"]
STOPPERS: tuple[StopperName, ...] = ("none", "asha", "median")


def require(flag: str, name: str, names: tuple[str, ...]) -> None:
    """Raise `UsageError` for a name that is none of `names`; the nearest one is given."""
    if name not in names:
        raise UsageError(f"{flag} {name}: unknown.{suggest(name, names)} Known: {', '.join(names)}")
