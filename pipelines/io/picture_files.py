"""Pictures that are written beside answers: where each goes, and how many there are."""

import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.io.paths import require_new_folder

PICTURE = "picture"  # the column of files
MOST_PICTURES = 24  # of explained inputs, those that come first
DPI = 120
LONGEST_NAME = 60  # characters


def require_explain(explain: str | bool, force: bool) -> None:
    """Refuse a folder of `--explain` that holds something already, without `force`.

    True, as of a request, and the empty text name no folder.
    """
    if isinstance(explain, str) and explain:
        require_new_folder("--explain", Path(explain), force)


def new_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return a path for each of the names, numbered behind the pictures that the folder holds.

    The folder is made where there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = 1 + len(list(folder.glob("*.png")))
    paths = []
    for number, name in enumerate(names, start=first):
        written = re.sub(r"[^\w-]+", "-", name)[:LONGEST_NAME]
        paths.append(folder / f"{number:04d}-{written}.png")
    return paths


def note_of(folder: Path, drawn: int, count: int, what: str) -> str:
    """Return which of the explained inputs are drawn; `what` is what they are, in the plural."""
    if drawn < count:
        return f"{folder}: pictures of the first {drawn} of {count:,} {what}"
    return f"the pictures of what was explained are in {folder}"
