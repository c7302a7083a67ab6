"""Plans to Keras: an image network is input, normalisation, named stages, features and logits."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines import blocks
from pipelines.vision import plans, transfer
from pipelines.vision.pipeline import VisionSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits


def build(spec: VisionSpec, splits: "VisionSplits") -> keras.Model:
    """Return the network from images `(batch, height, width, channels)` in their own units to logits `(batch, classes)`.

    The output of the layer `features` is what another training can build upon (see `transfer`).
    """
    # --- input
    inputs = keras.Input(splits.shape, name="image")

    # --- features
    if spec.architecture == "transfer":
        x = transfer.features(spec.transfer, inputs, splits.scale)
    else:
        mean, variance = splits.moments
        x = keras.layers.Normalization(mean=mean, variance=variance, name="normalize")(inputs)
        for name, stage in plans.stages(spec, splits.shape).items():
            x = blocks.apply(stage, x, name)
    x = keras.layers.Identity(name="features")(x)

    # --- logits
    x = blocks.apply(plans.head(spec, len(splits.classes)), x, "head")
    return keras.Model(inputs, x, name="network")


def probabilities(model: keras.Model, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return the class probabilities `(n, classes)` of images in their own units."""
    logits = [np.asarray(model(x[at : at + batch_size].astype("float32"), training=False)) for at in range(0, len(x), batch_size)]
    exponents = np.exp(np.concatenate(logits).astype("float64"))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))
