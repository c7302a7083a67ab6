"""What is fitted once for a data set, and then kept by its pipeline."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.feature_regression import FeatureRegression, fit_regression
from pipelines.io.progress import working
from pipelines.splits import PARTS, Part
from pipelines.timing import Stopwatch
from pipelines.vision.frozen import features
from pipelines.vision.spec import TransferSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

SMALLEST_LENGTH = 1e-12


class BackboneReference:
    """The logistic regressions on the features of frozen backbones, fitted once each.

    One is asked for when an architecture is chosen, and again as a baseline.
    """

    def __init__(self) -> None:
        self._models: dict[tuple[str, TransferSpec], FeatureRegression] = {}

    def model(self, splits: "VisionSplits", spec: TransferSpec) -> FeatureRegression:
        """Return the regression for these images; see `frozen.features`."""
        key = (splits.digest, spec)
        if key not in self._models:
            self._models[key] = _fit(splits, spec)
        return self._models[key]


def _fit(splits: "VisionSplits", spec: TransferSpec) -> FeatureRegression:
    watch = Stopwatch()
    vectors: dict[Part, np.ndarray] = {}
    one_hot: dict[Part, np.ndarray] = {}
    for part in PARTS:
        x = features(splits, part, spec)
        # Of the length root of their number, as the regression expects it.
        length = np.sqrt((x**2).sum(axis=1, keepdims=True) / x.shape[1])
        vectors[part] = x / np.maximum(length, SMALLEST_LENGTH)
        one_hot[part] = splits.one_hot(part)
    with working(f"logistic regression on features of {spec.backbone}"):
        return fit_regression(vectors, one_hot, exclusive=True, watch=watch)
