"""What images look like as a whole: how bright they are, how much they show, how large they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.drift import Measure, Seen, seen_in
from pipelines.evaluation.splitting import sample_indices

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

SIZE = "size"  # the shorter side in pixels, before an image is resized
OTHER_SIZE = 1.25  # times as large as in training, or as small, from which on it is said
MEASURES = (
    Measure(name="brightness", low="darker", high="brighter"),
    Measure(name="contrast", low="fainter", high="harsher"),
    Measure(name=SIZE, low="smaller", high="larger"),
)
MEASURED_FROM = 10_000  # training images at most


def measured(x: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    """Return brightness and contrast of images `(n, height, width, channels)`: `(n,)` each.

    They are the mean and the standard deviation of the pixels, as shares of `scale`.
    """
    flat = np.asarray(x, np.float32).reshape(len(x), -1) / scale
    return {"brightness": flat.mean(axis=1), "contrast": flat.std(axis=1)}


def seen(splits: "VisionSplits") -> dict[str, Seen]:
    """Return what the training images had, or 10,000 of them."""
    rows = sample_indices(len(splits.train.y), MEASURED_FROM, splits.seed)
    values = measured(splits.train.x[rows], splits.scale)
    sides = splits.train.sides
    values[SIZE] = np.asarray([min(splits.shape[:2])]) if sides is None else sides[rows]
    return {name: seen_in(numbers) for name, numbers in values.items()}


def sides_to_tell(sides: np.ndarray, known: Mapping[str, Seen]) -> np.ndarray:
    """Return the shorter sides of images `(n,)`, NaN where training had nearly such ones.

    Photos of one telephone differ by a few pixels.
    """
    if SIZE not in known:
        return np.full(len(sides), np.nan)
    low, high = known[SIZE].low / OTHER_SIZE, known[SIZE].high * OTHER_SIZE
    return np.where((sides < low) | (sides > high), sides, np.nan)
