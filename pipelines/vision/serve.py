"""A trained network for its user: images of any size and type in, labels with probabilities out."""

import itertools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import keras
import numpy as np
import pandas as pd
from annotated_types import Ge, Gt, Le

from pipelines.errors import DataError
from pipelines.evaluation.classification import DIGITS, probability_columns
from pipelines.io.paths import visible_files
from pipelines.io.progress import counted
from pipelines.io.tables import TABLE_SUFFIXES, read_table
from pipelines.io.text_files import read_lines
from pipelines.networks.models import class_answers
from pipelines.pipeline import RawInput, ServingFacts, ServingModel
from pipelines.vision import predict
from pipelines.vision.image_files import SUFFIXES, decode
from pipelines.vision.listed_paths import PATH_COLUMNS, existing_paths

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

BATCH_SIZE = 256
BYTE_RANGE = 255
# Of images that a model may ask for: a file must not decide how much memory is taken.
LARGEST_SIDE = 4_096
MOST_CHANNELS = 4
NPZ_NAMES = ("x", "x_test", "x_train")  # of the array to predict, the first that is there
SHOWN_NAMES = 4  # of the usual columns of paths


@dataclass(frozen=True, kw_only=True)
class VisionFacts(ServingFacts):
    """What a served image model must know besides its network."""

    classes: list[str]
    height: Annotated[int, Ge(1), Le(LARGEST_SIDE)]
    width: Annotated[int, Ge(1), Le(LARGEST_SIDE)]
    channels: Annotated[int, Ge(1), Le(MOST_CHANNELS)]
    scale: Annotated[float, Gt(0)]  # the largest value that a pixel can have
    path_column: str


def serving_model(
    network: keras.Model, splits: "VisionSplits", path_column: str = ""
) -> ServingModel:
    """Return the network with resizing before it and class names after it.

    Its input is `(batch, any height, any width, channels)` in the training images' units. It
    answers with a dict of `label` `(batch,)` strings, `probability` `(batch,)` and `probabilities`
    `(batch, classes)`.
    """
    height, width, channels = splits.shape
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Resizing(height, width, name="resize")(image)
    # Says in the file what the largest pixel value is; a network that takes this one as a backbone
    # reads it there.
    x = keras.layers.Rescaling(1 / splits.scale, name="unit")(x)
    x = keras.layers.Rescaling(splits.scale, name="scale")(x)
    answers = class_answers(predict.probabilities(network, x), splits.classes)
    return ServingModel(
        model=keras.Model(image, answers, name="served"),
        facts=VisionFacts(
            domain="vision",
            classes=list(splits.classes),
            height=height,
            width=width,
            channels=channels,
            scale=splits.scale,
            path_column=path_column,
        ),
    )


def restore_network(serving: ServingModel, splits: "VisionSplits") -> keras.Model:
    """Return the network inside a served model.

    Raises:
        DataError: the data has other classes, another size or other units.
    """
    facts: VisionFacts = serving.facts
    model_size = [facts.height, facts.width, facts.channels]
    _require_same(splits.dataset, "classes", facts.classes, list(splits.classes))
    _require_same(splits.dataset, "image size", model_size, list(splits.shape))
    _require_same(splits.dataset, "largest pixel value", facts.scale, splits.scale)
    return serving.model.get_layer("network")


def _require_same(dataset: str, what: str, of_model: Any, of_data: Any) -> None:
    if of_model != of_data:
        raise DataError(
            f"{dataset}: the model was trained with {what} {of_model}. This data has {of_data}"
        )


def predict_raw(serving: ServingModel, source: RawInput) -> pd.DataFrame:
    """Return one row for each image: `image`, `label`, `probability`, then that of each class.

    `source` is an image file, a folder of them, a .txt file of paths, another table with a column
    of paths, an NPZ file with `x`, an array of one image or many, or a table whose first column
    holds paths. Floats from 0 to 1 are taken for bytes divided by 255 where the model was trained
    on bytes.
    """
    names, batches = _images(serving.facts, source)
    answers = pd.concat([_answers(serving, pixels) for pixels in batches], ignore_index=True)
    answers.insert(0, "image", names)
    return answers


def _answers(serving: ServingModel, pixels: np.ndarray) -> pd.DataFrame:
    output = serving.model(pixels.astype("float32"), training=False)
    probabilities = np.asarray(output["probabilities"])
    labels = [label.decode() for label in np.asarray(output["label"]).tolist()]
    confidence = probabilities.max(axis=1).round(DIGITS)
    frame = pd.DataFrame({"label": labels, "probability": confidence})
    return frame.join(probability_columns(probabilities, serving.facts.classes))


