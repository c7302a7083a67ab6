"""What lies beside and around a folder, for messages that name the one that may be meant."""

import os
import shlex
from collections.abc import Collection
from pathlib import Path

from pipelines.io.parts import part_of

LABEL_TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".json", ".jsonl")
IMAGE_FOLDERS = ("images", "imgs", "img", "pictures", "photos")


def typed(path: Path) -> str:
    """Return a path as it is typed in a shell."""
    return shlex.quote(str(path))


def tables_in(folder: Path) -> list[Path]:
    """Return the tables that lie in a folder, first those whose names speak of training."""
    tables = []
    for path in folder.iterdir():
        if path.suffix.lower() in LABEL_TABLES and not path.name.startswith("."):
            tables.append(path)
    return sorted(tables, key=lambda path: (_rank(path), path))


def _rank(path: Path) -> int:
    """Return how likely a table is not that of the labels for training."""
    parts = {part_of(path.stem), part_of(path.parent.name)}
    if "submission" in path.stem.lower() or parts & {"val", "test"}:
        return 2
    is_likely = any(word in path.stem.lower() for word in ("label", "annotation", "metadata"))
    return 0 if is_likely or "train" in parts else 1


def tables_around(folder: Path) -> list[Path]:
    """Return the tables that may hold the labels of a folder's files.

    They lie in it, in the folders in it, or beside it where it is called `train` or `images`.
    """
    found = tables_in(folder)
    for below in folders_in(folder):
        found += tables_in(below)
    whole = folder.resolve()
    if part_of(whole.name) == "train" or whole.name.lower() in IMAGE_FOLDERS:
        found += tables_in(whole.parent)
    return sorted(found, key=_rank)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder that may be looked into, [] where it may not."""
    try:
        paths = [path for path in folder.iterdir() if path.is_dir() and os.access(path, os.R_OK)]
    except OSError:
        return []
    return sorted(path for path in paths if not path.name.startswith("."))


def classes_beside(folder: Path, suffixes: Collection[str]) -> list[str]:
    """Return the names of the folders in `folder` that hold files with one of these endings."""
    names = []
    for other in folders_in(folder):
        if any(file.suffix.lower() in suffixes for file in other.iterdir()):
            names.append(other.name)
    return names
