"""Tables with the pixels of pictures, as a model is asked about them."""

from typing import Any, cast

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.vision.pictures import PictureFormat
from pipelines.vision.pixel_columns import FEWEST_PIXELS, named_as_pixels
from pipelines.vision.request import Request


def pixel_columns(frame: pd.DataFrame, wanted: PictureFormat) -> list[str] | None:
    """Return the columns that are pixels, such as `pixel0` to `pixel783`; None without such."""
    columns = named_as_pixels(frame)
    if len(columns) < FEWEST_PIXELS or shape_of(len(columns), wanted) is None:
        return None
    return columns


def shape_of(count: int, wanted: PictureFormat) -> tuple[int, int, int] | None:
    """Return the shape of an image of so many values: the model's, or a square one."""
    height, width = wanted.size
    if count == height * width * wanted.channels:
        return height, width, wanted.channels
    side = round((count / wanted.channels) ** 0.5)
    if side * side * wanted.channels == count:
        return side, side, wanted.channels
    return None


def of_pixels(
    frame: pd.DataFrame, columns: list[str], where: str, wanted: PictureFormat
) -> Request:
    shape = cast("tuple[int, int, int]", shape_of(len(columns), wanted))
    numbers = frame[columns].apply(pd.to_numeric, errors="coerce")
    gaps = numbers.isna().any(axis=1).to_numpy()
    x = numbers.to_numpy().reshape(-1, *shape)
    if not gaps.any() and (x == np.rint(x)).all():
        x = x.astype("int64")
    pictures: Any = x
    if gaps.any():
        problem = DataError("a pixel is missing or no number")
        pictures = [problem if gap else image for gap, image in zip(gaps, x, strict=True)]
    others = [name for name in frame.columns if name not in set(columns)]
    kept = frame[others].reset_index(drop=True)
    if not others:
        kept = pd.DataFrame({"image": list(map(str, range(len(x))))})
    names = [f"{where}: row {row}" for row in range(1, 1 + len(x))]
    note = f"{len(columns):,} columns are read as the pixels of images of {shape[0]}x{shape[1]}"
    return Request(frame=kept, pictures=pictures, names=names, notes=(note,))
