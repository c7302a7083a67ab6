"""How a recommending network is fitted: batches, and the loss over all positions of a history at once."""

from collections.abc import Iterator
from typing import Any

import keras
import keras_rs
import numpy as np
import tensorflow as tf

from pipelines.recommend import plans
from pipelines.recommend.model import asked
from pipelines.recommend.spec import RecommendSpec
from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

KerasTensor = Any
MOST_FULL = 12_500  # items up to which each target is compared with all others
SHARED = 1_000  # items that are drawn once a step beyond
STRUCK = -1e9


class NextItem(keras.Model):
    """The network while it learns which item comes next.

    In training `y` (batch, history) holds the item after each position, 0 where there is none; otherwise y (batch, 1 +
    most seen) holds the target and the items already seen, which are struck out before it is ranked.
    """

    def __init__(self, network: keras.Model, spec: RecommendSpec, splits: RecommendSplits) -> None:
        super().__init__(name="next_item")
        self.network = network
        self.encoder = keras.Model(network.input, network.get_layer("states").output)
        self.table = network.get_layer("items")
        own = SHARED if spec.architecture == "two_tower" or splits.num_items > MOST_FULL else 0
        self.negatives = min(spec.negatives or own, splits.num_items - 1)
        self.in_batch = spec.architecture == "two_tower"
        counts = np.bincount(splits.item[splits.part == 0], minlength=splits.num_items + 1).astype(
            "float64"
        )
        # Popular items are drawn more often, but not as often as they occur (Mikolov et al. 2013); a batch has them as they occur.
        shares = counts if self.in_batch else counts**0.75
        self.shares = tf.constant(shares / shares.sum(), tf.float32)
        self.bounds = tf.constant(np.cumsum(shares / shares.sum()), tf.float32)
        self.correct = keras_rs.layers.SamplingProbabilityCorrection()
        self.remove_hits = keras_rs.layers.RemoveAccidentalHits()
        self.built = True

    def call(self, inputs: dict[str, KerasTensor], training: bool = False) -> KerasTensor:
        """Return states (batch, positions, width) in training, scores (batch, items + 1) otherwise."""
        return (
            self.encoder(inputs, training=True)
            if training
            else self.network(inputs, training=False)
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **more: Any,
    ) -> KerasTensor:
        if not training:
            scores = _struck(y_pred, y)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[:, 0], scores)
            known = tf.cast(
                y[:, 0] > 0, losses.dtype
            )  # nothing can make an item likely that train does not hold
            return tf.reduce_sum(losses * known) / tf.maximum(tf.reduce_sum(known), 1)
        states = tf.broadcast_to(
            y_pred, (tf.shape(y)[0], tf.shape(y)[1], y_pred.shape[-1])
        )  # mf has one state for all positions
        learned = y > 0
        states, targets = tf.boolean_mask(states, learned), tf.boolean_mask(y, learned)
        if self.negatives:
            return tf.reduce_mean(self._sampled(states, targets))
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(targets, self.table(states, scores=True))
        )

    def _sampled(self, states: KerasTensor, targets: KerasTensor) -> KerasTensor:
        """Return the loss of each state against its target and shared candidates, corrected by how likely each is drawn (logQ)."""
        if self.in_batch:
            candidates = tf.random.shuffle(targets)[: self.negatives]
        else:
            candidates = tf.searchsorted(
                self.bounds, tf.random.uniform([self.negatives]), side="right"
            )
            candidates = tf.clip_by_value(candidates, 1, self.table.count - 1)
        number = tf.shape(candidates)[0]
        expected = tf.cast(number, tf.float32) * tf.gather(self.shares, candidates)
        others = self.correct(
            self.table(states, scores=True, of=candidates), tf.minimum(expected, 1.0)[None, :]
        )
        own = (
            tf.reduce_sum(states * self.table(targets), axis=-1, keepdims=True)
            + tf.gather(self.table.bias, targets)[:, None]
        )
        scores = tf.concat([own, others], axis=1)
        ids = tf.concat(
            [
                targets[:, None],
                tf.broadcast_to(candidates[None, :], (tf.shape(targets)[0], number)),
            ],
            axis=1,
        )
        labels = tf.one_hot(tf.zeros_like(targets), tf.shape(scores)[1])
        scores = self.remove_hits(scores, labels, ids)
        return tf.nn.softmax_cross_entropy_with_logits(labels, scores)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        if (
            y_pred.shape.rank == 3
        ):  # states: ranking every position of a training batch would cost more than learning from it
            return {"loss": self._loss_tracker.result()}
        return dict(super().compute_metrics(x, y, y_pred, sample_weight))

    def get_metrics_result(self) -> dict[str, Any]:
        # Before the first validation the ranks have nothing to tell, and Keras raises.
        return (
            dict(super().get_metrics_result())
            if self._compile_metrics.built
            else {"loss": self._loss_tracker.result()}
        )


