"""Layers of forecasting networks that Keras does not have."""

from typing import Any

import keras
import numpy as np

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor

# A spread below this share of the mean is rounding error: the window is constant.
SMALLEST_SPREAD = 1e-6
TINY = 1e-12  # for windows whose mean is 0


@keras.saving.register_keras_serializable("appline")
class QuantileSpread(keras.layers.Layer):
    """Raw outputs to a mean and quantiles that cannot cross, both (..., steps, 1 + levels).

    The first raw output is the mean, the middle one the median; from the median outwards every
    level adds a softplus. `spread` (steps, levels - 1) is what the softplus is taken of where the
    raw outputs are zero: one value for each gap between neighbouring levels.
    """

    def build(self, input_shape: BatchShape) -> None:
        steps, width = input_shape[-2], input_shape[-1]
        assert width is not None
        self.spread = self.add_weight(shape=(steps, width - 2), initializer="zeros", name="spread")

    def call(self, raw: KerasTensor) -> KerasTensor:
        half = (raw.shape[-1] - 2) // 2
        mean, below, median, above = keras.ops.split(raw, [1, 1 + half, 2 + half], axis=-1)
        down = keras.ops.softplus(below + self.spread[:, :half])
        up = keras.ops.softplus(above + self.spread[:, half:])
        from_median = keras.ops.cumsum(keras.ops.flip(down, axis=-1), axis=-1)
        lower = median - keras.ops.flip(from_median, axis=-1)
        upper = median + keras.ops.cumsum(up, axis=-1)
        return keras.ops.concatenate([mean, lower, median, upper], axis=-1)

    def start_at(self, gaps: np.ndarray) -> None:
        """Set the initial gaps (steps, levels - 1) between neighbouring levels, all above 0."""
        self.spread.assign(gaps + np.log(-np.expm1(-gaps)))  # the inverse of softplus


@keras.saving.register_keras_serializable("appline")
class Interpolate(keras.layers.Layer):
    """Values at a few knots (batch, knots, channels), interpolated linearly to `steps` points.

    This is the interpolation of N-HiTS (Challu et al. 2023).
    """

    def __init__(self, steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def call(self, knots: KerasTensor) -> KerasTensor:
        count = knots.shape[1]
        positions = np.linspace(0, count - 1, self.steps)
        distance = np.abs(positions[:, None] - np.arange(count)[None, :])
        weights = keras.ops.convert_to_tensor(np.maximum(0, 1 - distance).astype("float32"))
        return keras.ops.einsum("sk,bkc->bsc", weights, knots)

    def compute_output_shape(self, input_shape: BatchShape) -> BatchShape:
        return (input_shape[0], self.steps, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable("appline")
class WindowScale(keras.layers.Layer):
    """The spread of each window's target, (batch, 1, 1).

    It is the standard deviation (RevIN, Kim et al. 2022), kept away from 0.
    """

    # Of the series' own standard deviation: a flat night must not turn noise into signal
    floor = 0.05

    def call(self, target: KerasTensor) -> KerasTensor:
        return keras.ops.sqrt(keras.ops.var(target, axis=1, keepdims=True) + self.floor**2)


@keras.saving.register_keras_serializable("appline")
class SeriesScaler(keras.layers.Layer):
    """Raw histories (batch, lookback, channels) to scaled ones.

    The second output (batch, 2) is the mean and std of each window's target. `series` (batch,) is 1
    + the position of a series among those trained on, or 0 for another one, which is scaled by its
    own window. Further channels are scaled by `shift` and `divide`, the same for all series.
    """

    def __init__(
        self, num_series: int, num_channels: int, log1p: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_series = num_series
        self.num_channels = num_channels
        self.log1p = log1p
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
        target = history[:, :, 0]
        if self.log1p:
            target = keras.ops.log1p(target)
        of_window = self._window_scale(target)
        of_series = keras.ops.take(self.table, series, axis=0)
        scale = keras.ops.where(series[:, None] > 0, of_series, of_window)
        scaled = (target - scale[:, :1]) / scale[:, 1:]
        others = (history[:, :, 1:] - self.shift) / self.divide
        return keras.ops.concatenate([scaled[:, :, None], others], axis=-1), scale

    def _window_scale(self, target: KerasTensor) -> KerasTensor:
        """Return mean and standard deviation `(batch, 2)` of each window (of a constant one, 1)."""
        mean = keras.ops.mean(target, axis=1)
        std = keras.ops.std(target, axis=1)
        smallest = SMALLEST_SPREAD * keras.ops.abs(mean) + TINY
        return keras.ops.stack([mean, keras.ops.where(std > smallest, std, 1.0)], axis=1)

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
class ShrinkToLevel(keras.layers.Layer):
    """Forecasts `(batch, steps, 1 + levels)` moved towards `level` `(batch, steps, 1)`.

    `shrinkage` is the share of the mean's distance to the level by which mean and quantiles are
    moved: 0 until it is chosen on val (see `predict.calibrate`). In training nothing is moved.
    """

    def build(self, forecasts_shape: BatchShape, level_shape: BatchShape) -> None:
        self.shrinkage = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="shrinkage"
        )

    def call(
        self, forecasts: KerasTensor, level: KerasTensor, training: bool = False
    ) -> KerasTensor:
        if training:
            return forecasts
        return forecasts - self.shrinkage * (forecasts[..., :1] - level)

    def compute_output_shape(
        self, forecasts_shape: BatchShape, level_shape: BatchShape
    ) -> BatchShape:
        return forecasts_shape


@keras.saving.register_keras_serializable("appline")
class CalibratedQuantiles(keras.layers.Layer):
    """Scaled mean and quantiles to calibrated ones in the target's own units.

    Both are `(batch, steps, 1 + levels)`. `factors` `(steps, levels)` scale the quantiles' distance
    to the median; `scale` `(batch, 2)` is mean and std of each window's series.
    """

    def __init__(self, log1p: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log1p = log1p

    def build(self, forecasts_shape: BatchShape, scale_shape: BatchShape) -> None:
        steps, width = forecasts_shape[-2:]
        assert width is not None
        self.factors = self.add_weight(
            shape=(steps, width - 1), initializer="ones", trainable=False, name="factors"
        )

    def call(self, forecasts: KerasTensor, scale: KerasTensor) -> dict[str, KerasTensor]:
        # In the target's own units, as the factors were chosen: a logarithm has other distances.
        quantiles = self._unscale(forecasts[..., 1:], scale)
        middle = (quantiles.shape[-1] - 1) // 2
        median = quantiles[..., middle : middle + 1]
        return {
            "mean": self._unscale(forecasts[..., 0], scale),
            "quantiles": keras.ops.sort(median + (quantiles - median) * self.factors, axis=-1),
        }

    def _unscale(self, values: KerasTensor, scale: KerasTensor) -> KerasTensor:
        shape = (-1,) + (1,) * (len(values.shape) - 1)
        mean, std = keras.ops.reshape(scale[:, 0], shape), keras.ops.reshape(scale[:, 1], shape)
        values = values * std + mean
        return keras.ops.expm1(values) if self.log1p else values

    def compute_output_shape(self, forecasts_shape: BatchShape, scale_shape: BatchShape) -> Any:
        *steps, width = forecasts_shape
        assert width is not None
        return {"mean": tuple(steps), "quantiles": (*steps, width - 1)}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log1p": self.log1p}
