"""One image file to pixels in its own units, upright and opaque, or the reason why not."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Size: TypeAlias = tuple[int, int]  # height, width
# What the values of a file are: bytes, whole numbers of more than 8 bits, or floats.
Depth: TypeAlias = Literal["bytes", "deep", "float"]
ImageData: TypeAlias = Path | bytes

# Pillow knows more, such as EPS, for which it starts another program.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "TGA", "AVIF", "JPEG2000")
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values for images that lie on their side
GREY_MODES = ("1", "L", "LA", "I", "F")  # as Pillow calls them; I;16 and its kin are grey too
TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
DEEP_COLOUR_MODES = ("RGB", "RGBA", "LA")  # into which Pillow squeezes colours of 16 bits
ONE_FRAME = ("MPO",)  # photographs of telephones, with a preview that is no second frame
FIRST_BYTES = 64
HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc")
CONVERT_HEIC = "convert it, such as by `heif-convert a.heic a.jpg` (libheif) or a photo program"


class UnreadableImage(Exception):
    """A file is not an image that can be read; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the header of an image file says."""

    size: Size  # upright
    coloured: bool
    depth: Depth
    has_frames: bool  # several pages or frames, of which the first is read
    loses_depth: bool  # has 16 bits a colour, of which Pillow reads 8


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """An image `(height, width, channels)` in the units of its file."""

    x: np.ndarray
    depth: Depth


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep Pillow's warnings from the screen; to be entered in the main thread only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(path: ImageData) -> Header:
    """Return what a file's header says, without reading the pixels.

    Raises:
        UnreadableImage: it is no image, or too large.
    """
    with _opened(path) as image:
        has_deep_colours = _has_deep_colours(image)
        depth = _depth_of(image)
        size = (image.height, image.width)
        if _lies_on_its_side(image):
            size = (image.width, image.height)
        frames = image.format not in ONE_FRAME and getattr(image, "is_animated", False)
        if has_deep_colours and image.format == "PNG":
            depth = "deep"
        return Header(
            size=size,
            coloured=image.mode not in GREY_MODES and not image.mode.startswith("I"),
            depth=depth,
            has_frames=bool(frames),
            loses_depth=has_deep_colours and image.format != "PNG",
        )


def read_pixels(data: ImageData, channels: int) -> Pixels:
    """Return an image as `(height, width, channels)`: bytes as such, everything else as float32.

    `channels` is 1 or 3. Transparent images are laid on white.

    Raises:
        UnreadableImage: it is no image, truncated, too large, or holds NaN.
    """
    from PIL import ImageOps

    with _opened(data) as opened:
        if opened.format == "PNG" and _has_deep_colours(opened):
            return Pixels(x=_deep_colours(data, opened, channels), depth="deep")
        image = ImageOps.exif_transpose(opened)
        depth = _depth_of(image)
        if depth == "bytes":
            return Pixels(x=_opaque_bytes(image, channels), depth=depth)
        values = np.asarray(image).astype("float32")
        if not np.isfinite(values).all():
            raise UnreadableImage("holds NaN or infinity")
        return Pixels(x=np.repeat(values[..., None], channels, axis=-1), depth=depth)


@contextmanager
def _opened(data: ImageData) -> Iterator["Picture"]:
    from PIL import Image, UnidentifiedImageError

    if isinstance(data, Path) and not data.is_file():  # a pipe would be waited for
        raise UnreadableImage("is not a regular file")
    source = data if isinstance(data, Path) else io.BytesIO(data)
    try:
        with Image.open(source, formats=_formats()) as image:
            yield image
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(_what_instead(data)) from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableImage(
            f"declares more than {most:,} pixels, the most that are read; make it smaller"
        ) from None
    except Exception as error:  # Pillow raises errors of almost any kind for damaged files
        raise UnreadableImage("is truncated or damaged") from error


@cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow was built with."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _what_instead(data: ImageData) -> str:
    """Return what a file is that Pillow does not know."""
    first = data[:FIRST_BYTES] if isinstance(data, bytes) else b""
    if isinstance(data, Path):
        with data.open("rb") as file:
            first = file.read(FIRST_BYTES)
    if not first:
        return "is empty"
    if any(brand in first for brand in HEIC_BRANDS):
        return f"holds HEIC, whatever its name says; {CONVERT_HEIC}"
    if first.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS; fetch the file itself by `git lfs pull`"
    if first.lstrip().startswith(b"<"):
        return "holds a web page or XML, not an image"
    return "is not an image, or its header is damaged"


def _depth_of(image: "Picture") -> Depth:
    if image.mode == "F":
        return "float"
    if image.mode.startswith("I"):  # I, I;16, I;16B ...
        return "deep"
    return "bytes"


def _lies_on_its_side(image: "Picture") -> bool:
    # To look for EXIF in a PNG that has none Pillow would read all pixels.
    if image.format == "PNG" and "exif" not in image.info:
        return False
    return image.getexif().get(ORIENTATION, 1) in SIDEWAYS


def _has_deep_colours(image: "Picture") -> bool:
    """Return whether an image has 16 bits a colour, of which Pillow reads 8."""
    return image.mode in DEEP_COLOUR_MODES and any(
        ";16" in str(tile.args) for tile in getattr(image, "tile", ())
    )


def _deep_colours(data: ImageData, opened: "Picture", channels: int) -> np.ndarray:
    """Return a PNG of 16 bits a colour, which Pillow cannot read whole, as float32."""
    import tensorflow as tf

    raw = data if isinstance(data, bytes) else data.read_bytes()
    opened.load()  # finds out whether the file is whole
    x = tf.io.decode_png(raw, dtype="uint16").numpy().astype("float32")
    if x.shape[-1] in (2, 4):
        opacity = x[..., -1:] / 65535
        x = x[..., :-1] * opacity + 65535 * (1 - opacity)
    if channels == 1 and x.shape[-1] == 3:
        x = x @ np.asarray([[0.299], [0.587], [0.114]], "float32")  # as Pillow weighs colours
    return np.repeat(x, channels // x.shape[-1], axis=-1)


def _opaque_bytes(image: "Picture", channels: int) -> np.ndarray:
    from PIL import Image

    if image.mode in TRANSPARENT_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert({1: "L", 3: "RGB"}[channels])
    return np.asarray(image, dtype="uint8").reshape(image.height, image.width, channels)
