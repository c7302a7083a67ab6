"""A trained network for its user: images of any size and type in, labels with probabilities out."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.io import tables
from pipelines.networks import blocks
from pipelines.pipeline import ServingModel
from pipelines.vision import model, readers

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

BATCH = 256


def served(network: keras.Model, splits: "VisionSplits", path_column: str = "") -> ServingModel:
    """Return the network behind resizing and in front of labels.

    Its input is `(batch, any height, any width, channels)` in the training images' units; it answers with a dict of
    `label` `(batch,)` strings, `probability` `(batch,)` and `probabilities` `(batch, classes)`.
    """
    height, width, channels = splits.shape
    image = keras.Input((None, None, channels), name="image")
    x = keras.layers.Resizing(height, width, name="resize")(image)
    # Says in the file what the largest pixel value is; whoever takes this network as a backbone reads it there.
    x = keras.layers.Rescaling(splits.scale, name="scale")(keras.layers.Rescaling(1 / splits.scale, name="unit")(x))
    return ServingModel(
        model=keras.Model(image, blocks.labelled(model.probabilities(network, x), splits.classes), name="served"),
        facts={
            "domain": "vision",
            "classes": list(splits.classes),
            "height": height,
            "width": width,
            "channels": channels,
            "scale": splits.scale,
            "path_column": path_column,
        },
    )


def predict_raw(served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray") -> pd.DataFrame:
    """Return one row an image: `image`, `label`, `probability`, then the probability of each class.

    `source` is an image file, a folder of them, a .txt file of paths, another table with a column of paths, an NPZ file with
    `x`, an array of one image or many, or a table whose first column holds paths. Floats from 0 to 1 are taken for bytes
    divided by 255 where the model knows bytes.
    """
    names, batches = _images(served, source)
    table = pd.concat([_answers(served, pixels) for pixels in batches], ignore_index=True)
    table.insert(0, "image", names)
    return table


def _answers(served: ServingModel, pixels: np.ndarray) -> pd.DataFrame:
    output = served.model(pixels.astype("float32"), training=False)
    chances = np.asarray(output["probabilities"])
    labels = [label.decode() for label in np.asarray(output["label"]).tolist()]
    table = pd.DataFrame({"label": labels, "probability": chances.max(axis=1).round(5)})
    return table.join(pd.DataFrame(chances.round(5), columns=[f"p({name})" for name in served.facts["classes"]]))


def _images(served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray") -> tuple[list[str], Iterator[np.ndarray]]:
    """Return the images' names and their pixels in batches; files are decoded to the model's own size, a batch at a time."""
    if isinstance(source, pd.DataFrame):
        paths = [Path(str(path)) for path in source.iloc[:, 0]]
    elif isinstance(source, np.ndarray):
        x = _array(served, source)
        return [str(number) for number in range(len(x))], (x[at : at + BATCH] for at in range(0, len(x), BATCH))
    else:
        path = Path(source)
        if path.suffix == ".npz":
            return _images(served, _from_npz(path))
        paths = _files(path, served.facts.get("path_column", ""))
    size = (served.facts["height"], served.facts["width"])
    batches = (paths[at : at + BATCH] for at in range(0, len(paths), BATCH))
    return [str(path) for path in paths], (np.stack([_decoded(served, path, size) for path in batch]) for batch in batches)


def _files(path: Path, own: str) -> list[Path]:
    if path.is_file():
        return _listed(path, own) if path.suffix.lower() in tables.TABLES else [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder. Expected an image, a folder of images, a table of paths, or an NPZ file with x")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in readers.SUFFIXES and not tables.hidden(file, path))
    if not files:
        raise DataError(f"{path}: holds no image files ({' '.join(readers.SUFFIXES)})")
    return files


def _listed(path: Path, own: str) -> list[Path]:
    if path.suffix.lower() == ".txt":
        lines = [line.strip() for line in tables.decode(path).splitlines()]
        return readers.paths_in([line for line in lines if line], path, first=1)
    table = tables.read_table(path)
    column = own if own in table else tables.find_column(table, "", readers.PATHS, role="path", flag="", where=str(path))
    if column is None and len(table.columns) == 1:
        column = str(table.columns[0])
    if column is None:
        known = ", ".join(map(str, table.columns))
        raise DataError(f"{path}: has no column of paths. Expected one called {', '.join(readers.PATHS[:4])}. Its columns: {known}")
    return readers.paths_in(table[column], path)


def _decoded(served: ServingModel, path: Path, size: tuple[int, int]) -> np.ndarray:
    image = readers.decode(path, size, 1 if served.facts["channels"] == 1 else 3)
    if image is None:
        raise DataError(f"{path}: is no image that can be read ({' '.join(readers.SUFFIXES)}), or it is truncated")
    return np.asarray(image.astype("float32") * (served.facts["scale"] / 255))


def _from_npz(path: Path) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            name = next((name for name in ("x", "x_test", "x_train") if name in archive.files), None)
            if name is None:
                raise DataError(f"{path}: expected an array x. Found: {', '.join(archive.files)}")
            return np.asarray(archive[name])
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read: {error}") from error


def _array(served: ServingModel, x: np.ndarray) -> np.ndarray:
    """Return `(n, height, width, channels)` in the model's units for one image or many, of any numeric type."""
    channels, scale = served.facts["channels"], served.facts["scale"]
    if x.dtype.kind not in "biuf":
        raise DataError(f"An image is an array of numbers. Received: dtype {x.dtype}")
    if x.ndim == 2 or (x.ndim == 3 and x.shape[-1] == channels and channels > 1):
        x = x[None]
    if x.ndim == 3 and channels == 1:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] != channels:
        raise DataError(f"Expected images of shape (n, height, width, {channels}). Received: {x.shape}")
    if x.dtype.kind == "f" and scale == 255 and x.size and float(x.max()) <= 1:
        return np.asarray(x * 255)
    if x.dtype == np.uint16 and scale == 255:
        return np.asarray(x / 257)
    return x


def restore_network(served: ServingModel, splits: "VisionSplits") -> keras.Model:
    """Return the network inside; refuse data of other classes, sizes or units."""
    facts = served.facts
    for what, its, here in (
        ("classes", facts["classes"], list(splits.classes)),
        ("image size", [facts["height"], facts["width"], facts["channels"]], list(splits.shape)),
        ("largest pixel value", facts["scale"], splits.scale),
    ):
        if its != here:
            raise DataError(f"{splits.dataset}: the model knows {what} {its}. This data has {here}")
    return served.model.get_layer("network")
