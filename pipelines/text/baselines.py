"""Baselines of a text network: the most frequent class, and TF-IDF with logistic regression.

A network may start from the latter.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io.progress import working
from pipelines.pipeline import Baseline
from pipelines.splits import PARTS, SCORED_PARTS, Part
from pipelines.text.likelihood import probabilities
from pipelines.text.tfidf import TfidfModel, fit_tfidf
from pipelines.text.thresholds import choose_thresholds, with_thresholds

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

TFIDF = "TF-IDF and logistic regression"  # its name, beside a network and in a blend


class TfidfReference:
    """The TF-IDF model that networks start from, fitted once to each data set.

    A pipeline holds it and is sent to worker processes with it, so that the trials of a sweep use
    what was fitted for the baselines.
    """

    def __init__(self) -> None:
        # By digest and seed, which are those of the splits before val was merged into train, too.
        self._models: dict[tuple[str, int], TfidfModel] = {}

    def model(self, splits: "TextSplits") -> TfidfModel:
        """Return the model of these splits; it has seen nothing but the original train and val."""
        key = (splits.digest, splits.seed)
        if key not in self._models:
            with working("TF-IDF"):
                self._models[key] = _fit(splits)
        return self._models[key]

    def logits(self, splits: "TextSplits", part: Part) -> np.ndarray:
        """Return the logits `(n, classes)` that a network corrects.

        None comes from a model that has seen the text or, for val, was chosen after it: where val
        is merged into train its texts keep the logits that they had.
        """
        logits = self.model(splits).logits
        if part == "train" and splits.val_in_train:
            return np.concatenate([logits["train"], logits["val"]])
        return logits[part]


def _fit(splits: "TextSplits") -> TfidfModel:
    texts = {part: splits.texts(part) for part in PARTS}
    one_hot = {part: splits.one_hot(part) for part in PARTS}
    if splits.val_in_train:
        num_train = splits.sizes()["train"] - splits.sizes()["val"]
        texts["train"] = texts["train"][:num_train]
        one_hot["train"] = one_hot["train"][:num_train]
    return fit_tfidf(
        texts, one_hot, splits.tokenization, exclusive=splits.exclusive, seed=splits.seed
    )


def baselines(splits: "TextSplits", reference: TfidfReference) -> Iterator[Baseline]:
    """Yield two baselines: the class frequencies of train for every text, and TF-IDF.

    TF-IDF is used with logistic regression.
    """
    shares = splits.one_hot("train").mean(axis=0)
    same_for_all = {}
    for part in SCORED_PARTS:
        same_for_all[part] = np.tile(shares, (splits.sizes()[part], 1))
    yield Baseline(name="most frequent", predictions=same_for_all, seconds=0.0)

    model = reference.model(splits)
    predictions = {}
    for part in SCORED_PARTS:
        predictions[part] = probabilities(model.logits[part], exclusive=splits.exclusive)
    if not splits.exclusive:
        thresholds = choose_thresholds(predictions["val"], splits.one_hot("val"))
        for part in SCORED_PARTS:
            predictions[part] = with_thresholds(predictions[part], thresholds)
    yield Baseline(
        name=TFIDF,
        predictions=predictions,
        seconds=model.seconds,
        params={"setting": model.setting, "features": len(model.keys)},
    )
