"""The model that is fitted to rank: a network with its loss over all positions of a history."""

from typing import TYPE_CHECKING, Any

import keras
import keras_rs
import numpy as np
import tensorflow as tf

from pipelines.networks.plan import KerasTensor
from pipelines.recommend.architectures import architecture_of
from pipelines.recommend.spec import RecommendSpec

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits

MOST_FULL_ITEMS = 12_500  # up to which each target is compared with all others
DEFAULT_NEGATIVES = 1_000  # items that are drawn once a step beyond
MASKED_SCORE = -1e9
LIST_LENGTH = 10  # of the recommendations in which a target counts
# Popular items are drawn more often, but not as often as they occur (Mikolov et al. 2013).
POPULARITY_POWER = 0.75


class NextItem(keras.Model):
    """The network while it learns which item comes next.

    In training `y` (batch, history) holds the item after each position, 0 where there is none;
    otherwise `y` (batch, 1 + most seen) holds the target and the items already seen, which are
    masked before it is ranked.
    """

    def __init__(
        self, network: keras.Model, spec: RecommendSpec, splits: "RecommendSplits"
    ) -> None:
        super().__init__(name="next_item")
        self.network = network
        self.encoder = keras.Model(network.input, network.get_layer("states").output)
        self.table = network.get_layer("items")
        self.in_batch = architecture_of(spec).draws_from_batch
        default = 0
        if self.in_batch or splits.num_items > MOST_FULL_ITEMS:
            default = DEFAULT_NEGATIVES
        self.negatives = min(spec.negatives or default, splits.num_items - 1)
        counts = splits.train_counts().astype("float64")
        # A batch has the items as often as they occur.
        drawn = counts if self.in_batch else counts**POPULARITY_POWER
        self.draw_probabilities = tf.constant(drawn / drawn.sum(), tf.float32)
        self.cumulative = tf.constant(np.cumsum(drawn / drawn.sum()), tf.float32)
        self.correct = keras_rs.layers.SamplingProbabilityCorrection()
        self.remove_hits = keras_rs.layers.RemoveAccidentalHits()
        self.built = True

    def call(self, inputs: dict[str, KerasTensor], training: bool = False) -> KerasTensor:
        """Return states (batch, positions, width) in training, else scores (batch, items + 1)."""
        if training:
            return self.encoder(inputs, training=True)
        return self.network(inputs, training=False)

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
            return _validation_loss(y, y_pred)
        # mf has one state for all positions.
        shape = (tf.shape(y)[0], tf.shape(y)[1], y_pred.shape[-1])
        has_target = y > 0
        states = tf.boolean_mask(tf.broadcast_to(y_pred, shape), has_target)
        targets = tf.boolean_mask(y, has_target)
        if self.negatives:
            losses = self._sampled_losses(states, targets)
        else:
            scores = self.table(states, scores=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
        if sample_weight is None:
            return tf.reduce_mean(losses)
        weights = tf.cast(tf.boolean_mask(sample_weight, has_target), losses.dtype)
        return tf.reduce_sum(losses * weights) / tf.maximum(tf.reduce_sum(weights), 1e-6)

    def _sampled_losses(self, states: KerasTensor, targets: KerasTensor) -> KerasTensor:
        """Return the loss of each state against its target and candidates that all states share.

        It is corrected by how likely each candidate is drawn (logQ).
        """
        candidates = self._draw_candidates(targets)
        number = tf.shape(candidates)[0]
        probabilities = tf.gather(self.draw_probabilities, candidates)
        expected = tf.cast(number, tf.float32) * probabilities
        candidate_scores = self.table(states, scores=True, of=candidates)
        candidate_scores = self.correct(candidate_scores, tf.minimum(expected, 1.0)[None, :])
        products = tf.reduce_sum(states * self.table(targets), axis=-1, keepdims=True)
        target_scores = products + tf.gather(self.table.bias, targets)[:, None]
        scores = tf.concat([target_scores, candidate_scores], axis=1)
        shared = tf.broadcast_to(candidates[None, :], (tf.shape(targets)[0], number))
        ids = tf.concat([targets[:, None], shared], axis=1)
        labels = tf.one_hot(tf.zeros_like(targets), tf.shape(scores)[1])
        scores = self.remove_hits(scores, labels, ids)
        return tf.nn.softmax_cross_entropy_with_logits(labels, scores)

    def _draw_candidates(self, targets: KerasTensor) -> KerasTensor:
        if self.in_batch:
            return tf.random.shuffle(targets)[: self.negatives]
        uniform = tf.random.uniform([self.negatives])
        candidates = tf.searchsorted(self.cumulative, uniform, side="right")
        return tf.clip_by_value(candidates, 1, self.table.count - 1)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        # States: ranking every position of a training batch would cost more than learning from it.
        if y_pred.shape.rank == 3:
            return {"loss": self._loss_tracker.result()}
        return dict(super().compute_metrics(x, y, y_pred, sample_weight))

    def get_metrics_result(self) -> dict[str, Any]:
        # Before the first validation there are no ranks, and Keras raises.
        if not self._compile_metrics.built:
            return {"loss": self._loss_tracker.result()}
        return dict(super().get_metrics_result())


def _validation_loss(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Return the mean loss of the targets that train holds: nothing can make the others likely."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[:, 0], _mask_seen(scores, y))
    counted = tf.cast(y[:, 0] > 0, losses.dtype)
    return tf.reduce_sum(losses * counted) / tf.maximum(tf.reduce_sum(counted), 1)


def _mask_seen(scores: KerasTensor, y: KerasTensor) -> KerasTensor:
    """Return scores (batch, items + 1) in which padding and the items in y[:, 1:] are masked."""
    masked = tf.concat([tf.zeros_like(y[:, :1]), y[:, 1:]], axis=1)
    rows = tf.broadcast_to(tf.range(tf.shape(y)[0])[:, None], tf.shape(masked))
    positions = tf.stack([tf.reshape(rows, [-1]), tf.reshape(masked, [-1])], axis=1)
    values = tf.fill([tf.shape(positions)[0]], tf.constant(MASKED_SCORE, scores.dtype))
    return tf.tensor_scatter_nd_update(scores, positions, values)


def _target_rank(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Return the rank (batch,) of the targets among unseen items.

    Ties get their mean rank; a cold target's rank is beyond all.
    """
    # Reshaped, as y[:, :1] may be 0 wide, for all that a graph knows.
    target_scores = tf.gather(scores, tf.reshape(y[:, 0], [-1, 1]), batch_dims=1)
    scores = _mask_seen(scores, y)
    num_better = tf.reduce_sum(tf.cast(scores > target_scores, tf.float32), axis=1)
    num_equal = tf.reduce_sum(tf.cast(scores == target_scores, tf.float32), axis=1)
    rank = num_better + (tf.maximum(num_equal, 1.0) + 1) / 2
    behind_all = tf.cast(tf.shape(scores)[1], tf.float32)
    return tf.where(y[:, 0] > 0, rank, behind_all)


def ndcg_10(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Return the discounted gain (batch,) of each target in a list of ten."""
    rank = _target_rank(y, scores)
    return tf.where(rank <= LIST_LENGTH, tf.math.log(2.0) / tf.math.log(1 + rank), 0.0)


def hit_10(y: KerasTensor, scores: KerasTensor) -> KerasTensor:
    """Return whether (batch,) each target is among the ten best: 1 or 0."""
    return tf.cast(_target_rank(y, scores) <= LIST_LENGTH, tf.float32)
