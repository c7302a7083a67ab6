"""What lies in a folder of many files: the readable ones, the others, and links."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pipelines.errors import DataError, shorten
from pipelines.io.paths import require_readable_name

DEEPEST = 12  # folders within folders
SHOWN_ENDINGS = 5
# Left by archives and file managers; nobody misses them.
HOUSEKEEPING = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "__pycache__"})


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """The files that a domain reads.

    `remedies` say by ending what to do about files that it cannot read. With `bare_numbers` files
    without an ending are read too if their names are numbers, as those of 20 Newsgroups.
    """

    what: str  # in the plural: "images"
    suffixes: Sequence[str]
    bare_numbers: bool = False
    remedies: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What lies in a folder: readable files, other files by ending, folders, links that lead out.

    Hidden files, and what archives and file managers leave, are not counted.
    """

    path: Path
    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: list["Folder"] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the folder itself."""
        return self.path.name

    def all_files(self) -> list[Path]:
        """Return the readable files here and in all folders below."""
        files = list(self.files)
        for below in self.folders:
            files += below.all_files()
        return files

    def filled(self) -> list["Folder"]:
        """Return the folders that hold readable files, at any depth."""
        return [below for below in self.folders if below.all_files()]

    def walk(self) -> Iterator["Folder"]:
        """Yield this folder and all below."""
        yield self
        for below in self.folders:
            yield from below.walk()


def scan(root: Path, kind: FileKind) -> Folder:
    """Return what lies in a folder and below; links out of it and to folders are not followed.

    Raises:
        DataError: folders lie too deep within one another, or a name is not UTF-8.
    """
    return _scan(root, kind, root.resolve(), DEEPEST)


def _scan(folder: Path, kind: FileKind, root: Path, depth: int) -> Folder:
    if depth == 0:
        raise DataError(
            f"{folder}: lies more than {DEEPEST} folders deep. Expected <part>/<class>/<file>"
        )
    found = Folder(path=folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in HOUSEKEEPING:
            continue
        path = folder / entry.name
        require_readable_name(path)
        if entry.is_symlink() and path.exists() and not _may_be_followed(entry, root):
            found.links.append(path)
        elif entry.is_dir():
            found.folders.append(_scan(path, kind, root, depth - 1))
        elif not entry.is_file():
            found.others["broken link" if entry.is_symlink() else "pipe or device"] += 1
        elif path.suffix.lower() in kind.suffixes or (kind.bare_numbers and path.name.isdecimal()):
            found.files.append(path)
        else:
            found.others[path.suffix.lower() or "no ending"] += 1
    return found


def _may_be_followed(link: "os.DirEntry[str]", root: Path) -> bool:
    """Return whether a link leads to a file below `root`."""
    return not link.is_dir() and Path(link.path).resolve().is_relative_to(root)


def counted_endings(endings: Counter[str]) -> str:
    """Return how many files there are of each ending, the most frequent first."""
    listed = [f"{count:,} {ending}" for ending, count in endings.most_common()]
    return shorten(listed, SHOWN_ENDINGS)
