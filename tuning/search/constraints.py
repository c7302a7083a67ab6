"""Which points of a space are worth starting.

They are those that can be built, within limits on what they cost.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipelines.config.search_space import Scalar, Space, flatten
from pipelines.errors import DataError, ImpossibleSpec, UsageError, suggest
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.training.costs import megabytes

# Whether a trial with these values, by dotted key, can be started.
Feasible: TypeAlias = Callable[[Mapping[str, Scalar]], bool]

# The costs that are known before a network is trained: each from its number of weights.
COSTS_BY_SIZE: Mapping[str, Callable[[int], float]] = {"cost/params": float, "cost/mb": megabytes}


def parse(texts: tuple[str, ...]) -> dict[str, float]:
    """Return what `--limit cost/params=200000` says: the most that a network may cost, by name.

    Raises:
        UsageError: an unknown cost, or no number above 0.
    """
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in COSTS_BY_SIZE:
            known = " and ".join(COSTS_BY_SIZE)
            hint = suggest(name, COSTS_BY_SIZE)
            raise UsageError(f"--limit {text}: only {known} can be limited.{hint}")
        limits[name] = _parse_limit(name, value, text)
    return limits


def _parse_limit(name: str, value: str, text: str) -> float:
    try:
        limit = float(value.replace("_", ""))
    except ValueError:
        limit = math.nan
    if not limit > 0:
        raise UsageError(
            f"--limit {text}: expected a number above 0, such as --limit {name}=200000"
        )
    return limit


def feasible(
    pipeline: AnyPipeline, space: Space[Any], splits: Splits, limits: Mapping[str, float]
) -> Feasible:
    """Return the test whether a point can be built and keeps the limits.

    It is done by arithmetic where the domain has it.
    """
    num_params_of: dict[tuple[object, ...], int] = {}

    def is_feasible(values: Mapping[str, Scalar]) -> bool:
        spec = space.spec(values)
        try:
            pipeline.check(spec, splits)
        except ImpossibleSpec:
            return False
        except DataError:
            # Of a file that a hyperparameter names: the trial fails and says why, which does not
            # end the sweep.
            return not limits
        if not limits:
            return True
        # How it is trained does not change how large it is, and building a large backbone takes
        # seconds.
        network = _without_training(spec)
        if network not in num_params_of:
            num_params_of[network] = num_params(pipeline, spec, splits)
        return within(num_params_of[network], limits)

    return is_feasible


def _without_training(spec: Any) -> tuple[Scalar, ...]:
    values = flatten(spec)
    return tuple(values[key] for key in values if not key.startswith("train."))


def within(params: int, limits: Mapping[str, float]) -> bool:
    """Whether a network with this number of weights keeps the limits."""
    return all(COSTS_BY_SIZE[name](params) <= limit for name, limit in limits.items())


def num_params(pipeline: AnyPipeline, spec: Any, splits: Splits) -> int:
    """Return the number of weights of a network.

    They are counted by arithmetic, or by building it where the domain has no arithmetic for it.
    """
    cost = pipeline.cost(spec, splits)
    if cost:
        return cost.params
    return int(pipeline.build(spec, splits).count_params())
