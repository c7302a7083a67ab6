"""The units of pixels: what a picture's values mean to a model, told from the values alone.

A file says how deep its values are. An array does not, and nor does JSON: the same rules stand here
for arrays in memory and, as operations of Keras, inside the model that is served.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from pipelines.errors import DataError
from pipelines.networks.plan import KerasTensor
from pipelines.vision.image_files import BYTE_SCALE, DEEPEST, LEVELS
from pipelines.vision.open_image import Size
from pipelines.vision.options import Resize
from pipelines.vision.sizes import BYTE_STEP

# By which a value may lie above the largest one of training before it is one of other units.
MARGIN = 1.1
TWELVE_BITS = 4095.0
TINY = 1e-12  # which no sum of weights is below that is not 0
DARK = 127.0  # a largest value of training up to this is no level of its own


def unit_of(scale: float) -> float:
    """Return the largest value that pixels could have had where the largest one seen is `scale`.

    Training images of up to .97 are fractions of 1, those of up to 251 are bytes. Digits from 0 to
    16 have a unit of their own.
    """
    if scale <= 1:
        return 1.0
    if scale <= DARK:
        return scale
    for level in LEVELS:
        if scale <= level:
            return level
    return scale


def factor_of(x: np.ndarray, unit: float) -> float:
    """Return what the values of a picture are multiplied by to come into a model's units.

    Values that fit are taken as they are. Fractions up to 1 are shares of `unit`; values beyond it
    are bytes, or of a detector of more bits.

    Raises:
        DataError: no images have such values, or they may mean two things.
    """
    lowest, largest = float(x.min(initial=0)), float(x.max(initial=0))
    if lowest < 0 or largest > DEEPEST:
        raise DataError(
            f"its values go from {lowest:,.6g} to {largest:,.6g}. Expected 0 to {unit:,.6g} as "
            "the training images, or 0 to 1, 255 or 65,535"
        )
    if largest <= 1:
        is_whole = bool((x == np.rint(x)).all())
        return 1.0 if is_whole else unit
    if x.dtype == np.uint8 and unit > BYTE_SCALE:
        return unit / BYTE_SCALE
    if largest <= unit * MARGIN:
        return 1.0
    require_one_meaning(largest, unit)
    return unit / _level(largest, unit)


def require_one_meaning(largest: float, unit: float) -> None:
    """Refuse a picture for a model of bytes that has 10 or 12 bits, or 16 and is nearly black.

    Raises:
        DataError: its largest value is in the range of both.
    """
    if unit > BYTE_SCALE or not max(BYTE_SCALE, unit * MARGIN) < largest <= TWELVE_BITS:
        return
    level = next(level for level in LEVELS if largest <= level)
    raise DataError(
        f"its values go up to {largest:,.6g}, and the training images' to {unit:,.6g}: it is of "
        f"{level:,.0f} at most, as of a detector, or nearly black among 0 to {DEEPEST:,}. Bring it "
        f"to the training's: multiply its values by {unit:g} / {level:.0f}, or by {unit:g} / "
        f"{DEEPEST}"
    )


def _level(largest: float, unit: float) -> float:
    """Return the largest value that pixels can have in the units of a picture beyond `unit`."""
    if unit <= BYTE_SCALE:
        return BYTE_SCALE if largest <= BYTE_SCALE and unit < BYTE_SCALE else float(DEEPEST)
    return next(level for level in LEVELS if largest <= level)


# ------------------------------------------------------------------------- as operations of Keras


def served_input(
    images: KerasTensor, size: Size, unit: float, how: Resize = "stretch"
) -> KerasTensor:
    """Return pictures `(batch, height, width, channels)` in a model's size and units.

    They come in any size, and in the units that `factor_of` knows. All operations are Keras' own,
    so that a saved model needs nothing of this project to be loaded.
    """
    ops = keras.ops
    largest = ops.max(images, axis=(1, 2, 3), keepdims=True)
    is_small = largest <= 1.0
    is_fraction = ops.logical_and(is_small, _has_fractions(images, 0.0))
    in_bytes = ops.where(is_small, images * BYTE_SCALE, images)
    is_whole = ops.logical_not(_has_fractions(in_bytes, BYTE_STEP))
    exact = ops.where(is_whole, ops.round(in_bytes), in_bytes)
    resized = resized_as_pillow(exact, size, how)
    resized = ops.where(is_whole, ops.round(resized), resized)
    of_fractions = ops.where(is_fraction, unit / BYTE_SCALE, 1 / BYTE_SCALE)
    factor = ops.where(is_small, of_fractions, _served_factor(largest, unit))
    scaled = resized * factor
    if unit < BYTE_SCALE:
        return scaled
    is_rounded = ops.logical_and(is_whole, ops.logical_not(is_small))
    return ops.where(is_rounded, ops.round(scaled), scaled)


def resized_as_pillow(images: KerasTensor, size: Size, how: Resize = "stretch") -> KerasTensor:
    """Return images `(batch, *size, channels)` as Pillow's bilinear filter resizes them.

    That is `sizes.resize` before it rounds. Keras' own antialiasing computes in 32 bits, which
    after rounding is another value once in some thousand pixels.
    """
    ops = keras.ops
    # Any numbers of which there are as many as rows, and as columns: the graph knows neither count.
    along = (ops.max(images, axis=(0, 2, 3)), ops.max(images, axis=(0, 1, 3)))
    spans = _spans((_count(along[0]), _count(along[1])), size, how)
    rows = _pillow_weights(along[0], size[0], spans[0])
    columns = _pillow_weights(along[1], size[1], spans[1])
    x = ops.einsum("bhwc,ow->bhoc", ops.cast(images, "float64"), columns)
    x = ops.cast(ops.cast(x, "float32"), "float64")  # what Pillow keeps between its two passes
    return ops.cast(ops.einsum("bhwc,oh->bowc", x, rows), "float32")


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Of rows or columns: the pixels that are taken of an image, and those that they come to fill.

    Each is the first one and how many there are.
    """

    taken: tuple[Any, Any]
    filled: tuple[Any, Any]


