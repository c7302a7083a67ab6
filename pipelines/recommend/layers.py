"""Layers of recommending networks that Keras does not have."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor
from pipelines.recommend.item_models import TIE, ItemModel
from pipelines.recommend.stacking import LINEAR_BELOW

PADDING_BIAS = -1e9
VECTOR_SPREAD = 0.05


@keras.saving.register_keras_serializable("appline")
class ItemTable(keras.layers.Layer):
    """A vector and a bias for each item, looked up by id or compared with states.

    Both uses share the same vectors. With `num_features`, an item's vector is its own plus the sum
    of its features' vectors: items with few interactions learn from similar ones. Item 0 is
    padding; its vector is zero. Where nothing is compared with states, no bias is learned.
    """

    def __init__(
        self, count: int, width: int, num_features: int = 0, biased: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.count, self.width, self.num_features, self.biased = count, width, num_features, biased

    def build(self, input_shape: Any) -> None:
        normal = keras.initializers.RandomNormal(stddev=VECTOR_SPREAD)
        self.vectors = self.add_weight(
            shape=(self.count, self.width), initializer=normal, name="vectors"
        )
        self.bias = self.add_weight(
            shape=(self.count,), initializer="zeros", trainable=self.biased, name="bias"
        )
        if self.num_features:
            shape = (self.count, self.num_features)
            self.features = self.add_weight(
                shape=shape, initializer="zeros", trainable=False, name="features"
            )
            self.of_features = self.add_weight(
                shape=(self.num_features, self.width), initializer="zeros", name="of_features"
            )
        self.built = True

    def start(self, bias: np.ndarray, features: np.ndarray | None) -> None:
        """Set the initial biases (count,) and each item's features (count, num_features)."""
        # Padding is never recommended: no state raises it, and with a probability of zero it gets
        # no gradient.
        self.bias.assign(np.concatenate([[PADDING_BIAS], bias[1:]]))
        if features is not None:
            self.features.assign(features)

    def call(
        self, x: KerasTensor, scores: bool = False, of: KerasTensor | None = None
    ) -> KerasTensor:
        """Return the vectors (..., width) of ids `x`, or the scores (..., items) of states `x`.

        The scores are those of all items, or of the ids `of`.
        """
        if not scores:
            is_item = keras.ops.cast(keras.ops.not_equal(x, 0), self.compute_dtype)
            return self._vectors(x) * is_item[..., None]
        if of is None:
            return keras.ops.matmul(x, keras.ops.transpose(self._all_vectors())) + self.bias
        products = keras.ops.matmul(x, keras.ops.transpose(self._vectors(of)))
        return products + keras.ops.take(self.bias, of)

    def _all_vectors(self) -> KerasTensor:
        if not self.num_features:
            return self.vectors
        return self.vectors + keras.ops.matmul(self.features, self.of_features)

    def _vectors(self, ids: KerasTensor) -> KerasTensor:
        vectors = keras.ops.take(self.vectors, ids, axis=0)
        if not self.num_features:
            return vectors
        features = keras.ops.take(self.features, ids, axis=0)
        return vectors + keras.ops.matmul(features, self.of_features)

    def compute_output_spec(
        self, x: Any, scores: bool = False, of: Any = None
    ) -> keras.KerasTensor:
        shape = (*x.shape[:-1], self.count) if scores else (*x.shape, self.width)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "count": self.count,
            "width": self.width,
            "num_features": self.num_features,
            "biased": self.biased,
        }


@keras.saving.register_keras_serializable("appline")
class RunningMean(keras.layers.Layer):
    """The mean of the steps up to each one (batch, steps, channels).

    Only steps for which `is_item` (batch, steps) is true count.
    """

    def call(self, x: KerasTensor, is_item: KerasTensor) -> KerasTensor:
        weight = keras.ops.cast(is_item, x.dtype)[..., None]
        total = keras.ops.cumsum(x * weight, axis=1)
        return total / keras.ops.maximum(keras.ops.cumsum(weight, axis=1), 1)

    def compute_output_shape(self, x_shape: BatchShape, is_item_shape: BatchShape) -> BatchShape:
        return x_shape


@keras.saving.register_keras_serializable("appline")
class StackingWeights(keras.layers.Layer):
    """Scores (batch, items + 1) as they are, and the blend weights that belong to them.

    The scores of network and item models are summed by these weights outside of the network. The
    layer holds what was fitted on val: the weight of the network's own scores, and by the names of
    the item models their `settings` (see `baselines.settings_as_dict`) and `weight`. Until `assign`
    is called, the network alone counts. `evidence` says in a sentence what the blend was worth on
    val.
    """

    def __init__(
        self,
        network: float = 1.0,
        item_models: Mapping[str, Mapping[str, Any]] | None = None,
        evidence: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.assign(network, item_models or {}, evidence)

    def assign(
        self, network: float, item_models: Mapping[str, Mapping[str, Any]], evidence: str = ""
    ) -> None:
        """Set the weights."""
        self.network = float(network)
        self.item_models = {name: dict(entry) for name, entry in item_models.items()}
        self.evidence = evidence

    def chosen(self) -> dict[str, Any]:
        """Return the weights as `assign` takes them."""
        return {
            "network": self.network,
            "item_models": self.item_models,
            "evidence": self.evidence,
        }

    def call(self, scores: KerasTensor) -> KerasTensor:
        return scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.chosen()}


