"""Layers of text networks that Keras does not have."""

from typing import Any

import keras

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor


@keras.saving.register_keras_serializable("appline")
class ResidualLogits(keras.layers.Layer):
    """The sum (batch, classes) of logits to start from and those that a network adds; `factor` is
    how far the former are trusted.

    In training the start is hidden from a share `hidden` of the examples: who always sees good
    answers learns little but to repeat them. Otherwise both count by `shares`, 1 and 1 until they
    are chosen on val.
    """

    def __init__(self, hidden: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, *shapes: BatchShape) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
        self.shares = self.add_weight(
            shape=(2,), initializer="ones", trainable=False, name="shares"
        )

    def call(self, start: KerasTensor, logits: KerasTensor, training: bool = False) -> KerasTensor:
        start = self.factor * start
        if not training:
            return self.shares[0] * start + self.shares[1] * logits
        if self.hidden:
            seen = (
                keras.random.uniform((keras.ops.shape(start)[0], 1), seed=self.seed_generator)
                >= self.hidden
            )
            start = start * keras.ops.cast(seen, start.dtype)
        return start + logits

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}


@keras.saving.register_keras_serializable("appline")
class HashedNgrams(keras.layers.Layer):
    """Ids (batch, length) to the ids (batch, length - size + 1) of their runs of `size`, from 1 to
    `buckets`; 0 where one of them is 0.
    """

    def __init__(self, size: int, buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.buckets = size, buckets

    def call(self, ids: KerasTensor) -> KerasTensor:
        count = ids.shape[1] - self.size + 1
        whole = keras.ops.cast(ids, "int64")
        number, real = (
            keras.ops.zeros_like(whole[:, :count]),
            keras.ops.ones_like(whole[:, :count], dtype="bool"),
        )
        for offset in range(self.size):
            one = whole[:, offset : offset + count]
            number = (number * 1_000_003 + one) % 2_147_483_647  # a polynomial over a prime field
            real = keras.ops.logical_and(real, one > 0)
        return keras.ops.cast(keras.ops.where(real, 1 + number % self.buckets, 0), "int32")

    def compute_output_spec(self, ids: Any) -> keras.KerasTensor:
        return keras.KerasTensor((ids.shape[0], ids.shape[1] - self.size + 1), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "buckets": self.buckets}
