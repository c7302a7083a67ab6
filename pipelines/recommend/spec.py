"""The hyperparameters of a recommending network."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from annotated_types import Ge

from pipelines.config.hyperparameters import (
    ConvSpec,
    Count,
    EpochBudget,
    Rate,
    RecurrentSpec,
    TrainSpec,
)
from pipelines.config.search_space import hyper

Architecture: TypeAlias = Literal["mf", "two_tower", "conv", "caser", "gru4rec", "sasrec"]


@dataclass(frozen=True, kw_only=True)
class RecommendTrainSpec(TrainSpec):
    """How a recommending network is fitted: a long log less often, or ten million interactions would take a day by themselves."""

    epoch_budget: ClassVar[EpochBudget] = EpochBudget(examples=10_000_000, fewest=3, most=30)
    epochs: Annotated[int, Ge(0)] = hyper(
        0, "passes over the training data (0: 3 to 30, fewer from 330,000 interactions on)"
    )


@dataclass(frozen=True, kw_only=True)
class RecommendSpec:
    """Everything about a recommending network that a search may change. `conv.filters` is the width of all its vectors."""

    architecture: Architecture = hyper(
        "conv", "family of the network; to rate, mf is many times faster"
    )
    start_from: Literal["baseline", "none"] = hyper(
        "baseline",
        "baseline: scores are added to those of the closed forms, with the weights that are best on val",
    )
    history: Count = hyper(50, "how many of a user's last items the network sees")
    negatives: Annotated[int, Ge(0)] = hyper(
        0,
        "items that each target is compared with, drawn once a step (0: all items up to 12,500, else 1,000; two_tower: 1,000)",
    )
    conv: ConvSpec = ConvSpec(
        filters=64, kernel_size=3, blocks=3, padding="causal", pooling="none", norm="none"
    )
    recurrent: RecurrentSpec = RecurrentSpec()
    heads: Count = hyper(2, "sasrec: attention heads")
    dropout: Rate = hyper(0.5, "dropout of the items' vectors and before the scores")
    train: RecommendTrainSpec = RecommendTrainSpec(
        batch_size=64, learning_rate=5e-3, patience=6, refit=True
    )
