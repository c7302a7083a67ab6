"""Network and closed forms together: their scores in the same units, and the weights that are best on val.

The choice is made once (`calibrate`) and travels in the network's layer `model.Start`: val, test and a saved model answer
with the same one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.evaluation.splitting import sample_indices
from pipelines.networks.models import predict_in_batches
from pipelines.recommend import baselines, scoring, stack
from pipelines.recommend.closed import TIE, Linear, scores_of
from pipelines.recommend.model import START, Start, asked
from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

KerasTensor = Any


def start_of(network: keras.Model) -> Start:
    """Return what a network is added to; one that starts from nothing counts alone."""
    layers = [layer for layer in network.layers if layer.name == START]
    return layers[0] if layers else Start()


def calibrate(
    network: keras.Model, splits: RecommendSplits, like: keras.Model | None = None
) -> None:
    """Choose on val how much the network and each closed form count, or take the choice of `like`."""
    start = start_of(network)
    if start not in network.layers:
        return
    if like is not None:
        start.calibrate(**start_of(like).choice())
        return
    start.calibrate(**_best(network, splits))


def _best(network: keras.Model, splits: RecommendSplits) -> dict[str, Any]:
    """Return the choice, as `Start` keeps it: the likeliest weights on val, and what the closed forms are worth without the network."""
    settings = baselines.closed_forms(splits)
    some = splits.judged
    target = some.cases("val").target
    # As many cases as fit in memory, with the scores of all; those whose target nobody can know tell nothing.
    rows = np.flatnonzero(target > 0)
    rows = rows[
        sample_indices(
            len(rows),
            max(1, scoring.IN_MEMORY // (4 * (len(settings) + 1) * (splits.num_items + 1))),
            splits.seed,
        )
    ]
    if not len(rows):
        return Start().choice()
    some = some.only("val", np.isin(np.arange(len(target)), rows))
    target, everything = target[rows], slice(0, len(rows))
    closed = [
        stack.compressed(scores_of(baselines.fitted(one, splits, "val"), some, "val", everything))
        for one in settings.values()
    ]
    scores = np.stack(
        [
            stack.standard(each)
            for each in (network_scores(network, some, "val")(everything), *closed)
        ],
        axis=-1,
    )
    seen = some.seen("val").toarray() > 0
    seen[:, 0] = True
    seen[np.arange(len(rows)), target] = False

    def worth(weights: np.ndarray) -> float:
        return float(
            scoring.gain(
                scoring.ranks(scores @ weights.astype(np.float32), some, "val", everything), 10
            ).mean()
        )

    together, without = (
        stack.weights(scores, target, seen),
        np.concatenate([[0], stack.weights(scores[:, :, 1:], target, seen)]),
    )
    return {
        "network": float(together[0]),
        "closed": {
            name: {"settings": baselines.plain(one), "weight": float(weight)}
            for (name, one), weight in zip(settings.items(), together[1:], strict=True)
            if weight
        },
        "evidence": f"on val their ndcg_10 is {worth(together):.4f}, without the network {worth(without):.4f}",
    }


def blended(network: np.ndarray, closed: Mapping[str, np.ndarray], start: Start) -> np.ndarray:
    """Return the weighted sum (cases, items + 1) of the network's scores and those of the closed forms of `start`, by name."""
    if not closed:
        return network
    total = start.network * stack.standard(network)
    for name, scores in closed.items():
        total += start.closed[name]["weight"] * stack.standard(stack.compressed(scores))
    return np.asarray(total)


def closed_of(start: Start, splits: RecommendSplits, part: Part) -> dict[str, Linear]:
    """Return the closed forms of a settled start, fitted to what may be known when `part` is answered."""
    return {
        name: baselines.fitted(baselines.ranker(one["settings"]), splits, part)
        for name, one in start.closed.items()
    }


def describe(start: Start) -> str:
    """Return in a sentence what the answers are made of."""
    if not start.closed:
        return "the answers are the network's alone"
    parts = {
        **({"the network": start.network} if start.network else {}),
        **{name: one["weight"] for name, one in start.closed.items()},
    }
    whole = sum(parts.values())
    shares = ", ".join(f"{name} {100 * weight / whole:.0f} %" for name, weight in parts.items())
    alone = (
        ""
        if start.network
        else " (no share of the network's scores made the targets of val likelier)"
    )
    return f"the answers weigh the scores of {shares}{alone}: {start.evidence}"


