"""The forecasting networks: how each turns a history into a context for every step to forecast.

The rest is the same for all (see `model`): where the network starts from, the decoder of each step
ahead, and the quantiles. A new network is an entry in the registry.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from pipelines.errors import ImpossibleSpec
from pipelines.forecast.encoders import attention_encoder, dilated_encoder, recurrent_encoder
from pipelines.forecast.quantiles import LEVELS
from pipelines.forecast.spec import ARCHITECTURES, ForecastSpec
from pipelines.networks.layers import CONV_KEYS, Dense, Dropout, conv
from pipelines.networks.plan import Cost, KerasTensor, Plan, apply, measure, sight
from pipelines.networks.receptive_field import ReceptiveField, measure_field
from pipelines.networks.registry import Architecture

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

NHITS_UNITS = 64  # of the dense layers in the blocks of nhits, where `head.units` is 0

# What a convolution that cuts the history into patches reads of the spec.
PATCH_KEYS = (*CONV_KEYS, "conv.stride")
HIDDEN_KEYS = ("head.units", "head.activation")


@dataclass(frozen=True, kw_only=True)
class ForecastArchitecture(Architecture):
    """A network from a scaled history to the context of each step to forecast."""

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        """Raise `ImpossibleSpec` where the history cannot go through this network."""

    def sight(self, spec: ForecastSpec) -> float:
        """Return how many steps of the history one feature sees; infinity: all of them."""
        return math.inf

    def context_cost(self, spec: ForecastSpec, splits: "ForecastSplits") -> Cost:
        """Return what the context of one window costs, of shape `(horizon, width)`."""
        raise NotImplementedError

    def context(self, spec: ForecastSpec, history: KerasTensor, horizon: int) -> KerasTensor:
        """Return `(batch, horizon, width)` of histories `(batch, lookback, channels)`."""
        raise NotImplementedError

    def decoder(self, spec: ForecastSpec) -> Plan:
        """Return the layers that mix what is known of each step ahead."""
        if not spec.head.units:
            return ()
        hidden = Dense(units=spec.head.units, activation=spec.head.activation)
        return (hidden, Dropout(rate=spec.head.dropout))


@dataclass(frozen=True, kw_only=True)
class PatchArchitecture(ForecastArchitecture):
    """A convolution cuts the history into patches; an encoder turns them into one vector."""

    encoder: Callable[[ForecastSpec], Plan]

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        _require_within_history("conv.kernel_size", spec.conv.kernel_size, splits)

    def sight(self, spec: ForecastSpec) -> float:
        return sight(self._vector(spec)).size

    def context_cost(self, spec: ForecastSpec, splits: "ForecastSplits") -> Cost:
        shape = (splits.lookback, splits.num_channels)
        plan = (*self._vector(spec), *_bridge(spec, splits.horizon))
        return measure(plan, shape)

    def context(self, spec: ForecastSpec, history: KerasTensor, horizon: int) -> KerasTensor:
        x = apply(self._vector(spec), history, "encoder")
        x = apply(_bridge(spec, horizon), x, "bridge")
        return _by_step(spec, x, horizon)

    def _vector(self, spec: ForecastSpec) -> Plan:
        return (conv(spec.conv, stride=spec.conv.stride), *self.encoder(spec))


@dataclass(frozen=True, kw_only=True)
class LinearArchitecture(ForecastArchitecture):
    """Trend and remainder of the target, and one linear map (DLinear, Zeng et al. 2023).

    Covariates reach the decoder by themselves.
    """

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        _require_within_history("linear.trend_window", spec.linear.trend_window, splits)

    def context_cost(self, spec: ForecastSpec, splits: "ForecastSplits") -> Cost:
        return measure(_linear_bridge(spec, splits.horizon), (2 * splits.lookback,))

    def context(self, spec: ForecastSpec, history: KerasTensor, horizon: int) -> KerasTensor:
        import keras

        target = history[:, :, :1]
        average = keras.layers.AveragePooling1D(
            spec.linear.trend_window, strides=1, padding="same", name="trend"
        )
        trend = average(target)
        parts = keras.layers.Concatenate(name="parts")([trend, target - trend])
        x = keras.layers.Flatten(name="decomposed")(parts)
        x = apply(_linear_bridge(spec, horizon), x, "bridge")
        return _by_step(spec, x, horizon)

    def decoder(self, spec: ForecastSpec) -> Plan:
        return ()


@dataclass(frozen=True, kw_only=True)
class NhitsArchitecture(ForecastArchitecture):
    """A sum of blocks that look at the history ever more finely (N-HiTS, Challu et al. 2023).

    Block b, from 0, pools over pool_size / 2^b steps and forecasts horizon * 2^b / pool_size knots;
    what it explains of the history is subtracted before the next block.
    """

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        _require_within_history("nhits.pool_size", spec.nhits.pool_size, splits)

    def context_cost(self, spec: ForecastSpec, splits: "ForecastSplits") -> Cost:
        lookback, horizon, channels = splits.lookback, splits.horizon, splits.num_channels
        total = Cost(shape=(horizon, spec.context.width))
        sizes = self._pool_sizes(spec)
        for block, size in enumerate(sizes):
            pooled = math.ceil(lookback / size)
            hidden = measure(self._hidden(spec), (pooled * channels,))
            knots = [math.ceil(horizon / size) * spec.context.width]
            if block < len(sizes) - 1:
                knots.append(pooled * channels)
            outputs = [measure((Dense(units=units),), hidden.shape) for units in knots]
            total = total.beside(hidden, *outputs)
        return total

    def context(self, spec: ForecastSpec, history: KerasTensor, horizon: int) -> KerasTensor:
        import keras

        x = history
        lookback, channels = x.shape[1:]
        forecasts = []
        for block, size in enumerate(self._pool_sizes(spec)):
            name = f"nhits_{block}"
            pooled = keras.layers.MaxPooling1D(size, padding="same", name=f"{name}_pool")(x)
            flat = keras.layers.Flatten(name=f"{name}_flat")(pooled)
            hidden = apply(self._hidden(spec), flat, name)
            knots, width = math.ceil(horizon / size), spec.context.width
            forecasts.append(_interpolate(hidden, knots, (horizon, width), name=f"{name}_forecast"))
            knots = math.ceil(lookback / size)
            explained = _interpolate(hidden, knots, (lookback, channels), name=f"{name}_backcast")
            x = x - explained
        if len(forecasts) == 1:
            return forecasts[0]
        return keras.layers.Add(name="context")(forecasts)

    def _hidden(self, spec: ForecastSpec) -> Plan:
        units = spec.head.units or NHITS_UNITS
        return (
            Dense(units=units, activation=spec.head.activation),
            Dropout(rate=spec.head.dropout),
        )

    def _pool_sizes(self, spec: ForecastSpec) -> list[int]:
        """Return for each block how many steps it pools over."""
        return [max(spec.nhits.pool_size // 2**block, 1) for block in range(spec.nhits.blocks)]


def architecture_of(spec: ForecastSpec) -> ForecastArchitecture:
    """Return the entry that `spec` names."""
    return cast(ForecastArchitecture, ARCHITECTURES[spec.architecture])


def cost(spec: ForecastSpec, splits: "ForecastSplits") -> Cost:
    """Return what the whole network costs, one window ahead.

    Raises:
        ImpossibleSpec: the history cannot go through this network.
    """
    entry = architecture_of(spec)
    entry.check(spec, splits)
    context = entry.context_cost(spec, splits)
    echo = len(splits.seasons_in_sight) * splits.num_channels
    known = spec.context.width + echo + splits.num_future
    decoded = measure((*entry.decoder(spec), *quantile_head()), (splits.horizon, known))
    # Of `layers.QuantileSpread` between neighbouring levels, and of `layers.ShrinkToLevel`.
    further = Cost(shape=decoded.shape, params=splits.horizon * (len(LEVELS) - 1) + 1)
    total = decoded.beside(context, further)
    if spec.start_from == "ridge":
        total = total.beside(measure((Dense(units=splits.horizon),), (splits.lookback,)))
    return total


def receptive_field(spec: ForecastSpec, splits: "ForecastSplits") -> ReceptiveField:
    """Return how many steps of the history one feature sees, beside a season.

    All of them decide the level and the scale of a window, which come before.
    """
    needs = min(splits.season, splits.lookback)

    def sees(candidate: ForecastSpec) -> float:
        cost(candidate, splits)  # raises where there is no such network
        return min(architecture_of(candidate).sight(candidate), splits.lookback)

    return measure_field(
        spec,
        sees,
        needs,
        what="a season" if splits.season <= splits.lookback else "the history",
        unit="steps of the history",
    )


def quantile_head() -> Plan:
    """Return the layers from context to mean and quantiles of each step, zero before training."""
    return (Dense(units=1 + len(LEVELS), zeros=True),)


@dataclass(frozen=True, kw_only=True)
class DilatedArchitecture(PatchArchitecture):
    """Residual blocks over the patches."""

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        super().check(spec, splits)
        if spec.conv.padding == "valid":
            raise ImpossibleSpec(
                "The residual blocks of architecture=conv need padding that keeps extents: "
                "conv.padding is same or causal. Received: valid"
            )


@dataclass(frozen=True, kw_only=True)
class AttentionArchitecture(PatchArchitecture):
    """Attention over the patches."""

    def check(self, spec: ForecastSpec, splits: "ForecastSplits") -> None:
        super().check(spec, splits)
        filters, heads = spec.conv.filters, spec.attention.heads
        if filters % heads:
            raise ImpossibleSpec(
                "conv.filters must be a multiple of attention.heads. "
                f"Received: conv.filters={filters}, attention.heads={heads}"
            )


# -------------------------------------------------------------------------------------- the entries


ARCHITECTURES.add(
    DilatedArchitecture(
        name="conv",
        reads=frozenset(
            {
                *PATCH_KEYS,
                *HIDDEN_KEYS,
                "conv.blocks",
                "conv.dilation",
                "conv.pooling",
                "conv.pool_size",
                "head.pooling",
            }
        ),
        encoder=dilated_encoder,
    )
)
ARCHITECTURES.add(LinearArchitecture(name="linear", reads=frozenset({"linear.trend_window"})))
for _cell in ("lstm", "gru"):
    ARCHITECTURES.add(
        PatchArchitecture(
            name=_cell,
            reads=frozenset(
                {
                    *PATCH_KEYS,
                    *HIDDEN_KEYS,
                    "recurrent.units",
                    "recurrent.layers",
                    "recurrent.bidirectional",
                    "recurrent.dropout",
                }
            ),
            encoder=partial(recurrent_encoder, _cell),
        )
    )
ARCHITECTURES.add(
    NhitsArchitecture(
        name="nhits", reads=frozenset({*HIDDEN_KEYS, "nhits.blocks", "nhits.pool_size"})
    )
)
ARCHITECTURES.add(
    AttentionArchitecture(
        name="patch_transformer",
        reads=frozenset(
            {
                *PATCH_KEYS,
                *HIDDEN_KEYS,
                "attention.layers",
                "attention.heads",
                "attention.activation",
                "attention.dropout",
            }
        ),
        encoder=attention_encoder,
    )
)


# -------------------------------------------------------------------------- what the families share


def _bridge(spec: ForecastSpec, horizon: int) -> Plan:
    """Return the layers that turn one vector into the context of all steps ahead."""
    if not spec.head.units:
        return _linear_bridge(spec, horizon)
    hidden = Dense(units=spec.head.units, activation=spec.head.activation)
    return (Dropout(rate=spec.head.dropout), hidden, Dense(units=horizon * spec.context.width))


def _linear_bridge(spec: ForecastSpec, horizon: int) -> Plan:
    return (Dropout(rate=spec.head.dropout), Dense(units=horizon * spec.context.width))


def _by_step(spec: ForecastSpec, x: KerasTensor, horizon: int) -> KerasTensor:
    import keras

    return keras.layers.Reshape((horizon, spec.context.width), name="context")(x)


def _interpolate(hidden: KerasTensor, knots: int, shape: tuple[int, int], name: str) -> KerasTensor:
    """Return `(batch, *shape)`, steps and channels, interpolated from so many knots."""
    import keras

    from pipelines.forecast.layers import Interpolate

    steps, channels = shape
    x = keras.layers.Dense(knots * channels, name=f"{name}_knots")(hidden)
    x = keras.layers.Reshape((knots, channels), name=f"{name}_shape")(x)
    return Interpolate(steps, name=name)(x)


def _require_within_history(key: str, value: int, splits: "ForecastSplits") -> None:
    if value > splits.lookback:
        raise ImpossibleSpec(
            f"{key}={value} is longer than the history of {splits.lookback} steps (--lookback)"
        )
