"""The paths that `--data` names."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import DataError, suggest


def require_path(data: str, known: Iterable[str], domain: str) -> Path:
    """Return the path that `--data` names.

    Raises:
        DataError: nothing is there; the message gives the nearest of the `known` names of data
            sets.
    """
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError(
            f"--data {data}: there is no such file or folder, and no data set of that name."
            f"{suggest(data, known)} Known data sets: appline {domain} datasets"
        )
    return path


def visible_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` whose names do not start with a dot, in order."""
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return sorted(path for path in inside if not path.name.startswith("."))


def is_hidden(path: Path, root: Path) -> bool:
    """Return whether `path` or a folder between it and `root` has a name that begins with a dot."""
    return any(name.startswith(".") for name in path.relative_to(root).parts)
