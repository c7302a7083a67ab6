"""Features of frozen networks, computed once for a data set and kept for later trials and runs.

A kept array is named by everything that it depends on: the digest of the data, the digest of the
weights, the settings and the version of this cache. It is written beside its name and then renamed,
so that a process killed meanwhile leaves nothing that is read.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.io.digest import HEX_DIGITS, data_digest
from pipelines.pretrained.weights import cache_folder

# Changed when what is computed changes: what other versions have kept is not read any more.
VERSION = 1
UNFINISHED = ".unfinished"


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """What features depend on.

    `data` and `weights` are digests; `network` is a name for people, such as "minilm"; `settings`
    are the choices that change a number, such as the longest length or the size of a picture.
    """

    data: str
    network: str
    weights: str
    settings: Mapping[str, object]

    @property
    def file_name(self) -> str:
        """The name of the file that holds them."""
        settings = [f"{name}={value}" for name, value in sorted(self.settings.items())]
        told = np.asarray([self.data, self.weights, str(VERSION), *settings])
        plain = "".join(letter for letter in self.network if letter.isalnum() or letter in "-_")
        return f"{plain[-40:]}-{data_digest(told)}.npy"


def features_folder() -> Path:
    """Return the folder of all features that are kept."""
    return cache_folder() / "features"


def cached_features(key: FeatureKey, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the features of `key`: kept ones, or those that `compute` returns, kept from now on.

    A file that cannot be read, such as a truncated one, is computed and written anew. Where the
    folder cannot be written to, because the disk is full or it belongs to somebody else, the
    features are returned all the same.
    """
    path = features_folder() / key.file_name
    with suppress(OSError, ValueError, EOFError):
        kept: np.ndarray = np.load(path, allow_pickle=False)
        with suppress(OSError):  # so that the least recently used can be told
            os.utime(path)
        return kept
    features = compute()
    with suppress(OSError):
        _write(features, path)
    return features


def _write(features: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.save(file, features, allow_pickle=False)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file of the cache: its name, its size in bytes and when it was last used (seconds, UTC)."""

    path: Path
    size: int
    used: float


def kept_features() -> list[KeptFile]:
    """Return the features that are kept, and what a killed process left, the latest used first."""
    kept = []
    if features_folder().is_dir():
        for path in features_folder().iterdir():
            if path.suffix in (".npy", UNFINISHED):
                status = path.stat()
                kept.append(KeptFile(path=path, size=status.st_size, used=status.st_mtime))
    return sorted(kept, key=lambda file: file.used, reverse=True)


def clear_features() -> int:
    """Remove all features that are kept, and return how many bytes that freed.

    Weights stay: they cannot be computed.
    """
    freed = 0
    for file in kept_features():
        file.path.unlink(missing_ok=True)
        freed += file.size
    return freed


def weights_digest(path: Path) -> str:
    """Return 16 hex digits that identify the content of a file of weights."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HEX_DIGITS]
