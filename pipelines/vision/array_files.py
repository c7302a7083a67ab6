"""Images that come as arrays: NPZ files, and the IDX files of MNIST and its relatives."""

import gzip
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.errors import DataError
from pipelines.io.parts import PART_NAMES
from pipelines.io.paths import require_regular_file
from pipelines.io.progress import counted
from pipelines.splits import Part
from pipelines.vision.images import Images, ImageSource, name_classes
from pipelines.vision.options import Resize, VisionOptions
from pipelines.vision.sizes import resize

# What programs call the two arrays; MedMNIST has train_images and train_labels.
IMAGE_NAMES = ("x", "images", "image", "data", "imgs", "pictures")
LABEL_NAMES = ("y", "labels", "label", "target", "targets", "classes")
IDX_STEMS: Mapping[Part, str] = {"train": "train", "test": "t10k"}


def read_npz(path: Path, options: VisionOptions) -> ImageSource:
    """Read `x`, `y`, or `x_train`, `y_train`, `x_test`, `y_test` and perhaps `x_val`, `y_val`.

    `images` and `labels` are known too, and parts before the name, as in `train_images`.

    Raises:
        DataError: the file holds pickled objects, arrays that are not images, or images without
            labels.
    """
    arrays = _load_arrays(path)
    parts = _image_parts(arrays, path)
    shapes = {images.x.shape[1:] for images in parts.values()}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold images of different shapes: {sorted(shapes)}")
    shape = shapes.pop()
    side = options.image_size
    if side and shape != (side, side, shape[-1]):
        parts = {part: _resize(images, side, options.resize) for part, images in parts.items()}
    names: tuple[str, ...] = ()
    if "class_names" in arrays:
        names = tuple(map(str, arrays["class_names"]))
        _require_names(parts, names, path)
        parts = name_classes(parts, names)
    return ImageSource(name=path.stem, where=str(path), parts=parts, classes=names)


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    require_regular_file(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise DataError(
                f"{path}: holds pickled objects, which could run code when read; "
                "save plain arrays, names as y.astype(str)"
            ) from None
        raise DataError(f"{path}: cannot be read as an NPZ file: {error}") from error


def _image_parts(arrays: Mapping[str, np.ndarray], path: Path) -> dict[Part, Images]:
    listed = ", ".join(arrays)
    images_of = _arrays_called(IMAGE_NAMES, arrays)
    labels_of = _arrays_called(LABEL_NAMES, arrays)
    parts: dict[Part, Images] = {}
    for part, name in images_of.items():
        if part not in labels_of:
            raise DataError(f"{path}: has {name} but no labels beside it. Its arrays: {listed}")
        target = labels_of[part]
        images = _as_images(arrays[name], f"{path}: {name}")
        labels = _as_labels(arrays[target], len(images), f"{path}: {target}")
        parts[part] = Images(x=images, y=labels)
    if "train" not in parts:
        raise DataError(
            f"{path}: expected the arrays x and y, or x_train and y_train. Found: {listed}"
        )
    return parts


def _arrays_called(names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> dict[Part, str]:
    """Return by part the arrays with the first of these names that there is."""
    written = {array.lower(): array for array in arrays}
    found: dict[Part, str] = {}
    for name in reversed(names):
        if name in written:
            found["train"] = written[name]
        for word, part in PART_NAMES.items():
            for whole in (f"{name}_{word}", f"{word}_{name}"):
                if whole in written:
                    found[part] = written[whole]
    return found


def _as_images(x: np.ndarray, where: str) -> np.ndarray:
    """Return images with a channel; refuse shapes, dtypes and gaps that no network can take."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected numbers. Received: dtype {x.dtype}")
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 2, 3, 4):
        hint = ""
        if x.ndim == 4 and x.shape[1] in (1, 3):
            hint = " (do the channels stand first? they belong last: np.moveaxis(x, 1, -1))"
        raise DataError(
            f"{where}: expected (images, height, width) or (images, height, width, 1 to 4){hint}. "
            f"Received: {x.shape}"
        )
    if x.dtype.kind == "f":
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if bad.any():
            raise DataError(
                f"{where}: image {int(bad.argmax())} holds NaN or infinity "
                f"({int(bad.sum())} such images)"
            )
    if x.dtype == bool:
        return x.astype("uint8")
    return x


def _as_labels(y: np.ndarray, count: int, where: str) -> np.ndarray:
    """Return one label per image, as whole numbers or names."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    elif y.ndim == 2 and _is_one_hot(y):
        y = y.argmax(axis=1)
    if y.shape != (count,):
        raise DataError(
            f"{where}: expected one label per image, shape ({count},), or a single 1 in each row "
            f"of zeros. Received: {y.shape}"
        )
    if y.dtype.kind != "f":
        return y
    missing = np.isnan(y)
    if missing.any():
        raise DataError(
            f"{where}: label {int(missing.argmax())} is NaN ({int(missing.sum())} such labels)"
        )
    broken = y[y != np.round(y)]
    if len(broken):
        raise DataError(
            f"{where}: expected classes, as whole numbers or names. Received: {broken[0]}"
        )
    return y.astype("int64")


def _is_one_hot(y: np.ndarray) -> bool:
    if y.dtype.kind not in "biuf":
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _resize(images: Images, side: int, how: Resize) -> Images:
    size = (side, side)
    shown = counted(images.x, "images", len(images.x))
    sides = np.full(len(images.x), min(images.x.shape[1:3]))
    x = np.stack([resize(image, size, how) for image in shown])
    return replace(images, x=x, sides=sides)


def _require_names(parts: Mapping[Part, Images], names: Sequence[str], path: Path) -> None:
    for part, images in parts.items():
        whole = images.y.dtype.kind in "iu"
        if not whole or images.y.min() < 0 or images.y.max() >= len(names):
            raise DataError(
                f"{path}: class_names has {len(names)} names, so labels are 0 to {len(names) - 1}. "
                f"Received in {part}: {np.unique(images.y)[:10]}"
            )


def is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds IDX files."""
    return any(folder.glob("*-ubyte*"))


def read_idx_folder(folder: Path) -> ImageSource:
    """Read the four IDX files of MNIST and its relatives (LeCun 1998).

    They are called `train-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` and so on, perhaps with
    `.gz`.
    """
    parts: dict[Part, Images] = {}
    for part, stem in IDX_STEMS.items():
        image_files = sorted(folder.glob(f"{stem}-images*-ubyte*"))
        label_files = sorted(folder.glob(f"{stem}-labels*-ubyte*"))
        if not image_files or not label_files:
            raise DataError(
                f"{folder}: expected {stem}-images-idx3-ubyte[.gz] "
                f"and {stem}-labels-idx1-ubyte[.gz]"
            )
        images = _as_images(_read_idx(image_files[0]), str(image_files[0]))
        labels = _as_labels(_read_idx(label_files[0]), len(images), str(label_files[0]))
        parts[part] = Images(x=images, y=labels)
    return ImageSource(name=folder.name, where=str(folder), parts=parts)


def _read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file of bytes.

    Such a file holds two zero bytes, the type (8), the number of dimensions, their extents, and the
    values.
    """
    require_regular_file(path)
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise DataError(f"{path}: is not an IDX file of bytes. Expected it to begin with 00 00 08")
    num_dimensions = raw[3]
    extents = np.frombuffer(raw, ">i4", count=num_dimensions, offset=4)  # big-endian
    values = np.frombuffer(raw, "uint8", offset=4 + 4 * num_dimensions)
    if len(values) != np.prod(extents):
        raise DataError(
            f"{path}: is truncated. Expected {np.prod(extents)} values, found {len(values)}"
        )
    return values.reshape(extents)
