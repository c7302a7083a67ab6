"""Images as batches of tf.data."""

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits
    from pipelines.vision.images import Images

SHUFFLED = 100_000  # images among which the next one is drawn: a buffer that holds copies


def batches(
    splits: "VisionSplits", part: Part, batch_size: int, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of images in their own units and of one-hot labels.

    With a seed they are shuffled, anew in each epoch.
    """
    images = splits.images(part)
    count, depth = len(images.y), len(splits.classes)
    if images.on_disk:
        rows = tf.data.Dataset.range(count)
    else:
        rows = tf.data.Dataset.from_tensor_slices((images.x, images.y))
    if shuffle_seed is not None:
        rows = rows.shuffle(min(count, SHUFFLED), seed=shuffle_seed, reshuffle_each_iteration=True)
    batched = rows.batch(batch_size)
    if images.on_disk:
        # A batch at a time: one call of Python reads all its rows, and never all images at once.
        batched = batched.map(lambda positions: _gather(images, positions, splits.shape))

    def to_inputs_and_targets(x: Any, y: Any) -> Any:
        return tf.cast(x, "float32"), tf.one_hot(y, depth)

    return batched.map(to_inputs_and_targets, num_parallel_calls=2).prefetch(2)


def _gather(images: "Images", positions: tf.Tensor, shape: tuple[int, int, int]) -> tuple[Any, Any]:
    x, y = tf.numpy_function(
        lambda rows: (images.x[rows], images.y[rows]), [positions], (images.x.dtype, tf.int32)
    )
    return tf.ensure_shape(x, (None, *shape)), tf.ensure_shape(y, (None,))
