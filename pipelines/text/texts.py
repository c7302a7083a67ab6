"""Texts with their labels, and what a reader gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.splits import Part


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts `(n,)` and their labels `(n,)`, strings both."""

    x: np.ndarray
    labels: np.ndarray

    def take(self, positions: np.ndarray) -> "Texts":
        """Return the texts at these positions."""
        return Texts(x=self.x[positions], labels=self.labels[positions])


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """What a reader returns: at least the part `train`.

    `classes` are in order where the source names them.
    """

    name: str
    where: str  # what messages call it
    parts: Mapping[Part, Texts]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def as_texts(x: Iterable[Any], labels: Iterable[Any]) -> Texts:
    """Return texts and labels as arrays of Python's strings."""
    return Texts(x=np.asarray(list(x), dtype=object), labels=np.asarray(list(labels), dtype=object))
