"""Training on classes of uneven size: a metric in which each class counts the same, and weights."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.networks.plan import KerasTensor


class BalancedAccuracy(keras.metrics.Metric):
    """The mean, over the classes that occur, of the share of their examples answered rightly.

    It takes labels as zeros and ones and scores, both `(batch, classes)`. The largest is the class.
    """

    def __init__(self, num_classes: int, name: str = "balanced_accuracy") -> None:
        super().__init__(name=name)
        self.right = self.add_variable((num_classes,), "zeros", name="right")
        self.seen = self.add_variable((num_classes,), "zeros", name="seen")

    def update_state(
        self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: KerasTensor | None = None
    ) -> None:
        """Count a batch. Weights are left out: they are what this metric does by itself."""
        classes = keras.ops.argmax(y_true, axis=-1)
        is_right = keras.ops.equal(classes, keras.ops.argmax(y_pred, axis=-1))
        one_hot = keras.ops.one_hot(classes, self.seen.shape[0], dtype=self.dtype)
        right = one_hot * keras.ops.cast(is_right, self.dtype)[:, None]
        self.seen.assign_add(keras.ops.sum(one_hot, axis=0))
        self.right.assign_add(keras.ops.sum(right, axis=0))

    def result(self) -> KerasTensor:
        """Return the mean so far, 0 before the first batch."""
        recall = self.right / keras.ops.maximum(self.seen, 1)
        num_seen = keras.ops.sum(keras.ops.cast(self.seen > 0, self.dtype))
        return keras.ops.sum(recall) / keras.ops.maximum(num_seen, 1)


def weigh_examples(batches: tf.data.Dataset, class_weights: np.ndarray) -> tf.data.Dataset:
    """Return the batches with a third part, the weight of each example in the loss `(batch,)`.

    It is that of its class; a mixed-up example has the mean of those that it was mixed from.
    """
    weights = tf.constant(class_weights, tf.float32)

    def weigh(inputs: Any, one_hot: Any) -> Any:
        return inputs, one_hot, tf.linalg.matvec(one_hot, weights)

    return batches.map(weigh)
