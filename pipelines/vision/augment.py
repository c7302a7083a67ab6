"""What only training sees: augmentation around the network, and mixed-up batches."""

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from pipelines.vision.pipeline import AugmentSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits


def add_augmentation(model: keras.Model, spec: AugmentSpec, splits: "VisionSplits", seed: int) -> keras.Model:
    """Return `model` behind the random layers of `spec`: active in `fit`, passing everything through elsewhere."""
    layers = _layers(spec, splits, seed)
    if not layers:
        return model
    inputs = keras.Input(splits.shape, name="image")
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, model(x), name="training")


def flip(spec: AugmentSpec, splits: "VisionSplits") -> str:
    """Return how images are mirrored: none, horizontal, vertical or both."""
    if spec.flip != "auto":
        return spec.flip
    return "horizontal" if splits.mirrored else "none"


def _layers(spec: AugmentSpec, splits: "VisionSplits", seed: int) -> list[keras.layers.Layer]:
    fill: dict[str, Any] = {"fill_mode": "nearest", "interpolation": "bilinear", "seed": seed}
    layers = []
    if (flipped := flip(spec, splits)) != "none":
        layers.append(keras.layers.RandomFlip("horizontal_and_vertical" if flipped == "both" else flipped, seed=seed))
    if spec.shift:
        layers.append(Shift(spec.shift, seed=seed))
    if spec.rotation:
        layers.append(keras.layers.RandomRotation(spec.rotation, **fill))
    if spec.zoom:
        layers.append(keras.layers.RandomZoom(spec.zoom, **fill))
    if spec.cutout:
        low, high = float(splits.train.x.min()), splits.scale
        layers.append(
            keras.layers.RandomErasing(
                scale=(0.02, spec.cutout), fill_value=float(splits.moments[0].mean()), value_range=(low, high), seed=seed
            )
        )
    return layers


@keras.saving.register_keras_serializable("appline")
class Shift(keras.layers.Layer):
    """Shift each image `(batch, height, width, channels)` by whole pixels, up to `factor` of its extents.

    An image so small that this rounds to no pixel stays where it is: one pixel of eight is no small shift (on optdigits
    it cost .8 points of validation accuracy).

    Cropping a padded image moves the same pixels as `RandomTranslation` at a fifth of its time on a CPU: no
    interpolation. New pixels at the border repeat the old border.
    """

    def __init__(self, factor: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        if not training:
            return images
        height, width = images.shape[1:3]
        up, left = round(height * self.factor), round(width * self.factor)
        count = tf.shape(images)[0]
        rows = self._positions(count, height, up)
        columns = self._positions(count, width, left)
        return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)

    def _positions(self, count: Any, extent: int, most: int) -> Any:
        """Return for each image which of its rows (or columns) comes where: `(batch, extent)`."""
        offsets = keras.random.randint((count, 1), -most, most + 1, seed=self.generator)
        return tf.clip_by_value(tf.range(extent)[None, :] + tf.cast(offsets, "int32"), 0, extent - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "seed": self.seed}


def mixed_up(batches: tf.data.Dataset, alpha: float, seed: int) -> tf.data.Dataset:
    """Return batches in which each image and its label are a weighted mean of two (Zhang et al. 2018)."""
    numbered = batches.enumerate()

    def mix(number: Any, batch: Any) -> Any:
        images, labels = batch
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        ones = tf.random.stateless_gamma([2, tf.shape(images)[0]], seeds, alpha=alpha)
        weight = ones[0] / tf.maximum(ones[0] + ones[1], 1e-9)  # a Beta(alpha, alpha) variate
        across = weight[:, None, None, None]
        mixed = across * images + (1 - across) * images[::-1]
        return mixed, weight[:, None] * labels + (1 - weight[:, None]) * labels[::-1]

    return numbered.map(mix)
