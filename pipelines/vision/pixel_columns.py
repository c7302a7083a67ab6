"""Tables with the pixels of images, as MNIST and FER are passed on: a column or a word for each.

Nothing here needs TensorFlow: tables are read before it is imported.
"""

import re

import numpy as np
import pandas as pd

from pipelines.errors import DataError

PIXEL_COLUMN = re.compile(r"(pixels?|px|p|x|v|f)?[ _.-]?\d+([x_]\d+)*")
PIXELS_IN_A_CELL = r"\s*\d+(\.\d+)?(\s+\d+(\.\d+)?){15,}\s*"
LOOKED_AT = 100  # cells
FEWEST_PIXELS = 16  # columns with numbers for names, that they are an image's pixels


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


def named_as_pixels(frame: pd.DataFrame) -> list[str]:
    """Return the columns that are called as pixels are, such as `pixel0` and `1x28`."""
    return [name for name in frame.columns if PIXEL_COLUMN.fullmatch(str(name).lower())]


def training_images(frame: pd.DataFrame, where: str) -> "tuple[np.ndarray, list[str]] | None":
    """Return images `(n, height, width, channels)` and the columns they stand in, None without.

    Images are square, with one channel, else with three.

    Raises:
        DataError: a pixel is missing, or no whole number.
    """
    columns = named_as_pixels(frame)
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
