"""Which points of a space are worth starting.

They are those that can be built, within limits on what they cost.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from pipelines.config.search_space import Scalar, Space, flatten
from pipelines.errors import DataError, ImpossibleSpec, UsageError, suggest
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.search.sweep_tags import FIELD
from tuning.training.costs import megabytes

# Whether a trial with these values, by dotted key, can be started.
Feasible: TypeAlias = Callable[[Mapping[str, Scalar]], bool]

# The costs that are known before a network is trained: each from its number of weights.
COSTS_BY_SIZE: Mapping[str, Callable[[int], float]] = {"cost/params": float, "cost/mb": megabytes}


def require_searchable(keys: Collection[str]) -> None:
    """Refuse to search what all trials share.

    Raises:
        UsageError: the message says by which flag it is set.
    """
    if "train.epochs" in keys:
        raise UsageError(
            "train.epochs cannot be searched: all trials share --trial-epochs. "
            "Set those of the winner: --epochs"
        )


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


def least_field(text: str, pipeline: AnyPipeline, spec: Any, splits: Splits) -> dict[str, float]:
    """Return what `--min-receptive-field` says as a limit: a number, or what the data needs.

    Raises:
        UsageError: it is neither, or nothing is known of these networks.
    """
    if not text:
        return {}
    if text.isdecimal() and int(text):
        return {FIELD: float(text)}
    field = pipeline.receptive_field(spec, splits)
    if text != "auto":
        raise UsageError(f"--min-receptive-field {text}: expected auto, or a number above 0")
    if field is None:
        raise UsageError(
            f"--min-receptive-field auto: what a {pipeline.domain} network of this architecture "
            "sees is not known. Expected: a number, or nothing"
        )
    return {FIELD: float(field.needs)}


def feasible(
    pipeline: AnyPipeline, space: Space[Any], splits: Splits, limits: Mapping[str, float]
) -> Feasible:
    """Return the test whether a point can be built and keeps the limits.

    It is done by arithmetic where the domain has it.
    """
    kept: dict[tuple[object, ...], bool] = {}

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
        if network not in kept:
            kept[network] = keeps(pipeline, spec, splits, limits)
        return kept[network]

    return is_feasible


def _without_training(spec: Any) -> tuple[Scalar, ...]:
    values = flatten(spec)
    return tuple(values[key] for key in values if not key.startswith("train."))


def keeps(pipeline: AnyPipeline, spec: Any, splits: Splits, limits: Mapping[str, float]) -> bool:
    """Whether the network of a possible spec sees enough and costs no more than it may."""
    most = dict(limits)
    least = most.pop(FIELD, 0)
    if least:
        field = pipeline.receptive_field(spec, splits)
        if field and field.sees < least:
            return False
    if not most:
        return True
    params = num_params(pipeline, spec, splits)
    return all(COSTS_BY_SIZE[name](params) <= limit for name, limit in most.items())


def num_params(pipeline: AnyPipeline, spec: Any, splits: Splits) -> int:
    """Return the number of weights of a network, with those of a frozen encoder before it.

    They are counted by arithmetic, or by building it where the domain has no arithmetic for it.
    """
    cost = pipeline.cost(spec, splits)
    params = cost.params if cost else int(pipeline.build(spec, splits).count_params())
    frozen = pipeline.frozen_part(spec, splits)
    return params + frozen.cost.params if frozen else params
