"""Hyperparameters that nobody set, made smaller until a network of them can be built."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from pipelines.config.search_space import flatten, replace
from pipelines.errors import ImpossibleSpec

S = TypeVar("S")


def shrink_until_possible(
    spec: S, keys: Sequence[str], given: Collection[str], cost: Callable[[S], object]
) -> S:
    """Return `spec` with whole numbers under `keys` lowered, one key after the other, down to 1.

    It ends as soon as `cost` no longer raises `ImpossibleSpec`. Keys in `given` were set by a
    person and stay; where they leave no network possible, nothing is changed.
    """
    fitting = spec
    for key in keys:
        while not _is_possible(fitting, cost):
            value = int(flatten(fitting)[key])
            if key in given or value == 1:
                break
            fitting = replace(fitting, {key: value - 1})
    if _is_possible(fitting, cost):
        return fitting
    return spec


def _is_possible(spec: S, cost: Callable[[S], object]) -> bool:
    try:
        cost(spec)
    except ImpossibleSpec:
        return False
    return True
