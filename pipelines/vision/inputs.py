"""What a person gives to `predict`, in any form, to pictures beside what was asked."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from pipelines.errors import DataError, shorten
from pipelines.io.folders import counted_endings, scan
from pipelines.io.paths import require_regular_file
from pipelines.io.standard_input import NAME as STANDARD_INPUT
from pipelines.io.standard_input import is_standard_input
from pipelines.io.tables import TABLE_SUFFIXES, Table, read_table
from pipelines.io.text_files import read_lines
from pipelines.pipeline import RawInput
from pipelines.vision.cells import from_cell
from pipelines.vision.image_files import SUFFIXES
from pipelines.vision.listed_paths import PATH_COLUMNS, content_of, existing_paths
from pipelines.vision.options import VisionPredictOptions
from pipelines.vision.path_tables import is_headerless, with_names_by_content
from pipelines.vision.pictures import PictureFormat
from pipelines.vision.pixel_columns import FEWEST_PIXELS, with_pixel_columns
from pipelines.vision.pixel_tables import of_pixels, pixel_columns, shape_of
from pipelines.vision.readers import FILES
from pipelines.vision.request import Asked, Request

NPZ_NAMES = ("x", "x_test", "x_train")  # of the array to predict, the first that is there
# Of tables in memory, as a request over HTTP has them.
CONTENT_COLUMNS = ("b64", "base64", "bytes", "image_bytes", "content", "data", "pixels", "x")
SHOWN_NAMES = 4  # of the usual columns of paths
SHOWN_LINKS = 3


def read_request(
    source: RawInput,
    wanted: PictureFormat,
    options: VisionPredictOptions,
    *,
    is_remote: bool = False,
) -> Request:
    """Return the pictures of an array, a table, a folder or a file.

    A table that `is_remote` holds pictures alone: paths in it would be read on this machine.

    Raises:
        DataError: it is none of these, holds no pictures, or a path in it leads nowhere. With
            `skip_unreadable` such a path is the reason of one picture.
    """
    if isinstance(source, np.ndarray):
        return _of_array(source, wanted)
    if isinstance(source, pd.DataFrame):
        root = None if is_remote else Path(options.image_root).expanduser()
        return _of_frame(source, wanted, options, root)
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder. Expected an image, a folder of images, a table of "
            "paths, or an NPZ file with x"
        )
    require_regular_file(path)
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy"):
        return _of_array(_read_arrays(path), wanted)
    if suffix == ".txt":
        return _of_list(path, options)
    if suffix in TABLE_SUFFIXES:
        return _of_table(path, wanted, options)
    return _of_files([path])


# ------------------------------------------------------------------------------ files


def _of_files(paths: Sequence[Path], notes: Sequence[str] = ()) -> Request:
    names = [STANDARD_INPUT if is_standard_input(path) else str(path) for path in paths]
    frame = pd.DataFrame({"image": names})
    return Request(frame=frame, pictures=list(paths), names=names, notes=tuple(notes))


def _of_folder(path: Path) -> Request:
    found = scan(path, FILES)
    files = sorted(found.all_files())
    others = sum((folder.others for folder in found.walk()), start=type(found.others)())
    links = [str(link) for folder in found.walk() for link in folder.links]
    if not files:
        holds = f" It holds {counted_endings(others)}." if others else ""
        raise DataError(f"{path}: holds no image files.{holds} Read are {' '.join(SUFFIXES)}")
    notes = []
    if others:
        count = others.total()
        file_word = "file that is no image" if count == 1 else "files that are no images"
        remedies = [FILES.remedies[ending] for ending in others if ending in FILES.remedies]
        note = f"{path}: {count:,} {file_word} left out: {counted_endings(others)}"
        notes.append("; ".join([note, *dict.fromkeys(remedies)]))
    if links:
        notes.append(
            f"{path}: links out of the folder or to folders are not followed: "
            f"{shorten(links, SHOWN_LINKS)}"
        )
    return _of_files(files, notes)


def _of_list(path: Path, options: VisionPredictOptions) -> Request:
    """Return the images of a file with a path on each line."""
    texts, lines = [], []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            texts.append(line.strip())
            lines.append(number)
    if not texts:
        raise DataError(f"{path}: holds no paths. Expected the path of an image on each line")
    texts = [_without_label(text) for text in texts]
    names = np.asarray(texts, dtype=object)
    pictures: Sequence[Asked]
    if is_standard_input(path):
        # Typed or found by the caller: below no folder but where the command runs.
        root = Path(options.image_root).expanduser()
        pictures = [root / text for text in texts]
    else:
        pictures = _paths(names, np.asarray(lines), path, options)
    return Request(frame=pd.DataFrame({"image": texts}), pictures=pictures, names=texts)


def _without_label(line: str) -> str:
    """Return the path of `images/cat/1.jpg 0`, as lists for training have it."""
    first = line.rpartition(" ")[0].strip()
    is_labelled = first.lower().endswith(SUFFIXES) and not line.lower().endswith(SUFFIXES)
    return first if is_labelled else line


def _paths(
    names: np.ndarray, lines: np.ndarray, path: Path, options: VisionPredictOptions
) -> list[Asked]:
    """Return the paths that a file lists, or with `skip_unreadable` why there is none."""
    try:
        return list(existing_paths(names, lines, path, options.image_root))
    except DataError as error:
        if not options.skip_unreadable:
            raise
        if len(names) == 1:
            absent = str(error).partition("images do not exist. ")[2]
            return [DataError(f"does not exist: {absent}") if absent else error]
    # The bad ones are found by halving.
    middle = len(names) // 2
    first = _paths(names[:middle], lines[:middle], path, options)
    return first + _paths(names[middle:], lines[middle:], path, options)


# ------------------------------------------------------------------------------ tables


def _of_table(path: Path, wanted: PictureFormat, options: VisionPredictOptions) -> Request:
    table = read_table(path, drop_long=options.skip_unreadable)
    if is_headerless(table):
        table = with_names_by_content(table)
    column = _path_column(table.frame, str(path), wanted, options)
    if column is None:
        frame = with_pixel_columns(table.frame)
        pixels = pixel_columns(frame, wanted)
        if pixels is None:
            raise _no_pictures(str(path), table)
        return of_pixels(frame, pixels, str(path), wanted)
    notes = [*table.notes, f"{path.name}: {table.describe_columns({'path': column})}"]
    cells = [content_of(cell) for cell in table.frame[column]]
    contents = [cell for cell in cells if isinstance(cell, bytes)]
    if len(contents) == len(cells):
        # As in Parquet files of Hugging Face: nobody wants the bytes back.
        names = [f"row {row}" for row in range(1, 1 + len(contents))]
        shown = table.frame.assign(**{column: names})
        return Request(frame=shown, pictures=contents, names=names, notes=tuple(notes))
    pictures = _paths(table.frame[column].to_numpy(dtype=object), table.lines, path, options)
    names = []
    for line, cell in zip(table.lines, table.frame[column], strict=True):
        names.append(f"{path}: line {line}: {cell}")
    return Request(frame=table.frame, pictures=pictures, names=names, notes=tuple(notes))


def _no_pictures(where: str, table: Table) -> DataError:
    expected = ", ".join(PATH_COLUMNS[:SHOWN_NAMES])
    return DataError(
        f"{where}: has no column of paths. Expected one called {expected}; another one: "
        f"--path-column NAME. Its columns: {shorten(table.columns, 2 * SHOWN_NAMES)}"
    )


def _path_column(
    frame: pd.DataFrame, where: str, wanted: PictureFormat, options: VisionPredictOptions
) -> str | None:
    table = Table(frame, Path(where))
    given = options.path_column
    if not given and wanted.path_column in table.columns:
        given = wanted.path_column
    column = table.find_column(given, PATH_COLUMNS, role="path", flag="--path-column")
    if given:
        return column
    if column is None and len(frame.columns) == 1:
        return str(frame.columns[0])
    # What the values are counts for more than what a column is called: an `id` may be a number.
    if column is None or not _ends_as_images(frame[column]):
        for other in frame.columns:
            if _ends_as_images(frame[other]) or isinstance(content_of(frame[other].iloc[0]), bytes):
                return str(other)
    return column


def _ends_as_images(column: pd.Series) -> bool:
    texts = [value.strip().lower() for value in column if isinstance(value, str)]
    return bool(texts) and sum(text.endswith(SUFFIXES) for text in texts) * 2 > len(column)


def _of_frame(
    frame: pd.DataFrame,
    wanted: PictureFormat,
    options: VisionPredictOptions,
    root: Path | None,
) -> Request:
    """Return the images of a table in memory: paths, bytes, base64 or arrays in a column.

    Paths are read from `root`, without which none is.
    """
    if not len(frame):
        raise DataError("the table holds no rows, so there is nothing to answer")
    frame = frame.rename(columns=str)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DataError(f"the table has several columns of the name {twice[0]!r}. Rename them")
    column = _path_column(frame, "the table", wanted, options)
    if column is None:
        column = Table(frame, Path("the table")).find_column(
            "", CONTENT_COLUMNS, role="image", flag=""
        )
    pixels = pixel_columns(frame, wanted)
    if pixels is None and column is None and len(frame.columns) >= FEWEST_PIXELS:
        every = list(frame.columns)
        are_numbers = all(pd.api.types.is_numeric_dtype(frame[name]) for name in every)
        pixels = every if are_numbers and shape_of(len(every), wanted) else None
    if column is None and pixels is not None:
        return of_pixels(frame, pixels, "the table", wanted)
    if column is None:
        raise DataError(
            "the table has no column of images. Expected one called image, with paths, bytes or "
            f"base64. Its columns: {shorten(list(frame.columns), 2 * SHOWN_NAMES)}"
        )
    pictures = [_asked_of(cell, root) for cell in frame[column]]
    names = [f"row {row}" for row in range(1, 1 + len(pictures))]
    return Request(frame=_shown(frame, column), pictures=pictures, names=names)


def _asked_of(cell: object, root: Path | None) -> Asked:
    try:
        return from_cell(cell, root)
    except DataError as reason:
        return reason


def _shown(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a table whose images are paths or numbers of rows: nobody wants base64 back."""
    shown = []
    for row, cell in enumerate(frame[column]):
        is_path = isinstance(cell, Path) or (isinstance(cell, str) and len(cell) <= 255)
        shown.append(cell if is_path else str(row))
    frame = frame.reset_index(drop=True)
    return frame.assign(**{column: shown})


