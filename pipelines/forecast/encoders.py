"""Encoders of the patches of a history into one vector: the plans of `PatchArchitecture`."""

import dataclasses
from typing import Literal

from pipelines.forecast.spec import ForecastSpec
from pipelines.networks.layers import Dropout, GlobalPool, LayerNorm, Residual, conv, pool
from pipelines.networks.plan import Layer, Plan
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent

BODY_KERNEL = 3  # of the residual blocks behind the patches; `conv.kernel_size` is the patch itself


def dilated_encoder(spec: ForecastSpec) -> Plan:
    """Return residual blocks whose dilation doubles from block to block."""
    between = pool(spec.conv)
    body: list[Layer] = [_dilated_block(spec, 0)]
    for block in range(1, spec.conv.blocks):
        body += [*between, _dilated_block(spec, block)]
    return (*body, GlobalPool(kind=spec.head.pooling))


def _dilated_block(spec: ForecastSpec, block: int) -> Residual:
    dilation = spec.conv.dilation * 2**block
    first = conv(spec.conv, kernel_size=BODY_KERNEL, dilation=dilation)
    second = dataclasses.replace(first, activation=None)
    return Residual(body=(first, second), norm=spec.conv.norm)


def attention_encoder(spec: ForecastSpec) -> Plan:
    """Return attention over the patches (PatchTST, Nie et al. 2023)."""
    layer = Attention(
        heads=spec.attention.heads,
        activation=spec.attention.activation,
        dropout=spec.attention.dropout,
    )
    layers = [layer] * spec.attention.layers
    return (Positions(), *layers, LayerNorm(), GlobalPool(kind="flatten"))


def recurrent_encoder(cell: Literal["lstm", "gru"], spec: ForecastSpec) -> Plan:
    """Return recurrent layers over the patches; the state after the last patch is the vector."""
    stack: list[Layer] = []
    for number in range(1, spec.recurrent.layers + 1):
        if number > 1:
            stack.append(Dropout(rate=spec.recurrent.dropout))
        layer = Recurrent(
            cell=cell,
            units=spec.recurrent.units,
            bidirectional=spec.recurrent.bidirectional,
            return_sequences=number < spec.recurrent.layers,
        )
        stack.append(layer)
    return tuple(stack)
