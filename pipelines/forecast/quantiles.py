"""What a forecast consists of: its mean, then its quantiles, side by side on the last axis.

Read by `--help`, so nothing heavy is imported.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Point: TypeAlias = Literal["median", "mean"]

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MEDIAN = LEVELS.index(0.5)
COVERAGES = (80, 90, 95)  # per cent, of the intervals that are scored


def interval_positions(coverage: int) -> tuple[int, int]:
    """Return the positions among `LEVELS` of the interval that should hold so many per cent."""
    low_level = (1 - coverage / 100) / 2
    low = min(range(len(LEVELS)), key=lambda position: abs(LEVELS[position] - low_level))
    return low, len(LEVELS) - 1 - low


def point_forecasts(forecasts: "np.ndarray", point: Point) -> "np.ndarray":
    """Return the mean or the median `(..., horizon)` of forecasts `(..., horizon, 1 + levels)`."""
    position = 0 if point == "mean" else 1 + MEDIAN
    return forecasts[..., position]
