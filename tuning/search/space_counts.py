"""What is in a space, counted by arithmetic: no network is built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.config.search_space import Scalar, Space
from pipelines.errors import ImpossibleSpec
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.search import constraints

# Points that are gone through one by one; of a larger space, DRAWN are drawn at random.
MOST_LISTED = 20_000
DRAWN = 2_000


@dataclass(frozen=True, kw_only=True)
class SpaceCounts:
    """The counts of points in a space.

    Of an infinite or very large space (`drawn`), they are counts of points drawn at random.
    """

    total: int | None  # None: infinite
    looked_at: int
    impossible: int
    over_limit: int
    equal: int  # to another point, but for keys that do not matter there
    drawn: bool
    possible: Sequence[Mapping[str, Scalar]] = field(repr=False, default=())


def count_points(
    pipeline: AnyPipeline,
    space: Space[Any],
    splits: Splits,
    limits: Mapping[str, float],
    seed: int,
) -> SpaceCounts:
    """Count what is in a space; `limits` are as in `Sweep`."""
    total = space.count()
    is_drawn = total is None or total > MOST_LISTED
    if is_drawn:
        rng = np.random.default_rng(seed)
        points = [space.draw(rng) for _ in range(DRAWN)]
    else:
        points = list(space.grid())
    num_impossible = num_over_limit = num_equal = 0
    possible: dict[Any, Mapping[str, Scalar]] = {}
    for values in points:
        spec = space.spec(values)
        try:
            pipeline.check(spec, splits)
        except ImpossibleSpec:
            num_impossible += 1
            continue
        if limits and not constraints.keeps(pipeline, spec, splits, limits):
            num_over_limit += 1
            continue
        identity = space.identity(values)
        if identity in possible:
            num_equal += 1
        else:
            possible[identity] = values
    return SpaceCounts(
        total=total,
        looked_at=len(points),
        impossible=num_impossible,
        over_limit=num_over_limit,
        equal=num_equal,
        drawn=is_drawn,
        possible=list(possible.values()),
    )
