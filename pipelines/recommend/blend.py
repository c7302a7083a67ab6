"""Network and closed form together: their scores in the same units, and the weight that is best on val.

The choice is made once (`settle`) and travels in the network's layer `model.Start`: val, test and a saved model answer
with the same one.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines import blocks
from pipelines.pipeline import Part
from pipelines.recommend import baselines, scoring
from pipelines.recommend.closed import TIE, Linear, scores_of
from pipelines.recommend.model import START, Start, asked
from pipelines.recommend.splits import RecommendSplits

KerasTensor = Any
WEIGHTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, math.inf)


def start_of(network: keras.Model) -> Start:
    """Return what a network is added to; one that starts from nothing has a weight of 0."""
    layers = [layer for layer in network.layers if layer.name == START]
    return layers[0] if layers else Start()


def settle(network: keras.Model, splits: RecommendSplits, like: keras.Model | None = None) -> None:
    """Choose the closed form that is best on val and its weight beside the network, or take the choice of `like`."""
    start = start_of(network)
    if start not in network.layers:
        return
    if like is not None:
        start.settle(**start_of(like).choice())
        return
    rivals = baselines.closed_forms(splits)
    name, weight = _best(network, splits, rivals)
    start.settle(rival=name, settings=baselines.plain(rivals[name]), weight=weight)


def _best(network: keras.Model, splits: RecommendSplits, rivals: Mapping[str, baselines.Ranker]) -> tuple[str, float]:
    """Return the rival and its weight with which the answers on val are best: not always the best rival, but what the network lacks."""
    some = splits.judged
    scores = _scores(network, some, "val")
    fitted = {name: settings.fit(splits, splits.known("val")) for name, settings in rivals.items()}
    gains = {(name, weight): 0.0 for weight in WEIGHTS for name in rivals}
    size = max(1, scoring.IN_MEMORY // (16 * (splits.num_items + 1)))
    count = len(some.cases("val"))
    for begin in range(0, count, size):
        rows = slice(begin, min(begin + size, count))
        its = scores(rows)
        others = {name: scores_of(closed, some, "val", rows) for name, closed in fitted.items()}
        for name, weight in gains:
            ranks = scoring.ranks(np.array(blended(its, others[name], weight)), some, "val", rows)
            gains[name, weight] += float(scoring.gain(ranks, 10).sum())
    # The first of equals: the network alone before a blend.
    return max(gains, key=lambda choice: gains[choice])


def blended(network: np.ndarray, closed: np.ndarray, weight: float) -> np.ndarray:
    """Return blended scores of raw ones, all (cases, items + 1); with an infinite weight the closed form's alone."""
    if weight == 0:
        return network
    return closed if math.isinf(weight) else standard(network) + weight * standard(closed)


def standard(scores: np.ndarray) -> np.ndarray:
    """Return scores (cases, items + 1) with mean 0 and deviation 1 over the items of each case."""
    own = scores[:, 1:]
    spread = own.std(axis=1, keepdims=True)
    return np.asarray((scores - own.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1))


def closed_of(start: Start, splits: RecommendSplits, part: Part) -> Linear:
    """Return the closed form of a settled start, fitted to what may be known when `part` is answered."""
    return baselines.ranker(start.settings).fit(splits, splits.known(part))


def describe(start: Start) -> str:
    """Return in a sentence what the answers are made of."""
    if start.weight == 0:
        return "the answers are the network's alone"
    if math.isinf(start.weight):
        return f"the answers are those of {start.rival} alone: on val, no share of the network's scores made them better"
    return (
        f"the answers are the network's scores + {start.weight:g} times those of {start.rival}, both standardised: the best weight on val"
    )