def predict(network: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of network and closed forms for `part`, in the form that `scoring` describes."""
    if splits.task == "rate":
        names, length = names_and_length(network)
        known = splits.rating[splits.known("val")]
        ratings = predict_in_batches(network, asked(names, splits, part, length), 4096)
        return np.asarray(np.clip(ratings, known.min(), known.max()))
    scores, start = network_scores(network, splits, part), start_of(network)
    closed = closed_of(start, splits, part)

    def both(rows: slice) -> np.ndarray:
        return blended(
            scores(rows),
            {name: scores_of(one, splits, part, rows) for name, one in closed.items()},
            start,
        )

    return scoring.ranked(both, splits, part)


def names_and_length(network: keras.Model) -> tuple[set[str], int]:
    """Return which inputs a network has, and how many items of history it sees."""
    lengths = [tensor.shape[1] for tensor in network.inputs if tensor.name == "history"]
    return {tensor.name for tensor in network.inputs}, lengths[0] if lengths else 1


def network_scores(
    network: keras.Model, splits: RecommendSplits, part: Part
) -> Callable[[slice], np.ndarray]:
    """Return what gives the network's scores (cases, items + 1) of some cases of `part`."""
    names, length = names_and_length(network)
    found = asked(names, splits, part, length)
    return lambda rows: predict_in_batches(
        network, {name: values[rows] for name, values in found.items()}, 512
    )


@keras.saving.register_keras_serializable("appline")
class ClosedScores(keras.layers.Layer):
    """The scores (batch, items + 1) of a closed form over raw histories (batch, any length) of item ids, compressed.

    The closed form is a sum over the history of rows of a matrix, kept as compressed sparse rows; `weights_of` says how
    much the last item, the last but one, ... counts.
    """

    def __init__(self, count: int, stored: int, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.stored, self.length = count, stored, length
        fixed: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.data = self.add_weight(shape=(stored,), name="data", **fixed)
        self.places = self.add_weight(shape=(stored,), dtype="int32", name="places", **fixed)
        self.bounds = self.add_weight(shape=(count + 1,), dtype="int32", name="bounds", **fixed)
        self.weights_of = self.add_weight(shape=(max(length, 1),), name="weights_of", **fixed)
        self.popularity = self.add_weight(shape=(count,), name="popularity", **fixed)

    @classmethod
    def of(cls, closed: Linear, name: str) -> "ClosedScores":
        """Return the layer of a fitted closed form."""
        from scipy import sparse

        rows = sparse.csr_matrix(closed.matrix)
        weights = closed.weights if closed.weights is not None else np.zeros(0, np.float32)
        layer = cls(len(closed.popularity), rows.nnz, len(weights), name=name)
        layer.set_weights(
            [
                rows.data,
                rows.indices,
                rows.indptr,
                weights if len(weights) else np.zeros(1),
                closed.popularity,
            ]
        )
        return layer

    def call(self, history: KerasTensor) -> KerasTensor:
        raw = self._raw(history)
        largest = keras.ops.max(keras.ops.abs(raw), axis=1, keepdims=True)
        return keras.ops.arcsinh(raw / (stack.FLOOR * keras.ops.where(largest > 0, largest, 1.0)))

    def _raw(self, history: KerasTensor) -> KerasTensor:
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
        shape = tf.stack(
            [tf.shape(history, out_type=tf.int64)[0], tf.constant(self.count, tf.int64)]
        )
        total = tf.scatter_nd(tf.stack([owner[:, 0], column], axis=1), value, shape)
        best = tf.reduce_max(total, axis=1, keepdims=True)
        return total + TIE * tf.where(best > 0, best, 1.0) * self.popularity

    def compute_output_spec(self, history: Any) -> keras.KerasTensor:
        return keras.KerasTensor((history.shape[0], self.count), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "count": self.count,
            "stored": self.stored,
            "length": self.length,
        }


@keras.saving.register_keras_serializable("appline")
class WeightedScores(keras.layers.Layer):
    """The sum of several scores (batch, items + 1), each standardised over the items and times its weight."""

    def __init__(self, weights: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weights_of = [float(weight) for weight in weights]

    def call(self, scores: Sequence[KerasTensor]) -> KerasTensor:
        return sum(
            weight * self._standard(each)
            for weight, each in zip(self.weights_of, scores, strict=True)
        )

    def _standard(self, scores: KerasTensor) -> KerasTensor:
        own = scores[:, 1:]
        spread = keras.ops.std(own, axis=1, keepdims=True)
        return (scores - keras.ops.mean(own, axis=1, keepdims=True)) / keras.ops.where(
            spread > 0, spread, 1.0
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": self.weights_of}
