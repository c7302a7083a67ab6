"""How a network is trained and what its run is called: what a caller of `train` may choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from pipelines.errors import UsageError
from pipelines.pipeline import AnyPipeline
from pipelines.splits import SCORED_PARTS, Splits
from tuning.tracking.interface import Role

FinalFit: TypeAlias = Literal["tested", "all"]


@dataclass(frozen=True, kw_only=True)
class RunLabels:
    """What a run is called, where it belongs, and what was decided before it began.

    `notes` are sentences for its card.
    """

    role: Role = "train"
    parent: str = ""
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class EarlierFit:
    """A shorter fit that the network has had, such as that of a sweep's trial."""

    name: str
    score: float  # in the objective
    spec: Any  # with its epochs
    seed: int


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """How a network is trained, beside its hyperparameters.

    With several `seeds` it is fitted and tested with each of them, from the options' own on.
    `strategy` divides each batch among devices (see `tuning.training.distribute`). Where an
    `earlier` fit was better on validation than the whole training, it is repeated, and the better
    weights of both are kept. The model that is kept is the one that was tested, or with a
    `final_fit` to `all` one that is then fitted anew to all of the data.
    """

    seeds: int = 1
    strategy: Any = None
    earlier: EarlierFit | None = None
    final_fit: FinalFit = "tested"

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise UsageError(f"seeds={self.seeds}: expected at least one")
        if self.final_fit not in get_args(FinalFit):
            raise UsageError(
                f"final_fit={self.final_fit!r}: expected one of {', '.join(get_args(FinalFit))}"
            )

    def everything(self, pipeline: AnyPipeline, splits: Splits) -> Splits | None:
        """Return splits with all parts in train, None where no model is fitted to them."""
        if self.final_fit == "tested":
            return None
        merged: Splits = pipeline.merge_into_train(splits, SCORED_PARTS)
        return merged
