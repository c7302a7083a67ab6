"""Simple baselines of an image network: logistic regression and nearest neighbours on the pixels."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.pipeline import PARTS, Baseline, Part

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

SCORED: tuple[Part, ...] = ("val", "test")
MOST_VALUES = 8_000_000  # training values (images x pixels) that a baseline is fitted to
NEIGHBOURS = (1, 3, 5)
SMALLEST_SIDE = 16  # larger images are averaged down to between 16 and 31 pixels a side


def baselines(splits: "VisionSplits", seed: int) -> Iterator[Baseline]:
    """Yield logistic regression and k-nearest neighbours, their settings chosen on the validation part.

    Images are averaged down and, for large sets, sampled: the params say to what.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels = {part: _flat(splits.images(part).x, splits.scale) for part in PARTS}
    count = min(len(pixels["train"]), max(1000, MOST_VALUES // pixels["train"].shape[1]))
    chosen = np.random.default_rng(seed).permutation(len(pixels["train"]))[:count]
    x, y = pixels["train"][chosen], splits.train.y[chosen]
    facts = {"train_images": len(x), "pixels": x.shape[1]}

    def chosen_on_val(name: str, began: float, candidates: dict[str, Callable[[Part], np.ndarray]]) -> Baseline:
        right = {label: np.mean(chances("val").argmax(axis=1) == splits.val.y) for label, chances in candidates.items()}
        best = max(right, key=lambda label: right[label])
        predictions: dict[Part, np.ndarray] = {part: candidates[best](part) for part in SCORED}
        return Baseline(name=name, predictions=predictions, seconds=time.perf_counter() - began, params={**facts, "setting": best})

    began = time.perf_counter()
    grid = (0.01, 0.1, 1.0) if x.size < 1_000_000 else (0.01,)
    steps = 1000 if x.size < 1_000_000 else 60
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline may stop early; it is scored as it is
        models = {f"C={c}": make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=steps, tol=1e-3)).fit(x, y) for c in grid}
    yield chosen_on_val(
        "logistic regression",
        began,
        {label: partial(_probabilities, model, pixels, len(splits.classes)) for label, model in models.items()},
    )

    began = time.perf_counter()
    index = NearestNeighbors(n_neighbors=min(max(NEIGHBOURS), len(x))).fit(x)
    # Found once for all numbers of neighbours: to find them is all the work.
    nearest = {part: y[index.kneighbors(pixels[part], return_distance=False)] for part in SCORED}
    hot = np.eye(len(splits.classes))
    yield chosen_on_val("k-nearest neighbours", began, {f"k={k}": partial(_votes, hot, nearest, k) for k in NEIGHBOURS})


def _flat(x: np.ndarray, scale: float) -> np.ndarray:
    """Return images as rows of values from 0 to 1, averaged over blocks where they are large."""
    block = max(1, min(x.shape[1:3]) // SMALLEST_SIDE) if min(x.shape[1:3]) >= 2 * SMALLEST_SIDE else 1
    height, width = (extent // block * block for extent in x.shape[1:3])
    rows = []
    for at in range(0, len(x), 2000):
        part = x[at : at + 2000, :height, :width].astype("float32") / scale
        rows.append(part.reshape(len(part), height // block, block, width // block, block, -1).mean(axis=(2, 4)).reshape(len(part), -1))
    return np.concatenate(rows)


def _probabilities(model: Any, pixels: Mapping[Part, np.ndarray], classes: int, part: Part) -> np.ndarray:
    """Return probabilities with a column for every class, those that the sample of train lacked included."""
    found = np.zeros((len(pixels[part]), classes))
    found[:, model.classes_] = model.predict_proba(pixels[part])
    return found


def _votes(hot: np.ndarray, nearest: Mapping[Part, np.ndarray], k: int, part: Part) -> np.ndarray:
    """Return the share of each class among the labels of the k nearest; `nearest` (n, most) has them in order."""
    columns = nearest[part].T[:k]
    return np.asarray(sum(hot[column] for column in columns) / len(columns))
