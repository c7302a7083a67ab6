"""Tables of images' paths: their columns, their encodings, and the lines that messages name."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.errors import DataError
from pipelines.vision.data import VisionSplits, load
from pipelines.vision.options import VisionOptions
from tests.samples import written

HEADER = "path,label"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with four images of cats and four of dogs."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype="uint8")
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path


def rows_of(label_of: dict[str, str]) -> list[str]:
    """Return one row for each image, with the labels that its folder stands for."""
    rows = []
    for name, label in label_of.items():
        rows += [f"images/{name}/{number}.png,{label}" for number in range(4)]
    return rows


def csv(root: Path, *rows: str, header: str = HEADER) -> Path:
    return written("\n".join([header, *rows]), root / "table.csv")


def read(path: Path, **options: Any) -> VisionSplits:
    return load(VisionOptions(data=str(path), **options))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


# --- columns


def test_a_table_with_a_split_column_is_read(root: Path) -> None:
    rows = []
    for name in ("cat", "dog"):
        for number in range(4):
            part = "test" if number == 3 else "train"
            rows.append(f"images/{name}/{number}.png,{name},{part}")
    path = csv(root, *rows, header="path,label,split")
    assert read(path).sizes() == {"train": 4, "val": 2, "test": 2}


def test_columns_of_other_names_are_chosen(root: Path) -> None:
    path = csv(root, *rows_of({"cat": "cat", "dog": "dog"}), header="where,animal")
    splits = read(path, path_column="where", label_column="animal")
    assert splits.classes == ("cat", "dog")
    assert sum(splits.sizes().values()) == 8
    message = refused(path, path_column="where", label_column="animel")
    assert "Did you mean 'animal'" in message


def test_a_missing_column_is_named(root: Path) -> None:
    message = refused(csv(root, "a,b,c", header="path,kind,colour"))
    assert "has no column label. Expected path,label[,split]." in message
    assert "Its columns: path, kind, colour. Choose one: --label-column NAME" in message


def test_a_file_with_only_a_header_is_refused(root: Path) -> None:
    assert "holds no rows" in refused(csv(root))


# --- what is wrong with a row, and on which line


def test_paths_that_do_not_exist_are_named_with_their_line(root: Path) -> None:
    message = refused(csv(root, "images/cat/0.png,cat", "images/cat/99.png,cat"))
    assert "1 of 2 images do not exist. line 3" in message


def test_a_path_out_of_its_folder_is_refused(root: Path) -> None:
    message = refused(csv(root, "../../etc/passwd.png,cat"))
    assert "line 2: the path '../../etc/passwd.png' leads out of" in message


def test_a_missing_label_is_named_with_its_line(root: Path) -> None:
    message = refused(csv(root, "images/cat/0.png,cat", "images/cat/1.png,"))
    assert "line 3: no label in column 'label'" in message


def test_an_unknown_word_in_the_split_column_is_refused(root: Path) -> None:
    rows = ("images/cat/0.png,cat,train", "images/cat/1.png,cat,tset")
    message = refused(csv(root, *rows, header="path,label,split"))
    assert "line 3: unknown split 'tset'. Did you mean 'test'?" in message


def test_blank_lines_count_in_the_lines_that_are_named(root: Path) -> None:
    unlabelled = csv(root, "", "images/cat/0.png,cat", "", "   ", "images/cat/1.png,")
    assert "line 6: no label in column 'label'" in refused(unlabelled)
    absent = csv(root, "", "images/cat/0.png,cat", "", "images/cat/99.png,cat")
    assert "do not exist. line 5: " in refused(absent)


def test_a_label_over_two_lines_counts_as_two_in_the_lines_that_are_named(root: Path) -> None:
    rows = ('images/cat/0.png,"a\ncat"', "images/cat/99.png,cat")
    assert "do not exist. line 4: " in refused(csv(root, *rows))


# The second row has no label, or a path that does not exist.
ROWS = {
    "no label": pd.DataFrame(
        {"path": ["images/cat/0.png", "images/cat/1.png"], "label": ["cat", None]}
    ),
    "no file": pd.DataFrame(
        {"path": ["images/cat/0.png", "images/cat/99.png"], "label": ["cat", "cat"]}
    ),
}
MESSAGES = {"no label": "line 2: no label", "no file": "do not exist. line 2: "}


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("fault", ROWS)
def test_the_first_row_of_a_table_without_a_header_is_line_one(
    root: Path, suffix: str, fault: str
) -> None:
    path = written(ROWS[fault], root / f"table{suffix}")
    assert MESSAGES[fault] in refused(path)


def test_blank_lines_of_jsonl_count_in_the_lines_that_are_named(root: Path) -> None:
    lines = (
        '{"path": "images/cat/0.png", "label": "cat"}',
        "",
        '{"path": "images/cat/1.png", "label": null}',
    )
    path = written("\n".join(lines), root / "table.jsonl")
    assert "line 3: no label in column 'label'" in refused(path)


# --- encodings


@pytest.mark.parametrize(
    ("encoding", "classes"),
    [
        ("utf-8", {"cat": "çat", "dog": "größer"}),
        ("utf-8-sig", {"cat": "çat", "dog": "größer"}),
        ("cp1252", {"cat": "“café”", "dog": "größer als 5 €"}),
        ("gbk", {"cat": "家里的小猫咪在睡觉", "dog": "院子里的大狗在跑步"}),
    ],
)
def test_labels_are_read_in_the_encoding_that_they_were_saved_in(
    root: Path, encoding: str, classes: dict[str, str]
) -> None:
    text = "\n".join([HEADER, *rows_of(classes)])
    path = written(text.encode(encoding), root / "table.csv")
    assert set(read(path).classes) == set(classes.values())


def test_lines_of_a_table_in_gbk_are_named_as_they_stand(root: Path) -> None:
    rows = ["images/cat/0.png,家里的小猫咪在睡觉", "", "images/cat/1.png,"]
    path = written("\n".join([HEADER, *rows]).encode("gbk"), root / "table.csv")
    assert "line 4: no label in column 'label'" in refused(path)
