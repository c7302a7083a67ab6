"""Many image files to pixels of one size and in one unit; one file as a trained model wants it."""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipelines.errors import count_of, shorten
from pipelines.io.progress import counted
from pipelines.vision.images import IN_MEMORY
from pipelines.vision.open_image import (
    Depth,
    Header,
    ImageData,
    Pixels,
    Size,
    UnreadableImage,
    read_header,
    read_pixels,
    without_warnings,
)
from pipelines.vision.options import Resize
from pipelines.vision.sizes import resize, target_size

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".avif", ".jp2"),
)
BYTE_SCALE = 255.0
DEEPEST = 65535
LEVELS = (BYTE_SCALE, 1023.0, 4095.0, 16383.0, 65535.0)  # of detectors of 8 to 16 bits
SHOWN_FILES = 3

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Pixels `(n, height, width, channels)` of files.

    `problems` are the reasons why files cannot be read, by position; `scale` is the largest value
    that a pixel can have. `sides` `(n,)` are the shorter sides of the files' own images in pixels,
    0 where a file cannot be read.
    """

    pixels: np.ndarray
    sides: np.ndarray
    scale: float
    problems: dict[int, str]
    notes: tuple[str, ...]


def decode_all(paths: Sequence[ImageData], image_size: int, how: Resize = "stretch") -> Decoded:
    """Decode files or bytes in two passes: headers for sizes, channels and depth, then pixels.

    `image_size` is the height and width that all images get; 0 finds a fitting one. `how` is what
    happens to images of other proportions. Images of 16 bits and floats keep their values; bytes
    among them are brought to their scale.
    """
    with without_warnings():
        return _decode_all(paths, image_size, how)


def decode(
    data: ImageData, size: Size | None, channels: int, scale: float = BYTE_SCALE
) -> np.ndarray | None:
    """Return an image file, or its bytes, as `(height, width, channels)`, upright and opaque.

    `channels` is 1 or 3; without a `size` the image keeps its own. The values are in the units of a
    model that was trained on 0 to `scale`: bytes where that is 255. None: it cannot be read, for
    which `why_unreadable` gives the reason.
    """
    with without_warnings():
        try:
            pixels = read_pixels(data, channels)
        except UnreadableImage:
            return None
    if size is not None:
        pixels = Pixels(x=resize(pixels.x, size), depth=pixels.depth)
    return in_units_of(pixels, scale)


def why_unreadable(data: ImageData) -> str:
    """Return why an image cannot be read, as the end of a sentence; "" if it can."""
    with without_warnings():
        try:
            read_pixels(data, 3)
        except UnreadableImage as reason:
            return str(reason)
    return ""


def in_units_of(pixels: Pixels, scale: float) -> np.ndarray:
    """Return an image in the units of data whose largest value is `scale`.

    Bytes are stretched to it. Deeper images are taken as they are, and brought into it where they
    exceed it.
    """
    x = pixels.x
    if pixels.depth == "bytes":
        if scale == BYTE_SCALE:
            return x
        return _rounded(x.astype("float32") * np.float32(scale / BYTE_SCALE), scale)
    largest = float(x.max(initial=0))
    if pixels.depth == "float":
        factor = BYTE_SCALE if scale == BYTE_SCALE and largest <= 1 else 1.0
        return np.asarray(x * np.float32(factor))
    if largest > scale:
        # A model of bytes cannot know the range of a deeper image: it is the whole of 16 bits.
        of = DEEPEST if scale <= BYTE_SCALE else level_of(largest)
        x = x * np.float32(scale / of)
    return _rounded(x, scale)


def level_of(largest: float) -> float:
    """Return the largest value that images can have whose largest one is this.

    It is that of a detector of 8, 10, 12, 14 or 16 bits.
    """
    for level in LEVELS:
        if largest <= level:
            return level
    return largest


def _rounded(x: np.ndarray, scale: float) -> np.ndarray:
    """Return values as whole numbers where those are the units."""
    if scale < BYTE_SCALE or scale > DEEPEST or float(x.min(initial=0)) < 0:
        return x
    if scale == BYTE_SCALE:
        return np.asarray(np.rint(x).clip(0, BYTE_SCALE), dtype="uint8")
    return np.asarray(np.rint(x), dtype="uint16")


# ------------------------------------------------------------------------------ many files


def _decode_all(paths: Sequence[ImageData], image_size: int, how: Resize) -> Decoded:
    problems: dict[int, str] = {}

    def header_of(row: int) -> Header | None:
        try:
            return read_header(paths[row])
        except UnreadableImage as reason:
            problems[row] = str(reason)
            return None

    # Threads: Pillow decodes outside Python's lock.
    found = _in_threads(header_of, range(len(paths)), "headers of images")
    headers = [header for header in found if header is not None]
    size, notes = target_size([header.size for header in headers], image_size, how)
    channels = 1
    if any(header.coloured for header in headers):
        channels = 3
    only_bytes = all(header.depth == "bytes" for header in headers)
    dtype = "uint8" if only_bytes else "float32"
    pixels = allocate((len(paths), *size, channels), dtype)
    depths: list[Depth] = ["bytes"] * len(paths)
    bounds = np.zeros((len(paths), 2))  # lowest and largest value of each deeper image

    def decode_into(row: int) -> None:
        try:
            image = read_pixels(paths[row], channels)
        except UnreadableImage as reason:
            problems[row] = str(reason)
            return
        pixels[row] = resize(image.x, size, how)
        depths[row] = image.depth
        if image.depth != "bytes":
            bounds[row] = image.x.min(), image.x.max()

    readable = [row for row, header in enumerate(found) if header is not None]
    _in_threads(decode_into, readable, "images")
    scale = BYTE_SCALE
    if not only_bytes:
        pixels, scale = _in_one_unit(pixels, depths, bounds)
        notes = (*notes, _depth_note(depths, bounds, scale))
    sides = [min(header.size) if header is not None else 0 for header in found]
    return Decoded(
        pixels=pixels,
        sides=np.asarray(sides),
        scale=scale,
        problems=problems,
        notes=(*notes, *_header_notes(paths, found)),
    )


def _in_one_unit(
    pixels: np.ndarray, depths: Sequence[Depth], bounds: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return pixels of several depths in one unit, and its largest value."""
    lowest, largest = float(bounds[:, 0].min()), float(bounds[:, 1].max())
    scale = largest
    if largest <= 1:
        scale = 1.0
    whole = lowest >= 0 and largest <= DEEPEST and "float" not in depths
    if whole:
        scale = level_of(largest)
    elif lowest < 0:
        scale = max(-lowest, largest)
    dtype = "float32"
    if whole:
        dtype = "uint8" if scale == BYTE_SCALE else "uint16"
    in_unit = pixels
    if whole:
        in_unit = allocate(pixels.shape, dtype)
    for row, depth in enumerate(depths):
        x = pixels[row]
        if depth == "bytes":
            x = x.astype("uint8")
        in_unit[row] = in_units_of(Pixels(x=x, depth=depth), scale)
    return in_unit, scale


