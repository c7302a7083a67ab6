"""Layers of image networks that Keras does not have."""

from typing import Any

import keras
import tensorflow as tf

from pipelines.networks.plan import KerasTensor


@keras.saving.register_keras_serializable("appline")
class Shift(keras.layers.Layer):
    """Shifts each image `(batch, height, width, channels)` by whole pixels at random.

    The most is the share `factor` of each extent. An image so small that this rounds to no pixel
    stays where it is: one pixel of eight is no small shift (on optdigits it cost .8 points of
    validation accuracy).

    Cropping a padded image moves the same pixels as `RandomTranslation` at a fifth of its time on a
    CPU: no interpolation. New pixels at the border repeat the old border.
    """

    def __init__(self, factor: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: KerasTensor, training: bool = False) -> KerasTensor:
        if not training:
            return images
        height, width = images.shape[1:3]
        count = tf.shape(images)[0]
        rows = self._positions(count, height, round(height * self.factor))
        columns = self._positions(count, width, round(width * self.factor))
        shifted = tf.gather(images, rows, axis=1, batch_dims=1)
        return tf.gather(shifted, columns, axis=2, batch_dims=1)

    def _positions(self, count: Any, extent: int, most: int) -> Any:
        """Return `(batch, extent)`: the row (or column) that each of a shifted image copies."""
        offsets = keras.random.randint((count, 1), -most, most + 1, seed=self.generator)
        positions = tf.range(extent)[None, :] + tf.cast(offsets, "int32")
        return tf.clip_by_value(positions, 0, extent - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "seed": self.seed}
