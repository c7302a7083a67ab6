"""The image network in Keras: input, features by its architecture, logits."""

from typing import TYPE_CHECKING, Any

import keras

from pipelines.networks.plan import apply
from pipelines.networks.uneven_classes import BalancedAccuracy
from pipelines.vision import augmentation
from pipelines.vision.architectures import architecture_of, head
from pipelines.vision.spec import VisionSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

# A layer that does nothing: its name says that answers are means over an image and its mirror
# image.
MIRRORED = "mirrored"


def build(spec: VisionSpec, splits: "VisionSplits", *, tta: bool) -> keras.Model:
    """Return the network from images in their own units to logits `(batch, classes)`.

    The images are `(batch, height, width, channels)`. With `tta`, and where training flips images
    from left to right, `predict.probabilities` asks the network about both sides. Another training
    can build upon the output of the layer `features` (see `transfer`).
    """
    # --- input
    inputs = keras.Input(splits.shape, name="image")
    x = inputs
    if tta and augmentation.flip_mode(spec.augment, splits) in ("horizontal", "both"):
        x = keras.layers.Identity(name=MIRRORED)(x)

    # --- features
    x = architecture_of(spec).features(spec, x, splits)
    x = keras.layers.Identity(name="features")(x)

    # --- logits
    x = apply(head(spec, len(splits.classes)), x, "head")
    return keras.Model(inputs, x, name="network")


def compile_arguments(spec: VisionSpec, num_classes: int) -> dict[str, Any]:
    """Return loss and metrics for one class of several."""
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=spec.label_smoothing
    )
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    return {"loss": loss, "metrics": [accuracy, BalancedAccuracy(num_classes)]}
