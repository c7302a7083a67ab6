"""Data that a model is scored on whole: brought to its size and units, with its classes."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.evaluation import splitting
from pipelines.evaluation.classification import absent_classes_note
from pipelines.io.digest import data_digest
from pipelines.io.folders import Folder, counted_endings, scan
from pipelines.io.label_patterns import LabelPattern, label_of_hold_out, read_pattern
from pipelines.io.layouts import LabelledFile
from pipelines.io.paths import require_path
from pipelines.io.progress import counted
from pipelines.io.table_folders import is_folder_of_tables
from pipelines.io.tables import TABLE_SUFFIXES
from pipelines.io.tfds import PREFIX
from pipelines.vision import array_files, path_tables, readers
from pipelines.vision.data import VisionSplits
from pipelines.vision.image_files import allocate
from pipelines.vision.images import Images, ImageSource
from pipelines.vision.options import VisionOptions
from pipelines.vision.pictures import Picture, PictureFormat, fit_picture

if TYPE_CHECKING:
    from pipelines.vision.serve import VisionFacts

SHOWN_CLASSES = 10
SHOWN_BROKEN = 5


@dataclass(frozen=True, kw_only=True)
class LabelledPictures:
    """Pictures `(n,)` in the form in which they come, their labels and what messages call them."""

    name: str
    where: str
    pictures: Sequence[Picture] | np.ndarray
    labels: Sequence[str]
    names: Sequence[str]
    notes: tuple[str, ...]


def load_hold_out(
    options: VisionOptions, facts: "VisionFacts", wanted: PictureFormat
) -> VisionSplits:
    """Return all images that `--data` names as the test part, as the model of `facts` takes them.

    Images of classes that the model does not know are left out. There may be one class alone, and
    one image of a class.

    Raises:
        DataError: the data cannot be read, or the model knows none of its classes.
    """
    read = _read(dataclasses.replace(options, resize=wanted.resize), facts.classes)
    known, notes = _known_rows(read, facts.classes)
    if 0 < options.limit < len(known):
        numbers = splitting.class_numbers([read.labels[row] for row in known], facts.classes)
        chosen = splitting.subsample(numbers, options.limit, options.seed)
        notes.append(
            f"{options.limit:,} of {len(known):,} images are scored (limit={options.limit}; "
            "all: --limit 0)"
        )
        known = [known[position] for position in chosen]
    images, more = _fit(read, known, wanted, facts.classes, skip=options.skip_unreadable)
    empty = Images(x=images.x[:0], y=images.y[:0])
    return VisionSplits(
        dataset=read.name,
        digest=data_digest(images.x, images.y),
        notes=(*read.notes, *notes, *more),
        train=empty,
        val=empty,
        test=images,
        classes=tuple(facts.classes),
        scale=facts.scale,
        seed=options.seed,
    )


def _known_rows(read: LabelledPictures, classes: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the rows whose class the model knows, and sentences on the others."""
    known = set(classes)
    rows, unknown = [], Counter[str]()
    for row, label in enumerate(read.labels):
        if label in known:
            rows.append(row)
        else:
            unknown[label] += 1
    listed = shorten(
        [f"{name} ({count:,})" for name, count in unknown.most_common()], SHOWN_CLASSES
    )
    if not rows:
        raise DataError(
            f"{read.where}: the model knows none of its classes: {listed}. "
            f"It knows: {shorten(list(classes), SHOWN_CLASSES)}"
        )
    notes = []
    if unknown:
        what = count_of(len(unknown), "class", "classes")
        notes.append(
            f"{count_of(unknown.total(), 'image')} of {what} that the model does not know left "
            f"out: {listed}"
        )
    notes += absent_classes_note(set(read.labels), classes)
    return rows, notes