# ------------------------------------------------------------------------------ arrays


def _of_array(x: np.ndarray, wanted: PictureFormat) -> Request:
    if x.dtype.kind in "USO" and (x.ndim == 1 or x.ndim == 0):
        cells = pd.DataFrame({"image": list(x.ravel())})
        return _of_frame(cells, wanted, VisionPredictOptions(), Path())
    if x.dtype.kind not in "biuf":
        raise DataError(f"An image is an array of numbers. Received: dtype {x.dtype}")
    pictures = _one_or_many(x, wanted)
    names = list(map(str, range(len(pictures))))
    return Request(
        frame=pd.DataFrame({"image": names}),
        pictures=pictures,
        names=[f"image {name}" for name in names],
    )


def _one_or_many(x: np.ndarray, wanted: PictureFormat) -> np.ndarray:
    """Return one image or many as `(n, height, width, channels)`."""
    channels = wanted.channels
    readable = {channels}
    if channels in (1, 3):
        readable = {1, 2, 3, 4}
    if x.ndim == 1 and x.size >= FEWEST_PIXELS:
        x = x[None]
    if x.ndim == 2 and x.shape != wanted.size and _is_flat(x, wanted):
        return x.reshape(-1, *cast("tuple[int, int, int]", shape_of(x.shape[1], wanted)))
    if x.ndim == 2:
        x = x[None]
    if x.ndim == 3:
        x = _three_dimensions(x, wanted, readable)
    if x.ndim != 4 or x.shape[-1] not in readable:
        hint = ""
        if x.ndim == 4 and x.shape[1] in (1, 3):
            hint = " (do the channels stand first? they belong last: np.moveaxis(x, 1, -1))"
        raise DataError(
            f"Expected images of shape (n, height, width, {channels}){hint}. Received: {x.shape}"
        )
    if not len(x):
        raise DataError("The array holds no images, so there is nothing to answer")
    return x


