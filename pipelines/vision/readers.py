"""Readers of images, one for each form: samples, TFDS, folders, tables of paths, NPZ and IDX."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.io.folders import FileKind
from pipelines.io.label_patterns import read_pattern, require_files
from pipelines.io.layouts import LabelledFile
from pipelines.io.other_files import UNPACK, said_of
from pipelines.io.paths import require_path
from pipelines.io.table_folders import layout_or_tables
from pipelines.io.tables import TABLE_SUFFIXES
from pipelines.io.tfds import PREFIX, labelled_parts, tfds_builder, tfds_parts
from pipelines.splits import Part
from pipelines.vision import array_files, path_tables
from pipelines.vision.division import choose_files
from pipelines.vision.image_files import SUFFIXES, Decoded, decode_all
from pipelines.vision.images import Images, ImageSource, name_classes
from pipelines.vision.open_image import CONVERT_HEIC
from pipelines.vision.options import VisionOptions
from pipelines.vision.sizes import resize, target_size

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
SHOWN_BROKEN = 5
FILES = FileKind(
    what="images",
    suffixes=SUFFIXES,
    remedies=MappingProxyType(
        {
            ".heic": f"HEIC: {CONVERT_HEIC}",
            ".heif": f"HEIF: {CONVERT_HEIC}",
            ".svg": "SVG are drawings: `rsvg-convert a.svg -o a.png` makes images of them",
            ".pdf": "PDF: `pdftoppm -png a.pdf a` makes images of the pages",
            ".dcm": "DICOM: `dcmj2pnm +on2 a.dcm a.png` (dcmtk) makes images of 16 bits",
            **UNPACK,
            ".lst": "A list of MXNet or SageMaker: rename it to .tsv",
            ".npy": "arrays belong into an NPZ file: np.savez('data.npz', x=x, y=y)",
            **dict.fromkeys(
                (".dng", ".nef", ".cr2", ".arw"), "raw photographs: export them as TIFF or JPEG"
            ),
        }
    ),
)

Reader: TypeAlias = Callable[[Path, VisionOptions], ImageSource]


def read(options: VisionOptions) -> ImageSource:
    """Read what `--data` names, by its form.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    data = options.data
    if options.label_pattern:
        require_files(data, options.datasets)
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
        advice = FILES.remedies.get(suffix) or said_of(path)
        raise DataError(
            f"{path}: expected a folder of images, a table of paths or an NPZ file "
            f"({', '.join(readers)}). Received: {path.suffix!r}{'. ' if advice else ''}{advice}"
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
    size, size_notes = target_size(sizes, options.image_size, options.resize)
    parts: dict[Part, Images] = {}
    for part in labelled:
        resized = [resize(picture, size, options.resize) for picture in pictures[part]]
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
    """Read `root/<class>/*.png`, `root/{train,val,test}/<class>/*.png`, or the tables in `root`."""
    pattern = read_pattern(options.label_pattern)
    layout = layout_or_tables(root, FILES, pattern, drop_missing=options.drop_missing)
    if layout is None:
        return _table(root, options)
    return _from_files(root.name, str(root), layout.files, layout.notes, options)


def _table(path: Path, options: VisionOptions) -> ImageSource:
    found = path_tables.read(path, options)
    if isinstance(found, ImageSource):
        return found
    return _from_files(path.stem, str(path), found.files, found.notes, options)


def _from_files(
    name: str,
    where: str,
    files: Sequence[LabelledFile],
    notes: Sequence[str],
    options: VisionOptions,
) -> ImageSource:
    """Decode image files to one size, with a limit those alone that it keeps.

    Unreadable files are refused, or left out with `--skip-unreadable`.
    """
    classes: tuple[str, ...] = ()
    is_limited = 0 < options.limit < len(files)
    if is_limited:
        chosen = choose_files(where, files, notes, options)
        files, classes, notes = chosen.files, chosen.classes, chosen.notes
    images = [file.content or file.path for file in files]
    decoded = decode_all(images, options.image_size, options.resize)
    notes = [*notes, *decoded.notes]
    if decoded.problems:
        listed = _unreadable(files, decoded.problems)
        if not options.skip_unreadable:
            raise DataError(
                f"{where}: {len(decoded.problems):,} of {len(files):,} images cannot be read: "
                f"{listed}. Repair them, or leave them out: --skip-unreadable"
            )
        if len(decoded.problems) == len(files):
            raise DataError(f"{where}: none of {len(files):,} images can be read: {listed}")
        notes.append(f"{len(decoded.problems):,} unreadable images left out: {listed}")
    rows: dict[Part, list[int]] = {}
    for row, file in enumerate(files):
        if row not in decoded.problems:
            rows.setdefault(file.part, []).append(row)
    parts: dict[Part, Images] = {}
    for part, kept in rows.items():
        parts[part] = _take(decoded, files, kept)
    return ImageSource(
        name=name,
        where=where,
        parts=parts,
        classes=classes,
        scale=decoded.scale,
        notes=tuple(notes),
        is_divided=is_limited,
    )


def _unreadable(files: Sequence[LabelledFile], problems: Mapping[int, str]) -> str:
    listed = [f"{files[row].path} {problems[row]}" for row in sorted(problems)]
    return shorten(listed, SHOWN_BROKEN)


def _take(decoded: Decoded, files: Sequence[LabelledFile], rows: Sequence[int]) -> Images:
    x = decoded.pixels
    # All of them stay where they are: a large set lies in a file that is mapped.
    if len(rows) < len(files):
        x = decoded.pixels[np.asarray(rows, dtype=int)]
    labels = [files[row].label for row in rows]
    names = [str(files[row].path) for row in rows]
    groups = np.asarray([files[row].group for row in rows], dtype=object)
    return Images(
        x=x,
        y=np.asarray(labels, dtype=object),
        names=np.asarray(names, dtype=object),
        groups=groups if any(groups) else None,
        sides=decoded.sides[np.asarray(rows, dtype=int)],
    )
