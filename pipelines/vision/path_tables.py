"""Tables of images' paths and labels: which column is which, and classes in a column each."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.headers import normal_name
from pipelines.io.layouts import LabelledFile
from pipelines.io.parts import PART_NAMES
from pipelines.io.several_labels import several_in_one
from pipelines.io.tables import DELIMITED_SUFFIXES, Table, cell_text, read_table
from pipelines.io.text_files import plain_suffix
from pipelines.splits import Part
from pipelines.vision import coco
from pipelines.vision.image_files import SUFFIXES
from pipelines.vision.images import Images, ImageSource
from pipelines.vision.listed_paths import PATH_COLUMNS, content_of, existing_paths
from pipelines.vision.options import VisionOptions
from pipelines.vision.pixel_columns import FEWEST_PIXELS, training_images, with_pixel_columns
from pipelines.vision.sizes import resize

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = (
    *("label", "class", "target", "category", "labels", "class_name", "classname", "y"),
    *("class_id", "label_name", "diagnosis", "dx", "breed", "species", "category_id", "emotion"),
)
# How the names of other columns of labels end, such as `Finding Labels`.
LABEL_WORDS = ("label", "labels", "class", "category", "diagnosis", "species", "breed")
SHOWN_COLUMNS = 10
SHOWN_LINES = 5
ZEROS, ONES = frozenset({"0", "0.0"}), frozenset({"1", "1.0"})
FEWEST_ONE_HOT = 2


@dataclass(frozen=True, kw_only=True)
class ListedFiles:
    """The labelled files of a table, and sentences on how it was read."""

    files: list[LabelledFile]
    notes: tuple[str, ...]


def read(path: Path, options: VisionOptions) -> ListedFiles | ImageSource:
    """Read a table of labelled images: one that names their files, or one that holds their pixels.

    Raises:
        DataError: a column is missing, a row has no label or several, a pixel is none, or an image
            does not exist.
    """
    table = _read_table(path, options)
    drawn = _with_pixels(table, path, options)
    return _with_paths(table, path, options) if drawn is None else drawn


def _with_paths(table: Table, path: Path, options: VisionOptions) -> ListedFiles:
    """Read a column of paths, one of labels or one of 0 and 1 a class, perhaps one of parts."""
    notes = list(table.notes)
    if not table.has_header or is_headerless(table):
        table = with_names_by_content(table)
        notes = [f"{path.name}: no header; its columns are taken for {', '.join(table.columns)}"]
    path_column = _path_column(table, options.path_column)
    split_column = table.split_column()
    group_column = table.find_column(options.group_column, (), role="groups", flag="--group-column")
    given = {path_column, split_column, group_column}
    columns, labels = _read_labels(table, options.label_column, given, notes)
    roles = {
        "path": path_column,
        "label": columns,
        "split": split_column,
        "group": group_column,
    }
    notes.append(table.describe_columns(roles))
    labelled = np.asarray([bool(label) for label in labels])
    if not labelled.all():
        notes.append(_note_unlabelled(table, labelled, columns, drop=options.drop_missing))
    kept = np.flatnonzero(labelled)
    cells = [content_of(cell) for cell in table.frame[path_column].iloc[kept]]
    contents = [cell if isinstance(cell, bytes) else b"" for cell in cells]
    if all(contents):
        notes.append(f"column {path_column!r} holds the images themselves")
        paths = [Path(f"row {row + 1}") for row in kept]
    else:
        paths = existing_paths(cells, table.lines[kept], path, options.image_root)
    parts = table.parts(split_column)
    groups = np.full(len(labels), "", dtype=object)
    if group_column is not None:
        groups = table.identifiers(group_column)
    files = []
    for row, image, content in zip(kept, paths, contents, strict=True):
        files.append(LabelledFile(parts[row], image, labels[row], str(groups[row]), content))
    once = list(dict.fromkeys(files))
    if len(once) < len(files):
        notes.append(
            f"{count_of(len(files) - len(once), 'row')} left out that name an image again with the "
            "same label, as tables of boxes do"
        )
    return ListedFiles(files=once, notes=tuple(notes))


def _read_labels(
    table: Table, given: str, taken: set[str | None], notes: list[str]
) -> tuple[list[str], list[str]]:
    """Return the columns of labels, and the label of each row, "" where it has none."""
    column = _label_column(table, given, taken)
    if column is None:
        columns = _one_hot_columns(table, taken)
        notes.append(f"the class is the one of {shorten(columns, SHOWN_COLUMNS)} that is 1")
        return columns, _one_hot_labels(table, columns)
    labels = [str(name).strip() for name in table.identifiers(column)]
    several = several_in_one(labels)
    if several:
        notes.append(f"column {column!r}: {several}. Images of several labels cannot be learned")
    return [column], labels


def _read_table(path: Path, options: VisionOptions) -> Table:
    """Return the table in a file, or that of the images in annotations as COCO has them."""
    import pandas as pd

    labels = coco.labels_of(path) if plain_suffix(path) == ".json" else None
    if labels is None:
        return read_table(path, drop_long=options.drop_missing)
    note = f"{path.name}: COCO's annotations; the class of an image is that of its objects"
    frame = pd.DataFrame({"file_name": list(labels), "label": list(labels.values())}, dtype=object)
    return Table(frame, path, notes=(note,))


def _with_pixels(table: Table, path: Path, options: VisionOptions) -> ImageSource | None:
    """Read the images whose pixels a table holds, None where it holds paths."""
    if options.path_column or plain_suffix(path) not in DELIMITED_SUFFIXES:
        return None
    frame = table.frame
    if not table.has_header and len(table.columns) > FEWEST_PIXELS:
        # As MNIST is passed on without a header: the label, then the pixels.
        names = ["label", *(f"pixel{number}" for number in range(len(table.columns) - 1))]
        frame = frame.set_axis(names, axis="columns")
    table = dataclasses.replace(table, frame=with_pixel_columns(frame))
    found = training_images(table.frame, table.where)
    if found is None:
        return None
    x, columns = found
    split = table.split_column() or _usage(table)
    label = _label_column(table, options.label_column, {split, *columns})
    if label is None:
        raise _no_column(table, "label")
    labels = table.identifiers(label)
    if (labels == "").any():
        table.raise_for_rows(labels == "", f"no label in column {label!r}", "Fill it in")
    side = options.image_size
    if side:
        x = np.stack([resize(image, (side, side), options.resize) for image in x])
    part_of_row = np.asarray(table.parts(split), dtype=object)
    parts: dict[Part, Images] = {}
    for part in dict.fromkeys(part_of_row):
        rows = np.flatnonzero(part_of_row == part)
        parts[part] = Images(x=x[rows], y=labels[rows])
    height, width = x.shape[1:3]
    note = f"{len(columns):,} numbers of each row are read as the pixels of {height}x{width}"
    split_words = f", split={split}" if split else ""
    sentence = f"columns: label={label}{split_words}, pixels={columns[0]} to {columns[-1]}"
    return ImageSource(
        name=path.stem, where=str(path), parts=parts, notes=(*table.notes, note, sentence)
    )


def _usage(table: Table) -> str | None:
    """Return the column of parts of FER2013, whose name elsewhere is often another thing's."""
    column = table.find_column("", ("usage",), role="split", flag="")
    if column is None:
        return None
    words = {cell_text(cell).strip().lower() for cell in table.frame[column].unique()}
    return column if words <= set(PART_NAMES) else None


