"""The forecasting encoders as plans, measured by arithmetic before Keras is called."""

import dataclasses

from pipelines.errors import ImpossibleSpec
from pipelines.forecast.spec import ForecastSpec
from pipelines.plan import Dense, Dropout, GlobalPool, Layer, Plan, Recurrent, Residual, Shape, conv, measure, pool

BODY_KERNEL = 3  # of the residual blocks behind the patches; `conv.kernel_size` is the patch itself


def check(spec: ForecastSpec, shape: Shape, horizon: int) -> None:
    """Raise `ImpossibleSpec` when the history (lookback, channels) cannot go through this network."""
    lookback = shape[0]
    if spec.conv.kernel_size > lookback:
        raise ImpossibleSpec(f"conv.kernel_size={spec.conv.kernel_size} is longer than the history of {lookback} steps (--lookback)")
    if spec.architecture == "patch_transformer" and spec.conv.filters % spec.heads:
        raise ImpossibleSpec(f"conv.filters must be a multiple of heads. Received: conv.filters={spec.conv.filters}, heads={spec.heads}")
    if spec.architecture == "conv" and spec.conv.padding == "valid":
        raise ImpossibleSpec("The residual blocks of architecture=conv keep extents: conv.padding is same or causal. Received: valid")
    if spec.architecture in ("conv", "lstm", "gru"):
        measure((*encoder(spec), *bridge(spec, horizon)), shape)
    elif spec.architecture == "patch_transformer":
        measure(stem(spec), shape)


def stem(spec: ForecastSpec) -> Plan:
    """Return the patches: one strided convolution over the history."""
    return (conv(spec.conv, stride=spec.conv.stride),)


def encoder(spec: ForecastSpec) -> Plan:
    """Return the plan of a convolutional or recurrent encoder."""
    if spec.architecture == "conv":
        between = pool(spec.conv)
        body: list[Layer] = [_dilated(spec, 0)]
        for block in range(1, spec.conv.blocks):
            body += [*between, _dilated(spec, block)]
        return (*stem(spec), *body, GlobalPool(kind=spec.head.pooling))
    cell = "lstm" if spec.architecture == "lstm" else "gru"
    stack: list[Recurrent | Dropout] = []
    for layer in range(spec.recurrent.layers):
        if layer:
            stack.append(Dropout(rate=spec.recurrent.dropout))
        last = layer == spec.recurrent.layers - 1
        stack.append(
            Recurrent(cell=cell, units=spec.recurrent.units, bidirectional=spec.recurrent.bidirectional, sequences=not last)  # type: ignore[arg-type]
        )
    return (*stem(spec), *stack)


def _dilated(spec: ForecastSpec, block: int) -> Residual:
    """Return a residual block whose taps lie twice as far apart as those of the block before."""
    first = conv(spec.conv, kernel_size=BODY_KERNEL, dilation=spec.conv.dilation * 2**block)
    return Residual(body=(first, dataclasses.replace(first, activation=None)), norm=spec.conv.norm)


def bridge(spec: ForecastSpec, horizon: int) -> Plan:
    """Return the layers that turn one vector of the history into `width` channels for each step ahead."""
    out = Dense(units=horizon * spec.width)
    if spec.architecture == "linear" or not spec.head.units:
        return (Dropout(rate=spec.head.dropout), out)
    return (Dropout(rate=spec.head.dropout), Dense(units=spec.head.units, activation=spec.conv.activation), out)
