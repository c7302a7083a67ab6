"""Data divided into parts before anything is fitted to it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
# The parts that models are scored on.
SCORED_PARTS: tuple[Part, ...] = ("val", "test")


@dataclass(frozen=True, kw_only=True)
class Splits(ABC):
    """The three parts of a data set, with the facts that a model must know; no fitted models.

    `digest` identifies the content of these splits. `notes` are sentences about the data that its
    user should read.
    """

    dataset: str
    digest: str
    notes: tuple[str, ...] = ()

    @abstractmethod
    def sizes(self) -> dict[Part, int]:
        """Return how many examples each part holds."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what to know about the data before training: counts, shapes, classes, dates."""