def _struck(scores: KerasTensor, y: KerasTensor) -> KerasTensor:
    """Return scores (batch, items + 1) with those of padding and of the items in y[:, 1:] struck out."""
    struck = tf.concat([tf.zeros_like(y[:, :1]), y[:, 1:]], axis=1)
    rows = tf.broadcast_to(tf.range(tf.shape(y)[0])[:, None], tf.shape(struck))
    at = tf.stack([tf.reshape(rows, [-1]), tf.reshape(struck, [-1])], axis=1)
    return tf.tensor_scatter_nd_update(
        scores, at, tf.fill([tf.shape(at)[0]], tf.constant(STRUCK, scores.dtype))
    )


def _rank(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Return the rank (batch,) of the targets among unseen items, ties by their mean; a cold target's is beyond all."""
    wanted = tf.gather(
        scores, tf.reshape(y[:, 0], [-1, 1]), batch_dims=1
    )  # y[:, :1] may be 0 wide, for all that a graph knows
    scores = _struck(scores, y)
    better = tf.reduce_sum(tf.cast(scores > wanted, tf.float32), axis=1)
    equal = tf.maximum(tf.reduce_sum(tf.cast(scores == wanted, tf.float32), axis=1), 1.0)
    return tf.where(y[:, 0] > 0, better + (equal + 1) / 2, tf.cast(tf.shape(scores)[1], tf.float32))


def _ndcg(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    rank = _rank(y, scores)
    return tf.where(rank <= 10, tf.math.log(2.0) / tf.math.log(1 + rank), 0.0)


def _hit(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    return tf.cast(_rank(y, scores) <= 10, tf.float32)


def compile_arguments(splits: RecommendSplits) -> dict[str, Any]:
    """Return loss and metrics for `keras.Model.compile`."""
    if splits.task == "rate":
        return {"loss": "mse", "metrics": [keras.metrics.MeanSquaredError(name="mse")]}
    wrap = keras.metrics.MeanMetricWrapper
    return {"loss": None, "metrics": [wrap(_ndcg, name="ndcg_10"), wrap(_hit, name="hr_10")]}


def batches(
    splits: RecommendSplits, part: Part, spec: RecommendSpec, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of the network's inputs with what is to be learned; see `NextItem` for the forms of a target to rank."""
    names = {
        name
        for name, users in (("user", plans.BY_USER), ("history", plans.BY_HISTORY))
        if spec.architecture in users
    }
    if splits.task == "rate":
        found = asked({*names, "user", "item"}, splits, part, spec.history)
        data = (found, splits.cases(part).rating[:, None])
    elif shuffle_seed is not None:
        data = _windows(names, splits, spec.history)
    else:
        return _cases(names, splits, part, spec)
    rows = tf.data.Dataset.from_tensor_slices(data)
    if shuffle_seed is not None:
        rows = rows.shuffle(min(len(data[1]), 200_000), seed=shuffle_seed)
    return rows.batch(spec.train.batch_size).prefetch(2)


def _cases(
    names: set[str], splits: RecommendSplits, part: Part, spec: RecommendSpec
) -> tf.data.Dataset:
    """Return batches of cases, each with its target and the items already seen.

    They are made one after another: a table of all cases would be as wide as the longest history, 1 GB for MovieLens of 100,000
    ratings.
    """
    count, size = len(splits.cases(part)), spec.train.batch_size

    def made() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        for begin in range(0, count, size):
            rows = slice(begin, begin + size)
            target, seen = splits.cases(part).target[rows, None], splits.histories(part, 0, rows)
            yield (
                asked(names, splits, part, spec.history, rows),
                np.concatenate([target, seen], axis=1).astype(np.int32),
            )

    shapes = {"user": (None,), "history": (None, spec.history)}
    inputs = {name: tf.TensorSpec(shapes[name], tf.int32) for name in names}
    batches = tf.data.Dataset.from_generator(
        made, output_signature=(inputs, tf.TensorSpec((None, None), tf.int32))
    )
    return batches.apply(tf.data.experimental.assert_cardinality(-(-count // size))).prefetch(2)


def _windows(
    names: set[str], splits: RecommendSplits, length: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return each user's training items in windows: the inputs, and the item after each position, (windows, length).

    Windows end with the last item and go backwards, so that only a user's oldest one is padded.
    """
    rows = np.flatnonzero((splits.part == 0) & (splits.item > 0))
    item, person = splits.item[rows], splits.person[rows]
    first = np.searchsorted(person, person)
    follows = np.arange(len(item)) > first  # has an item of the same user before it: a target
    ends = np.searchsorted(person, person, side="right")
    behind = ends - 1 - np.arange(len(item))
    last = np.flatnonzero(follows & (behind % length == 0))  # the last target of each window
    at = last[:, None] - np.arange(length - 1, -1, -1)
    inside = at > first[last][:, None]
    targets = np.where(inside, item[np.where(inside, at, 0)], 0).astype(np.int32)
    found: dict[str, np.ndarray] = {}
    if "history" in names:
        found["history"] = np.where(inside, item[np.where(inside, at - 1, 0)], 0).astype(np.int32)
    if "user" in names:
        found["user"] = splits.user[rows][last].astype(np.int32)
    return found, targets
