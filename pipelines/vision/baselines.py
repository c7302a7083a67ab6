"""Baselines of an image network: logistic regression and nearest neighbours on the pixels.

Where a pretrained backbone is on this machine, logistic regression on its features too.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.config.search_space import Scalar
from pipelines.evaluation import classification
from pipelines.evaluation.likelihood import probabilities
from pipelines.io.progress import working
from pipelines.pipeline import Baseline
from pipelines.pretrained import weights
from pipelines.splits import PARTS, SCORED_PARTS, Part
from pipelines.timing import Stopwatch, first_rows
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


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """One setting of a baseline: class probabilities `(n, classes)` of a part, or of new rows."""

    setting: str
    predict: Callable[[Part], np.ndarray]
    answer: Callable[[np.ndarray], np.ndarray]


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
        answer=lambda count: np.tile(shares, (count, 1)),
    )
    pixels = _pixels(splits, seed)
    fits: dict[str, Callable[[_Pixels], list[_Candidate]]] = {
        "logistic regression": _logistic_regressions,
        "k-nearest neighbours": _nearest_neighbours,
    }
    for name, fit in fits.items():
        watch = Stopwatch()
        with working(name):
            best = _best_on_val(pixels, fit(pixels), metric)
            predictions = {part: best.predict(part) for part in SCORED_PARTS}
        yield Baseline(
            name=name,
            predictions=predictions,
            spent=watch.spent(),
            answer=partial(_answer, best, splits),
            params={**pixels.facts(), "setting": best.setting},
        )
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
        spent=regression.spent,
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


def _best_on_val(pixels: _Pixels, candidates: Sequence[_Candidate], metric: str) -> _Candidate:
    def loss(candidate: _Candidate) -> float:
        predictions = candidate.predict("val")
        return float(classification.losses(pixels.val_y, predictions, metric).mean())

    return min(candidates, key=loss)


def _answer(candidate: _Candidate, splits: "VisionSplits", count: int) -> np.ndarray:
    """Return the class probabilities of so many images of val, from their pixels."""
    images = splits.val.x[first_rows(count, len(splits.val.y))]
    return candidate.answer(_flatten(images, splits.scale))


def _logistic_regressions(pixels: _Pixels) -> list[_Candidate]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    strengths, steps = STRENGTHS, STEPS
    if pixels.train_x.size >= MANY_VALUES:
        strengths, steps = STRENGTHS[:1], FEW_STEPS
    candidates = []
    for strength in strengths:
        regression = LogisticRegression(C=strength, max_iter=steps, tol=1e-3)
        # One thread: see `feature_regression`.
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            # It may stop early; it is scored as it is.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = make_pipeline(StandardScaler(), regression).fit(pixels.train_x, pixels.train_y)
        answer = partial(_class_probabilities, fitted, pixels.num_classes)
        candidates.append(
            _Candidate(
                setting=f"C={strength}",
                predict=partial(_of_part, answer, pixels),
                answer=answer,
            )
        )
    return candidates


def _of_part(answer: Callable[[np.ndarray], np.ndarray], pixels: _Pixels, part: Part) -> np.ndarray:
    return answer(pixels.rows[part])


def _class_probabilities(model: Any, num_classes: int, rows: np.ndarray) -> np.ndarray:
    """Return probabilities `(n, classes)`; classes that the sample of train lacked have 0."""
    probabilities = np.zeros((len(rows), num_classes))
    probabilities[:, model.classes_] = model.predict_proba(rows)
    return probabilities


def _nearest_neighbours(pixels: _Pixels) -> list[_Candidate]:
    from sklearn.neighbors import NearestNeighbors

    most = min(max(NEIGHBOURS), len(pixels.train_x))
    index = NearestNeighbors(n_neighbors=most).fit(pixels.train_x)

    def labels(rows: np.ndarray) -> np.ndarray:
        return np.asarray(pixels.train_y[index.kneighbors(rows, return_distance=False)])

    # Found once for all numbers of neighbours: finding them is all the work.
    nearest = {part: labels(pixels.rows[part]) for part in SCORED_PARTS}
    one_hot = np.eye(pixels.num_classes)

    def candidate(k: int) -> _Candidate:
        return _Candidate(
            setting=f"k={k}",
            predict=lambda part: _votes(one_hot, nearest[part], k),
            answer=lambda rows: _votes(one_hot, labels(rows), k),
        )

    return [candidate(k) for k in NEIGHBOURS]


def _votes(one_hot: np.ndarray, nearest: np.ndarray, k: int) -> np.ndarray:
    """Return the share of each class among the labels of the k nearest training images.

    `nearest` `(n, most)` holds the labels in the order of distance.
    """
    columns = nearest.T[:k]
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
