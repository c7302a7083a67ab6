"""One reader for each form in which images come: samples, TFDS, folders, tables of paths, NPZ and IDX files."""

import gzip
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import DataError
from pipelines.io import tables
from pipelines.pipeline import Part

if TYPE_CHECKING:
    from pipelines.vision.pipeline import VisionPipeline

PATHS = ("path", "file", "filename", "image", "filepath", "image_path", "file_name", "img")
LABELS = ("label", "class", "target", "category", "labels", "class_name", "y")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
IN_MEMORY = 2**30  # larger sets of image files are decoded into a file that is mapped
LARGEST_NATIVE = 96  # images that agree in size keep it up to here
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images `(n, height, width, channels)` and their labels `(n,)`."""

    x: np.ndarray
    y: np.ndarray

    def take(self, positions: np.ndarray) -> "Images":
        return Images(x=self.x[positions], y=self.y[positions])

    @property
    def on_disk(self) -> bool:
        return self.x.nbytes > IN_MEMORY


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a reader found: at least the part `train`; `classes` in order where the source names them."""

    name: str
    where: str  # what error messages call it
    parts: Mapping[Part, Images]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read(options: "VisionPipeline") -> Read:
    """Read what `--data` names, by its form."""
    data = options.data
    if data == "digits":
        return _digits()
    if data == "fashion-mnist":
        return _fashion_mnist()
    if data.startswith("tfds:"):
        return _tfds(data, options)
    path = tables.require_path(data, options.datasets, "vision")
    if path.is_dir():
        return _idx_folder(path) if list(path.glob("*-ubyte*")) else _folder(path, options)
    readers: dict[str, Callable[[Path, VisionPipeline], Read]] = {".npz": _npz, **dict.fromkeys(tables.TABLES, _table)}
    if path.suffix.lower() not in readers:
        known = ", ".join(readers)
        raise DataError(f"{path}: expected a folder of images, a table of paths or an NPZ file ({known}). Received: {path.suffix!r}")
    return readers[path.suffix.lower()](path, options)


def _digits() -> Read:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = x.reshape(-1, 8, 8, 1).astype("uint8")  # whole numbers from 0 to 16
    return Read(name="digits", where="digits", parts={"train": Images(x=images, y=y)})


def _fashion_mnist() -> Read:
    if not FASHION_MNIST.is_dir():
        raise DataError("fashion-mnist comes with a Debian package: apt install dataset-fashion-mnist. Or use --data tfds:fashion_mnist")
    found = _idx_folder(FASHION_MNIST)
    return Read(name="fashion-mnist", where="fashion-mnist", parts=_named(found.parts, CLOTHES), classes=CLOTHES)


def _named(parts: Mapping[Part, Images], names: Sequence[str]) -> dict[Part, Images]:
    """Return the parts with names in place of class numbers."""
    return {part: Images(x=images.x, y=np.asarray(names, dtype=object)[images.y.astype(int)]) for part, images in parts.items()}


def _tfds(data: str, options: "VisionPipeline") -> Read:
    import tensorflow_datasets as tfds

    builder = tables.tfds_builder(data)
    if "image" not in builder.info.features or "label" not in builder.info.features:
        raise DataError(f"{data}: expected the features image and label. Found: {', '.join(builder.info.features)}")
    found = {
        part: [(image, int(label)) for image, label in tfds.as_numpy(builder.as_dataset(split=split, as_supervised=True))]
        for part, split in tables.tfds_parts(builder, data).items()
    }
    shown, hidden = tables.labelled_parts({part: [label for _, label in pairs] for part, pairs in found.items()}, data)
    names = tuple(builder.info.features["label"].names)
    stacked, notes = _same_size({part: found[part] for part in shown}, options)
    return Read(name=data, where=data, parts=_named(stacked, names), classes=names, notes=(*hidden, *notes))


def _same_size(parts: dict[Part, list[tuple[np.ndarray, int]]], options: "VisionPipeline") -> tuple[dict[Part, Images], tuple[str, ...]]:
    """Stack decoded images, resized where their sizes differ or a size is asked for."""
    from PIL import Image

    sizes = [image.shape[:2] for pairs in parts.values() for image, _ in pairs]
    size, notes = target_size(sizes, options.image_size)

    def resized(image: np.ndarray) -> np.ndarray:
        if image.shape[:2] == size:
            return image
        picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
        return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, -1)

    return {
        part: Images(x=np.stack([resized(image) for image, _ in pairs]), y=np.asarray([label for _, label in pairs]))
        for part, pairs in parts.items()
    }, notes


