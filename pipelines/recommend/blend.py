"""Network and closed form together: their scores in the same units, and the weight that is best on val."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from pipelines.pipeline import Part
from pipelines.recommend import scoring
from pipelines.recommend.baselines import Ranker, closed_form
from pipelines.recommend.closed import Linear, scores_of
from pipelines.recommend.model import BLENDED, asked
from pipelines.recommend.splits import RecommendSplits

WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, math.inf)


@dataclass(frozen=True, kw_only=True)
class Blend:
    """The best closed form, fitted, and how much its scores count beside the network's; infinite: they count alone."""

    settings: Ranker
    closed: Linear
    weight: float

    def describe(self, splits: RecommendSplits) -> str:
        """Return in a sentence what the answers are made of."""
        name = next(name for name, rival in splits.rivals.items() if rival.settings == self.settings)
        if self.weight == 0:
            return "the answers are the network's alone"
        if math.isinf(self.weight):
            return f"the answers are those of {name} alone: on val, no share of the network's scores made them better"
        return f"the answers are the network's scores + {self.weight:g} times those of {name}, both standardised: the best weight on val"

    def __call__(self, network: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """Return blended scores of raw ones, all (cases, items + 1)."""
        if self.weight == 0:
            return network
        return closed if math.isinf(self.weight) else standard(network) + self.weight * standard(closed)


def standard(scores: np.ndarray) -> np.ndarray:
    """Return scores (cases, items + 1) with mean 0 and deviation 1 over the items of each case."""
    own = scores[:, 1:]
    spread = own.std(axis=1, keepdims=True)
    return np.asarray((scores - own.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1))


def blend(model: keras.Model, splits: RecommendSplits, part: Part) -> Blend:
    """Return the closed form as it may be known when `part` is answered, with the weight that is best on val."""
    settings = closed_form(splits)
    found = settings.fit(splits, splits.known(part))
    if BLENDED not in {layer.name for layer in model.layers}:
        return Blend(settings=settings, closed=found, weight=0.0)
    some = splits.judged
    network, closed = _network(model, some, "val"), settings.fit(splits, splits.known("val"))
    gains = dict.fromkeys(WEIGHTS, 0.0)
    size = max(1, scoring.IN_MEMORY // (16 * (splits.num_items + 1)))
    count = len(some.cases("val"))
    for begin in range(0, count, size):
        rows = slice(begin, min(begin + size, count))
        its, others = network(rows), scores_of(closed, some, "val", rows)
        for weight in WEIGHTS:
            scores = np.array(Blend(settings=settings, closed=closed, weight=weight)(its, others))
            gains[weight] += float(scoring.gain(scoring.ranks(scores, some, "val", rows), 10).sum())
    # The first of equals: the network alone before a blend.
    return Blend(settings=settings, closed=found, weight=max(WEIGHTS, key=lambda weight: gains[weight]))


def predict(model: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of network and closed form for `part`, in the form that `scoring` describes."""
    if splits.task == "rate":
        names, length = names_and_length(model)
        known = splits.rating[splits.known("val")]
        ratings = _in_batches(model, asked(names, splits, part, length), 4096)
        return np.asarray(np.clip(ratings, known.min(), known.max()))
    network, both = _network(model, splits, part), blend(model, splits, part)
    if both.weight == 0:
        return scoring.ranked(network, splits, part)
    return scoring.ranked(lambda rows: both(network(rows), scores_of(both.closed, splits, part, rows)), splits, part)


def names_and_length(model: keras.Model) -> tuple[set[str], int]:
    """Return which inputs a network has, and how many items of history it sees."""
    lengths = [tensor.shape[1] for tensor in model.inputs if tensor.name == "history"]
    return {tensor.name for tensor in model.inputs}, lengths[0] if lengths else 1


def _network(model: keras.Model, splits: RecommendSplits, part: Part) -> scoring.Scores:
    names, length = names_and_length(model)
    found = asked(names, splits, part, length)
    return lambda rows: _in_batches(model, {name: values[rows] for name, values in found.items()}, 512)


def _in_batches(model: keras.Model, found: dict[str, np.ndarray], size: int) -> np.ndarray:
    count = len(next(iter(found.values())))
    batches = ({name: values[at : at + size] for name, values in found.items()} for at in range(0, count, size))
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])
