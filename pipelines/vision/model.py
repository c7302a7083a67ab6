"""Plans to Keras: an image network is input, normalisation, named stages, features and logits."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipelines.networks import blocks
from pipelines.vision import augment, plans, transfer
from pipelines.vision.pipeline import VisionSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

KerasTensor = Any
MIRRORED = "mirrored"  # a layer that does nothing: its name says that answers are means over an image and its mirror image


def build(spec: VisionSpec, splits: "VisionSplits", *, tta: bool) -> keras.Model:
    """Return the network from images `(batch, height, width, channels)` in their own units to logits `(batch, classes)`.

    With `tta`, and where training flips images from left to right, `probabilities` asks it about both sides.

    The output of the layer `features` is what another training can build upon (see `transfer`).
    """
    # --- input
    inputs = keras.Input(splits.shape, name="image")
    mirrored = tta and augment.flip(spec.augment, splits) in ("horizontal", "both")
    x = keras.layers.Identity(name=MIRRORED)(inputs) if mirrored else inputs

    # --- features
    if spec.architecture == "transfer":
        x = transfer.features(spec.transfer, x, splits.scale)
    else:
        mean, variance = splits.moments
        x = keras.layers.Normalization(mean=mean, variance=variance, name="normalize")(x)
        for name, stage in plans.stages(spec, splits.shape).items():
            x = blocks.apply(stage, x, name)
    x = keras.layers.Identity(name="features")(x)

    # --- logits
    x = blocks.apply(plans.head(spec, len(splits.classes)), x, "head")
    return keras.Model(inputs, x, name="network")


def probabilities(network: keras.Model, images: KerasTensor) -> KerasTensor:
    """Return the class probabilities `(batch, classes)` of images in their own units: means over the mirror images too, where so built."""
    chances = keras.ops.softmax(network(images, training=False))
    if not any(layer.name == MIRRORED for layer in network.layers):
        return chances
    return (chances + keras.ops.softmax(network(keras.ops.flip(images, axis=2), training=False))) / 2


def predict(network: keras.Model, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return the class probabilities `(n, classes)` of many images `(n, height, width, channels)` of any type."""
    batches = (x[at : at + batch_size].astype("float32") for at in range(0, len(x), batch_size))
    return np.concatenate([np.asarray(probabilities(network, batch)) for batch in batches])
