"""The hyperparameters of a forecasting network."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pipelines.config.hyperparameters import (
    AttentionSpec,
    ConvSpec,
    Count,
    HeadSpec,
    RecurrentSpec,
    TrainSpec,
)
from pipelines.config.search_space import OneOf, hyper
from pipelines.networks.registry import ArchitectureRegistry

# Filled by `pipelines.forecast.architectures`.
ARCHITECTURES: ArchitectureRegistry[Any] = ArchitectureRegistry()


@dataclass(frozen=True, kw_only=True)
class ContextSpec:
    """The context of the history that each step to forecast gets."""

    width: Count = hyper(8, "channels that each step to forecast gets from the history")


@dataclass(frozen=True, kw_only=True)
class NhitsSpec:
    """The blocks of N-HiTS, which look at the history ever more finely."""

    blocks: Count = hyper(3, "number of blocks")
    pool_size: Count = hyper(16, "steps that the first block pools over; each later one half")


@dataclass(frozen=True, kw_only=True)
class LinearSpec:
    """The decomposition of the linear network."""

    trend_window: Count = hyper(16, "steps of the moving average that is the trend")


@dataclass(frozen=True, kw_only=True)
class ForecastSpec:
    """Everything about a forecasting network that a search may change."""

    architecture: Annotated[str, OneOf(ARCHITECTURES)] = hyper("conv", "family of the network")
    start_from: Literal["ridge", "none"] = hyper(
        "ridge",
        "ridge: the network learns a correction to the ridge regression, which stays as it is; "
        "none: a correction to the last value",
    )
    window_norm: bool = hyper(
        True, "scale each window by its own spread, so that the network sees shapes and not sizes"
    )
    context: ContextSpec = ContextSpec()
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
    attention: AttentionSpec = AttentionSpec(activation="gelu", dropout=0.3)
    nhits: NhitsSpec = NhitsSpec()
    linear: LinearSpec = LinearSpec()
    head: HeadSpec = HeadSpec(pooling="flatten", units=64, activation="gelu", dropout=0.3)
    train: TrainSpec = TrainSpec(epochs=8, batch_size=256, learning_rate=1e-3)