def _images(facts: VisionFacts, source: RawInput) -> tuple[list[str], Iterator[np.ndarray]]:
    """Return the images' names and their pixels in batches."""
    if isinstance(source, np.ndarray):
        x = _as_images(facts, source)
        return list(map(str, range(len(x)))), _array_batches(x)
    if isinstance(source, pd.DataFrame):
        paths = [Path(str(path)) for path in source.iloc[:, 0]]
    elif Path(source).suffix.lower() == ".npz":
        return _images(facts, _from_npz(Path(source)))
    else:
        paths = _image_paths(Path(source), facts.path_column)
    return list(map(str, paths)), _decoded_batches(facts, paths)


def _array_batches(x: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(x), BATCH_SIZE):
        yield x[start : start + BATCH_SIZE]


def _decoded_batches(facts: VisionFacts, paths: list[Path]) -> Iterator[np.ndarray]:
    """Yield files decoded to the model's own size, a batch at a time."""
    remaining = counted(paths, "images", len(paths))
    while batch := [_decoded(facts, path) for path in itertools.islice(remaining, BATCH_SIZE)]:
        yield np.stack(batch)


def _decoded(facts: VisionFacts, path: Path) -> np.ndarray:
    if facts.channels not in (1, 3):
        raise DataError(
            f"{path}: the model takes images with {facts.channels} channels; an image file has "
            "1 or 3. Give the model an NPZ file or an array"
        )
    image = decode(path, (facts.height, facts.width), facts.channels)
    if image is None:
        known = " ".join(SUFFIXES)
        raise DataError(f"{path}: is not an image that can be read ({known}), or it is truncated")
    return np.asarray(image.astype("float32") * (facts.scale / BYTE_RANGE))


def _image_paths(path: Path, path_column: str) -> list[Path]:
    if path.is_file():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return _listed_paths(path, path_column)
        return [path]
    if not path.is_dir():
        raise DataError(
            f"{path}: no such file or folder. Expected an image, a folder of images, a table of "
            "paths, or an NPZ file with x"
        )
    files = visible_files(path, SUFFIXES)
    if not files:
        raise DataError(f"{path}: holds no image files ({' '.join(SUFFIXES)})")
    return files


def _listed_paths(path: Path, path_column: str) -> list[Path]:
    if path.suffix.lower() == ".txt":
        names, lines = [], []
        for number, line in enumerate(read_lines(path), start=1):
            if line.strip():
                names.append(line.strip())
                lines.append(number)
        return existing_paths(names, lines, path)
    table = read_table(path)
    if path_column in table.columns:
        column: str | None = path_column
    else:
        column = table.find_column("", PATH_COLUMNS, role="path", flag="")
    if column is None and len(table.columns) == 1:
        column = table.columns[0]
    if column is None:
        expected = ", ".join(PATH_COLUMNS[:SHOWN_NAMES])
        raise DataError(
            f"{path}: has no column of paths. Expected one called {expected}. "
            f"Its columns: {', '.join(table.columns)}"
        )
    return existing_paths(table.frame[column], table.lines, path)


def _from_npz(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in NPZ_NAMES:
                if name in archive.files:
                    return np.asarray(archive[name])
            found = ", ".join(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    raise DataError(f"{path}: expected an array x. Found: {found}")


def _as_images(facts: VisionFacts, x: np.ndarray) -> np.ndarray:
    """Return one image or many as `(n, height, width, channels)` in the model's units."""
    channels = facts.channels
    if x.dtype.kind not in "biuf":
        raise DataError(f"An image is an array of numbers. Received: dtype {x.dtype}")
    is_one_colour_image = x.ndim == 3 and x.shape[-1] == channels and channels > 1
    if x.ndim == 2 or is_one_colour_image:
        x = x[None]
    if x.ndim == 3 and channels == 1:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] != channels:
        raise DataError(
            f"Expected images of shape (n, height, width, {channels}). Received: {x.shape}"
        )
    if facts.scale == BYTE_RANGE:
        if x.dtype.kind == "f" and x.size and float(x.max()) <= 1:
            return np.asarray(x * BYTE_RANGE)
        if x.dtype == np.uint16:
            return np.asarray(x / 257)  # 65535 becomes 255
    return x
