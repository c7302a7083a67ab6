"""Texts with their labels, and what a reader gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.splits import Part


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts `(n,)`, their labels `(n,)`, and where each comes from `(n,)`.

    A label is a string, or a tuple of strings where a text may have several. `origin` is the line
    of a table on which a text begins, or the name of its file. `groups` `(n,)` are what must stay
    together; None where nothing says so.
    """

    x: np.ndarray
    labels: np.ndarray
    origin: np.ndarray
    groups: np.ndarray | None = None

    def take(self, positions: np.ndarray) -> "Texts":
        """Return the texts at these positions."""
        groups = None
        if self.groups is not None:
            groups = self.groups[positions]
        return Texts(
            x=self.x[positions],
            labels=self.labels[positions],
            origin=self.origin[positions],
            groups=groups,
        )


def join_texts(several: Iterable[Texts]) -> Texts:
    """Return the texts of all, one after the other."""
    parts = list(several)
    return Texts(
        x=np.concatenate([part.x for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        origin=np.concatenate([part.origin for part in parts]),
    )


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """What a reader returns: at least one part.

    `classes` are in order where the source names them. With `several` each label is a tuple.
    """

    name: str
    where: str  # what messages call it
    parts: Mapping[Part, Texts]
    classes: tuple[str, ...] = ()
    several: bool = False
    text_columns: tuple[str, ...] = ()  # of a table
    notes: tuple[str, ...] = ()


def as_texts(x: Iterable[Any], labels: Iterable[Any], origin: Iterable[Any] = ()) -> Texts:
    """Return texts, labels and origins as arrays; without origins, texts are numbered from 1."""
    texts = objects(x)
    found = list(origin) or range(1, 1 + len(texts))
    return Texts(x=texts, labels=objects(labels), origin=objects(found))


def objects(values: Iterable[Any]) -> np.ndarray:
    """Return values as an array `(n,)` of objects, also where they are tuples."""
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    for position, value in enumerate(listed):
        array[position] = value
    return array
