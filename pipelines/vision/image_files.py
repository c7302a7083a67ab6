"""Image files to pixels: upright, opaque, all of one size."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipelines.vision.images import IN_MEMORY

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
LARGEST_NATIVE = 96  # images that agree in size keep it up to here
SMALLEST_SIDE, LARGEST_SIDE = 8, 128  # of images that are resized without being told to what
ORIENTATION = 0x0112  # the EXIF tag
GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")  # as Pillow calls them
TRANSPARENT_MODES = ("RGBA", "LA", "PA")

Item = TypeVar("Item")
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Decoded:
    """Pixels `(n, height, width, channels)` of files, which files were readable, and notes."""

    pixels: np.ndarray
    good: list[bool]
    notes: tuple[str, ...]


def decode_all(paths: Sequence[Path], image_size: int) -> Decoded:
    """Decode files in two passes: headers for sizes and channels, then pixels.

    `image_size` is the height and width that all images get; 0 finds a fitting one.
    """
    # Threads: Pillow decodes outside Python's lock.
    headers = [header for header in _in_threads(_header, paths) if header]
    size, notes = target_size([header.size for header in headers], image_size)
    channels = 1
    if any(header.coloured for header in headers):
        channels = 3
    pixels = _allocate((len(paths), *size, channels))

    def decode_into(row: int) -> bool:
        image = decode(paths[row], size, channels)
        if image is None:
            return False
        pixels[row] = image
        return True

    return Decoded(pixels, _in_threads(decode_into, range(len(paths))), notes)


def target_size(sizes: Sequence[Size], asked: int) -> tuple[Size, tuple[str, ...]]:
    """Return the (height, width) that all images get, with a note where that changes them."""
    if asked:
        return (asked, asked), ()
    distinct = set(sizes)
    if not distinct:
        return (LARGEST_NATIVE, LARGEST_NATIVE), ()
    first = next(iter(distinct))
    if len(distinct) == 1 and max(first) <= LARGEST_NATIVE:
        return first, ()
    middle = int(np.median(list(map(min, sizes))))
    side = max(SMALLEST_SIDE, min(LARGEST_SIDE, middle))
    received = f"{first}"
    if len(distinct) > 1:
        received = f"{len(distinct)} different sizes"
    note = f"images of {received} are resized to {side}x{side}; choose another with --image-size"
    return (side, side), (note,)


def resize(image: np.ndarray, size: Size) -> np.ndarray:
    """Return a decoded image `(height, width, channels)` of bytes in another size."""
    from PIL import Image

    if image.shape[:2] == size:
        return image
    if image.shape[-1] == 1:  # Pillow wants grey images without an axis of channels
        image = image.squeeze(-1)
    resized = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(*size, -1)


def decode(path: Path, size: Size | None, channels: int) -> np.ndarray | None:
    """Return an image file as `(height, width, channels)` bytes, upright and opaque.

    `channels` is 1 or 3; without a `size` the image keeps its own. None: it cannot be read.
    """
    from PIL import Image, ImageOps

    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits: `convert` would clip at 255
                values = np.asarray(image, dtype="float32") / 257  # 65535 becomes 255
                image = Image.fromarray(values.clip(0, 255).astype("uint8"))
            if image.mode in TRANSPARENT_MODES or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            image = image.convert({1: "L", 3: "RGB"}[channels])
            if size is not None and (image.height, image.width) != size:
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype="uint8")
            return pixels.reshape(image.height, image.width, channels)
    except _unreadable():
        return None


@dataclass(frozen=True)
class _Header:
    size: Size
    coloured: bool


def _header(path: Path) -> _Header | None:
    """Return what a file's header says, or None when it cannot be read."""
    from PIL import Image, ImageOps

    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            upright: Image.Image = image
            # Only where there is something to turn: it decodes all pixels of the image.
            if image.getexif().get(ORIENTATION, 1) != 1:
                upright = ImageOps.exif_transpose(image)
            size = (upright.height, upright.width)
            return _Header(size, coloured=upright.mode not in GREY_MODES)
    except _unreadable():
        return None


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what Pillow raises for a file that is no image, is truncated, or is too large."""
    from PIL import Image, UnidentifiedImageError

    return (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    )


def _allocate(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of bytes: in memory, or beyond 1 GiB in a file that ends with the process."""
    if int(np.prod(shape, dtype="int64")) <= IN_MEMORY:
        return np.zeros(shape, dtype="uint8")
    import tempfile

    # The file loses its name at once; its bytes stay as long as they are mapped.
    with tempfile.NamedTemporaryFile(prefix="appline-images-") as file:
        return np.memmap(file.name, dtype="uint8", mode="w+", shape=shape)


def _in_threads(function: Callable[[Item], Any], items: Sequence[Item]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(function, items))
