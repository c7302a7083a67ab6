"""Word vectors from files in the forms of GloVe, word2vec and fastText."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import DataError
from pipelines.text import vectors

VOCABULARY = ("good", "don\u2019t", "lacking", ".")
LINES = "the 9 9 9\ngood 1 2 3\ndon't 4 5 6\n. 7 8 9.5\n"


def vectors_file(folder: Path, text: str = LINES, name: str = "vectors.txt") -> str:
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("vectors.txt", text)
    else:
        path.write_text(text, encoding="utf-8")
    return str(path)


def vectors_refused(source: str) -> str:
    with pytest.raises(DataError) as error:
        vectors.table(source, VOCABULARY)
    return str(error.value)


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.vec", "vectors.txt.gz", "vectors.zip"])
@pytest.mark.parametrize("header", ["", "4 3\n"], ids=["GloVe", "word2vec"])
def test_word_vectors_are_read(name: str, header: str, tmp_path: Path) -> None:
    table = vectors.table(vectors_file(tmp_path, header + LINES, name), VOCABULARY)
    assert table.shape == (6, 3)
    assert table.dtype == np.float32
    assert table[0].tolist() == [0, 0, 0]
    assert table[1].tolist() == [4, 5, pytest.approx(18.5 / 3)]
    assert table[[2, 3, 5]].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9.5]]
    assert 0 < np.abs(table[4]).max() < 1


def test_word_vectors_are_the_same_each_time(tmp_path: Path) -> None:
    source = vectors_file(tmp_path)
    assert np.array_equal(vectors.table(source, VOCABULARY), vectors.table(source, VOCABULARY))


def test_tokens_with_spaces_in_word_vectors_are_passed_over(tmp_path: Path) -> None:
    """GloVe 840B has such."""
    table = vectors.table(
        vectors_file(tmp_path, LINES + ". . . 1 1 1\ngood name@mail.com 1 1 1\n"), VOCABULARY
    )
    assert table[[2, 5]].tolist() == [[1, 2, 3], [7, 8, 9.5]]


@pytest.mark.parametrize("line", ["good 1 2", "good 1 2 3 4", "good 1 x 3", "good", "good 1 nan 3"])
def test_a_broken_line_of_word_vectors_is_refused_with_its_number(
    line: str, tmp_path: Path
) -> None:
    message = vectors_refused(vectors_file(tmp_path, f"the 9 9 9\na 8 8 8\n{line}\n"))
    assert f"vectors.txt: line 3: expected a token and 3 numbers. Received: '{line}" in message


def test_a_file_of_word_vectors_that_is_not_there_is_refused() -> None:
    assert "embedding.vectors=none.txt: no such file" in vectors_refused("none.txt")
    assert "Did you mean 'glove-6b-50d'?" in vectors_refused("glove-6b-100d")


def test_word_vectors_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    message = vectors_refused(vectors_file(tmp_path, "le 1 2\nla 3 4\n"))
    assert "holds none of the 4 tokens of the vocabulary. Expected lines of a token" in message


@pytest.mark.parametrize("name", ["vectors.txt.gz", "vectors.zip"])
def test_a_broken_archive_of_word_vectors_is_refused(name: str, tmp_path: Path) -> None:
    whole = Path(vectors_file(tmp_path, LINES * 50, name)).read_bytes()
    for broken in (b"no archive", whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(broken)
        assert f"{name}: cannot be read" in vectors_refused(str(tmp_path / name))
