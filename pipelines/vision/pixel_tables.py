"""Tables with the pixels of images, as MNIST and FER are passed on: a column or a word for each."""

import re
from typing import Any, cast

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.vision.pictures import PictureFormat
from pipelines.vision.request import Request

PIXEL_COLUMN = re.compile(r"(pixels?|px|p|x|v|f)?[ _.-]?\d+([x_]\d+)*")
PIXELS_IN_A_CELL = r"\s*\d+(\.\d+)?(\s+\d+(\.\d+)?){15,}\s*"
LOOKED_AT = 100  # cells
FEWEST_PIXELS = 16  # columns with numbers for names, that they are an image's pixels


def pixel_columns(frame: pd.DataFrame, wanted: PictureFormat) -> list[str] | None:
    """Return the columns that are pixels, such as `pixel0` to `pixel783`; None without such."""
    columns = [name for name in frame.columns if PIXEL_COLUMN.fullmatch(str(name).lower())]
    if len(columns) < FEWEST_PIXELS or shape_of(len(columns), wanted) is None:
        return None
    return columns


def with_pixel_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column for each pixel where one column holds them all, with blanks.

    So does the column `pixels` of FER2013. Other tables are returned as they are.
    """
    for name in frame.columns:
        cells = frame[name]
        if not cells.head(LOOKED_AT).astype(str).str.fullmatch(PIXELS_IN_A_CELL).all():
            continue
        rows = cells.astype(str).str.split(expand=True)
        rows.columns = pd.Index([f"pixel{number}" for number in range(rows.shape[1])])
        if len(rows.columns) >= FEWEST_PIXELS:
            return pd.concat([frame.drop(columns=name), rows], axis=1)
    return frame


def training_images(frame: pd.DataFrame, where: str) -> "tuple[np.ndarray, list[str]] | None":
    """Return images `(n, height, width, channels)` and the columns they stand in, None without.

    Images are square, with one channel, else with three.

    Raises:
        DataError: a pixel is missing, or no whole number.
    """
    columns = [name for name in frame.columns if PIXEL_COLUMN.fullmatch(str(name).lower())]
    sides = {channels: round((len(columns) / channels) ** 0.5) for channels in (1, 3)}
    fits = [channels for channels, side in sides.items() if side**2 * channels == len(columns)]
    if len(columns) < FEWEST_PIXELS or not fits:
        return None
    numbers = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype="float64")
    wrong = np.isnan(numbers).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax()) + 1
        raise DataError(f"{where}: row {row}: a pixel is missing or no number")
    side = sides[fits[0]]
    x = numbers.reshape(-1, side, side, fits[0])
    is_bytes = bool((x == np.rint(x)).all()) and x.min() >= 0 and x.max() <= 255
    return (x.astype("uint8") if is_bytes else x.astype("float32")), columns


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