@keras.saving.register_keras_serializable("appline")
class ItemModelScores(keras.layers.Layer):
    """The compressed scores (batch, items + 1) of an item model, for raw histories of item ids.

    Histories are (batch, any length). The item model is a sum over the history of rows of a matrix,
    kept as compressed sparse rows; `recency_weights` say how much the last item, the last but one,
    ... counts.
    """

    def __init__(self, count: int, stored: int, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.stored, self.length = count, stored, length
        fixed: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.data = self.add_weight(shape=(stored,), name="data", **fixed)
        self.columns = self.add_weight(shape=(stored,), dtype="int32", name="columns", **fixed)
        self.bounds = self.add_weight(shape=(count + 1,), dtype="int32", name="bounds", **fixed)
        self.recency_weights = self.add_weight(
            shape=(max(length, 1),), name="recency_weights", **fixed
        )
        self.popularity = self.add_weight(shape=(count,), name="popularity", **fixed)

    @classmethod
    def of(cls, item_model: ItemModel, name: str) -> "ItemModelScores":
        """Return the layer of a fitted item model."""
        from scipy import sparse

        rows = sparse.csr_matrix(item_model.matrix)
        length = 0
        recency_weights = np.zeros(1)
        if item_model.weights is not None:
            length = len(item_model.weights)
            recency_weights = item_model.weights
        layer = cls(len(item_model.popularity), rows.nnz, length, name=name)
        layer.set_weights(
            [rows.data, rows.indices, rows.indptr, recency_weights, item_model.popularity]
        )
        return layer

    def call(self, history: KerasTensor) -> KerasTensor:
        scores = self._scores(history)
        largest = keras.ops.max(keras.ops.abs(scores), axis=1, keepdims=True)
        unit = LINEAR_BELOW * keras.ops.where(largest > 0, largest, 1.0)
        return keras.ops.arcsinh(scores / unit)

    def _scores(self, history: KerasTensor) -> KerasTensor:
        if self.length:
            history = history[:, -self.length :]
        case_and_place = tf.where(history > 0)
        item = tf.gather_nd(history, case_and_place)
        # Each item of a history contributes the stored entries of its row of the matrix.
        bounds = tf.convert_to_tensor(self.bounds)
        entries = tf.ragged.range(tf.gather(bounds, item), tf.gather(bounds, item + 1))
        origin = tf.gather(case_and_place, entries.value_rowids())
        value = tf.gather(tf.convert_to_tensor(self.data), entries.flat_values)
        batch, width = tf.unstack(tf.shape(history, out_type=tf.int64))
        if self.length:
            places_from_end = width - 1 - origin[:, 1]
            value *= tf.gather(tf.convert_to_tensor(self.recency_weights), places_from_end)
        column = tf.gather(tf.convert_to_tensor(self.columns), entries.flat_values)
        indices = tf.stack([origin[:, 0], tf.cast(column, tf.int64)], axis=1)
        shape = tf.stack([batch, tf.constant(self.count, tf.int64)])
        total = tf.scatter_nd(indices, value, shape)
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
    """The weighted sum of several scores (batch, items + 1), each standardised over the items.

    Items that are not `known` count as average ones, but in the scores that `by_content` marks.
    """

    def __init__(
        self, weights: Sequence[float], by_content: Sequence[bool], count: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.score_weights = [float(weight) for weight in weights]
        self.by_content = [bool(mark) for mark in by_content]
        self.count = count
        self.known = self.add_weight(
            shape=(count,), initializer="ones", trainable=False, name="known"
        )

    def call(self, scores: Sequence[KerasTensor]) -> KerasTensor:
        is_item = np.arange(self.count) > 0
        everything = keras.ops.convert_to_tensor(is_item.astype(np.float32))
        total = 0.0
        weighted = zip(self.score_weights, self.by_content, scores, strict=True)
        for weight, by_content, values in weighted:
            counted = everything if by_content else everything * self.known
            total += weight * _standardize(values, counted)
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weights": self.score_weights,
            "by_content": self.by_content,
            "count": self.count,
        }


def _standardize(scores: KerasTensor, counted: KerasTensor) -> KerasTensor:
    """Return scores (batch, items + 1) with mean 0 and deviation 1 over the items `counted`.

    Those are 1 in `counted` (items + 1,), others 0; their scores are 0 then.
    """
    number = keras.ops.sum(counted)
    mean = keras.ops.sum(scores * counted, axis=1, keepdims=True) / number
    centred = (scores - mean) * counted
    spread = keras.ops.sqrt(keras.ops.sum(centred**2, axis=1, keepdims=True) / number)
    return centred / keras.ops.where(spread > 0, spread, 1.0)
