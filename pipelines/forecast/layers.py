"""Layers of forecasting networks that Keras does not have."""

from typing import Any

import keras
import numpy as np

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor


@keras.saving.register_keras_serializable("appline")
class QuantileSpread(keras.layers.Layer):
    """Mean and quantiles (..., steps, 1 + levels) that cannot cross, out of raw outputs of the same
    shape.

    The first raw output is the mean, the middle one the median; from the median outwards every
    level adds a softplus. `spread` (steps, levels - 1) is what the softplus is taken of where the
    raw outputs are zero: one value for each gap between neighbouring levels.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, input_shape: BatchShape) -> None:
        steps, width = input_shape[-2], input_shape[-1]
        assert width is not None
        self.spread = self.add_weight(shape=(steps, width - 2), initializer="zeros", name="spread")

    def call(self, raw: KerasTensor) -> KerasTensor:
        half = (raw.shape[-1] - 2) // 2
        mean, below, median, above = keras.ops.split(raw, [1, 1 + half, 2 + half], axis=-1)
        down = keras.ops.softplus(below + self.spread[:, :half])
        up = keras.ops.softplus(above + self.spread[:, half:])
        lower = median - keras.ops.flip(
            keras.ops.cumsum(keras.ops.flip(down, axis=-1), axis=-1), axis=-1
        )
        return keras.ops.concatenate(
            [mean, lower, median, median + keras.ops.cumsum(up, axis=-1)], axis=-1
        )

    def start_at(self, gaps: np.ndarray) -> None:
        """Begin with these gaps (steps, levels - 1) between neighbouring levels, all above 0."""
        self.spread.assign(gaps + np.log(-np.expm1(-gaps)))  # the inverse of softplus


@keras.saving.register_keras_serializable("appline")
class Interpolate(keras.layers.Layer):
    """Values at a few knots (batch, knots, channels) drawn as straight lines through `steps` points
    (N-HiTS, Challu et al. 2023).
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, knots: KerasTensor) -> KerasTensor:
        count = knots.shape[1]
        place = np.linspace(0, count - 1, self.steps)
        weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count)[None, :])).astype(
            "float32"
        )
        return keras.ops.einsum("sk,bkc->bsc", keras.ops.convert_to_tensor(weights), knots)

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return (input_shape[0], self.steps, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable("appline")
class WindowScale(keras.layers.Layer):
    """The spread of each window's target, (batch, 1, 1): its standard deviation (RevIN, Kim et al.
    2022), kept away from 0.
    """

    # Of the series' own standard deviation: a flat night must not turn noise into signal
    floor = 0.05

    def call(self, target: KerasTensor) -> KerasTensor:
        return keras.ops.sqrt(keras.ops.var(target, axis=1, keepdims=True) + self.floor**2)


@keras.saving.register_keras_serializable("appline")
class SeriesScaler(keras.layers.Layer):
    """Raw histories (batch, lookback, channels) to scaled ones, with each window's (batch, mean and
    std) of the target.

    `series` (batch,) is 1 + the position of a series among those trained on, or 0 for another one,
    which is scaled by its own window. Further channels are scaled by `shift` and `divide`, the same
    for all series.
    """

    def __init__(
        self, num_series: int, num_channels: int, log1p: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_series, self.num_channels, self.log1p = num_series, num_channels, log1p
        self.table = self.add_weight(
            shape=(1 + num_series, 2), initializer="zeros", trainable=False, name="table"
        )
        self.shift = self.add_weight(
            shape=(num_channels - 1,), initializer="zeros", trainable=False, name="shift"
        )
        self.divide = self.add_weight(
            shape=(num_channels - 1,), initializer="ones", trainable=False, name="divide"
        )

    def call(self, history: KerasTensor, series: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
        target = keras.ops.log1p(history[:, :, 0]) if self.log1p else history[:, :, 0]
        mean = keras.ops.mean(target, axis=1)
        spread = keras.ops.std(target, axis=1)
        own = keras.ops.stack(
            [mean, keras.ops.where(spread > 1e-6 * keras.ops.abs(mean) + 1e-12, spread, 1.0)],
            axis=1,
        )
        facts = keras.ops.where(
            series[:, None] > 0, keras.ops.take(self.table, series, axis=0), own
        )
        scaled = (target - facts[:, :1]) / facts[:, 1:]
        others = (history[:, :, 1:] - self.shift) / self.divide
        return keras.ops.concatenate([scaled[:, :, None], others], axis=-1), facts

    def compute_output_shape(self, history_shape: BatchShape, series_shape: BatchShape) -> Any:
        return history_shape, (history_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_series": self.num_series,
            "num_channels": self.num_channels,
            "log1p": self.log1p,
        }


@keras.saving.register_keras_serializable("appline")
class CalibratedQuantiles(keras.layers.Layer):
    """Scaled mean and quantiles (batch, steps, 1 + levels), calibrated, in the target's own units.

    `trust` is the share that is kept of the mean's difference to `level` (batch, steps, 1);
    `factors` (steps, levels) stretch the quantiles away from the median.
    """

    def __init__(self, log1p: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log1p = log1p

    def build(
        self, output_shape: BatchShape, level_shape: BatchShape, facts_shape: BatchShape
    ) -> None:
        assert output_shape[-1] is not None
        shape = (output_shape[-2], output_shape[-1] - 1)
        self.trust = self.add_weight(shape=(), initializer="ones", trainable=False, name="trust")
        self.factors = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="factors"
        )

    def call(
        self, output: KerasTensor, level: KerasTensor, facts: KerasTensor
    ) -> dict[str, KerasTensor]:
        output = output - (1 - self.trust) * (output[..., :1] - level)
        middle = (output.shape[-1] - 2) // 2
        quantiles = output[..., 1:]
        median = quantiles[..., middle : middle + 1]
        quantiles = keras.ops.sort(median + (quantiles - median) * self.factors, axis=-1)
        return {
            "mean": self._own_units(output[..., 0], facts, 2),
            "quantiles": self._own_units(quantiles, facts, 3),
        }

    def _own_units(self, values: KerasTensor, facts: KerasTensor, rank: int) -> KerasTensor:
        shape = (-1,) + (1,) * (rank - 1)
        values = values * keras.ops.reshape(facts[:, 1], shape) + keras.ops.reshape(
            facts[:, 0], shape
        )
        return keras.ops.expm1(values) if self.log1p else values

    def compute_output_shape(
        self, output_shape: BatchShape, level_shape: BatchShape, facts_shape: BatchShape
    ) -> Any:
        return {
            "mean": output_shape[:-1],
            "quantiles": (*output_shape[:-1], (output_shape[-1] or 0) - 1),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log1p": self.log1p}
