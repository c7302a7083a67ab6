"""Baselines of a text network: the most frequent class, and TF-IDF with logistic regression.

A network may start from the latter.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.likelihood import probabilities
from pipelines.pipeline import Baseline
from pipelines.splits import SCORED_PARTS, Part
from pipelines.text.encoded import default_settings, is_affordable
from pipelines.text.references import References
from pipelines.text.thresholds import choose_thresholds, with_thresholds

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

TFIDF = "TF-IDF and logistic regression"  # its name, beside a network and in a blend


def baselines(splits: "TextSplits", references: References) -> Iterator[Baseline]:
    """Yield the class frequencies of train for every text, and logistic regressions.

    These are over TF-IDF features and, where an encoder is on this machine and the texts are few
    enough, over its vectors.
    """
    shares = splits.one_hot("train").mean(axis=0)
    same_for_all = {}
    for part in SCORED_PARTS:
        same_for_all[part] = np.tile(shares, (splits.sizes()[part], 1))
    yield Baseline(name="most frequent", predictions=same_for_all, seconds=0.0)

    model = references.tfidf.model(splits)
    yield Baseline(
        name=TFIDF,
        predictions=_predictions(model.logits, splits),
        seconds=model.seconds,
        params={"setting": model.setting, "features": len(model.keys)},
    )

    settings = default_settings()
    if settings is None or not is_affordable(splits):
        return
    regression = references.regression.model(splits, settings)
    yield Baseline(
        name=f"{settings.name} and logistic regression",
        predictions=_predictions(regression.logits, splits),
        seconds=regression.seconds,
        params={"setting": f"C={regression.c:g}", "features": len(regression.kernel)},
    )


def _predictions(logits: Mapping[Part, np.ndarray], splits: "TextSplits") -> dict[Part, np.ndarray]:
    """Return probabilities by part; where texts have several classes, with thresholds of val."""
    predictions = {}
    for part in SCORED_PARTS:
        predictions[part] = probabilities(logits[part], exclusive=splits.exclusive)
    if not splits.exclusive:
        thresholds = choose_thresholds(predictions["val"], splits.one_hot("val"))
        for part in SCORED_PARTS:
            predictions[part] = with_thresholds(predictions[part], thresholds)
    return predictions
