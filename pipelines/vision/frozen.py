"""The features of a frozen backbone: computed once for a data set, kept for later trials and runs.

A network over a frozen backbone is fitted to them, and only its head is: augmented images would
have to go through the backbone anew in each epoch, at four times the cost and with lower scores.
"""

from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from pipelines.io.progress import counted, working
from pipelines.networks.models import graph_of_constants
from pipelines.pretrained.feature_cache import FeatureKey, cached_features
from pipelines.splits import Part
from pipelines.vision import transfer
from pipelines.vision.architectures import architecture_of
from pipelines.vision.batches import SHUFFLED
from pipelines.vision.spec import TransferSpec, VisionSpec

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

BATCH_SIZE = 64
FEATURES = "features"  # the layer of a network behind which its head begins


def is_frozen(spec: VisionSpec) -> bool:
    """Whether the network of `spec` is a head on a backbone of which no layer learns."""
    return bool(architecture_of(spec).weights_key) and not spec.transfer.layers


def head_of(network: keras.Model) -> keras.Model:
    """Return the part of a network from its features to logits; it has the same weights."""
    return keras.Model(network.get_layer(FEATURES).output, network.output, name="head")


def features(splits: "VisionSplits", part: Part, spec: TransferSpec) -> np.ndarray:
    """Return the features `(n, width)` of the images of a part.

    Of each part they are computed once, whatever is merged into train.

    Raises:
        UsageError, DataError: there is no such backbone, or its weights are not on this machine.
    """
    if part != "train":
        return _cached(splits, part, splits.images(part).x, spec)
    num_own = len(splits.train.y) - sum(len(splits.images(other).y) for other in splits.merged)
    own = _cached(splits, part, splits.train.x[:num_own], spec)
    return np.concatenate([own, *(features(splits, other, spec) for other in splits.merged)])


def _cached(splits: "VisionSplits", part: Part, x: np.ndarray, spec: TransferSpec) -> np.ndarray:
    extent = max(splits.shape[:2])
    # The digest of the splits is there; one of the images would be computed in every trial.
    key = FeatureKey(
        data=f"{splits.digest} {part}",
        network=spec.backbone.rsplit("/", maxsplit=1)[-1],
        weights=transfer.weights_name(spec),
        settings={"side": transfer.side_of(spec, extent), "scale": splits.scale},
    )

    def compute() -> np.ndarray:
        with working(f"features of {part} by {spec.backbone}"):
            return _compute(x, spec, splits)

    return cached_features(key, compute)


def batches(
    splits: "VisionSplits", part: Part, spec: VisionSpec, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of features and of one-hot labels, shuffled anew in each epoch by a seed."""
    x = features(splits, part, spec.transfer)
    examples = tf.data.Dataset.from_tensor_slices((x, splits.one_hot(part)))
    if shuffle_seed is not None:
        examples = examples.shuffle(min(len(x), SHUFFLED), seed=shuffle_seed)
    return examples.batch(spec.train.batch_size).prefetch(2)


def _compute(x: np.ndarray, spec: TransferSpec, splits: "VisionSplits") -> np.ndarray:
    image = keras.Input(splits.shape, name="image")
    network = keras.Model(image, transfer.features(spec, image, splits.scale))
    signature = tf.TensorSpec((None, *splits.shape), tf.float32)
    answer = graph_of_constants(lambda batch: network(batch, training=False), signature)
    computed = []
    starts = range(0, len(x), BATCH_SIZE)
    for start in counted(starts, "batches of images", len(starts)):
        batch = np.asarray(x[start : start + BATCH_SIZE], dtype=np.float32)
        (of_batch,) = answer(tf.constant(batch))
        computed.append(np.asarray(of_batch))
    return np.concatenate(computed)
