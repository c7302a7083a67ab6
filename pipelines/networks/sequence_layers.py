"""The layers of a plan that go over steps `(steps, channels)`: recurrence, positions, attention.

As in `layers`, Keras is imported inside `apply` alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.config.hyperparameters import Activation
from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import Dense, normalize
from pipelines.networks.plan import EVERYTHING, Cost, KerasTensor, Shape, Sight, apply

# Of a cell, and of each gate: Keras' GRU has reset_after=True, which takes a second bias.
GATES_AND_BIASES = {"lstm": (4, 1), "gru": (3, 2)}


@dataclass(frozen=True, kw_only=True)
class Recurrent:
    """An LSTM or GRU in one direction or both; with `return_sequences`, an output at every step."""

    cell: Literal["lstm", "gru"]
    units: int
    bidirectional: bool = False
    return_sequences: bool = False

    def cost(self, shape: Shape) -> Cost:
        steps, channels = shape
        gates, biases = GATES_AND_BIASES[self.cell]
        directions = 1 + self.bidirectional
        weights = gates * self.units * (channels + self.units) * directions
        width = self.units * directions
        after: Shape = (width,)
        if self.return_sequences:
            after = (steps, width)
        return Cost(
            shape=after,
            params=weights + gates * biases * self.units * directions,
            macs=weights * steps,
        )

    def sight(self, before: Sight) -> Sight:
        return EVERYTHING

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[self.cell]
        layer = kind(self.units, return_sequences=self.return_sequences, name=f"{name}_{self.cell}")
        if self.bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"{name}_both")
        return layer(x)


@dataclass(frozen=True, kw_only=True)
class Positions:
    """A learned vector added to each position: attention by itself knows no order."""

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape=shape, params=math.prod(shape))

    def sight(self, before: Sight) -> Sight:
        return before

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        from pipelines.networks.custom_layers import PositionEmbedding

        return PositionEmbedding(name=f"{name}_positions")(x)


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Attention, in which each step sees all others, then two dense layers (Vaswani et al. 2017).

    With `causal` a step sees only those before it. Layers are normalised before, not after (Xiong
    et al. 2020). The heads divide the channels among them; between the two dense layers there are
    `expansion` times as many.
    """

    heads: int
    activation: Activation
    dropout: float = 0.0
    causal: bool = False
    expansion: int = 2

    def cost(self, shape: Shape) -> Cost:
        steps, channels = shape
        if channels < self.heads:
            raise ImpossibleSpec(
                "Each attention head needs a channel. "
                f"Received: heads={self.heads}, {channels} channels"
            )
        inner = channels // self.heads * self.heads
        hidden = self.expansion * channels
        # Query, key, value and output; then the two dense layers.
        dense = 4 * channels * inner + 2 * channels * hidden
        biases = 3 * inner + channels + hidden + channels
        norms = 2 * 2 * channels
        # Each step is compared with each step, and then averages over all of them: 2 products.
        compared = 2 * steps * steps * inner
        return Cost(shape=shape, params=dense + biases + norms, macs=steps * dense + compared)

    def sight(self, before: Sight) -> Sight:
        return EVERYTHING

    def apply(self, x: KerasTensor, name: str, mask: KerasTensor | None = None) -> KerasTensor:
        import keras

        channels = x.shape[-1]
        normal = normalize("layer", x, name)
        attend = keras.layers.MultiHeadAttention(
            self.heads, channels // self.heads, dropout=self.dropout, name=f"{name}_attention"
        )
        attention_mask = None
        if mask is not None:
            attention_mask = mask[:, None, :]  # the same for each step that looks
        x = x + attend(normal, normal, attention_mask=attention_mask, use_causal_mask=self.causal)
        mlp = (
            Dense(units=self.expansion * channels, activation=self.activation),
            Dense(units=channels),
        )
        return x + apply(mlp, normalize("layer", x, f"{name}_mlp"), f"{name}_mlp")
