"""Readers of images, one for each form: samples, TFDS, folders, tables of paths, NPZ and IDX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pipelines.errors import DataError
from pipelines.io.parts import SPLIT_COLUMNS, part_folders
from pipelines.io.paths import require_path, visible_files, visible_folders
from pipelines.io.tables import TABLE_SUFFIXES, cell_text, read_table
from pipelines.io.tfds import PREFIX, labelled_parts, tfds_builder, tfds_parts
from pipelines.splits import Part
from pipelines.vision import array_files
from pipelines.vision.image_files import SUFFIXES, decode_all, resize, target_size
from pipelines.vision.images import Images, ImageSource, name_classes
from pipelines.vision.listed_paths import PATH_COLUMNS, existing_paths
from pipelines.vision.options import VisionOptions

LABEL_COLUMNS = ("label", "class", "target", "category", "labels", "class_name", "y")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SHOWN_BROKEN = 10

Reader: TypeAlias = Callable[[Path, VisionOptions], ImageSource]


@dataclass(frozen=True)
class LabelledFile:
    """An image file, the part it belongs to, and its label."""

    part: Part
    path: Path
    label: str


def read(options: VisionOptions) -> ImageSource:
    """Read what `--data` names, by its form.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    data = options.data
    if data == "digits":
        return _digits()
    if data == "fashion-mnist":
        return _fashion_mnist()
    if data.startswith(PREFIX):
        return _tfds(data, options)
    path = require_path(data, options.datasets, "vision")
    if path.is_dir():
        if array_files.is_idx_folder(path):
            return array_files.read_idx_folder(path)
        return _folder(path, options)
    readers: dict[str, Reader] = {
        ".npz": array_files.read_npz,
        **dict.fromkeys(TABLE_SUFFIXES, _table),
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise DataError(
            f"{path}: expected a folder of images, a table of paths or an NPZ file "
            f"({', '.join(readers)}). Received: {path.suffix!r}"
        )
    return readers[suffix](path, options)


def _digits() -> ImageSource:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8, 1).astype("uint8")  # whole numbers from 0 to 16
    return ImageSource(name="digits", where="digits", parts={"train": Images(x=images, y=y)})


def _fashion_mnist() -> ImageSource:
    if not FASHION_MNIST.is_dir():
        raise DataError(
            "fashion-mnist comes with a Debian package: apt install dataset-fashion-mnist. "
            "Or use --data tfds:fashion_mnist"
        )
    parts = array_files.read_idx_folder(FASHION_MNIST).parts
    return ImageSource(
        name="fashion-mnist",
        where="fashion-mnist",
        parts=name_classes(parts, CLOTHES),
        classes=CLOTHES,
    )


def _tfds(data: str, options: VisionOptions) -> ImageSource:
    import tensorflow_datasets as tfds

    builder = tfds_builder(data)
    features = builder.info.features
    if "image" not in features or "label" not in features:
        raise DataError(
            f"{data}: expected the features image and label. Found: {', '.join(features)}"
        )
    pictures: dict[Part, list[np.ndarray]] = {}
    labels: dict[Part, list[int]] = {}
    for part, split in tfds_parts(builder, data).items():
        pictures[part], labels[part] = [], []
        for picture, label in tfds.as_numpy(builder.as_dataset(split=split, as_supervised=True)):
            pictures[part].append(picture)
            labels[part].append(int(label))
    labelled, hidden_notes = labelled_parts(labels, data)
    sizes = []
    for part in labelled:
        sizes += [picture.shape[:2] for picture in pictures[part]]
    size, size_notes = target_size(sizes, options.image_size)
    parts: dict[Part, Images] = {}
    for part in labelled:
        resized = [resize(picture, size) for picture in pictures[part]]
        parts[part] = Images(x=np.stack(resized), y=np.asarray(labels[part]))
    names = tuple(features["label"].names)
    return ImageSource(
        name=data,
        where=data,
        parts=name_classes(parts, names),
        classes=names,
        notes=(*hidden_notes, *size_notes),
    )


