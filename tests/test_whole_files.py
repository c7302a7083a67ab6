"""Files that are there when they are whole: what fails or is interrupted leaves none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipelines.io.whole_files import write_table, written_whole

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def write_half(path: Path) -> Iterator[None]:
    with written_whole(path) as unfinished:
        unfinished.write_text("half")
        assert path.read_text() == "before"
        raise KeyboardInterrupt
    yield


def test_an_interrupt_while_a_file_is_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("before")
    writing = write_half(path)
    with pytest.raises(KeyboardInterrupt):
        next(writing)
    assert path.read_text() == "before"
    assert names_in(tmp_path) == ["answers.csv"]


def test_a_folder_takes_its_place_as_a_whole(tmp_path: Path) -> None:
    with written_whole(tmp_path / "clean") as unfinished:
        (unfinished / "cats").mkdir(parents=True)
        assert not (tmp_path / "clean").exists()
    assert (tmp_path / "clean" / "cats").is_dir()
    assert names_in(tmp_path) == ["clean"]


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "out.csv").symlink_to(tmp_path / "far" / "real.csv")
    write_table(TABLE, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").is_symlink()
    assert (tmp_path / "far" / "real.csv").read_text() == "a,b\n1,x\n2,y\n"


def test_what_is_no_regular_file_is_written_to_as_it_is() -> None:
    reader, writer = os.pipe()
    write_table(TABLE, Path(f"/proc/self/fd/{writer}"))
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == "a,b\n1,x\n2,y\n"


@pytest.mark.parametrize("name", ["table.parquet", "TABLE.PARQUET"])
def test_a_table_is_parquet_where_its_name_says_so(tmp_path: Path, name: str) -> None:
    write_table(TABLE, tmp_path / name)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / name), TABLE)