def _note_unlabelled(
    table: Table, labelled: np.ndarray, columns: Sequence[str], *, drop: bool
) -> str:
    """Return a note on rows without a label, or refuse them."""
    count = int((~labelled).sum())
    lines = table.lines[~labelled]
    where = f"column {columns[0]!r}"
    if len(columns) > 1:
        where = f"the columns {shorten(columns, SHOWN_COLUMNS)}"
    if not drop:
        raise DataError(
            f"{table.where}: line {lines[0]}: no label in {where} ({count:,} such rows). Fill it "
            "in, or leave such rows out: --drop-missing"
        )
    if count == len(labelled):
        raise DataError(f"{table.where}: no row has a label in {where}")
    word = "line" if count == 1 else "lines"
    listed = shorten(lines.tolist(), SHOWN_LINES)
    return f"{count_of(count, 'row')} without a label left out ({word} {listed})"


# ------------------------------------------------------------------------------ columns


def _path_column(table: Table, given: str) -> str:
    column = table.find_column(given, PATH_COLUMNS, role="path", flag="--path-column")
    if given and column is not None:
        return column
    # What the values are counts for more than what a column is called: an `id` may be a number.
    if column is None or not _names_images(table.frame[column]):
        for other in table.columns:
            if _names_images(table.frame[other]) or _holds_images(table.frame[other]):
                return other
    if column is None:
        raise _no_column(table, "path")
    return column


def _names_images(column: "pd.Series") -> bool:
    """Return whether most values of a column end as image files do."""
    values = column.dropna()
    names = [value.strip().lower() for value in values if isinstance(value, str)]
    return sum(name.endswith(SUFFIXES) for name in names) > len(values) / 2


