"""The hyperparameters of a line."""

from dataclasses import dataclass
from typing import Literal

from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.search_space import hyper


@dataclass(frozen=True, kw_only=True)
class LineSpec:
    """Everything about the network that a search may change."""

    units: int = hyper(4, "hidden units; 13 cannot be built")
    mode: Literal["fine", "raises", "diverges"] = hyper("fine", "what building does")
    train: TrainSpec = TrainSpec(epochs=4, batch_size=32, learning_rate=0.05)
