"""The forecasting networks as plans, measured by arithmetic before Keras is called."""

import dataclasses
import math
from collections.abc import Iterator

from pipelines.errors import ImpossibleSpec
from pipelines.forecast.spec import ForecastSpec
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.networks.layers import Dense, Dropout, GlobalPool, LayerNorm, Residual, conv, pool
from pipelines.networks.plan import Cost, Layer, Plan, measure
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent

BODY_KERNEL = 3  # of the residual blocks behind the patches; `conv.kernel_size` is the patch itself


def cost(spec: ForecastSpec, splits: ForecastSplits) -> Cost:
    """Return what the whole network costs, one window ahead.

    Raises:
        ImpossibleSpec: the history cannot go through this network.
    """
    lookback, horizon = splits.lookback, splits.horizon
    _check(spec, lookback)
    match spec.architecture:
        case "nhits":
            context = _nhits(spec, splits)
        case "linear":
            context = measure(bridge(spec, horizon), (2 * lookback,))
        case _:
            context = measure(
                (*encoder(spec), *bridge(spec, horizon)), (lookback, splits.num_channels)
            )
    known = spec.width + len(seasons(splits)) * splits.num_channels + splits.num_future
    ahead = measure((*decoder(spec), *head()), (horizon, known))
    spread = Cost(
        shape=ahead.shape, params=horizon * (len(LEVELS) - 1)
    )  # between neighbouring quantiles
    ridge = [measure((Dense(units=horizon),), (lookback,))] if spec.start_from == "ridge" else []
    return ahead.beside(context, spread, *ridge)


def _check(spec: ForecastSpec, lookback: int) -> None:
    if spec.conv.kernel_size > lookback:
        raise ImpossibleSpec(
            f"conv.kernel_size={spec.conv.kernel_size} is longer than the history of {lookback} steps (--lookback)"
        )
    if spec.architecture == "patch_transformer" and spec.conv.filters % spec.heads:
        raise ImpossibleSpec(
            f"conv.filters must be a multiple of heads. Received: conv.filters={spec.conv.filters}, heads={spec.heads}"
        )
    if spec.architecture == "conv" and spec.conv.padding == "valid":
        raise ImpossibleSpec(
            "The residual blocks of architecture=conv keep extents: conv.padding is same or causal. Received: valid"
        )


def encoder(spec: ForecastSpec) -> Plan:
    """Return the plan of a convolutional, attending or recurrent encoder: patches, then what makes one vector of them."""
    patches = conv(spec.conv, stride=spec.conv.stride)
    if spec.architecture == "patch_transformer":  # PatchTST, Nie et al. 2023
        seen = Attention(
            heads=spec.heads, activation=spec.conv.activation, dropout=spec.head.dropout
        )
        return (
            patches,
            Positions(),
            *[seen] * spec.conv.blocks,
            LayerNorm(),
            GlobalPool(kind="flatten"),
        )
    if spec.architecture == "conv":
        between = pool(spec.conv)
        body: list[Layer] = [_dilated(spec, 0)]
        for block in range(1, spec.conv.blocks):
            body += [*between, _dilated(spec, block)]
        return (patches, *body, GlobalPool(kind=spec.head.pooling))
    cell = "lstm" if spec.architecture == "lstm" else "gru"
    stack: list[Recurrent | Dropout] = []
    for layer in range(spec.recurrent.layers):
        if layer:
            stack.append(Dropout(rate=spec.recurrent.dropout))
        last = layer == spec.recurrent.layers - 1
        stack.append(
            Recurrent(
                cell=cell,
                units=spec.recurrent.units,
                bidirectional=spec.recurrent.bidirectional,
                sequences=not last,
            )  # type: ignore[arg-type]
        )
    return (patches, *stack)


def _dilated(spec: ForecastSpec, block: int) -> Residual:
    """Return a residual block whose taps lie twice as far apart as those of the block before."""
    first = conv(spec.conv, kernel_size=BODY_KERNEL, dilation=spec.conv.dilation * 2**block)
    return Residual(body=(first, dataclasses.replace(first, activation=None)), norm=spec.conv.norm)


def bridge(spec: ForecastSpec, horizon: int) -> Plan:
    """Return the layers that turn one vector of the history into `width` channels for each step ahead."""
    out = Dense(units=horizon * spec.width)
    if spec.architecture == "linear" or not spec.head.units:
        return (Dropout(rate=spec.head.dropout), out)
    return (
        Dropout(rate=spec.head.dropout),
        Dense(units=spec.head.units, activation=spec.conv.activation),
        out,
    )


def decoder(spec: ForecastSpec) -> Plan:
    """Return the layers that mix what is known of each step ahead."""
    if spec.architecture == "linear" or not spec.head.units:
        return ()
    return (
        Dense(units=spec.head.units, activation=spec.conv.activation),
        Dropout(rate=spec.head.dropout),
    )


def head() -> Plan:
    """Return what makes of it a mean and quantiles, zero before training."""
    return (Dense(units=1 + len(LEVELS), zeros=True),)


def seasons(splits: ForecastSplits) -> list[int]:
    """Return how far back the decoder looks for each step ahead: one season and seven, where that is in sight."""
    return [
        season for season in (splits.season, 7 * splits.season) if 1 < season <= splits.lookback
    ]


def code(spec: ForecastSpec) -> Plan:
    """Return the dense layers of one block of `nhits`."""
    return (
        Dense(units=spec.head.units or 64, activation=spec.conv.activation),
        Dropout(rate=spec.head.dropout),
    )


def pools(spec: ForecastSpec) -> Iterator[int]:
    """Yield for each block of `nhits` how many steps it pools over: kernel_size / 2^block, for `conv.blocks` + 1 of them."""
    return (max(spec.conv.kernel_size // 2**block, 1) for block in range(spec.conv.blocks + 1))


def _nhits(spec: ForecastSpec, splits: ForecastSplits) -> Cost:
    lookback, horizon, channels = splits.lookback, splits.horizon, splits.num_channels
    total, sizes = Cost(shape=(horizon, spec.width)), list(pools(spec))
    for block, size in enumerate(sizes):
        hidden = measure(code(spec), (math.ceil(lookback / size) * channels,))
        knots = [math.ceil(horizon / size) * spec.width]
        knots += [math.ceil(lookback / size) * channels] if block < len(sizes) - 1 else []
        total = total.beside(
            hidden, *(measure((Dense(units=units),), hidden.shape) for units in knots)
        )
    return total