def _spans(old: tuple[Any, Any], new: Size, how: Resize) -> tuple[_Span, _Span]:
    """Return the span of rows and that of columns, as `sizes.resize` has them."""
    spans = []
    for axis, other in ((0, 1), (1, 0)):
        taken, filled = (0, old[axis]), (0, new[axis])
        if how == "crop":
            taken = _middle(old[axis], old[other] * new[axis] / new[other])
        elif how == "pad":
            filled = _middle(new[axis], new[other] * old[axis] / old[other])
        spans.append(_Span(taken=taken, filled=filled))
    return spans[0], spans[1]


def _middle(extent: Any, wanted: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
    ops = keras.ops
    count = ops.minimum(ops.maximum(ops.round(wanted), 1.0), extent)
    return ops.floor((extent - count) / 2), count


def _count(along: KerasTensor) -> KerasTensor:
    return keras.ops.sum(keras.ops.cast(keras.ops.ones_like(along), "float64"))


def _pillow_weights(along: KerasTensor, extent: int, span: _Span) -> KerasTensor:
    """Return the weight `(extent, pixels)` of each pixel of a row or column in each new one.

    `along` is `(pixels,)` numbers, of which there may be any number.
    """
    ops = keras.ops
    (first, count), (first_filled, filled) = span.taken, span.filled
    ones = ops.cast(ops.ones_like(along), "float64")
    # Their centres, counted from the first one that is taken.
    pixels = ops.expand_dims(ops.cumsum(ones) - 0.5 - first, 0)
    step = count / filled  # old pixels for a new one
    new_pixels = np.expand_dims(np.arange(extent, dtype="float64") + 0.5, 1)
    new_pixels = ops.subtract(new_pixels, first_filled)
    distances = ops.absolute(pixels - ops.multiply(step, new_pixels)) / ops.maximum(step, 1.0)
    is_taken = ops.logical_and(pixels > 0, pixels < count)
    weights = ops.where(is_taken, ops.maximum(1.0 - distances, 0.0), 0.0)
    weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), TINY)
    is_filled = ops.logical_and(new_pixels > 0, new_pixels < filled)
    return ops.where(is_filled, weights, 0.0)


def _has_fractions(images: KerasTensor, tolerance: float) -> KerasTensor:
    ops = keras.ops
    rests = ops.absolute(images - ops.round(images))
    return ops.max(rests, axis=(1, 2, 3), keepdims=True) > tolerance


def _served_factor(largest: KerasTensor, unit: float) -> KerasTensor:
    """Return `factor_of` for images of values beyond 1, by their largest values."""
    ops = keras.ops
    levels = [level for level in LEVELS if level > unit]
    if unit <= BYTE_SCALE:
        levels = [float(DEEPEST)] if unit == BYTE_SCALE else [BYTE_SCALE, float(DEEPEST)]
    factor = ops.ones_like(largest)
    bound = unit * MARGIN
    for level in levels:
        factor = ops.where(largest > bound, unit / level, factor)
        bound = level
    return factor