def _is_flat(x: np.ndarray, wanted: PictureFormat) -> bool:
    """Return whether each row of a matrix is an image of the model's size."""
    height, width = wanted.size
    count = height * width * wanted.channels
    return bool(x.shape[1] == count >= FEWEST_PIXELS)


def _three_dimensions(x: np.ndarray, wanted: PictureFormat, readable: set[int]) -> np.ndarray:
    last = x.shape[-1]
    if last == wanted.channels > 1 or (last in readable and last < min(wanted.size[1], 5)):
        return x[None]
    if wanted.channels > 1 and x.shape[0] == wanted.channels:
        raise DataError(
            f"Expected an image of shape (height, width, {wanted.channels}). Received: {x.shape}. "
            "Do the channels stand first? They belong last: np.moveaxis(x, 0, -1)"
        )
    return x[..., None]


def _read_arrays(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return found
            with found as archive:
                for name in NPZ_NAMES:
                    if name in archive.files:
                        return np.asarray(archive[name])
                listed = ", ".join(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = "is truncated, or no such file at all"
        if "pickle" in str(error) or "Object arrays" in str(error):
            reason = "it holds pickled objects, which could run code when read"
        raise DataError(f"{path}: cannot be read: {reason}") from error
    raise DataError(f"{path}: expected an array x. Found: {listed}")