def _holds_images(column: "pd.Series") -> bool:
    """Return whether a column holds images as bytes, perhaps in objects."""
    cells = column.dropna()
    return len(cells) > 0 and isinstance(content_of(cells.iloc[0]), bytes)


def _label_column(table: Table, given: str, taken: set[str | None]) -> str | None:
    """Return the column of labels; None where each class has a column of its own."""
    left = [column for column in table.columns if column not in taken]
    if given:
        return table.find_column(given, LABEL_COLUMNS, role="label", flag="--label-column")
    # A path may be in `image` and its labels in `class`, but no column is both.
    for name in LABEL_COLUMNS:
        column = table.find_column("", (name,), role="label", flag="--label-column")
        if column in left:
            return column
    if len(left) == 1:
        return left[0]
    called = [column for column in left if normal_name(column).endswith(LABEL_WORDS)]
    if len(called) == 1:
        return called[0]
    if len(_one_hot_columns(table, taken)) >= FEWEST_ONE_HOT:
        return None
    raise _no_column(table, "label")


def _no_column(table: Table, role: str) -> DataError:
    return DataError(
        f"{table.where}: has no column {role}. Expected path,label[,split]. "
        f"Its columns: {shorten(table.columns, SHOWN_COLUMNS)}. "
        f"Choose one: --{role}-column NAME"
    )


# ------------------------------------------------------------------------------ one column a class


def _one_hot_columns(table: Table, taken: set[str | None]) -> list[str]:
    """Return the columns that hold nothing but 0 and 1."""
    columns = []
    for column in table.columns:
        values = {cell_text(value).strip() for value in table.frame[column].unique()}
        if column not in taken and values <= ZEROS | ONES | {""} and values & ONES:
            columns.append(column)
    return columns


def _one_hot_labels(table: Table, columns: Sequence[str]) -> list[str]:
    """Return for each row the name of the column that is 1, "" where none is.

    Raises:
        DataError: several are.
    """
    ones = np.zeros((len(table.frame), len(columns)), dtype=bool)
    for number, column in enumerate(columns):
        cells = table.frame[column]
        ones[:, number] = [cell_text(cell).strip() in ONES for cell in cells]
    several = ones.sum(axis=1) > 1
    if several.any():
        table.raise_for_rows(
            several,
            f"several of the columns {shorten(columns, SHOWN_COLUMNS)} are 1 "
            f"({int(several.sum()):,} such rows)",
            "Expected one class for each image. Images of several labels cannot be learned; choose "
            "one column: --label-column NAME",
        )
    names = np.asarray([*columns, ""], dtype=object)
    positions = np.where(ones.any(axis=1), ones.argmax(axis=1), len(columns))
    return [str(name) for name in names[positions]]


# ------------------------------------------------------------------------------ no header


def is_headerless(table: Table) -> bool:
    """Return whether the names of the columns are values: one of them is an image file."""
    return any(name.strip().lower().split(" ")[0].endswith(SUFFIXES) for name in table.columns)


def with_names_by_content(table: Table) -> Table:
    """Return a table without a header with its columns called by what they hold.

    Where the first row was taken for a header, it becomes a row.
    """
    import pandas as pd

    frame = table.frame.copy()
    if table.has_header:
        first = pd.DataFrame([table.columns], columns=frame.columns)
        frame = pd.concat([first, frame], ignore_index=True)
    if len(frame.columns) == 1:  # lists such as `images/cat/1.jpg 0`
        pairs = frame.iloc[:, 0].astype(str).str.strip().str.rsplit(n=1, expand=True)
        if len(pairs.columns) == 2:
            frame = pairs
    frame.columns = pd.Index(_names_by_content(frame))
    return dataclasses.replace(table, frame=frame, has_header=False)


def _counts(column: "pd.Series") -> bool:
    """Return whether a column counts the rows, from 0 or 1 on."""
    cells = column.astype(str).str.strip().tolist()
    return len(cells) > 2 and any(
        cells == list(map(str, range(first, first + len(cells)))) for first in (0, 1)
    )


def _names_by_content(frame: "pd.DataFrame") -> list[str]:
    names = []
    for position in range(len(frame.columns)):
        column = frame.iloc[:, position]
        words = set(column.dropna().astype(str).str.strip().str.lower())
        if "path" not in names and _names_images(column):
            names.append("path")
        elif "split" not in names and words and words <= set(PART_NAMES):
            names.append("split")
        elif "label" not in names and not _counts(column):
            names.append("label")
        else:
            names.append(f"column {position + 1}")
    return names
