"""Class probabilities by a trained image network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from pipelines.io.progress import counted
from pipelines.networks.plan import KerasTensor
from pipelines.vision.model import MIRRORED

BATCH_SIZE = 256
BACKBONE_BATCH_SIZE = 64  # it enlarges images: with 256, memory costs two thirds more of the time
BACKBONE = "backbone"  # the layer that a network with a pretrained one has


def probabilities(network: keras.Model, images: KerasTensor) -> KerasTensor:
    """Return the class probabilities `(batch, classes)` of images in their own units.

    They are means over an image and its mirror image where the network was built to do so.
    """
    plain = keras.ops.softmax(network(images, training=False))
    if not any(layer.name == MIRRORED for layer in network.layers):
        return plain
    mirror_images = keras.ops.flip(images, axis=2)
    return (plain + keras.ops.softmax(network(mirror_images, training=False))) / 2


def predict(
    network: keras.Model, x: np.ndarray, call: Callable[[np.ndarray], Any] | None = None
) -> np.ndarray:
    """Return the class probabilities `(n, classes)` of images `(n, height, width, channels)`.

    The images may be of any type, and more than fit into one batch. `call` answers a batch, by
    `probabilities` of the network unless it is given.
    """
    call = call or partial(probabilities, network)
    has_backbone = any(layer.name == BACKBONE for layer in network.layers)
    batch_size = BACKBONE_BATCH_SIZE if has_backbone else BATCH_SIZE
    outputs = []
    starts = range(0, len(x), batch_size)
    for start in counted(starts, "batches of images", len(starts)):
        batch = x[start : start + batch_size].astype("float32")
        outputs.append(np.asarray(call(batch)))
    return np.concatenate(outputs)
