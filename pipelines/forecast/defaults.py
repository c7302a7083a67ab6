"""Hyperparameters that nobody set, made small enough for a short history."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pipelines.config.search_space import Choice, Dimension, Range, Scalar, flatten, replace
from pipelines.config.smaller_defaults import shrink_until_possible
from pipelines.forecast import architectures
from pipelines.forecast.spec import ForecastSpec

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

# What reaches over steps of the history, so that none may be longer.
REACHES = ("conv.kernel_size", "conv.stride", "nhits.pool_size", "linear.trend_window")


def fit_defaults(
    spec: ForecastSpec, splits: "ForecastSplits", given: Collection[str]
) -> ForecastSpec:
    """Return `spec` with the hyperparameters outside `given` made as small as this data needs."""
    values = flatten(spec)
    smaller: dict[str, object] = {}
    for key in REACHES:
        largest = splits.lookback
        if key == "conv.stride":
            largest = max(splits.lookback // 2, 1)  # the history is two patches at least
        if key not in given:
            smaller[key] = min(int(values[key]), largest)
    spec = replace(spec, smaller)
    spec = _with_fitting_heads(spec, given)
    return _with_fewer_poolings(spec, splits, given)


def fit_search(
    dimensions: Mapping[str, Dimension], usual: Mapping[str, Dimension], splits: "ForecastSplits"
) -> dict[str, Dimension]:
    """Return what is searched without values that no network of this history can have.

    Only dimensions of `usual` change: what a person asked to search stays as it is.
    """
    fitting = dict(dimensions)
    for key in REACHES:
        dimension = dimensions.get(key)
        if dimension is not None and dimension is usual.get(key):
            fitting[key] = _within(dimension, splits.lookback)
    return fitting


def _within(dimension: Dimension, largest: int) -> Dimension:
    """Return the values of `dimension` up to `largest`, and its half where too few are left."""
    if isinstance(dimension, Range):
        return dimension
    values: list[Scalar] = [value for value in dimension.values if int(value) <= largest]
    if len(values) < 2:
        halves = {max(largest // 2, 1), largest}
        values = sorted({*values, *halves}, key=int)
    return Choice(tuple(values))


def _with_fitting_heads(spec: ForecastSpec, given: Collection[str]) -> ForecastSpec:
    """Return `spec` with as many attention heads as share the channels evenly."""
    heads, filters = spec.attention.heads, spec.conv.filters
    if filters % heads == 0:
        return spec
    if "attention.heads" not in given:
        while filters % heads:
            heads -= 1
        return replace(spec, {"attention.heads": heads})
    if "conv.filters" not in given:
        return replace(spec, {"conv.filters": max(filters // heads, 1) * heads})
    return spec


def _with_fewer_poolings(
    spec: ForecastSpec, splits: "ForecastSplits", given: Collection[str]
) -> ForecastSpec:
    """Return `spec` with fewer blocks, then with less pooling between them, where that helps."""

    def cost(candidate: ForecastSpec) -> object:
        return architectures.cost(candidate, splits)

    return shrink_until_possible(spec, ("conv.blocks", "conv.pool_size"), given, cost)
