"""Paths of images as tables and lists name them, for training and for prediction."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pipelines.errors import DataError

PATH_COLUMNS = (
    "path",
    "file",
    "filename",
    "image",
    "filepath",
    "image_path",
    "file_name",
    "img",
)
SHOWN_PATHS = 5


def existing_paths(
    names: Iterable[object], lines: Sequence[int] | np.ndarray, table: Path
) -> list[Path]:
    """Return the paths of the images that a column of the file `table` names.

    `lines` are the lines of its rows, for messages.

    Raises:
        DataError: a path leads out of the table's folder, or there is no such file.
    """
    paths = []
    absent = []
    for line, name in zip(lines, names, strict=True):
        path = _inside(table, str(name), line)
        paths.append(path)
        if not path.is_file():
            absent.append(f"line {line}: {path}")
    if absent:
        raise DataError(
            f"{table}: {len(absent)} of {len(paths)} images do not exist. "
            f"{'; '.join(absent[:SHOWN_PATHS])}. Paths are read from {table.parent}"
        )
    return paths


def _inside(table: Path, name: str, line: int) -> Path:
    """Return the path of an image, and refuse one that leads out of the table's folder."""
    # A table from somebody else must not bring other files of this machine into the data.
    root = table.parent.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise DataError(
            f"{table}: line {line}: the path {name!r} leads out of {table.parent}. "
            "Paths are below the table's own folder"
        )
    return path
