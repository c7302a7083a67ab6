"""The hyperparameters of a forecasting network."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.config.hyperparameters import ConvSpec, Count, HeadSpec, RecurrentSpec, TrainSpec
from pipelines.config.search_space import hyper

Architecture: TypeAlias = Literal["conv", "linear", "lstm", "gru", "nhits", "patch_transformer"]


@dataclass(frozen=True, kw_only=True)
class ForecastSpec:
    """Everything about a forecasting network that a search may change."""

    architecture: Architecture = hyper("conv", "family of the network")
    start_from: Literal["ridge", "none"] = hyper(
        "ridge", "ridge: the closed form is a fixed part, the network learns what it leaves over"
    )
    window_norm: bool = hyper(
        True, "scale each window by its own spread, so that the network sees shapes and not sizes"
    )
    width: Count = hyper(8, "channels that each step to forecast gets from the history")
    heads: Count = hyper(4, "attention heads (patch_transformer)")
    conv: ConvSpec = ConvSpec(
        filters=32,
        kernel_size=16,
        stride=8,
        blocks=2,
        pooling="none",
        norm="none",
        activation="gelu",
    )
    recurrent: RecurrentSpec = RecurrentSpec()
    head: HeadSpec = HeadSpec(pooling="flatten", units=64, dropout=0.3)
    train: TrainSpec = TrainSpec(epochs=8, batch_size=256, learning_rate=1e-3)
