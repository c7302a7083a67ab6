"""Word vectors from a file or from an optional package.

Files have the text format that GloVe, word2vec and fastText share.
"""

import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, cast

import numpy as np

from pipelines.errors import DataError
from pipelines.text.tokens import APOSTROPHE, FIRST_ID, NUM_SPECIAL, PADDING, UNKNOWN
from pipelines.text.vector_files import PACKAGED, packaged_folder, require_source

# The optional extra `vectors`: GloVe trained on 6 billion words.
PACKAGED_WIDTH = 50
SPREAD = 0.1  # standard deviation of the vectors of tokens that the source lacks
SHOWN_CHARACTERS = 60  # of a line that cannot be read


def table(source: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the vectors of padding (zeros), the unknown token, and the vocabulary.

    The shape is `(2 + len(vocabulary), width)`. Tokens that the source lacks get small random
    vectors, the same each time; the unknown token the mean of all that it has.

    Raises:
        DataError: there is no such file, or a line that is not a token with numbers; the message
            names the line.
    """
    ids = {}
    for token_id, token in enumerate(vocabulary, start=FIRST_ID):
        ids[token.replace(APOSTROPHE, "'")] = token_id
    if source == PACKAGED:
        by_id = dict(_packaged(ids))
    else:
        by_id = dict(_from_file(Path(source).expanduser(), ids))
    if not by_id:
        raise DataError(
            f"embedding.vectors={source}: holds none of the {len(vocabulary):,} tokens of the "
            "vocabulary. Expected lines of a token and its numbers"
        )
    vectors = np.stack(list(by_id.values()))
    shape = (NUM_SPECIAL + len(vocabulary), vectors.shape[1])
    rng = np.random.default_rng(0)
    filled = rng.normal(scale=SPREAD, size=shape).astype(np.float32)
    filled[list(by_id)] = vectors
    filled[PADDING] = 0
    filled[UNKNOWN] = vectors.mean(axis=0)
    return filled


def width(source: str) -> int:
    """Return how many numbers each vector of `source` has.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if source == PACKAGED:
        return PACKAGED_WIDTH
    with _opened(Path(source).expanduser()) as lines:
        # The first line may be a count and the width.
        for line in islice(lines, 2):
            num_values = len(_split(line)[1])
            if num_values > 1:
                return num_values
    return 0


def _packaged(ids: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    import pandas as pd

    folder = packaged_folder()
    words = pd.read_parquet(folder / "glove_6B_index.parquet").iloc[:, 0]
    numbers = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    for row, word in enumerate(words):
        if word in ids:
            yield ids[word], np.asarray(numbers[row], dtype=np.float32)


def _from_file(path: Path, ids: Mapping[str, int]) -> Iterator[tuple[int, np.ndarray]]:
    with _opened(path) as lines:
        yield from _from_lines(lines, path, ids)


def _from_lines(
    lines: Iterable[bytes], path: Path, ids: Mapping[str, int]
) -> Iterator[tuple[int, np.ndarray]]:
    width = 0
    for number, line in enumerate(lines, start=1):
        word, values = _split(line)
        if number == 1 and len(values) == 1:
            continue  # word2vec and fastText begin with a count and the width
        width = width or len(values)
        has_spaces = len(values) > width and not _is_number(values[0])
        if word not in ids or has_spaces:
            continue  # a token may hold spaces, as some of GloVe 840B do
        vector = _vector(values, width)
        if vector is None:
            received = line[:SHOWN_CHARACTERS].decode("utf-8", "replace")
            raise DataError(
                f"{path}: line {number}: expected a token and {width or 'its'} numbers. "
                f"Received: {received!r}"
            )
        yield ids[word], vector


def _vector(values: list[str], width: int) -> np.ndarray | None:
    """Return the vector `(width,)` that a line holds, None where it holds none."""
    try:
        vector = np.asarray(values, dtype=np.float32)
    except ValueError:
        return None
    if len(values) != width or not width or not np.isfinite(vector).all():
        return None
    return vector


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
    require_source(str(path))
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
                yield member
        else:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                yield cast(IO[bytes], file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
