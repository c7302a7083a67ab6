"""What the networks of a data set start from or share: fitted or computed once, then kept.

A pipeline holds it and is sent to worker processes with it, so that the trials of a sweep use what
was fitted for the baselines.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.feature_regression import FeatureRegression, fit_regression
from pipelines.io.progress import working
from pipelines.splits import PARTS, Part
from pipelines.text.encoded import EncodedTexts, EncoderSettings
from pipelines.text.tfidf import TfidfModel, fit_tfidf, held_out_logits
from pipelines.timing import Spent, Stopwatch

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits


class TfidfReference:
    """The TF-IDF model that networks start from, fitted once to each data set."""

    def __init__(self) -> None:
        # By digest and seed, which stay where other parts are merged into train.
        self._models: dict[tuple[str, int], TfidfModel] = {}
        self._of_train: dict[tuple[str, int], tuple[np.ndarray, Spent]] = {}

    def model(self, splits: "TextSplits") -> TfidfModel:
        """Return the model of these splits; it has seen nothing but the original train and val."""
        key = (splits.digest, splits.seed)
        if key not in self._models:
            with working("TF-IDF"):
                self._models[key] = _fit(splits)
        return self._models[key]

    def logits(self, splits: "TextSplits", part: Part) -> np.ndarray:
        """Return the logits `(n, classes)` that a network corrects.

        None comes from a model that has seen the text or, for val, was chosen after it: what is
        merged into train keeps the logits that it had.
        """
        logits = self.model(splits).logits
        if part == "train":
            own, _ = self._held_out(splits)
            return np.concatenate([own, *(logits[other] for other in splits.merged)])
        return logits[part]

    def spent(self, splits: "TextSplits") -> Spent:
        """Return what all logits took that a network needs, whenever that was."""
        return self.model(splits).spent + self._held_out(splits)[1]

    def _held_out(self, splits: "TextSplits") -> tuple[np.ndarray, Spent]:
        """Return the logits of train and what they took.

        They are computed when a network asks for them: no baseline does.
        """
        key = (splits.digest, splits.seed)
        if key not in self._of_train:
            model = self.model(splits)
            watch = Stopwatch()
            with working("TF-IDF of texts that it has not seen"):
                logits = held_out_logits(
                    model,
                    splits.texts("train")[: splits.num_own],
                    _one_hot(splits)["train"],
                    seed=splits.seed,
                )
            self._of_train[key] = logits, watch.spent()
        return self._of_train[key]


class EncoderReference:
    """The logistic regressions over the vectors of pretrained encoders, fitted once each."""

    def __init__(self, encoded: EncodedTexts) -> None:
        self._encoded = encoded
        self._models: dict[tuple[str, int, EncoderSettings], FeatureRegression] = {}

    def model(self, splits: "TextSplits", settings: EncoderSettings) -> FeatureRegression:
        """Return the model of these splits; it has seen nothing but the original train and val."""
        key = (splits.digest, splits.seed, settings)
        if key not in self._models:
            watch = Stopwatch()
            vectors: dict[Part, np.ndarray] = {}
            for part in PARTS:
                vectors[part] = self._encoded.vectors(splits, part, settings)
            one_hot = _one_hot(splits)
            vectors["train"] = vectors["train"][: splits.num_own]
            with working(f"logistic regression on vectors by {settings.name}"):
                self._models[key] = fit_regression(
                    vectors, one_hot, exclusive=splits.exclusive, watch=watch
                )
        return self._models[key]


@dataclass(frozen=True)
class References:
    """All of it."""

    tfidf: TfidfReference = field(default_factory=TfidfReference)
    encoded: EncodedTexts = field(default_factory=EncodedTexts)
    regression: EncoderReference = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "regression", EncoderReference(self.encoded))


def _one_hot(splits: "TextSplits") -> dict[Part, np.ndarray]:
    """Return the classes of each text `(n, classes)` by part, train without what is merged in."""
    one_hot = {part: splits.one_hot(part) for part in PARTS}
    one_hot["train"] = one_hot["train"][: splits.num_own]
    return one_hot


def _fit(splits: "TextSplits") -> TfidfModel:
    texts = {part: splits.texts(part) for part in PARTS}
    one_hot = _one_hot(splits)
    texts["train"] = texts["train"][: splits.num_own]
    return fit_tfidf(texts, one_hot, splits.tokenization, exclusive=splits.exclusive)
