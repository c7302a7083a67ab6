"""One large model on the devices of one host: they share each batch and add their gradients."""

from typing import Any

import tensorflow as tf

from pipelines.errors import UsageError

REFUSED = (
    "--distribute multiworker: refused. `fit` of Keras 3 on TensorFlow fails under "
    "MultiWorkerMirroredStrategy, so one model cannot be trained across hosts today. "
    "Several models can: tune --cluster ADDRESS. On one host: --distribute mirrored"
)


def strategy(name: str) -> Any:
    """Return TensorFlow's strategy for `--distribute`; None for `none`.

    Raises:
        UsageError: the strategy is unknown or does not work, or the host has a single device.
    """
    if name == "none":
        return None
    if name == "multiworker":
        raise UsageError(REFUSED)
    if name != "mirrored":
        raise UsageError(f"--distribute {name}: expected none or mirrored")
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UsageError(
            f"--distribute mirrored: needs two devices. Found: {devices[0].name}. Leave it out"
        )
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def drop_uneven_batch(
    batches: tf.data.Dataset, like: tf.data.Dataset, strategy: Any
) -> tf.data.Dataset:
    """Return `batches` without a last batch that the devices cannot share evenly.

    TensorFlow fails on such a batch. `like` is the same data set made a second time, to look into:
    `batches` would go on in another order once it was begun.

    Raises:
        UsageError: the batch size itself is no multiple of the number of devices.
    """
    replicas = strategy.num_replicas_in_sync
    count, size = int(like.cardinality()), _first_batch_size(like)
    if size % replicas:
        below = ""
        if count == 1:  # train is smaller than a batch: only a smaller batch size helps
            below = f" below {size}"
        raise UsageError(
            f"--distribute mirrored: {replicas} devices cannot share a batch of {size} examples "
            f"evenly. Set train.batch_size to a multiple of {replicas}{below}"
        )
    last_size = _first_batch_size(like.skip(count - 1))
    if last_size % replicas == 0:
        return batches
    return batches.take(count - 1)


def _first_batch_size(batches: tf.data.Dataset) -> int:
    _, targets, *_ = next(iter(batches))  # weights may follow
    return int(tf.nest.flatten(targets)[0].shape[0])
