"""Layers that Keras lacks and several domains use; they are registered, so saved models load."""

from typing import TypeAlias

import keras

from pipelines.networks.plan import KerasTensor

BatchShape: TypeAlias = tuple[int | None, ...]
INITIAL_SPREAD = 0.02  # standard deviation, as in BERT (Devlin et al. 2019)


@keras.saving.register_keras_serializable("appline")
class PositionEmbedding(keras.layers.Layer):
    """A learned vector for each position, added to `(batch, positions, channels)`."""

    def build(self, input_shape: BatchShape) -> None:
        self.table = self.add_weight(
            shape=tuple(input_shape[1:]),
            initializer=keras.initializers.RandomNormal(stddev=INITIAL_SPREAD),
            name="table",
        )

    def call(self, x: KerasTensor) -> KerasTensor:
        return x + self.table