def _depth_note(depths: Sequence[Depth], bounds: np.ndarray, scale: float) -> str:
    lowest = min(0.0, float(bounds[:, 0].min()))
    deeper = sum(depth != "bytes" for depth in depths)
    kind = "floats" if "float" in depths else "more than 8 bits"
    note = (
        f"{count_of(deeper, 'image')} of {kind}: values of {lowest:,.6g} to {scale:,.6g} are kept"
    )
    shallow = len(depths) - deeper
    if shallow:
        note = f"{note}, {count_of(shallow, 'image')} of 8 bits brought to the same range"
    return note


def _header_notes(paths: Sequence[ImageData], found: Sequence[Header | None]) -> list[str]:
    frames, shallow = [], []
    for number, (path, header) in enumerate(zip(paths, found, strict=True), start=1):
        name = path.name if isinstance(path, Path) else f"row {number}"
        if _has_frames(header):
            frames.append(name)
        if _loses(header):
            shallow.append(name)
    notes = []
    if frames:
        notes.append(
            f"{count_of(len(frames), 'file holds', 'files hold')} several pages or frames, "
            f"of which the first is read: {shorten(frames, SHOWN_FILES)}"
        )
    if shallow:
        notes.append(
            f"{count_of(len(shallow), 'file has', 'files have')} 16 bits a colour, "
            "of which the upper 8 are read; PNG files of 16 bits are read whole: "
            f"{shorten(shallow, SHOWN_FILES)}"
        )
    return notes


def _has_frames(header: Header | None) -> bool:
    return header is not None and header.has_frames


def _loses(header: Header | None) -> bool:
    return header is not None and header.loses_depth


def allocate(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return an array of zeros: in memory, or beyond 1 GiB in a file that ends with the process."""
    if int(np.prod(shape, dtype="int64")) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.zeros(shape, dtype=dtype)
    # The file loses its name at once; its bytes stay as long as they are mapped.
    with tempfile.NamedTemporaryFile(prefix="appline-images-") as file:
        return np.memmap(file.name, dtype=dtype, mode="w+", shape=shape)


def _in_threads(function: Callable[[Item], Any], items: Sequence[Item], what: str) -> list[Any]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(counted(pool.map(function, items), what, len(items)))
