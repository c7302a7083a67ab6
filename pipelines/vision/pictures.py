"""One picture in any form, a file, bytes or an array, to the pixels that a trained model takes."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pipelines.errors import DataError
from pipelines.vision.image_files import BYTE_SCALE, DEEPEST, in_units_of
from pipelines.vision.open_image import Pixels, Size, UnreadableImage, read_pixels, without_warnings
from pipelines.vision.options import Resize
from pipelines.vision.sizes import BYTE_STEP, CHANGED, DONE, resize
from pipelines.vision.units import factor_of, require_one_meaning, unit_of

# A file, its content, or pixels.
Picture: TypeAlias = Path | bytes | np.ndarray

FILE_CHANNELS = (1, 3)
LUMINANCE = (0.299, 0.587, 0.114)  # as Pillow weighs red, green and blue


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """What a model takes: its size, its channels, and the range of its training images.

    `resize` is what happens to pictures of other proportions. `path_column` held the paths in the
    table that it was trained on; empty where it was guessed.
    """

    size: Size
    channels: int
    lowest: float
    scale: float  # the largest value
    resize: Resize = "stretch"
    path_column: str = ""

    @property
    def unit(self) -> float:
        """The largest value that pixels can have; see `unit_of`."""
        return unit_of(self.scale)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Pixels `(height, width, channels)` float32 in a model's size and units.

    `remarks` say what was done to the picture, after "so many images". `side` is its own shorter
    side in pixels.
    """

    x: np.ndarray
    side: int
    remarks: tuple[str, ...] = ()


def fit_picture(picture: Picture, wanted: PictureFormat) -> Fitted:
    """Return a picture in a model's size and units.

    Raises:
        DataError: it cannot be read or brought to them; the message is the reason alone.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture, wanted)
    return _from_file(picture, wanted)


def _from_file(data: Path | bytes, wanted: PictureFormat) -> Fitted:
    if wanted.channels not in FILE_CHANNELS:
        raise DataError(
            f"the model takes images with {wanted.channels} channels; an image file has 1 or 3. "
            "Give the model an NPZ file or an array"
        )
    if isinstance(data, Path) and not data.exists():
        raise DataError("there is no such file")
    if data == b"":
        raise DataError("is empty")
    try:
        with without_warnings():
            pixels = read_pixels(data, wanted.channels)
    except UnreadableImage as reason:
        raise DataError(str(reason)) from None
    if wanted.lowest < 0 and pixels.depth == "bytes":
        raise DataError(
            f"it holds bytes, and the model was trained on values from {wanted.lowest:,.6g} to "
            f"{wanted.scale:,.6g}. Expected an array that was standardised as the training images"
        )
    if pixels.depth != "float":
        require_one_meaning(float(pixels.x.max(initial=0)), wanted.unit)
    resized = Pixels(x=resize(pixels.x, wanted.size, wanted.resize), depth=pixels.depth)
    return Fitted(
        x=in_units_of(resized, wanted.unit).astype("float32"),
        side=min(pixels.x.shape[:2]),
        remarks=_of_other_proportions(pixels.x, wanted),
    )


def _of_other_proportions(x: np.ndarray, wanted: PictureFormat) -> tuple[str, ...]:
    height, width = wanted.size
    proportions = x.shape[1] / x.shape[0]
    if abs(proportions / (width / height) - 1) <= CHANGED:
        return ()
    return (f"of other proportions than {height}x{width}, {DONE[wanted.resize]}",)


def _from_array(x: np.ndarray, wanted: PictureFormat) -> Fitted:
    if x.dtype.kind not in "biuf":
        raise DataError(f"an image is an array of numbers. Received: dtype {x.dtype}")
    if not x.size:
        raise DataError(f"the image has no pixels: its shape is {x.shape}")
    if x.ndim == 2:
        x = x[..., None]
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError("the image holds NaN or infinity")
    if x.dtype == bool:
        x = x.astype("uint8") * np.uint8(BYTE_SCALE)
    x = _with_channels(x, wanted.channels)
    remarks = _of_other_proportions(x, wanted)
    if wanted.lowest < 0:
        _require_standardised(x, wanted)
        x, side = resize(x, wanted.size, wanted.resize), min(x.shape[:2])
        return Fitted(x=x.astype("float32"), side=side, remarks=remarks)
    unit, factor = wanted.unit, factor_of(x, wanted.unit)
    largest = float(x.max())
    resized = resize(x, wanted.size, wanted.resize).astype("float32") * np.float32(factor)
    if factor != 1:
        remarks = (*remarks, f"brought from 0 to {unit / factor:,.6g} to the model's {unit:,.6g}")
        if unit >= BYTE_SCALE and largest > 1:
            resized = np.rint(resized)
    elif largest == 1 < unit:
        remarks = (
            *remarks,
            f"of nothing but 0 and 1, which is nearly black for a model of 0 to {unit:,.6g}; "
            "multiply them where 1 is white",
        )
    return Fitted(x=resized, side=min(x.shape[:2]), remarks=remarks)


def _require_standardised(x: np.ndarray, wanted: PictureFormat) -> None:
    """Refuse values far out of a range for which there is no rule."""
    spread = wanted.scale - wanted.lowest
    lowest, largest = float(x.min()), float(x.max())
    if lowest < wanted.lowest - spread or largest > wanted.scale + spread:
        raise DataError(
            f"its values go from {lowest:,.6g} to {largest:,.6g}, those of the training images "
            f"from {wanted.lowest:,.6g} to {wanted.scale:,.6g}. Expected an array that was "
            "standardised as they were"
        )


def _with_channels(x: np.ndarray, channels: int) -> np.ndarray:
    """Return an array with so many channels, by the rules for files."""
    if x.shape[-1] == channels:
        return x
    if channels not in FILE_CHANNELS or x.ndim != 3 or x.shape[-1] not in (1, 2, 3, 4):
        raise DataError(
            f"expected images of shape (height, width, {channels}). Received: {x.shape}"
        )
    if x.shape[-1] == 1:
        return np.repeat(x, channels, axis=-1)
    in_bytes = _bytes_of(x)
    if in_bytes is not None:
        converted = read_pixels(_as_file(in_bytes), channels).x
        if x.max(initial=0) <= 1 and x.dtype.kind == "f":
            return np.asarray(converted / np.float32(BYTE_SCALE))
        return converted
    x = x.astype("float32")
    if x.shape[-1] in (2, 4):
        full = np.float32(1 if x.max() <= 1 else DEEPEST)
        opacity = x[..., -1:] / full
        x = x[..., :-1] * opacity + full * (1 - opacity)
    if channels == 1:
        return np.asarray(x @ np.asarray(LUMINANCE, "float32")[:, None])
    return np.repeat(x, channels // x.shape[-1], axis=-1)


def _bytes_of(x: np.ndarray) -> np.ndarray | None:
    """Return the bytes that an array holds in whatever type, None if it holds other values."""
    if x.dtype == np.uint8:
        return x
    largest = float(x.max())
    values = x * np.float32(BYTE_SCALE) if x.dtype.kind == "f" and largest <= 1 else x
    whole = np.rint(values)
    if largest > BYTE_SCALE or (np.abs(values - whole) > BYTE_STEP).any() or whole.min() < 0:
        return None
    return np.asarray(whole.astype("uint8"))


def _as_file(x: np.ndarray) -> bytes:
    """Return bytes with 2 to 4 channels as an image file, so that Pillow converts them as such."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(x).save(file, "PNG", compress_level=0)
    return file.getvalue()