def _fit(
    read: LabelledPictures,
    rows: Sequence[int],
    wanted: PictureFormat,
    classes: Sequence[str],
    *,
    skip: bool,
) -> tuple[Images, list[str]]:
    pixels = allocate((len(rows), *wanted.size, wanted.channels), "float32")
    kept: list[int] = []
    broken = []
    remarks: Counter[str] = Counter()
    for row in counted(rows, "images", len(rows)):
        try:
            fitted = fit_picture(read.pictures[row], wanted)
        except DataError as reason:
            broken.append(f"{read.names[row]}: {reason}")
            continue
        pixels[len(kept)] = fitted.x
        remarks.update(fitted.remarks)
        kept.append(row)
    listed = shorten(broken, SHOWN_BROKEN)
    if broken and not skip:
        raise DataError(
            f"{read.where}: {len(broken):,} of {len(rows):,} images cannot be read: {listed}. "
            "Repair them, or leave them out: --skip-unreadable"
        )
    if not kept:
        raise DataError(f"{read.where}: none of {len(rows):,} images can be read: {listed}")
    notes = [f"{count_of(count, 'image')} {remark}" for remark, count in remarks.items()]
    if broken:
        notes.append(f"{count_of(len(broken), 'image')} that cannot be read left out: {listed}")
    labels = [read.labels[row] for row in kept]
    names = np.asarray([read.names[row] for row in kept], dtype=object)
    images = Images(x=pixels[: len(kept)], y=splitting.class_numbers(labels, classes), names=names)
    return images, notes


# ------------------------------------------------------------------------------ reading


def _read(options: VisionOptions, classes: Sequence[str]) -> LabelledPictures:
    data = options.data
    pattern = read_pattern(options.label_pattern)
    options = dataclasses.replace(options, label_pattern="")
    if data in options.datasets or data.startswith(PREFIX):
        return _of_parts(options)
    path = require_path(data, options.datasets, "vision")
    is_table = path.suffix.lower() in TABLE_SUFFIXES or is_folder_of_tables(path)
    if path.is_dir() and not is_table and not array_files.is_idx_folder(path):
        return _of_folder(path, classes, pattern)
    if is_table:
        of_table = dataclasses.replace(options, group_column="", image_size=0)
        found = path_tables.read(path, of_table)
        if isinstance(found, ImageSource):
            return _of_source(found)
        return _of_files(path.stem, str(path), found.files, found.notes)
    return _of_parts(options)


def _of_parts(options: VisionOptions) -> LabelledPictures:
    """Return the images of all parts of a source of arrays, in their own size."""
    return _of_source(readers.read(dataclasses.replace(options, image_size=0)))


def _of_source(source: ImageSource) -> LabelledPictures:
    x = np.concatenate([images.x for images in source.parts.values()])
    labels: list[str] = []
    names: list[str] = []
    for part, images in source.parts.items():
        labels += map(str, images.y)
        names += [f"{part} {images.name(row)}" for row in range(len(images.y))]
    return LabelledPictures(
        name=source.name,
        where=source.where,
        pictures=x,
        labels=labels,
        names=names,
        notes=source.notes,
    )


def _of_files(
    name: str, where: str, files: Sequence[LabelledFile], notes: Sequence[str]
) -> LabelledPictures:
    return LabelledPictures(
        name=name,
        where=where,
        pictures=[file.content or file.path for file in files],
        labels=[file.label for file in files],
        names=[str(file.path) for file in files],
        notes=tuple(notes),
    )


def _of_folder(
    root: Path, classes: Sequence[str], pattern: LabelPattern | None
) -> LabelledPictures:
    """Return the images whose names say a class, or that are below folders called so, at any depth.

    Parts such as `test` may lie above or below them; a hold-out needs none for training.
    """
    found = scan(root, readers.FILES)
    files, unlabelled = [], 0
    for path in sorted(found.all_files()):
        label = label_of_hold_out(path, root, classes, pattern)
        if label:
            files.append(LabelledFile("test", path, label))
        else:
            unlabelled += 1
    if not files:
        raise DataError(
            f"{root}: holds no images in folders with the names of classes "
            f"({unlabelled:,} images in none). The model knows: "
            f"{shorten(list(classes), SHOWN_CLASSES)}"
        )
    return _of_files(root.resolve().name, str(root), files, _folder_notes(found, unlabelled))


def _folder_notes(found: Folder, unlabelled: int) -> list[str]:
    others: Counter[str] = Counter()
    for folder in found.walk():
        others.update(folder.others)
    notes = []
    if unlabelled:
        notes.append(f"{count_of(unlabelled, 'image')} in no folder of a class left out")
    if others:
        notes.append(f"other files left out: {counted_endings(others)}")
    links = sum(len(folder.links) for folder in found.walk())
    if links:
        notes.append(f"{links:,} links out of the folder or to folders are not followed")
    return notes
