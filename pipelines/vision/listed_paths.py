"""Paths of images as tables and lists name them, for training and for prediction."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.io.tables import cell_text
from pipelines.vision.image_files import SUFFIXES

PATH_COLUMNS = (
    *("path", "file", "filename", "image", "filepath", "image_path", "file_name", "img"),
    *("image_name", "imagename", "imagepath", "img_path", "file_path", "filepaths", "filenames"),
    *("image_file", "images", "image_id", "imageid", "img_id", "img_name", "fname", "photo"),
    *("photo_id", "picture", "id_code", "image_index", "id"),
)
SHOWN_PATHS = 5
LOOKED_AT = 1_000  # images that do not exist, for which those with similar names are looked for


def existing_paths(
    names: Iterable[object],
    lines: Sequence[int] | np.ndarray,
    table: Path,
    image_root: str = "",
) -> list[Path]:
    """Return the paths of the images that a column of the file `table` names.

    They are read from `image_root`, without one from the table's own folder; absolute ones must lie
    in one of the two. A name without an ending, such as an id, stands for the image of that name.
    `lines` are the lines of its rows, for messages.

    Raises:
        DataError: a path leads out of these folders, there is no such file, or there are several.
    """
    finder = _Finder(table=table, root=image_folder(table, image_root))
    paths = []
    absent: list[str] = []
    missing: list[Path] = []
    for line, cell in zip(lines, names, strict=True):
        name = cell_text(cell).strip()
        if not name:
            raise DataError(f"{table}: line {line}: the path of the image is missing")
        path = finder.find(name, line)
        paths.append(path)
        if not path.is_file():
            absent.append(f"line {line}: {path}")
            missing.append(path)
    if absent:
        raise DataError(
            f"{table}: {len(absent):,} of {len(paths):,} images do not exist. "
            f"{'; '.join(absent[:SHOWN_PATHS])}. Paths are read from {finder.root}; "
            f"for another folder: --image-root DIR{finder.hint(missing)}"
        )
    return paths


def content_of(cell: object) -> object:
    """Return what an object in a cell holds, any other cell as it is.

    These are {"b64": "..."} as TensorFlow Serving has it, and {"bytes": ..., "path": ...} as the
    library datasets of Hugging Face writes images.
    """
    if not isinstance(cell, dict):
        return cell
    if len(cell) == 1:
        return next(iter(cell.values()))
    return cell.get("bytes") or cell.get("path")


def image_folder(table: Path, image_root: str) -> Path:
    """Return the folder that the paths of a table are read from.

    Raises:
        DataError: `image_root` is no folder.
    """
    if not image_root:
        return table.parent
    root = Path(image_root).expanduser()
    if not root.is_dir():
        raise DataError(f"--image-root {image_root}: there is no such folder")
    return root


@dataclass(frozen=True, kw_only=True)
class _Finder:
    """Finds the files that a table names in one folder, or refuses those out of it."""

    table: Path
    root: Path
    # The images of each folder that was looked into, by name without ending.
    by_stem: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)
    # The images in all folders below the root, filled where a plain name is not in the root.
    everywhere: dict[str, list[Path]] = field(default_factory=dict)

    def find(self, name: str, line: int) -> Path:
        """Return the path of an image, whether or not there is one."""
        if "://" in name:
            raise DataError(
                f"{self.table}: line {line}: {name!r} is an address. Download the images, and give "
                "their paths"
            )
        written = name
        if "\\" in name and not self.inside(name, line).is_file():
            windows = PureWindowsPath(name)
            if windows.drive:
                raise DataError(
                    f"{self.table}: line {line}: {name!r} is a path of another computer. Expected "
                    f"paths below {self.root}, or those of another folder: --image-root DIR"
                )
            written = windows.as_posix()
        path = self.inside(written, line)
        if path.is_file():
            return path
        if path.suffix.lower() not in SUFFIXES:
            path = self.by_name(path, line)
        if not path.is_file() and "/" not in written:
            return self.below(path, line)
        return path

    def hint(self, missing: Sequence[Path]) -> str:
        """Return what may be meant: an image whose name has other capitals, or zeros in front."""
        names = {_alike(path): path for path in missing[:LOOKED_AT]}
        for folder, _, files in os.walk(self.root):  # which follows no links
            for name in files:
                found = Path(folder) / name
                if found.suffix.lower() in SUFFIXES and _alike(found) in names:
                    wanted = names[_alike(found)]
                    return (
                        f". There is {found.name} for {wanted.name}: write names with their "
                        "capitals and zeros"
                    )
        return ""

    def inside(self, name: str, line: int) -> Path:
        """Return the path of an image, and refuse one that leads out of the folder."""
        # A table from somebody else must not bring other files of this machine into the data.
        allowed = {self.root.resolve(), self.table.parent.resolve()}
        try:
            path = (self.root.resolve() / name).resolve()
        except (OSError, ValueError, RuntimeError):  # a NUL, or links in a circle
            raise DataError(f"{self.table}: line {line}: {name!r} is no path") from None
        if not any(path.is_relative_to(folder) for folder in allowed):
            raise DataError(
                f"{self.table}: line {line}: the path {name!r} leads out of {self.root}. Expected "
                "paths below it, or those of another folder: --image-root DIR"
            )
        return path

    def by_name(self, path: Path, line: int) -> Path:
        """Return the only image of that name in its folder, whatever its ending."""
        folder = path.parent
        if folder not in self.by_stem:
            self.by_stem[folder] = _images_by_stem(folder)
        return self.only_one(self.by_stem[folder].get(path.name, []), path, line)

    def below(self, path: Path, line: int) -> Path:
        """Return the only image of that name, with or without its ending, in any folder below."""
        if not self.everywhere:
            for folder, _, _ in os.walk(self.root):  # which follows no links
                for stem, found in _images_by_stem(Path(folder)).items():
                    self.everywhere.setdefault(stem, []).extend(found)
        if path.suffix.lower() in SUFFIXES:
            found = self.everywhere.get(path.stem, [])
            return self.only_one([image for image in found if image.name == path.name], path, line)
        return self.only_one(self.everywhere.get(path.name, []), path, line)

    def only_one(self, found: Sequence[Path], path: Path, line: int) -> Path:
        """Return the image that was found, `path` where none was."""
        if len(found) > 1:
            names = [image.relative_to(image.parent.parent) for image in found]
            raise DataError(
                f"{self.table}: line {line}: {path.name!r} may be any of "
                f"{shorten(names, SHOWN_PATHS)}. Expected paths with folders and endings"
            )
        if not found:
            return path
        return self.inside(str(found[0].absolute()), line)  # a link must not lead out either


def _alike(path: Path) -> str:
    """Return the name of a file without its ending, capitals, and zeros in front."""
    return path.stem.lower().lstrip("0") or "0"


def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    by_stem: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                by_stem.setdefault(path.stem, []).append(path)
    return by_stem
