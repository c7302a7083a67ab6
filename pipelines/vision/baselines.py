"""Simple rivals of an image network: logistic regression and nearest neighbours on the pixels."""

import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.pipeline import PARTS, Baseline, Part

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

SCORED: tuple[Part, ...] = ("val", "test")
MOST_VALUES = 8_000_000  # training values (images x pixels) that a rival is fitted to
SMALLEST_SIDE = 16  # larger images are averaged down to between 16 and 31 pixels a side


def baselines(splits: "VisionSplits", seed: int) -> Iterator[Baseline]:
    """Yield logistic regression and k-nearest neighbours, their settings chosen on the validation part.

    Images are averaged down and, for large sets, sampled: the params say to what.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels = {part: _flat(splits.images(part).x, splits.scale) for part in PARTS}
    count = min(len(pixels["train"]), max(1000, MOST_VALUES // pixels["train"].shape[1]))
    chosen = np.random.default_rng(seed).permutation(len(pixels["train"]))[:count]
    x, y = pixels["train"][chosen], splits.train.y[chosen]
    facts = {"train_images": len(x), "pixels": x.shape[1]}

    def fitted(name: str, candidates: dict[str, Any]) -> Baseline:
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a rival may stop early; it is scored as it is
            models = {label: model.fit(x, y) for label, model in candidates.items()}
        best = max(models, key=lambda label: models[label].score(pixels["val"], splits.val.y))
        predictions: dict[Part, np.ndarray] = {part: _probabilities(models[best], pixels[part], len(splits.classes)) for part in SCORED}
        return Baseline(name=name, predictions=predictions, seconds=time.perf_counter() - begin, params={**facts, "setting": best})

    grid = (0.01, 0.1, 1.0) if x.size < 1_000_000 else (0.01,)
    steps = 1000 if x.size < 1_000_000 else 60
    yield fitted(
        "logistic regression",
        {f"C={c}": make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=steps, tol=1e-3)) for c in grid},
    )
    yield fitted("k-nearest neighbours", {f"k={k}": KNeighborsClassifier(n_neighbors=k) for k in (1, 3, 5)})


def _flat(x: np.ndarray, scale: float) -> np.ndarray:
    """Return images as rows of values from 0 to 1, averaged over blocks where they are large."""
    block = max(1, min(x.shape[1:3]) // SMALLEST_SIDE) if min(x.shape[1:3]) >= 2 * SMALLEST_SIDE else 1
    height, width = (extent // block * block for extent in x.shape[1:3])
    rows = []
    for at in range(0, len(x), 2000):
        part = x[at : at + 2000, :height, :width].astype("float32") / scale
        rows.append(part.reshape(len(part), height // block, block, width // block, block, -1).mean(axis=(2, 4)).reshape(len(part), -1))
    return np.concatenate(rows)


def _probabilities(model: Any, x: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities with a column for every class, those that the sample of train lacked included."""
    found = np.zeros((len(x), classes))
    found[:, model.classes_] = model.predict_proba(x)
    return found
