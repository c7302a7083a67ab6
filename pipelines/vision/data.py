"""Images from anywhere to `VisionSplits`: read, checked, and split before anything is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipelines.errors import shorten
from pipelines.evaluation import class_balance, splitting
from pipelines.io.digest import data_digest
from pipelines.splits import PARTS, Part, Splits
from pipelines.vision import readers
from pipelines.vision.division import divide
from pipelines.vision.images import Images
from pipelines.vision.options import VisionOptions

SHOWN_CLASSES = 20
MOMENTS_FROM = 10_000  # training images, at most: a mean over so many is sure to a hundredth
MIRRORED_FROM = 4_000  # training images, at most: the time of the vote grows with their square
# A nearest-neighbour vote names mirrored digits right .37 times as often as plain ones, clothes
# .75, chest X-rays .98.
MIRRORED_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class VisionSplits(Splits):
    """Images `(n, height, width, channels)` and class numbers `(n,)` for each part.

    With them, the facts that a network must know. The images of the parts in `merged` come after
    those of train, too.
    """

    train: Images
    val: Images
    test: Images
    classes: tuple[str, ...]
    scale: float  # the largest value that a pixel can have
    seed: int
    merged: tuple[Part, ...] = ()

    def images(self, part: Part) -> Images:
        """Return the images of a part."""
        return {"train": self.train, "val": self.val, "test": self.test}[part]

    def one_hot(self, part: Part) -> np.ndarray:
        """Return `(n, classes)`, 1 where an image has the class."""
        one_hot: np.ndarray = np.eye(len(self.classes), dtype=np.float32)[self.images(part).y]
        return one_hot

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.images(part).y) for part in PARTS}

    def describe(self) -> dict[str, str]:
        numbers = np.concatenate([self.images(part).y for part in PARTS])
        counts = np.bincount(numbers, minlength=len(self.classes))
        named = [f"{name} {count}" for name, count in zip(self.classes, counts, strict=True)]
        return {
            "images": "x".join(map(str, self.shape)),
            "pixels": f"0 to {self.scale:g} ({self.train.x.dtype})",
            "classes": f"{len(self.classes)}: {shorten(named, SHOWN_CLASSES)}",
        }

    def class_counts(self) -> np.ndarray:
        """Return the training images of each class `(classes,)`."""
        return np.bincount(self.train.y, minlength=len(self.classes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.x.shape[1:]
        return height, width, channels

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each channel, in the images' own units.

        They are those of the training images, or of 10,000 of them.
        """
        rows = splitting.sample_indices(len(self.train.y), MOMENTS_FROM, self.seed)
        x = np.asarray(self.train.x[rows]).astype("float64")
        # A channel that is the same in all images has no spread to divide by.
        variance = np.maximum(x.var(axis=(0, 1, 2)), 1e-8)
        return x.mean(axis=(0, 1, 2)), variance

    @cached_property
    def mirrored(self) -> bool:
        """Whether images keep their class when mirrored left to right.

        Training images alone decide: one half classifies the other half and its mirror images by
        the nearest neighbour.
        """
        from sklearn.neighbors import KNeighborsClassifier

        rows = splitting.sample_indices(len(self.train.y), MIRRORED_FROM, self.seed)
        x = self.train.x[rows].astype("float32") / self.scale
        y = self.train.y[rows]
        half = len(x) // 2
        if half == 0:
            return False
        others = len(x) - half
        classifier = KNeighborsClassifier(n_neighbors=1).fit(x[:half].reshape(half, -1), y[:half])
        plain = classifier.score(x[half:].reshape(others, -1), y[half:])
        mirrored = classifier.score(x[half:, :, ::-1].reshape(others, -1), y[half:])
        return bool(mirrored >= MIRRORED_SHARE * plain)


def load(options: VisionOptions) -> VisionSplits:
    """Read what `--data` names, and split what is not split yet.

    A missing test part takes a fifth, a missing val part a fifth of the rest (see
    `splitting.split_parts`).

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    source = readers.read(options)
    if options.group_column:
        splitting.require_groups(
            [images.groups for images in source.parts.values()], options.group_column, source.where
        )
    divided = divide(source, options)
    parts, classes = divided.parts, divided.classes
    labels: dict[Part, np.ndarray] = {}
    arrays = []
    for part in PARTS:
        labels[part] = parts[part].y
        arrays += [parts[part].x, parts[part].y]
    splitting.require_known(labels, classes, source.where)
    counts = np.bincount(labels["train"], minlength=len(classes))
    return VisionSplits(
        dataset=source.name,
        digest=data_digest(*arrays),
        notes=(*divided.notes, *class_balance.remarks(counts, classes, options.metric)),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=classes,
        scale=source.scale or _largest_value(parts["train"].x),
        seed=options.seed,
    )


def merge_into_train(splits: VisionSplits, parts: Sequence[Part]) -> VisionSplits:
    """Return splits whose train holds the images of `parts` too, behind its own."""
    train = splits.train.join([splits.images(part) for part in parts])
    return replace(splits, train=train, merged=tuple(parts))


def _largest_value(x: np.ndarray) -> float:
    """Return the largest value that a pixel can have.

    It is 255 for bytes that use more than half of their range, else the largest value seen.
    """
    largest = float(x.max())
    if x.dtype == np.uint8 and largest > 127:
        return 255.0
    if largest > 0:
        return largest
    return 1.0  # all images are black: what they are divided by
