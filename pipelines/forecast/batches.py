"""Windows as batches of tf.data.

Only the starts of windows are stored and shuffled; the rows are gathered batch by batch.
"""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits


def batches(
    splits: "ForecastSplits", part: Part, batch_size: int, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of scaled windows, shuffled anew each epoch with a seed.

    Inputs are `history` `(batch, lookback, channels)` and, where anything is known in advance,
    `future` `(batch, horizon, known)`; the target is `(batch, horizon, 1)`.
    """
    rows = tf.constant(splits.rows)
    past = tf.range(-splits.lookback, 0)
    ahead = tf.range(splits.horizon)
    num_future = splits.num_future

    def gather(starts: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        coming = tf.gather(rows, starts[:, None] + ahead)
        inputs = {"history": tf.gather(rows, starts[:, None] + past)}
        if num_future:
            inputs["future"] = coming[..., -num_future:]
        return inputs, coming[..., :1]

    starts = splits.starts[part].astype(np.int32)
    dataset = tf.data.Dataset.from_tensor_slices(starts)
    if shuffle_seed is not None:
        # Among all of them: neighbours are nearly the same window.
        dataset = dataset.shuffle(len(starts), seed=shuffle_seed)
    # Two calls and not AUTOTUNE, whose thread holds up the end of an epoch.
    return dataset.batch(batch_size).map(gather, num_parallel_calls=2).prefetch(2)
