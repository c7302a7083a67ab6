"""After the fit: how far the network is trusted, and quantiles stretched to what lately held (conformal prediction)."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.forecast.splits import LEVELS, MEDIAN, ForecastSplits
from pipelines.splits import PARTS

if TYPE_CHECKING:
    import keras

COVERAGES = (80, 90, 95)  # per cent
SAMPLED = 4_000  # windows are enough to calibrate on; more are thinned out, neighbours being nearly the same


def interval(coverage: int) -> tuple[int, int]:
    """Return the positions among `LEVELS` of the interval that should hold so many per cent."""
    low = (1 - coverage / 100) / 2
    position = min(range(len(LEVELS)), key=lambda index: abs(LEVELS[index] - low))
    return position, len(LEVELS) - 1 - position


def trusted(model: "keras.Model", splits: ForecastSplits) -> tuple[np.ndarray, np.ndarray, float]:
    """Return forecasts of val and test (windows, horizon, 1 + levels) in the target's own units, and how far the network is trusted.

    The share of its correction that is kept is the one with the least squared error on val, from 0 to 1: where the
    network has learned nothing that holds, the closed form remains.
    """
    from pipelines.forecast import windows

    found = {part: windows.predict(model, splits, part) for part in PARTS[1:]}
    output, level = found["val"]
    correction = (output[..., 0] - level).ravel()
    error = (
        splits.windows(splits.rows[:, 0], splits.starts["val"], 0, splits.horizon) - level
    ).ravel()
    share = float(
        np.clip(np.dot(correction, error) / max(float(np.dot(correction, correction)), 1e-12), 0, 1)
    )
    for output, level in found.values():
        output -= (1 - share) * (output[..., :1] - level[..., None])
    val, test = (splits.unscale(output, splits.starts[part]) for part, (output, _) in found.items())
    return val, test, share


def rolling(val: np.ndarray, test: np.ndarray, splits: ForecastSplits) -> None:
    """Calibrate the forecasts of test in place, as one does who forecasts day after day: on what has come true by then.

    Both are (windows, horizon, 1 + levels) in the target's own units. Forecasts from an origin are stretched by what
    the windows needed that lie wholly before it and at most one validation part back. Without that the intervals age:
    those of a mild season are too narrow for a hot one (Gibbs & Candès 2021 on why a fixed calibration fails).
    """
    reach = splits.borders[2] - splits.borders[1]
    origin = splits.number[splits.starts["test"]]
    number = np.concatenate([splits.number[splits.starts["val"]], origin])
    truth = np.concatenate([splits.truth("val"), splits.truth("test")])
    original = test.copy()  # stretched forecasts would be stretched again
    for now in range(int(origin.min()), int(origin.max()) + 1, splits.horizon):
        ahead = (now <= origin) & (origin < now + splits.horizon)
        known = np.flatnonzero(
            (number + splits.horizon <= now) & (number + splits.horizon > now - reach)
        )
        if not ahead.any() or not len(known):
            continue
        known = known[:: -(-len(known) // SAMPLED)]
        quantiles = np.concatenate(
            [val[known[known < len(val)]], original[known[known >= len(val)] - len(val)]]
        )
        test[ahead] = stretched(original[ahead], factors(truth[known], quantiles))


def latest(val: np.ndarray, test: np.ndarray, splits: ForecastSplits) -> np.ndarray:
    """Return the factors (horizon, levels) of the latest windows, as many as the validation part has: what is served begins with them."""
    reach = splits.borders[2] - splits.borders[1]
    number = np.concatenate([splits.number[splits.starts[part]] for part in ("val", "test")])
    known = np.flatnonzero(number > number.max() - reach)
    known = known[:: -(-len(known) // SAMPLED)]
    truth = np.concatenate([splits.truth("val"), splits.truth("test")])[known]
    return factors(truth, np.concatenate([val, test])[known])


def factors(truth: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Return by how much each interval must be stretched away from the median at each step: (horizon, levels).

    `truth` is (windows, horizon), `output` (windows, horizon, 1 + levels). The score of a window is its
    distance from the median in units of the predicted half-width on its side, and the factor its quantile (Romano et
    al. 2019, Sesia & Candès 2020: a factor rather than a sum keeps wide intervals wide).
    """
    quantiles = output[..., 1:]
    median = quantiles[..., MEDIAN]
    deviation = truth - median
    count = len(truth)
    found = np.ones((truth.shape[1], len(LEVELS)), np.float32)
    for low in range(MEDIAN):
        high = len(LEVELS) - 1 - low
        width = np.where(deviation < 0, median - quantiles[..., low], quantiles[..., high] - median)
        share = min((LEVELS[high] - LEVELS[low]) * (1 + 1 / count), 1.0)
        found[:, [low, high]] = np.quantile(
            np.abs(deviation) / np.maximum(width, 1e-9), share, axis=0
        )[:, None]
    return found


def stretched(output: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return `output` (windows, horizon, 1 + levels) with its intervals stretched by factors (horizon, levels), without crossing."""
    median = output[..., 1 + MEDIAN, None]
    quantiles = median + (output[..., 1:] - median) * by
    # A stretched inner interval may reach beyond an outer one: sorting mends that (Chernozhukov et al. 2010).
    quantiles.sort(axis=-1)
    return np.concatenate([output[..., :1], quantiles], axis=-1)
