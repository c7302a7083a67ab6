"""The size that all images get, and the one function that brings a picture to it."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.vision.open_image import Size
from pipelines.vision.options import Resize

LARGEST_NATIVE = 96  # images that agree in size keep it up to here
SMALLEST_SIDE, LARGEST_SIDE = 8, 128  # of images that are resized without being told to what
SAME_SHAPE = 0.05  # by which the proportions of a data set's images may differ
SAME_SHAPE_SHARE = 0.95  # of the images whose proportions the common size keeps
BYTE_STEP = 1e-3  # within which a fraction such as x / 255 counts as a byte
CHANGED = 0.1  # difference of proportions from which on it is said
# What is said to happen to images of other proportions.
DONE: Mapping[Resize, str] = {
    "stretch": "stretched to it",
    "crop": "cropped to it",
    "pad": "padded to it",
}


def resize(image: np.ndarray, size: Size, how: Resize = "stretch") -> np.ndarray:
    """Return an image `(height, width, channels)` in another size, of the same type.

    It is Pillow's bilinear filter, which takes all pixels of a large image into account, one
    channel at a time. Training and prediction both come here, whatever the form of a picture: whole
    numbers stay whole, and fractions that are bytes divided by 255 are rounded as those bytes are.

    Where the proportions differ, "crop" takes the middle of the image alone, and "pad" puts zeros
    beside the whole of it.
    """
    from PIL import Image

    if image.shape[:2] == tuple(size):
        return image
    x, divisor = _as_whole_numbers(image)
    taken, (rows, columns) = _areas((image.shape[0], image.shape[1]), size, how)
    to = (columns.stop - columns.start, rows.stop - rows.start)
    resized = np.zeros((*size, image.shape[-1]), dtype="float32")
    for number, channel in enumerate(np.moveaxis(x[taken], -1, 0)):
        # Pillow rounds bytes twice: they and floats of the same values would differ.
        picture = Image.fromarray(np.ascontiguousarray(channel, dtype="float32"))
        resized[rows, columns, number] = picture.resize(to, Image.Resampling.BILINEAR)
    if divisor:
        resized = np.rint(resized) / np.float32(divisor)
    return resized.astype(image.dtype)


def _areas(old: Size, new: Size, how: Resize) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the rows and columns that are taken of an image, and those that they come to fill.

    `units` has the same as operations of Keras, inside the model that is served.
    """
    taken = [slice(0, extent) for extent in old]
    filled = [slice(0, extent) for extent in new]
    for axis, other in ((0, 1), (1, 0)):
        if how == "crop":
            taken[axis] = _middle(old[axis], old[other] * new[axis] / new[other])
        elif how == "pad":
            filled[axis] = _middle(new[axis], new[other] * old[axis] / old[other])
    return (taken[0], taken[1]), (filled[0], filled[1])


def _middle(extent: int, wanted: float) -> slice:
    """Return the middle of an extent, as many pixels as wanted, at least 1."""
    count = min(max(round(wanted), 1), extent)
    first = (extent - count) // 2
    return slice(first, first + count)


def _as_whole_numbers(image: np.ndarray) -> tuple[np.ndarray, int]:
    """Return an image in whole numbers and by what these were multiplied, 0 if it has none."""
    if image.dtype.kind in "biu":
        return image, 1
    factor = 255 if image.max(initial=0) <= 1 else 1
    multiplied = image * np.float32(factor)
    whole = np.rint(multiplied)
    # Half precision keeps a byte to within an eighth.
    step = BYTE_STEP if image.dtype != np.float16 else 0.2
    if (np.abs(multiplied - whole) <= step).all():
        return whole, factor
    return image, 0


def target_size(
    sizes: Sequence[Size], asked: int, how: Resize = "stretch"
) -> tuple[Size, tuple[str, ...]]:
    """Return the (height, width) that all images get, with notes where that changes them.

    Where nearly all have the same proportions, their size keeps these.
    """
    if not sizes:
        side = asked or LARGEST_NATIVE
        return (side, side), ()
    distinct = set(sizes)
    first = next(iter(distinct))
    if asked:
        size: Size = (asked, asked)
        return size, _proportions_note(sizes, size, how)
    if len(distinct) == 1 and max(first) <= LARGEST_NATIVE:
        return first, ()
    size = _common_size(sizes)
    received = f"{first[0]}x{first[1]}"
    if len(distinct) > 1:
        received = f"{len(distinct):,} different sizes"
    note = (
        f"images of {received} are resized to {size[0]}x{size[1]}; choose another with --image-size"
    )
    return size, (note, *_proportions_note(sizes, size, how))


def _common_size(sizes: Sequence[Size]) -> Size:
    shapes = np.asarray(sizes, dtype="float64")
    proportions = shapes[:, 1] / shapes[:, 0]
    usual = float(np.median(proportions))
    alike = np.abs(proportions / usual - 1) <= SAME_SHAPE
    if alike.mean() < SAME_SHAPE_SHARE or abs(usual - 1) <= SAME_SHAPE:
        side = _bounded(float(np.median(shapes.min(axis=1))))
        return side, side
    longest = min(LARGEST_SIDE, float(np.median(shapes.max(axis=1))))
    height, width = longest, longest * usual
    if usual > 1:
        height, width = longest / usual, longest
    return _bounded(height), _bounded(width)


def _bounded(side: float) -> int:
    return max(SMALLEST_SIDE, min(LARGEST_SIDE, round(side)))


def _proportions_note(sizes: Sequence[Size], size: Size, how: Resize) -> tuple[str, ...]:
    """Return a note where images have other proportions than their common size."""
    shapes = np.asarray(sizes, dtype="float64")
    proportions = shapes[:, 1] / shapes[:, 0]
    changed = np.abs(proportions / (size[1] / size[0]) - 1) > CHANGED
    if not changed.any():
        return ()
    lowest, highest = proportions[changed].min(), proportions[changed].max()
    others = " or ".join(f"--resize {other}" for other in DONE if other != how)
    return (
        f"{int(changed.sum()):,} of {len(sizes):,} images have other proportions than "
        f"{size[0]}x{size[1]} (width / height from {lowest:.2f} to {highest:.2f}) and are "
        f"{DONE[how]}; otherwise: {others}",
    )
