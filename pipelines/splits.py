"""Data divided into parts before anything is fitted to it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Part: TypeAlias = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
# The parts that a fit reads: examples to learn from, and those that say when to stop.
FITTED_PARTS: tuple[Part, ...] = ("train", "val")
# The parts that models are scored on.
SCORED_PARTS: tuple[Part, ...] = ("val", "test")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A reason to doubt the scores of models of some splits, as the audit of a domain gives it.

    `kind` is one of `pipelines.evaluation.audit.KINDS`. `sentence` says what was found in `count`
    of `total` examples (or series, pairs, classes) of the last of `parts`; `advice` says what it
    does to scores and what helps. `shown` names a few of them with their labels. `rows` are the
    positions in the first of `parts` without which there would be nothing to find; empty where no
    removal helps.
    """

    kind: str
    parts: tuple[Part, ...]
    count: int
    total: int
    sentence: str
    advice: str
    shown: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Which share of the last part is concerned: 0 to 1."""
        return self.count / max(1, self.total)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "kind": self.kind,
            "parts": list(self.parts),
            "count": self.count,
            "total": self.total,
            "share": self.share,
            "finding": self.sentence,
            "advice": self.advice,
            "examples": list(self.shown),
        }


@dataclass(frozen=True, kw_only=True)
class Splits(ABC):
    """The three parts of a data set, with the facts that a model must know; no fitted models.

    `digest` identifies the content of these splits. `notes` are sentences about the data that its
    user should read, `findings` what makes scores doubtful.
    """

    dataset: str
    digest: str
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """What the findings say, a sentence each."""
        return tuple(finding.sentence for finding in self.findings)

    @abstractmethod
    def sizes(self) -> dict[Part, int]:
        """Return how many examples each part holds."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what to know about the data before training: counts, shapes, classes, dates."""