def predict(network: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of network and closed form for `part`, in the form that `scoring` describes."""
    if splits.task == "rate":
        names, length = names_and_length(network)
        known = splits.rating[splits.known("val")]
        ratings = blocks.in_batches(network, asked(names, splits, part, length), 4096)
        return np.asarray(np.clip(ratings, known.min(), known.max()))
    scores, start = _scores(network, splits, part), start_of(network)
    if start.weight == 0:
        return scoring.ranked(scores, splits, part)
    closed = closed_of(start, splits, part)
    return scoring.ranked(lambda rows: blended(scores(rows), scores_of(closed, splits, part, rows), start.weight), splits, part)


def names_and_length(network: keras.Model) -> tuple[set[str], int]:
    """Return which inputs a network has, and how many items of history it sees."""
    lengths = [tensor.shape[1] for tensor in network.inputs if tensor.name == "history"]
    return {tensor.name for tensor in network.inputs}, lengths[0] if lengths else 1


def _scores(network: keras.Model, splits: RecommendSplits, part: Part) -> Callable[[slice], np.ndarray]:
    names, length = names_and_length(network)
    found = asked(names, splits, part, length)
    return lambda rows: blocks.in_batches(network, {name: values[rows] for name, values in found.items()}, 512)


@keras.saving.register_keras_serializable("appline")
class BlendedScores(keras.layers.Layer):
    """A network's scores (batch, items + 1) with those of a closed form over raw histories (batch, any length) of item ids.

    The closed form is a sum over the history of rows of a matrix, kept as compressed sparse rows; `weights` says how
    much the last item, the last but one, ... counts. Both scores are standardised over the items; the closed form's
    count `weight` times as much, or alone where that is infinite.
    """

    def __init__(self, count: int, stored: int, length: int, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.stored, self.length, self.weight = count, stored, length, float(weight)
        fixed: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.data = self.add_weight(shape=(stored,), name="data", **fixed)
        self.places = self.add_weight(shape=(stored,), dtype="int32", name="places", **fixed)
        self.bounds = self.add_weight(shape=(count + 1,), dtype="int32", name="bounds", **fixed)
        self.weights_of = self.add_weight(shape=(max(length, 1),), name="weights_of", **fixed)
        self.popularity = self.add_weight(shape=(count,), name="popularity", **fixed)

    @classmethod
    def of(cls, closed: Linear, weight: float) -> "BlendedScores":
        """Return the layer that adds the scores of `closed` with this weight."""
        from scipy import sparse

        rows = sparse.csr_matrix(closed.matrix)
        weights = closed.weights if closed.weights is not None else np.zeros(0, np.float32)
        layer = cls(len(closed.popularity), rows.nnz, len(weights), weight, name="blended")
        layer.set_weights([rows.data, rows.indices, rows.indptr, weights if len(weights) else np.zeros(1), closed.popularity])
        return layer

    def call(self, scores: KerasTensor, history: KerasTensor) -> KerasTensor:
        closed = self._closed(history)
        return closed if np.isinf(self.weight) else self._standard(scores) + self.weight * self._standard(closed)

    def _closed(self, history: KerasTensor) -> KerasTensor:
        if self.length:
            history = history[:, -self.length :]
        found = tf.where(history > 0)
        item = tf.gather_nd(history, found)
        bounds = tf.convert_to_tensor(self.bounds)
        spans = tf.ragged.range(tf.gather(bounds, item), tf.gather(bounds, item + 1))
        owner = tf.gather(found, spans.value_rowids())
        value = tf.gather(tf.convert_to_tensor(self.data), spans.flat_values)
        if self.length:
            back = tf.shape(history, out_type=tf.int64)[1] - 1 - owner[:, 1]
            value *= tf.gather(tf.convert_to_tensor(self.weights_of), back)
        column = tf.cast(tf.gather(tf.convert_to_tensor(self.places), spans.flat_values), tf.int64)
        shape = tf.stack([tf.shape(history, out_type=tf.int64)[0], tf.constant(self.count, tf.int64)])
        total = tf.scatter_nd(tf.stack([owner[:, 0], column], axis=1), value, shape)
        best = tf.reduce_max(total, axis=1, keepdims=True)
        return total + TIE * tf.where(best > 0, best, 1.0) * self.popularity

    def _standard(self, scores: KerasTensor) -> KerasTensor:
        own = scores[:, 1:]
        spread = keras.ops.std(own, axis=1, keepdims=True)
        return (scores - keras.ops.mean(own, axis=1, keepdims=True)) / keras.ops.where(spread > 0, spread, 1.0)

    def compute_output_spec(self, scores: Any, history: Any) -> keras.KerasTensor:
        return keras.KerasTensor(scores.shape, dtype=scores.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count, "stored": self.stored, "length": self.length, "weight": self.weight}
