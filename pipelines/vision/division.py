"""Which image is in which part, by labels and groups alone: no pixel is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.evaluation import splitting
from pipelines.evaluation.folds import Fold, parse_fold
from pipelines.io.layouts import LabelledFile
from pipelines.splits import Part
from pipelines.vision.images import Images, ImageSource
from pipelines.vision.options import VisionOptions


@dataclass(frozen=True, kw_only=True)
class Divided:
    """Images in three parts with class numbers for labels, the names of the classes, and notes."""

    parts: Mapping[Part, Images]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def divide(source: ImageSource, options: VisionOptions) -> Divided:
    """Return what a reader found without small classes, in three parts, as many as are asked for.

    Raises:
        DataError, UsageError: there are too few images of a class.
    """
    if options.min_class and not source.is_divided:
        source = _without_small_classes(source, options.min_class)
    numbered, classes = _number_classes(source)
    # Files that were chosen for a limit are in their parts already.
    fold = None if source.is_divided else parse_fold(options.fold)
    parts = _split(numbered, classes, source, options.seed, fold)
    if options.limit:
        numbers = {part: images.y for part, images in parts.items()}
        for part, kept in splitting.limit_parts(numbers, options.limit, options.seed).items():
            parts[part] = parts[part].take(kept)
    return Divided(parts=parts, classes=classes, notes=source.notes)


@dataclass(frozen=True, kw_only=True)
class ChosenFiles:
    """The files of a limited training, each in its part, the names of all classes, and notes."""

    files: list[LabelledFile]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def choose_files(
    where: str, files: Sequence[LabelledFile], notes: Sequence[str], options: VisionOptions
) -> ChosenFiles:
    """Return the files that `--limit` keeps, so that no others are opened.

    Raises:
        DataError, UsageError: there are too few images of a class.
    """
    rows: dict[Part, list[int]] = {}
    for row, file in enumerate(files):
        rows.setdefault(file.part, []).append(row)
    parts = {}
    for part, numbers in rows.items():
        groups = np.asarray([files[row].group for row in numbers], dtype=object)
        labels = np.asarray([files[row].label for row in numbers], dtype=object)
        # In the place of images stand the numbers of their files.
        parts[part] = Images(
            x=np.asarray(numbers), y=labels, groups=groups if any(groups) else None
        )
    source = ImageSource(name="", where=where, parts=parts, notes=tuple(notes))
    divided = divide(source, options)
    chosen = []
    for part, images in divided.parts.items():
        chosen += [replace(files[row], part=part) for row in images.x]
    return ChosenFiles(files=chosen, classes=divided.classes, notes=divided.notes)


def _without_small_classes(source: ImageSource, least: int) -> ImageSource:
    labels = {part: list(map(str, images.y)) for part, images in source.parts.items()}
    rows, note = splitting.without_small_classes(labels, least)
    if not note:
        return source
    parts = {part: images.take(rows[part]) for part, images in source.parts.items()}
    left = set(map(str, parts["train"].y))
    classes = tuple(name for name in source.classes if name in left)
    return replace(source, parts=parts, classes=classes, notes=(*source.notes, note))


def _number_classes(source: ImageSource) -> tuple[dict[Part, Images], tuple[str, ...]]:
    """Return the parts with class numbers for labels, and the names of the classes.

    The names are the reader's, else those that the labels have.
    """
    labels: dict[Part, list[str]] = {}
    present: set[str] = set()
    for part, images in source.parts.items():
        labels[part] = list(map(str, images.y))
        present.update(labels[part])
    classes = source.classes or splitting.class_names(present)
    numbered = {}
    for part, images in source.parts.items():
        numbers = splitting.class_numbers(labels[part], classes)
        numbered[part] = replace(images, y=numbers)
    return numbered, classes


def _split(
    numbered: Mapping[Part, Images],
    classes: tuple[str, ...],
    read: ImageSource,
    seed: int,
    fold: Fold | None,
) -> dict[Part, Images]:
    numbers = {part: images.y for part, images in numbered.items()}
    counts = splitting.count_classes(numbers["train"], classes)
    least = splitting.smallest_class(numbers, fold)
    splitting.require_classes(counts, read.where, least=least, notes=read.notes)
    groups = numbered["train"].groups
    parts = {}
    for part, (source, rows) in splitting.split_parts(numbers, seed, groups, fold).items():
        parts[part] = numbered[source].take(rows)
    return parts
