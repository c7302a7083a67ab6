"""Windows as tf.data: only their starts are stored and shuffled, the rows are gathered batch by batch."""

import keras
import numpy as np
import tensorflow as tf

from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.splits import Part


def batches(
    splits: ForecastSplits, part: Part, batch_size: int, *, seed: int | None = None
) -> tf.data.Dataset:
    """Return batches of ({"history", "future"}, target (batch, horizon, 1)), all scaled; shuffled anew each epoch with a seed."""
    rows = tf.constant(splits.rows)
    past, ahead = tf.range(-splits.lookback, 0), tf.range(splits.horizon)
    known = splits.num_future

    def gather(starts: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        coming = tf.gather(rows, starts[:, None] + ahead)
        inputs = {"history": tf.gather(rows, starts[:, None] + past)}
        if known:
            inputs["future"] = coming[..., -known:]
        return inputs, coming[..., :1]

    dataset = tf.data.Dataset.from_tensor_slices(splits.starts[part].astype(np.int32))
    if seed is not None:
        dataset = dataset.shuffle(
            len(splits.starts[part]), seed=seed
        )  # all of them: neighbours are nearly the same window
    return (
        dataset.batch(batch_size).map(gather, num_parallel_calls=2).prefetch(2)
    )  # not AUTOTUNE: its thread holds up the end of an epoch


def predict(
    model: keras.Model, splits: ForecastSplits, part: Part, batch_size: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's output (windows, horizon, 1 + levels) and what it corrects (windows, horizon), both scaled."""
    both = keras.Model(model.input, [model.outputs[0], model.get_layer("level").output])
    size = len(splits.starts[part])
    output = np.empty(
        (size, splits.horizon, 1 + len(LEVELS)), np.float32
    )  # filled batch by batch: it may be large
    level = np.empty((size, splits.horizon), np.float32)
    for number, (inputs, _) in enumerate(batches(splits, part, batch_size)):
        rows = slice(number * batch_size, (number + 1) * batch_size)
        output[rows], corrected = both.predict_on_batch(inputs)
        level[rows] = corrected[..., 0]
    return output, level
