"""Images in memory or in a mapped file, as the readers return them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.splits import Part

IN_MEMORY = 2**30  # bytes; larger sets of image files are decoded into a file that is mapped


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images `(n, height, width, channels)` and their labels `(n,)`.

    `names` `(n,)` are their files as messages call them; None where they came as arrays. `groups`
    `(n,)` are what must stay together; None where nothing says so. `sides` `(n,)` are the shorter
    sides in pixels before images got their common size; None where that is their own.
    """

    x: np.ndarray
    y: np.ndarray
    names: np.ndarray | None = None
    groups: np.ndarray | None = None
    sides: np.ndarray | None = None

    def join(self, others: Sequence["Images"]) -> "Images":
        """Return these images and those of `others` behind them; all are read into memory."""
        parts = [self, *others]
        return Images(
            x=np.concatenate([images.x for images in parts]),
            y=np.concatenate([images.y for images in parts]),
            names=_joined([images.names for images in parts]),
            groups=_joined([images.groups for images in parts]),
            sides=_joined([images.sides for images in parts]),
        )

    def take(self, rows: np.ndarray) -> "Images":
        """Return the images at these positions."""
        names = groups = sides = None
        if self.names is not None:
            names = self.names[rows]
        if self.groups is not None:
            groups = self.groups[rows]
        if self.sides is not None:
            sides = self.sides[rows]
        return Images(x=self.x[rows], y=self.y[rows], names=names, groups=groups, sides=sides)

    def name(self, row: int) -> str:
        """Return what messages call the image at this position: its file, or its number."""
        if self.names is None:
            return f"image {row}"
        return str(self.names[row])

    @property
    def on_disk(self) -> bool:
        """Whether there are so many that they lie in a mapped file."""
        return self.x.nbytes > IN_MEMORY


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """What a reader found: at least the part `train`.

    `classes` are names in order, where the source gives them. `scale` is the largest value that a
    pixel can have, 0 where the pixels must tell. `is_divided` is true where the parts were chosen
    among more images, which the counts of classes go by.
    """

    name: str
    where: str  # what error messages call it
    parts: Mapping[Part, Images]
    classes: tuple[str, ...] = ()
    scale: float = 0.0
    notes: tuple[str, ...] = ()
    is_divided: bool = False


def _joined(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    given = [array for array in arrays if array is not None]
    return np.concatenate(given) if len(given) == len(arrays) else None


def name_classes(parts: Mapping[Part, Images], names: Sequence[str]) -> dict[Part, Images]:
    """Return the parts with the names of classes in place of their numbers."""
    array = np.asarray(names, dtype=object)
    named = {}
    for part, images in parts.items():
        named[part] = replace(images, y=array[images.y.astype(int)])
    return named
