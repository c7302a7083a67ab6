"""The few layers that Keras does not have, registered so that a saved model loads wherever this package is installed."""

from typing import Any, TypeAlias

import keras
import numpy as np

KerasTensor = Any  # Keras ships no types
Shape: TypeAlias = tuple[int | None, ...]

# ---------------------------------------------------------------------------------------------- sequences of any kind


@keras.saving.register_keras_serializable("appline")
class PositionEmbedding(keras.layers.Layer):
    """A learned vector for each position, added to `(batch, positions, channels)`."""

    def build(self, input_shape: Shape) -> None:
        self.table = self.add_weight(shape=tuple(input_shape[1:]), initializer=keras.initializers.RandomNormal(stddev=0.02), name="table")

    def call(self, x: KerasTensor) -> KerasTensor:
        return x + self.table


# ------------------------------------------------------------------------------------------------------------ texts


@keras.saving.register_keras_serializable("appline")
class ResidualLogits(keras.layers.Layer):
    """The sum (batch, classes) of logits to start from and those that a network adds; `factor` is how far the former are trusted.

    In training the start is hidden from a share `hidden` of the examples: who always sees good answers learns little but
    to repeat them. Otherwise both count by `shares`, 1 and 1 until they are chosen on val.
    """

    def __init__(self, hidden: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, *shapes: Shape) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
        self.shares = self.add_weight(shape=(2,), initializer="ones", trainable=False, name="shares")

    def call(self, start: KerasTensor, logits: KerasTensor, training: bool = False) -> KerasTensor:
        start = self.factor * start
        if not training:
            return self.shares[0] * start + self.shares[1] * logits
        if self.hidden:
            seen = keras.random.uniform((keras.ops.shape(start)[0], 1), seed=self.seed_generator) >= self.hidden
            start = start * keras.ops.cast(seen, start.dtype)
        return start + logits

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden": self.hidden}


