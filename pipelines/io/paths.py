"""The paths that `--data` names."""

import os
import re
import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipelines.errors import DataError, UsageError, nearest, suggest

ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]*://"


def require_path(data: str, known: Iterable[str], domain: str) -> Path:
    """Return the path that `--data` names.

    Raises:
        DataError: nothing is there; the message gives the nearest of the `known` names of data
            sets.
    """
    path = Path(data).expanduser()
    if re.match(ADDRESS, data):
        how = f": curl -LO {shlex.quote(data)}" if data.startswith("http") else ""
        raise DataError(
            f"--data {data}: is an address, and data is read from files. Download it{how}. Then "
            "unpack it where it is packed, and give the file or folder"
        )
    if not path.exists():
        raise DataError(
            f"--data {data}: there is no such file or folder, and no data set of that name."
            f"{_similar(path) or suggest(data, known)}{_where_it_ends(path)} "
            f"Known data sets: appline {domain} datasets"
        )
    require_readable_name(path.absolute())
    if not path.is_dir():
        require_regular_file(path)
    return path


def _similar(path: Path) -> str:
    """Return the similar path beside one that does not exist, as a sentence; "" where none is."""
    names: list[str] = []
    with suppress(OSError):
        names = sorted(other.name for other in path.parent.iterdir())
    near = nearest(path.name, names)
    return f" Did you mean {str(path.with_name(near))!r}?" if near else ""


def _where_it_ends(path: Path) -> str:
    """Return the last folder of a path that exists, as a sentence; "" where it is the last one."""
    if path.parent.is_dir() or not path.name:
        return ""
    folder = next((parent for parent in path.parents if parent.is_dir()), None)
    if folder is None:
        return ""
    missing = path.relative_to(folder).parts[0]
    return f" The folder {folder.absolute()} holds no {missing}."


def require_new_file(flag: str, path: Path, force: bool) -> None:
    """Refuse a file that cannot be written, or that `flag` would overwrite without `force`.

    Raises:
        UsageError: the message says what is wrong with the path.
    """
    if path.is_dir():
        raise UsageError(f"{flag} {path}: is a folder. Expected the name of a file in it")
    if path.exists() and not force:
        raise UsageError(
            f"{flag} {path}: exists already and is not overwritten. "
            "Choose another name, or add --force"
        )
    if not path.parent.is_dir():
        raise UsageError(f"{flag} {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{flag} {path}: cannot be written to")


def require_new_folder(flag: str, folder: Path, force: bool) -> None:
    """Refuse a folder that holds something already, or is none, without `force`.

    Raises:
        UsageError: the message says what is wrong with the path.
    """
    if force or not folder.exists():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise UsageError(f"{flag} {folder}: exists already. Choose another name, or add --force")


def require_regular_file(path: Path) -> None:
    """Refuse what would be read without end or wait for ever: pipes, devices, sockets.

    Raises:
        DataError: there is no such file, or it is not a regular one.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Expected a file")
    if path.exists():
        raise DataError(f"{path}: is a pipe or a device. Expected a regular file: save it first")
    raise DataError(f"{path}: there is no such file")


def require_readable_name(path: Path) -> None:
    """Refuse a name that no table, card or database can hold.

    Raises:
        DataError: the name is not UTF-8, as of a folder that was unpacked from an old archive.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise DataError(f"{shown}: the name is not UTF-8. Rename it") from None
