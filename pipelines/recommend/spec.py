"""The hyperparameters of a recommending network."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from pipelines.config.hyperparameters import (
    Activation,
    AttentionSpec,
    ConvSpec,
    Count,
    CountOrAuto,
    EpochBudget,
    Rate,
    RecurrentSpec,
    TrainSpec,
)
from pipelines.config.search_space import OneOf, hyper
from pipelines.networks.registry import ArchitectureRegistry

# Filled by `pipelines.recommend.architectures`.
ARCHITECTURES: ArchitectureRegistry[Any] = ArchitectureRegistry()


@dataclass(frozen=True, kw_only=True)
class EmbeddingSpec:
    """The vectors of items and users."""

    width: Count = hyper(64, "width of the vectors of items and users")
    dropout: Rate = hyper(0.5, "dropout of the items' vectors, and before the scores")


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """Dense layers between the views of a history and the scores."""

    activation: Activation = hyper("relu", "activation of the dense layers of two_tower and caser")


@dataclass(frozen=True, kw_only=True)
class RecommendTrainSpec(TrainSpec):
    """How a recommending network is fitted.

    A long log is seen less often: ten million interactions take hours as it is.
    """

    epoch_budget: ClassVar[EpochBudget] = EpochBudget(examples=10_000_000, fewest=3, most=30)
    epochs: Annotated[int, Ge(0)] = hyper(
        0, "epochs of the training (0: 3 to 30, fewer from 330,000 interactions on)"
    )


@dataclass(frozen=True, kw_only=True)
class RecommendSpec:
    """Everything about a recommending network that a search may change."""

    architecture: Annotated[str, OneOf(ARCHITECTURES)] = hyper(
        "conv", "family of the network; to rate, mf is many times faster"
    )
    start_from: Literal["baseline", "none"] = hyper(
        "baseline",
        "baseline: the network's scores are added to those of the item models (EASE, Markov, ...), "
        "with weights fitted on validation; none: the network alone",
    )
    history: Count = hyper(50, "how many of a user's last items the network sees")
    negatives: CountOrAuto = hyper(
        0,
        "items that each target is compared with, drawn once a step "
        "(0: all items up to 12,500, else 1,000; two_tower: 1,000)",
    )
    embedding: EmbeddingSpec = EmbeddingSpec()
    conv: ConvSpec = ConvSpec(
        filters=64, kernel_size=3, blocks=3, padding="causal", pooling="none", norm="none"
    )
    recurrent: RecurrentSpec = RecurrentSpec()
    attention: AttentionSpec = AttentionSpec(layers=3, heads=2, dropout=0.5)
    dense: DenseSpec = DenseSpec()
    train: RecommendTrainSpec = RecommendTrainSpec(
        batch_size=64, learning_rate=5e-3, patience=6, refit=True
    )
