"""What only training sees: augmentation around the network, and mixed-up batches."""

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from pipelines.vision.layers import Shift
from pipelines.vision.spec import AugmentSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

SMALLEST_CUTOUT = 0.02  # of the area


def add_augmentation(
    model: keras.Model, spec: AugmentSpec, splits: "VisionSplits", seed: int
) -> keras.Model:
    """Return `model` behind the random layers of `spec`, which are active in `fit` alone."""
    layers = _random_layers(spec, splits, seed)
    if not layers:
        return model
    inputs = keras.Input(splits.shape, name="image")
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, model(x), name="training")


def flip_mode(spec: AugmentSpec, splits: "VisionSplits") -> str:
    """Return how images are mirrored: none, horizontal, vertical or both."""
    if spec.flip != "auto":
        return spec.flip
    if splits.mirrored:
        return "horizontal"
    return "none"


def _random_layers(
    spec: AugmentSpec, splits: "VisionSplits", seed: int
) -> list[keras.layers.Layer]:
    fill: dict[str, Any] = {"fill_mode": "nearest", "interpolation": "bilinear", "seed": seed}
    layers = []
    mode = flip_mode(spec, splits)
    if mode == "both":
        layers.append(keras.layers.RandomFlip("horizontal_and_vertical", seed=seed))
    elif mode != "none":
        layers.append(keras.layers.RandomFlip(mode, seed=seed))
    if spec.shift:
        layers.append(Shift(spec.shift, seed=seed))
    if spec.rotation:
        layers.append(keras.layers.RandomRotation(spec.rotation, **fill))
    if spec.zoom:
        layers.append(keras.layers.RandomZoom(spec.zoom, **fill))
    if spec.cutout:
        erase = keras.layers.RandomErasing(
            scale=(SMALLEST_CUTOUT, spec.cutout),
            fill_value=float(splits.moments[0].mean()),
            value_range=(float(splits.train.x.min()), splits.scale),
            seed=seed,
        )
        layers.append(erase)
    return layers


def mix_up(batches: tf.data.Dataset, alpha: float, seed: int) -> tf.data.Dataset:
    """Return batches of weighted means of two images and of their labels (Zhang et al. 2018)."""
    layer = keras.layers.MixUp(alpha=alpha, seed=seed)

    def mix(images: Any, labels: Any) -> Any:
        mixed = layer({"images": images, "labels": labels}, training=True)
        return mixed["images"], mixed["labels"]

    return batches.map(mix)
