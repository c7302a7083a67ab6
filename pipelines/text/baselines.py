"""Simple baselines of a text network: the most frequent answer, and TF-IDF with logistic regression."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.config.search_space import Scalar
from pipelines.pipeline import Baseline
from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

SCORED: tuple[Part, ...] = ("val", "test")


def baselines(splits: "TextSplits") -> Iterator[Baseline]:
    """Yield the shares of the classes in train as everybody's answer, and the closed form that a network may start from."""
    from pipelines.text import closed

    shares = splits.hot("train").mean(axis=0)
    same = {part: np.tile(shares, (splits.sizes()[part], 1)) for part in SCORED}
    yield Baseline(name="most frequent", predictions=same, seconds=0.0)

    form = splits.closed
    predictions = {
        part: closed.probabilities(form.logits[part], exclusive=splits.exclusive) for part in SCORED
    }
    params: dict[str, Scalar] = {"setting": form.setting, "features": len(form.keys)}
    yield Baseline(
        name="TF-IDF and logistic regression",
        predictions=predictions,
        seconds=form.seconds,
        params=params,
    )