# --- folders ----------------------------------------------------------------------------------------------------


def _folder(root: Path, options: "VisionPipeline") -> Read:
    """Read `root/<class>/*.png` or `root/{train,val,test}/<class>/*.png`; hidden files and folders are passed over."""
    below = tables.visible_folders(root)
    parts = tables.part_folders(below)
    if "train" not in parts:
        parts = {"train": root}
    files: list[tuple[Part, Path, str]] = []
    for part, folder in parts.items():
        for group in tables.visible_folders(folder):
            images = sorted(path for path in group.rglob("*") if path.suffix.lower() in SUFFIXES and not tables.hidden(path, group))
            files += [(part, path, group.name) for path in images]
    if not files:
        kinds = " ".join(SUFFIXES)
        raise DataError(
            f"{root}: holds no images in folders of classes. Expected {root}/<class>/<image>, with image files ending in {kinds}; "
            f"found {len(below)} folders and {sum(1 for path in root.iterdir() if path.is_file())} files"
        )
    for part in parts:
        if not any(found == part for found, _, _ in files):
            raise DataError(f"{parts[part]}: holds no images in folders of classes")
    return _from_files(root.name, str(root), files, options)


# --- tables of paths --------------------------------------------------------------------------------------------


def _table(path: Path, options: "VisionPipeline") -> Read:
    """Read a table with the columns path, label and perhaps split; paths are below the table's own folder."""
    table = tables.read_table(path)
    place = tables.find_column(table, options.path_column, PATHS, role="path", flag="--path-column", where=str(path))
    label = tables.find_column(table, options.label_column, LABELS, role="label", flag="--label-column", where=str(path))
    if place is None or label is None:
        role, known = "path" if place is None else "label", ", ".join(map(str, table.columns))
        raise DataError(
            f"{path}: has no column {role}. Expected path,label[,split]. Its columns: {known}. Choose one: --{role}-column NAME"
        )
    missing = table[label].isna()
    if missing.any():
        raise DataError(f"{path}: line {int(missing.argmax()) + 2}: no label in column {label!r} ({int(missing.sum())} such rows)")
    split = tables.find_column(table, "", tables.SPLIT_COLUMNS, role="split", flag="", where=str(path))
    parts = tables.split_column(table, split, str(path))
    labels = [tables.cell_text(value) for value in table[label]]
    return _from_files(path.stem, str(path), list(zip(parts, paths_in(table[place], path), labels, strict=True)), options)


def paths_in(column: Iterable[object], path: Path, first: int = 2) -> list[Path]:
    """Return the images' paths that a column of the table at `path` holds; its first value stands on line `first`.

    Raises:
        DataError: one leads out of the table's folder, or there is no such file.
    """
    paths = [_inside(path, str(name), line) for line, name in enumerate(column, start=first)]
    absent = [(line, name) for line, name in enumerate(paths, start=first) if not name.is_file()]
    if absent:
        listed = "; ".join(f"line {line}: {name}" for line, name in absent[:5])
        raise DataError(f"{path}: {len(absent)} of {len(paths)} images do not exist. {listed}. Paths are read from {path.parent}")
    return paths


def _inside(table: Path, name: str, line: int) -> Path:
    """Return the image's path; one that leads out of the table's folder is refused."""
    root = table.parent.resolve()
    found = (root / name).resolve()
    if not found.is_relative_to(root):
        raise DataError(f"{table}: line {line}: the path {name!r} leads out of {table.parent}. Paths are below the table's own folder")
    return found


# --- image files ------------------------------------------------------------------------------------------------


