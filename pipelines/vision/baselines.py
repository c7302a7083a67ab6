"""Baselines of an image network: logistic regression and nearest neighbours on the pixels.

Where a pretrained backbone is on this machine, logistic regression on its features too.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipelines.config.search_space import Scalar
from pipelines.evaluation import classification
from pipelines.evaluation.likelihood import probabilities
from pipelines.io.progress import working
from pipelines.pipeline import Baseline
from pipelines.pretrained import weights
from pipelines.splits import PARTS, SCORED_PARTS, Part
from pipelines.vision.references import BackboneReference
from pipelines.vision.spec import TransferSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

MOST_VALUES = 8_000_000  # training values (images x pixels) that a baseline is fitted to
FEWEST_IMAGES = 1_000  # that it is fitted to, however large they are
NEIGHBOURS = (1, 3, 5)
SMALLEST_SIDE = 16  # larger images are averaged down to between 16 and 31 pixels a side
FLATTENED_AT_ONCE = 2_000  # images: as floats they take four times the memory of bytes
# Logistic regression: inverse strengths of its penalty, the strongest penalty first.
STRENGTHS: tuple[float, ...] = (0.01, 0.1, 1.0)
STEPS = 1_000  # at most, of its solver
# From so many training values on it is fitted once, with the first strength, and stopped early.
MANY_VALUES = 1_000_000
FEW_STEPS = 60
# A pretrained backbone knows nothing of icons of a few pixels, and of many images a network of its
# own learns enough: these take minutes to go through one.
SMALLEST_PHOTO = 24  # pixels a side
MOST_PHOTOS = 20_000

# Returns the class probabilities `(n, classes)` of a part, for one setting of a baseline.
Predictor: TypeAlias = Callable[[Part], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class _Pixels:
    """The data for the baselines: rows of values from 0 to 1, and a sample of those of train."""

    rows: Mapping[Part, np.ndarray]
    train_x: np.ndarray
    train_y: np.ndarray
    val_y: np.ndarray
    num_classes: int

    def facts(self) -> dict[str, Scalar]:
        return {"train_images": len(self.train_x), "pixels": self.train_x.shape[1]}


def baselines(
    splits: "VisionSplits", seed: int, metric: str, regressions: BackboneReference
) -> Iterator[Baseline]:
    """Yield the class frequencies of train, logistic regression and k-nearest neighbours.

    The settings of the latter two are chosen on val, in `metric`. Images are averaged down and, for
    large sets, sampled: the params say to which size and number.
    """
    shares = splits.class_counts() / len(splits.train.y)
    yield Baseline(
        name="most frequent",
        predictions={part: np.tile(shares, (splits.sizes()[part], 1)) for part in SCORED_PARTS},
        seconds=0.0,
    )
    pixels = _pixels(splits, seed)
    fits: dict[str, Callable[[_Pixels], dict[str, Predictor]]] = {
        "logistic regression": _logistic_regressions,
        "k-nearest neighbours": _nearest_neighbours,
    }
    for name, fit in fits.items():
        began = time.perf_counter()
        with working(name):
            best = _best_on_val(name, began, pixels, fit(pixels), metric)
        yield best
    spec = TransferSpec()
    if weights.is_here(spec.backbone) and is_affordable(splits):
        yield _on_features(splits, spec, regressions)


def is_affordable(splits: "VisionSplits") -> bool:
    """Whether a pretrained backbone is tried on these images without being asked for."""
    is_large = min(splits.shape[:2]) >= SMALLEST_PHOTO
    return is_large and sum(splits.sizes().values()) <= MOST_PHOTOS


def _on_features(
    splits: "VisionSplits", spec: TransferSpec, regressions: BackboneReference
) -> Baseline:
    regression = regressions.model(splits, spec)
    predictions = {}
    for part in SCORED_PARTS:
        predictions[part] = probabilities(regression.logits[part], exclusive=True)
    return Baseline(
        name=f"{spec.backbone} and logistic regression",
        predictions=predictions,
        seconds=regression.seconds,
        params={"setting": f"C={regression.c:g}", "features": len(regression.kernel)},
    )


def _pixels(splits: "VisionSplits", seed: int) -> _Pixels:
    rows = {part: _flatten(splits.images(part).x, splits.scale) for part in PARTS}
    train = rows["train"]
    most = max(FEWEST_IMAGES, MOST_VALUES // train.shape[1])
    chosen = np.random.default_rng(seed).permutation(len(train))[:most]
    return _Pixels(
        rows=rows,
        train_x=train[chosen],
        train_y=splits.train.y[chosen],
        val_y=splits.val.y,
        num_classes=len(splits.classes),
    )


def _best_on_val(
    name: str, began: float, pixels: _Pixels, candidates: Mapping[str, Predictor], metric: str
) -> Baseline:
    losses = {}
    for setting, predictor in candidates.items():
        losses[setting] = classification.losses(pixels.val_y, predictor("val"), metric).mean()
    best = min(losses, key=lambda setting: losses[setting])
    predictions = {part: candidates[best](part) for part in SCORED_PARTS}
    return Baseline(
        name=name,
        predictions=predictions,
        seconds=time.perf_counter() - began,
        params={**pixels.facts(), "setting": best},
    )


def _logistic_regressions(pixels: _Pixels) -> dict[str, Predictor]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    strengths, steps = STRENGTHS, STEPS
    if pixels.train_x.size >= MANY_VALUES:
        strengths, steps = STRENGTHS[:1], FEW_STEPS
    candidates: dict[str, Predictor] = {}
    for strength in strengths:
        regression = LogisticRegression(C=strength, max_iter=steps, tol=1e-3)
        # One thread: see `feature_regression`.
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            # It may stop early; it is scored as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = make_pipeline(StandardScaler(), regression).fit(pixels.train_x, pixels.train_y)
        candidates[f"C={strength}"] = partial(_class_probabilities, fitted, pixels)
    return candidates


def _class_probabilities(model: Any, pixels: _Pixels, part: Part) -> np.ndarray:
    """Return probabilities `(n, classes)`; classes that the sample of train lacked have 0."""
    rows = pixels.rows[part]
    probabilities = np.zeros((len(rows), pixels.num_classes))
    probabilities[:, model.classes_] = model.predict_proba(rows)
    return probabilities


def _nearest_neighbours(pixels: _Pixels) -> dict[str, Predictor]:
    from sklearn.neighbors import NearestNeighbors

    most = min(max(NEIGHBOURS), len(pixels.train_x))
    index = NearestNeighbors(n_neighbors=most).fit(pixels.train_x)
    # Found once for all numbers of neighbours: finding them is all the work.
    nearest: dict[Part, np.ndarray] = {}
    for part in SCORED_PARTS:
        positions = index.kneighbors(pixels.rows[part], return_distance=False)
        nearest[part] = pixels.train_y[positions]
    one_hot = np.eye(pixels.num_classes)
    return {f"k={k}": partial(_votes, one_hot, nearest, k) for k in NEIGHBOURS}


def _votes(
    one_hot: np.ndarray, nearest: Mapping[Part, np.ndarray], k: int, part: Part
) -> np.ndarray:
    """Return the share of each class among the labels of the k nearest training images.

    `nearest` `(n, most)` holds the labels in the order of distance.
    """
    columns = nearest[part].T[:k]
    return np.asarray(sum(one_hot[column] for column in columns) / len(columns))


def _flatten(x: np.ndarray, scale: float) -> np.ndarray:
    """Return images as rows of values from 0 to 1, averaged over blocks where they are large."""
    height, width = x.shape[1:3]
    block = max(1, min(height, width) // SMALLEST_SIDE)
    rows, columns = height // block, width // block
    flat = []
    for start in range(0, len(x), FLATTENED_AT_ONCE):
        images = x[start : start + FLATTENED_AT_ONCE, : rows * block, : columns * block]
        unit = images.astype("float32") / scale
        blocks = unit.reshape(len(images), rows, block, columns, block, -1)
        flat.append(blocks.mean(axis=(2, 4)).reshape(len(images), -1))
    return np.concatenate(flat)
