"""Images from anywhere to `VisionSplits`: read, checked, split before anything is fitted to them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation import classification
from pipelines.io import tables
from pipelines.pipeline import PARTS, Part, Splits
from pipelines.vision import readers
from pipelines.vision.readers import Images

if TYPE_CHECKING:
    import tensorflow as tf

    from pipelines.vision.pipeline import VisionPipeline


@dataclass(frozen=True, kw_only=True)
class VisionSplits(Splits):
    """Images `(n, height, width, channels)` and class numbers `(n,)` for each part, and what a network must know."""

    train: Images
    val: Images
    test: Images
    classes: tuple[str, ...]
    scale: float  # the largest value that a pixel can have
    seed: int

    def images(self, part: Part) -> Images:
        return {"train": self.train, "val": self.val, "test": self.test}[part]

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.images(part).y) for part in PARTS}

    def describe(self) -> dict[str, str]:
        numbers = np.concatenate([self.images(part).y for part in PARTS])
        counts = np.bincount(numbers, minlength=len(self.classes))
        shown = [f"{name} {count}" for name, count in zip(self.classes, counts, strict=True)]
        more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
        return {
            "images": "x".join(map(str, self.shape)),
            "pixels": f"0 to {self.scale:g} ({self.train.x.dtype})",
            "classes": f"{len(self.classes)}: {', '.join(shown[:20])}{more}",
        }

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.train.x.shape[1:]
        return height, width, channels

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each channel over (at most 10,000 of) the training images, in the pixels' own units."""
        some = self._some_train(10_000).astype("float64")
        return some.mean(axis=(0, 1, 2)), np.maximum(some.var(axis=(0, 1, 2)), 1e-8)

    @cached_property
    def mirrored(self) -> bool:
        """Whether images keep their class when mirrored, left to right, judged on training images alone.

        The nearest of one half of them names those of the other half and their mirror images. Mirrored digits are
        named right .37 times as often as plain ones, clothes .75, chest X-rays .98: the line is drawn at .6.
        """
        from sklearn.neighbors import KNeighborsClassifier

        chosen = tables.sample_indices(len(self.train.y), 4_000, self.seed)
        x = self.train.x[chosen].astype("float32") / self.scale
        y = self.train.y[chosen]
        half = len(x) // 2
        if half == 0:
            return False
        voter = KNeighborsClassifier(n_neighbors=1).fit(x[:half].reshape(half, -1), y[:half])
        plain = voter.score(x[half:].reshape(len(x) - half, -1), y[half:])
        mirror = voter.score(x[half:, :, ::-1].reshape(len(x) - half, -1), y[half:])
        return bool(mirror >= 0.6 * plain)

    def _some_train(self, count: int) -> np.ndarray:
        return np.asarray(self.train.x[tables.sample_indices(len(self.train.y), count, self.seed)])


def load(options: "VisionPipeline") -> VisionSplits:
    """Read what `--data` names and split what is not split yet: a fifth for test, a fifth of the rest for validation.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    read = readers.read(options)
    numbered, classes = _numbered(read)
    rows = classification.split_parts({part: images.y for part, images in numbered.items()}, classes, read.where, options.seed)
    parts = {part: numbered[source].take(positions) for part, (source, positions) in rows.items()}
    if options.limit:
        parts = {part: images.take(classification.subsample(images.y, options.limit, options.seed)) for part, images in parts.items()}
    classification.require_known({part: images.y for part, images in parts.items()}, classes, read.where)
    splits = VisionSplits(
        dataset=read.name,
        digest=tables.digest(*(array for part in PARTS for array in (parts[part].x, parts[part].y))),
        notes=read.notes,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        classes=classes,
        scale=_scale(parts["train"].x),
        seed=options.seed,
    )
    return replace(splits, notes=(*read.notes, *_notes(splits)))


def _numbered(read: readers.Read) -> tuple[dict[Part, Images], tuple[str, ...]]:
    """Return the parts with class numbers for labels; class names come from the reader, else from the labels, in order."""
    classes = read.classes or classification.class_names({str(label) for images in read.parts.values() for label in images.y})
    return {
        part: Images(x=images.x, y=classification.class_numbers([str(label) for label in images.y], classes))
        for part, images in read.parts.items()
    }, classes


def _scale(x: np.ndarray) -> float:
    """Return the largest value a pixel can have: 255 for bytes that use more than half of it, else the largest seen."""
    largest = float(x.max())
    if x.dtype == np.uint8 and largest > 127:
        return 255.0
    return largest if largest > 0 else 1.0


def _notes(splits: VisionSplits) -> tuple[str, ...]:
    """Count test and validation images that also stand in train: they make scores look better than they are."""
    notes = []
    if splits.train.x.nbytes < 2**30:
        seen = {image.tobytes() for image in splits.train.x}
        for part in ("val", "test"):
            twice = sum(image.tobytes() in seen for image in splits.images(part).x)
            if twice:
                notes.append(f"{twice} of {len(splits.images(part).y)} {part} images also stand in train")
    return tuple(notes)


def batches(splits: VisionSplits, part: Part, batch_size: int, shuffle_seed: int | None) -> "tf.data.Dataset":
    """Return batches of images in their own units and one-hot labels; shuffled anew each epoch when a seed is given."""
    import tensorflow as tf

    images = splits.images(part)
    depth = len(splits.classes)
    dataset = tf.data.Dataset
    rows = dataset.range(len(images.y)) if images.on_disk else dataset.from_tensor_slices((images.x, images.y))
    if shuffle_seed is not None:
        rows = rows.shuffle(min(len(images.y), 100_000), seed=shuffle_seed, reshuffle_each_iteration=True)
    batched = rows.batch(batch_size)
    if images.on_disk:
        batched = batched.map(lambda at: _gather(images, at, splits.shape))
    return batched.map(lambda x, y: (tf.cast(x, "float32"), tf.one_hot(y, depth)), num_parallel_calls=2).prefetch(2)


def _gather(images: Images, positions: "tf.Tensor", shape: tuple[int, int, int]) -> tuple[Any, Any]:
    import tensorflow as tf

    x, y = tf.numpy_function(lambda at: (images.x[at], images.y[at]), [positions], (images.x.dtype, tf.int32))
    return tf.ensure_shape(x, (None, *shape)), tf.ensure_shape(y, (None,))
