"""Layers of recommending networks that Keras does not have."""

from typing import Any

import keras
import numpy as np

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor


@keras.saving.register_keras_serializable("appline")
class ItemTable(keras.layers.Layer):
    """A vector and a bias for each item: looked up by id, or compared with states, by the same
    vectors.

    With `num_features`, an item's vector is its own plus the sum of its features' vectors: items
    with few interactions learn from their like. Item 0 is padding; its vector is zero. Where
    nothing is compared with states, no bias is learned.
    """

    def __init__(
        self, count: int, width: int, num_features: int = 0, biased: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.count, self.width, self.num_features, self.biased = count, width, num_features, biased

    def build(self, input_shape: Any) -> None:
        normal = keras.initializers.RandomNormal(stddev=0.05)
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
        """Set the biases (count,) to begin with, and each item's features (count, num_features)."""
        # Padding is never an answer: no state can lift it, and with a share of zero it gets no
        # gradient.
        self.bias.assign(np.concatenate([[-1e9], bias[1:]]))
        if features is not None:
            self.features.assign(features)

    def call(
        self, x: KerasTensor, scores: bool = False, of: KerasTensor | None = None
    ) -> KerasTensor:
        """Return the vectors (..., width) of ids `x`; or the scores (..., items) of states `x`, of
        all items or of the ids `of`.
        """
        if not scores:
            real = keras.ops.cast(keras.ops.not_equal(x, 0), self.compute_dtype)
            return self._vectors(x) * real[..., None]
        if of is None:
            vectors = (
                self.vectors + keras.ops.matmul(self.features, self.of_features)
                if self.num_features
                else self.vectors
            )
            return keras.ops.matmul(x, keras.ops.transpose(vectors)) + self.bias
        return keras.ops.matmul(x, keras.ops.transpose(self._vectors(of))) + keras.ops.take(
            self.bias, of
        )

    def _vectors(self, ids: KerasTensor) -> KerasTensor:
        own = keras.ops.take(self.vectors, ids, axis=0)
        if not self.num_features:
            return own
        return own + keras.ops.matmul(keras.ops.take(self.features, ids, axis=0), self.of_features)

    def compute_output_spec(
        self, x: Any, scores: bool = False, of: Any = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor(
            (*x.shape[:-1], self.count) if scores else (*x.shape, self.width),
            dtype=self.compute_dtype,
        )

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
    """The mean of the steps up to each one (batch, steps, channels), of those alone for which
    `real` (batch, steps) is true.
    """

    def call(self, x: KerasTensor, real: KerasTensor) -> KerasTensor:
        weight = keras.ops.cast(real, x.dtype)[..., None]
        return keras.ops.cumsum(x * weight, axis=1) / keras.ops.maximum(
            keras.ops.cumsum(weight, axis=1), 1
        )

    def compute_output_shape(self, x_shape: BatchShape, real_shape: BatchShape) -> BatchShape:
        return x_shape
