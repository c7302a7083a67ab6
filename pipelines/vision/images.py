"""Images in memory or in a mapped file, as the readers return them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.splits import Part

IN_MEMORY = 2**30  # bytes; larger sets of image files are decoded into a file that is mapped


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images `(n, height, width, channels)` and their labels `(n,)`."""

    x: np.ndarray
    y: np.ndarray

    def take(self, rows: np.ndarray) -> "Images":
        """Return the images at these positions."""
        return Images(x=self.x[rows], y=self.y[rows])

    @property
    def on_disk(self) -> bool:
        """Whether there are so many that they lie in a mapped file."""
        return self.x.nbytes > IN_MEMORY


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """What a reader found: at least the part `train`.

    `classes` are names in order, where the source gives them.
    """

    name: str
    where: str  # what error messages call it
    parts: Mapping[Part, Images]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def name_classes(parts: Mapping[Part, Images], names: Sequence[str]) -> dict[Part, Images]:
    """Return the parts with the names of classes in place of their numbers."""
    array = np.asarray(names, dtype=object)
    named = {}
    for part, images in parts.items():
        named[part] = Images(x=images.x, y=array[images.y.astype(int)])
    return named
