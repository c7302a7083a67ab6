"""Images without what the audit has found, as a folder of files or as arrays."""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import UsageError
from pipelines.splits import PARTS, Part
from pipelines.vision.data import VisionSplits
from pipelines.vision.images import Images

ARRAYS = ".npz"


def write_clean(splits: VisionSplits, left_out: Mapping[Part, Collection[int]], path: Path) -> None:
    """Write all images but those at the positions `left_out`, with the parts that they are in.

    To a file ending in .npz arrays are written, in the size in which networks see them; else the
    files are copied to `path/<part>/<class>/`.

    Raises:
        UsageError: the images are no files, or a class has a name that no folder can have.
    """
    parts: dict[Part, Images] = {}
    for part in PARTS:
        images = splits.images(part)
        kept = np.setdiff1d(np.arange(len(images.y)), list(left_out.get(part, ())))
        parts[part] = images.take(kept)
    if path.suffix.lower() == ARRAYS:
        _write_arrays(parts, splits, path)
    else:
        _copy_files(parts, splits, path)


def _write_arrays(parts: Mapping[Part, Images], splits: VisionSplits, path: Path) -> None:
    arrays: dict[str, Any] = {"class_names": np.asarray(splits.classes)}
    for part, images in parts.items():
        arrays[f"x_{part}"] = np.asarray(images.x)
        arrays[f"y_{part}"] = images.y
    with path.open("xb") as file:
        np.savez_compressed(file, **arrays)


def _copy_files(parts: Mapping[Part, Images], splits: VisionSplits, path: Path) -> None:
    if splits.train.names is None or not Path(splits.train.name(0)).is_file():
        raise UsageError(
            f"--fix {path}: these images come as arrays, or in a table. Expected a file that ends "
            f"in {ARRAYS}: --fix {path}{ARRAYS}"
        )
    for name in splits.classes:
        if "/" in name or "\\" in name or name.startswith("."):
            raise UsageError(
                f"--fix {path}: no folder can be called {name!r} as that class is. "
                f"Write arrays: --fix {path}{ARRAYS}"
            )
    # Under its own name the folder is there when it is whole.
    unfinished = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part, images in parts.items():
        for row, number in enumerate(images.y):
            folder = unfinished / part / splits.classes[int(number)]
            folder.mkdir(parents=True, exist_ok=True)
            source = Path(images.name(row))
            shutil.copyfile(source, _free_name(folder, source.name))
    unfinished.rename(path)


def _free_name(folder: Path, name: str) -> Path:
    """Return a path in `folder` that does not exist: files of several folders may share a name."""
    path = folder / name
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path