def _from_files(name: str, where: str, files: list[tuple[Part, Path, str]], options: "VisionPipeline") -> Read:
    """Decode `(part, path, label)` triples in two passes: headers for sizes and channels, then pixels."""
    headers = _each([path for _, path, _ in files], _header)
    size, notes = target_size([header[0] for header in headers if header], options.image_size)
    channels = 3 if any(header and header[1] for header in headers) else 1
    decoded = _decode([path for _, path, _ in files], size, channels)
    broken = [path for (_, path, _), good in zip(files, decoded.good, strict=True) if not good]
    if broken:
        listed = ", ".join(map(str, broken[:10]))
        if not options.skip_unreadable:
            raise DataError(
                f"{where}: {len(broken)} of {len(files)} images cannot be read (truncated or no image): {listed}. "
                "Mend them, or leave them out: --skip-unreadable"
            )
        notes = (*notes, f"{len(broken)} unreadable images left out: {listed}")
    parts = {}
    for part in dict.fromkeys(part for part, _, _ in files):
        rows = np.asarray([at for at, (found, _, _) in enumerate(files) if found == part and decoded.good[at]], dtype=int)
        whole = len(rows) == len(files)
        x = decoded.pixels if whole else decoded.pixels[rows]
        parts[part] = Images(x=x, y=np.asarray([files[at][2] for at in rows], dtype=object))
    return Read(name=name, where=where, parts=parts, notes=notes)


def target_size(sizes: Sequence[tuple[int, int]], asked: int) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return the (height, width) that all images get, with a note where that changes them."""
    distinct = set(sizes)
    if asked:
        return (asked, asked), ()
    if len(distinct) == 1 and max(next(iter(distinct))) <= LARGEST_NATIVE:
        return next(iter(distinct)), ()
    if not distinct:
        return (LARGEST_NATIVE, LARGEST_NATIVE), ()
    middle = int(np.median([min(size) for size in sizes]))
    side = max(8, min(128, middle))
    spread = f"{len(distinct)} different sizes" if len(distinct) > 1 else f"{next(iter(distinct))}"
    return (side, side), (f"images of {spread} are resized to {side}x{side}; choose another with --image-size",)


def _header(path: Path) -> tuple[tuple[int, int], bool] | None:
    """Return ((height, width), coloured) from a file's header, or None when it has none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image
            return (turned.height, turned.width), turned.mode not in ("1", "L", "LA", "I", "I;16", "F")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None


@dataclass(frozen=True)
class _Decoded:
    pixels: np.ndarray
    good: list[bool]


def _decode(paths: Sequence[Path], size: tuple[int, int], channels: int) -> _Decoded:
    shape = (len(paths), *size, channels)
    pixels = _allocate(shape)

    def one(at: int) -> bool:
        image = decode(paths[at], size, channels)
        if image is None:
            return False
        pixels[at] = image
        return True

    return _Decoded(pixels, _each(range(len(paths)), one))


def decode(path: Path, size: tuple[int, int] | None, channels: int) -> np.ndarray | None:
    """Return an image file as `(height, width, channels)` bytes, upright and opaque, or None when it cannot be read."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits: `convert` would clip
                image = Image.fromarray((np.asarray(image, dtype="float32") / 257).clip(0, 255).astype("uint8"))
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            image = image.convert("L" if channels == 1 else "RGB")
            if size is not None and (image.height, image.width) != size:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(image, dtype="uint8").reshape(image.height, image.width, channels)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _allocate(shape: tuple[int, ...]) -> np.ndarray:
    """Return room for bytes: in memory, or beyond 1 GiB in a file that disappears with the process."""
    if int(np.prod(shape, dtype="int64")) <= IN_MEMORY:
        return np.zeros(shape, dtype="uint8")
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="appline-images-") as file:
        return np.memmap(file.name, dtype="uint8", mode="w+", shape=shape)


def _each(items: Sequence[Any], do: Callable[[Any], Any]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(do, items))


# --- arrays -----------------------------------------------------------------------------------------------------


def _npz(path: Path, options: "VisionPipeline") -> Read:
    """Read `x`, `y`, or `x_train`, `y_train`, `x_test`, `y_test` and perhaps `x_val`, `y_val`; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error) or "pickle" in str(error):
            raise DataError(f"{path}: holds pickled objects, which could run code when read; save plain arrays of numbers") from None
        raise DataError(f"{path}: cannot be read as an NPZ file: {error}") from error
    parts = {}
    for name in arrays:
        kind, _, word = name.partition("_")
        if kind == "x" and (not word or word in tables.PART_NAMES):
            target = f"y_{word}" if word else "y"
            if target not in arrays:
                raise DataError(f"{path}: has {name} but no {target}. Its arrays: {', '.join(arrays)}")
            parts[tables.PART_NAMES.get(word, "train")] = _checked(arrays[name], arrays[target], f"{path}: {name}", f"{path}: {target}")
    if "train" not in parts:
        raise DataError(f"{path}: expected the arrays x and y, or x_train and y_train. Found: {', '.join(arrays)}")
    shapes = {images.x.shape[1:] for images in parts.values()}
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts hold images of different shapes: {sorted(shapes)}")
    names = tuple(map(str, arrays["class_names"])) if "class_names" in arrays else ()
    if options.image_size and shapes != {(options.image_size, options.image_size, next(iter(shapes))[-1])}:
        parts = {part: _resized(images, options.image_size) for part, images in parts.items()}
    if names:
        _require_names(parts, names, path)
        parts = _named(parts, names)
    return Read(name=path.stem, where=str(path), parts=parts, classes=names)