def _folder(root: Path, options: VisionOptions) -> ImageSource:
    """Read `root/<class>/*.png` or `root/{train,val,test}/<class>/*.png`, without hidden files."""
    below = visible_folders(root)
    parts = part_folders(below)
    if "train" not in parts:
        parts = {"train": root}
    files: list[LabelledFile] = []
    for part, folder in parts.items():
        in_part = _files_by_class(part, folder)
        if not in_part and folder != root:
            raise DataError(f"{folder}: holds no images in folders of classes")
        files += in_part
    if not files:
        num_files = sum(path.is_file() for path in root.iterdir())
        raise DataError(
            f"{root}: holds no images in folders of classes. Expected {root}/<class>/<image>, with "
            f"image files ending in {' '.join(SUFFIXES)}; found {len(below)} folders and "
            f"{num_files} files"
        )
    return _from_files(root.name, str(root), files, options)


def _files_by_class(part: Part, folder: Path) -> list[LabelledFile]:
    files = []
    for group in visible_folders(folder):
        for path in visible_files(group, SUFFIXES):
            files.append(LabelledFile(part, path, group.name))
    return files


def _table(path: Path, options: VisionOptions) -> ImageSource:
    """Read a table with the columns path, label and perhaps split.

    Paths are relative to the table's own folder.
    """
    table = read_table(path)
    path_column = table.find_column(
        options.path_column, PATH_COLUMNS, role="path", flag="--path-column"
    )
    label_column = table.find_column(
        options.label_column, LABEL_COLUMNS, role="label", flag="--label-column"
    )
    if path_column is None or label_column is None:
        role = "label"
        if path_column is None:
            role = "path"
        raise DataError(
            f"{path}: has no column {role}. Expected path,label[,split]. "
            f"Its columns: {', '.join(table.columns)}. Choose one: --{role}-column NAME"
        )
    unlabelled = table.frame[label_column].isna()
    if unlabelled.any():
        line = table.lines[int(unlabelled.argmax())]
        raise DataError(
            f"{path}: line {line}: no label in column {label_column!r} "
            f"({int(unlabelled.sum())} such rows)"
        )
    split_column = table.find_column("", SPLIT_COLUMNS, role="split", flag="")
    files = []
    paths = existing_paths(table.frame[path_column], table.lines, path)
    labels = table.frame[label_column]
    for part, image, label in zip(table.parts(split_column), paths, labels, strict=True):
        files.append(LabelledFile(part, image, cell_text(label)))
    return _from_files(path.stem, str(path), files, options)


def _from_files(
    name: str, where: str, files: Sequence[LabelledFile], options: VisionOptions
) -> ImageSource:
    """Decode image files to one size.

    Unreadable files are refused, or left out with `--skip-unreadable`.
    """
    decoded = decode_all([file.path for file in files], options.image_size)
    notes = decoded.notes
    broken: list[Path] = []
    rows: dict[Part, list[int]] = {}
    for row, (file, good) in enumerate(zip(files, decoded.good, strict=True)):
        if good:
            rows.setdefault(file.part, []).append(row)
        else:
            broken.append(file.path)
    if broken:
        listed = ", ".join(map(str, broken[:SHOWN_BROKEN]))
        if not options.skip_unreadable:
            raise DataError(
                f"{where}: {len(broken)} of {len(files)} images cannot be read (truncated, or not "
                f"an image): {listed}. Repair them, or leave them out: --skip-unreadable"
            )
        notes = (*notes, f"{len(broken)} unreadable images left out: {listed}")
    parts: dict[Part, Images] = {}
    for part, chosen in rows.items():
        parts[part] = _take(decoded.pixels, files, chosen)
    return ImageSource(name=name, where=where, parts=parts, notes=notes)


def _take(pixels: np.ndarray, files: Sequence[LabelledFile], rows: Sequence[int]) -> Images:
    x = pixels
    # All of them stay where they are: a large set lies in a file that is mapped.
    if len(rows) < len(files):
        x = pixels[np.asarray(rows, dtype=int)]
    labels = [files[row].label for row in rows]
    return Images(x=x, y=np.asarray(labels, dtype=object))
