"""Baselines of a text network: the most frequent class, and TF-IDF with logistic regression.

A network may start from the latter.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.likelihood import probabilities
from pipelines.pipeline import Baseline
from pipelines.splits import SCORED_PARTS, Part
from pipelines.text.encoded import default_settings, is_affordable
from pipelines.text.references import References
from pipelines.text.thresholds import choose_thresholds, with_thresholds
from pipelines.timing import first_rows

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits
    from pipelines.text.tfidf import TfidfModel

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
    yield Baseline(
        name="most frequent",
        predictions=same_for_all,
        answer=lambda count: np.tile(shares, (count, 1)),
    )

    model = references.tfidf.model(splits)
    yield Baseline(
        name=TFIDF,
        predictions=_predictions(model.logits, splits),
        spent=model.spent,
        answer=_answers(model, splits),
        params={
            "setting": model.setting.describe(splits.tokenization),
            "features": len(model.keys),
        },
    )

    settings = default_settings()
    if settings is None or not is_affordable(splits):
        return
    regression = references.regression.model(splits, settings)
    yield Baseline(
        name=f"{settings.name} and logistic regression",
        predictions=_predictions(regression.logits, splits),
        spent=regression.spent,
        params={"setting": f"C={regression.c:g}", "features": len(regression.kernel)},
    )


def _answers(model: "TfidfModel", splits: "TextSplits") -> Callable[[int], object]:
    """Return what answers so many texts of val, as the model does when it is served."""

    import tensorflow as tf

    @cache
    def traced() -> Any:
        return tf.function(model.layer(), input_signature=[tf.TensorSpec([None], tf.string)])

    def answer(count: int) -> object:
        texts = splits.texts("val")
        chosen = texts[first_rows(count, len(texts))]
        return traced()(tf.constant([text.encode("utf-8", "replace") for text in chosen]))

    return answer


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