def _checked(x: np.ndarray, y: np.ndarray, x_name: str, y_name: str) -> Images:
    """Return images with a channel and flat labels; refuse shapes, dtypes and gaps that no network can take."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{x_name}: expected numbers. Received: dtype {x.dtype}")
    x = x[..., None] if x.ndim == 3 else x
    if x.ndim != 4 or (x.shape[-1] not in (1, 2, 3, 4)):
        first = " (channels stand first? they belong last)" if x.ndim == 4 and x.shape[1] in (1, 3) else ""
        raise DataError(f"{x_name}: expected (images, height, width) or (images, height, width, 1 to 4){first}. Received: {x.shape}")
    if x.dtype.kind == "f":
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if bad.any():
            raise DataError(f"{x_name}: image {int(bad.argmax())} holds NaN or infinity ({int(bad.sum())} such images)")
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (len(x),):
        raise DataError(f"{y_name}: expected one label an image, shape ({len(x)},). Received: {y.shape}")
    if y.dtype.kind == "f":
        bad = np.isnan(y)
        if bad.any():
            raise DataError(f"{y_name}: label {int(bad.argmax())} is NaN ({int(bad.sum())} such labels)")
        if (y != np.round(y)).any():
            raise DataError(f"{y_name}: expected classes, as whole numbers or names. Received: {y[y != np.round(y)][0]}")
        y = y.astype("int64")
    return Images(x=x.astype("uint8") if x.dtype == bool else x, y=y)


def _resized(images: Images, side: int) -> Images:
    import tensorflow as tf

    rows = [tf.image.resize(images.x[start : start + 1000], (side, side)).numpy() for start in range(0, len(images.x), 1000)]
    x = np.concatenate(rows)
    return Images(x=x.round().astype(images.x.dtype) if images.x.dtype.kind in "iu" else x.astype(images.x.dtype), y=images.y)


def _require_names(parts: Mapping[Part, Images], names: Sequence[str], path: Path) -> None:
    for part, images in parts.items():
        if images.y.dtype.kind not in "iu" or images.y.min() < 0 or images.y.max() >= len(names):
            raise DataError(
                f"{path}: class_names has {len(names)} names, so labels are 0 to {len(names) - 1}. "
                f"Received in {part}: {np.unique(images.y)[:10]}"
            )


def _idx_folder(folder: Path) -> Read:
    """Read the four IDX files of MNIST and its relatives (LeCun 1998): `train-images-idx3-ubyte[.gz]` and so on."""
    parts: dict[Part, Images] = {}
    stems: dict[Part, str] = {"train": "train", "test": "t10k"}
    for part, stem in stems.items():
        found = {kind: sorted(folder.glob(f"{stem}-{kind}*-ubyte*")) for kind in ("images", "labels")}
        if not all(found.values()):
            raise DataError(f"{folder}: expected {stem}-images-idx3-ubyte[.gz] and {stem}-labels-idx1-ubyte[.gz]")
        x, y = _idx(found["images"][0]), _idx(found["labels"][0])
        parts[part] = _checked(x, y, str(found["images"][0]), str(found["labels"][0]))
    return Read(name=folder.name, where=str(folder), parts=parts)


def _idx(path: Path) -> np.ndarray:
    """Return an IDX file of bytes: two zero bytes, type 8, the number of dimensions, their extents, the values."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise DataError(f"{path}: is no IDX file of bytes. Expected it to begin with 00 00 08")
    extents = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    values = np.frombuffer(raw, "uint8", offset=4 + 4 * raw[3])
    if len(values) != np.prod(extents):
        raise DataError(f"{path}: is truncated. Expected {np.prod(extents)} values, found {len(values)}")
    return values.reshape(extents)