@keras.saving.register_keras_serializable("appline")
class HashedNgrams(keras.layers.Layer):
    """Ids (batch, length) to the ids (batch, length - size + 1) of their runs of `size`, from 1 to `buckets`; 0 where one of them is 0."""

    def __init__(self, size: int, buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.buckets = size, buckets

    def call(self, ids: KerasTensor) -> KerasTensor:
        count = ids.shape[1] - self.size + 1
        whole = keras.ops.cast(ids, "int64")
        number, real = keras.ops.zeros_like(whole[:, :count]), keras.ops.ones_like(whole[:, :count], dtype="bool")
        for offset in range(self.size):
            one = whole[:, offset : offset + count]
            number = (number * 1_000_003 + one) % 2_147_483_647  # a polynomial over a prime field
            real = keras.ops.logical_and(real, one > 0)
        return keras.ops.cast(keras.ops.where(real, 1 + number % self.buckets, 0), "int32")

    def compute_output_spec(self, ids: Any) -> keras.KerasTensor:
        return keras.KerasTensor((ids.shape[0], ids.shape[1] - self.size + 1), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "buckets": self.buckets}


# ---------------------------------------------------------------------------------------------------- forecasting


@keras.saving.register_keras_serializable("appline")
class QuantileSpread(keras.layers.Layer):
    """Mean and quantiles (..., steps, 1 + levels) that cannot cross, out of raw outputs of the same shape.

    The first raw output is the mean, the middle one the median; from the median outwards every level adds a softplus.
    `spread` (steps, levels - 1) is what the softplus is taken of where the raw outputs are zero: one value for each
    gap between neighbouring levels.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, input_shape: Shape) -> None:
        steps, width = input_shape[-2], input_shape[-1]
        assert width is not None
        self.spread = self.add_weight(shape=(steps, width - 2), initializer="zeros", name="spread")

    def call(self, raw: KerasTensor) -> KerasTensor:
        half = (raw.shape[-1] - 2) // 2
        mean, below, median, above = keras.ops.split(raw, [1, 1 + half, 2 + half], axis=-1)
        down = keras.ops.softplus(below + self.spread[:, :half])
        up = keras.ops.softplus(above + self.spread[:, half:])
        lower = median - keras.ops.flip(keras.ops.cumsum(keras.ops.flip(down, axis=-1), axis=-1), axis=-1)
        return keras.ops.concatenate([mean, lower, median, median + keras.ops.cumsum(up, axis=-1)], axis=-1)

    def start_at(self, gaps: np.ndarray) -> None:
        """Begin with these gaps (steps, levels - 1) between neighbouring levels, all above 0."""
        self.spread.assign(gaps + np.log(-np.expm1(-gaps)))  # the inverse of softplus


@keras.saving.register_keras_serializable("appline")
class Interpolate(keras.layers.Layer):
    """Values at a few knots (batch, knots, channels) drawn as straight lines through `steps` points (N-HiTS, Challu et al. 2023)."""

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, knots: KerasTensor) -> KerasTensor:
        count = knots.shape[1]
        place = np.linspace(0, count - 1, self.steps)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count)[None, :])).astype("float32")
        return keras.ops.einsum("sk,bkc->bsc", keras.ops.convert_to_tensor(weights), knots)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.steps, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable("appline")
class WindowScale(keras.layers.Layer):
    """The spread of each window's target, (batch, 1, 1): its standard deviation (RevIN, Kim et al. 2022), kept away from 0."""

    floor = 0.05  # of the series' own standard deviation: a flat night must not turn noise into signal

    def call(self, target: KerasTensor) -> KerasTensor:
        return keras.ops.sqrt(keras.ops.var(target, axis=1, keepdims=True) + self.floor**2)


@keras.saving.register_keras_serializable("appline")
class SeriesScaler(keras.layers.Layer):
    """Raw histories (batch, lookback, channels) to scaled ones, with each window's (batch, mean and std) of the target.

    `series` (batch,) is 1 + the position of a series among those trained on, or 0 for another one, which is scaled by
    its own window. Further channels are scaled by `shift` and `divide`, the same for all series.
    """

    def __init__(self, num_series: int, num_channels: int, log1p: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_series, self.num_channels, self.log1p = num_series, num_channels, log1p
        self.table = self.add_weight(shape=(1 + num_series, 2), initializer="zeros", trainable=False, name="table")
        self.shift = self.add_weight(shape=(num_channels - 1,), initializer="zeros", trainable=False, name="shift")
        self.divide = self.add_weight(shape=(num_channels - 1,), initializer="ones", trainable=False, name="divide")

    def call(self, history: KerasTensor, series: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        target = keras.ops.log1p(history[:, :, 0]) if self.log1p else history[:, :, 0]
        mean = keras.ops.mean(target, axis=1)
        spread = keras.ops.std(target, axis=1)
        own = keras.ops.stack([mean, keras.ops.where(spread > 1e-6 * keras.ops.abs(mean) + 1e-12, spread, 1.0)], axis=1)
        facts = keras.ops.where(series[:, None] > 0, keras.ops.take(self.table, series, axis=0), own)
        scaled = (target - facts[:, :1]) / facts[:, 1:]
        others = (history[:, :, 1:] - self.shift) / self.divide
        return keras.ops.concatenate([scaled[:, :, None], others], axis=-1), facts

    def compute_output_shape(self, history_shape: Shape, series_shape: Shape) -> Any:
        return history_shape, (history_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_series": self.num_series, "num_channels": self.num_channels, "log1p": self.log1p}


@keras.saving.register_keras_serializable("appline")
class CalibratedQuantiles(keras.layers.Layer):
    """Scaled mean and quantiles (batch, steps, 1 + levels), calibrated, in the target's own units.

    `trust` is the share that is kept of the mean's difference to `level` (batch, steps, 1); `factors` (steps, levels)
    stretch the quantiles away from the median.
    """

    def __init__(self, log1p: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log1p = log1p

    def build(self, output_shape: Shape, level_shape: Shape, facts_shape: Shape) -> None:
        assert output_shape[-1] is not None
        shape = (output_shape[-2], output_shape[-1] - 1)
        self.trust = self.add_weight(shape=(), initializer="ones", trainable=False, name="trust")
        self.factors = self.add_weight(shape=shape, initializer="ones", trainable=False, name="factors")

    def call(self, output: KerasTensor, level: KerasTensor, facts: KerasTensor) -> dict[str, KerasTensor]:
        output = output - (1 - self.trust) * (output[..., :1] - level)
        middle = (output.shape[-1] - 2) // 2
        quantiles = output[..., 1:]
        median = quantiles[..., middle : middle + 1]
        quantiles = keras.ops.sort(median + (quantiles - median) * self.factors, axis=-1)
        return {"mean": self._own_units(output[..., 0], facts, 2), "quantiles": self._own_units(quantiles, facts, 3)}

    def _own_units(self, values: KerasTensor, facts: KerasTensor, rank: int) -> KerasTensor:
        shape = (-1,) + (1,) * (rank - 1)
        values = values * keras.ops.reshape(facts[:, 1], shape) + keras.ops.reshape(facts[:, 0], shape)
        return keras.ops.expm1(values) if self.log1p else values

    def compute_output_shape(self, output_shape: Shape, level_shape: Shape, facts_shape: Shape) -> Any:
        return {"mean": output_shape[:-1], "quantiles": (*output_shape[:-1], (output_shape[-1] or 0) - 1)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log1p": self.log1p}


# --------------------------------------------------------------------------------------------------- recommendation


@keras.saving.register_keras_serializable("appline")
class ItemTable(keras.layers.Layer):
    """A vector and a bias for each item: looked up by id, or compared with states, by the same vectors.

    With `num_features`, an item's vector is its own plus the sum of its features' vectors: items with few interactions
    learn from their like. Item 0 is padding; its vector is zero. Where nothing is compared with states, no bias is learned.
    """

    def __init__(self, count: int, width: int, num_features: int = 0, biased: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.width, self.num_features, self.biased = count, width, num_features, biased

    def build(self, input_shape: Any) -> None:
        normal = keras.initializers.RandomNormal(stddev=0.05)
        self.vectors = self.add_weight(shape=(self.count, self.width), initializer=normal, name="vectors")
        self.bias = self.add_weight(shape=(self.count,), initializer="zeros", trainable=self.biased, name="bias")
        if self.num_features:
            shape = (self.count, self.num_features)
            self.features = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="features")
            self.of_features = self.add_weight(shape=(self.num_features, self.width), initializer="zeros", name="of_features")
        self.built = True

    def start(self, bias: np.ndarray, features: np.ndarray | None) -> None:
        """Set the biases (count,) to begin with, and each item's features (count, num_features)."""
        # Padding is never an answer: no state can lift it, and with a share of zero it gets no gradient.
        self.bias.assign(np.concatenate([[-1e9], bias[1:]]))
        if features is not None:
            self.features.assign(features)

    def call(self, x: KerasTensor, scores: bool = False, of: KerasTensor | None = None) -> KerasTensor:
        """Return the vectors (..., width) of ids `x`; or the scores (..., items) of states `x`, of all items or of the ids `of`."""
        if not scores:
            real = keras.ops.cast(keras.ops.not_equal(x, 0), self.compute_dtype)
            return self._vectors(x) * real[..., None]
        if of is None:
            vectors = self.vectors + keras.ops.matmul(self.features, self.of_features) if self.num_features else self.vectors
            return keras.ops.matmul(x, keras.ops.transpose(vectors)) + self.bias
        return keras.ops.matmul(x, keras.ops.transpose(self._vectors(of))) + keras.ops.take(self.bias, of)

    def _vectors(self, ids: KerasTensor) -> KerasTensor:
        own = keras.ops.take(self.vectors, ids, axis=0)
        if not self.num_features:
            return own
        return own + keras.ops.matmul(keras.ops.take(self.features, ids, axis=0), self.of_features)

    def compute_output_spec(self, x: Any, scores: bool = False, of: Any = None) -> keras.KerasTensor:
        return keras.KerasTensor((*x.shape[:-1], self.count) if scores else (*x.shape, self.width), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count, "width": self.width, "num_features": self.num_features, "biased": self.biased}


@keras.saving.register_keras_serializable("appline")
class RunningMean(keras.layers.Layer):
    """The mean of the steps up to each one (batch, steps, channels), of those alone for which `real` (batch, steps) is true."""

    def call(self, x: KerasTensor, real: KerasTensor) -> KerasTensor:
        weight = keras.ops.cast(real, x.dtype)[..., None]
        return keras.ops.cumsum(x * weight, axis=1) / keras.ops.maximum(keras.ops.cumsum(weight, axis=1), 1)

    def compute_output_shape(self, x_shape: Shape, real_shape: Shape) -> Shape:
        return x_shape
