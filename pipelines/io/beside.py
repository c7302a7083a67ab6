"""What lies beside and around a folder, for messages that name the one that may be meant."""

import os
import shlex
from collections.abc import Collection
from pathlib import Path

LABEL_TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".json", ".jsonl")


def typed(path: Path) -> str:
    """Return a path as it is typed in a shell."""
    return shlex.quote(str(path))


def tables_in(folder: Path) -> list[Path]:
    """Return the tables that lie in a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in LABEL_TABLES)


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
