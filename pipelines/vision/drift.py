"""What images look like as a whole: how bright they are, and how much they show."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.drift import Measure, Seen, seen_in
from pipelines.evaluation.splitting import sample_indices

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

MEASURES = (
    Measure(name="brightness", low="darker", high="brighter"),
    Measure(name="contrast", low="fainter", high="harsher"),
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
    return {name: seen_in(numbers) for name, numbers in values.items()}
