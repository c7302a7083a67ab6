"""Tables of images' paths: their columns, their encodings, and the lines that messages name."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.errors import DataError
from pipelines.splits import PARTS
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


# --- paths as people write them


def test_backslashes_dots_and_absolute_paths_are_read(root: Path) -> None:
    rows = []
    for name in ("cat", "dog"):
        rows += [
            f"images\\{name}\\0.png,{name}",
            f"./images/{name}/1.png,{name}",
            f"{root}/images/{name}/2.png,{name}",
            f" images/{name}/3.png , {name} ",
        ]
    splits = read(csv(root, *rows))
    assert splits.classes == ("cat", "dog")
    assert sum(splits.sizes().values()) == 8


def test_paths_are_read_from_another_folder_on_request(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    rows = [f"{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(4)]
    path = written("\n".join([HEADER, *rows]), tmp_path / "tables" / "table.csv")
    assert "for another folder: --image-root DIR" in refused(path)
    splits = read(path, image_root=str(root / "images"))
    assert sum(splits.sizes().values()) == 8
    assert "there is no such folder" in refused(path, image_root=str(root / "absent"))


def test_a_path_out_of_the_image_root_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    path = written(f"{HEADER}\n{root}/images/dog/0.png,cat", tmp_path / "tables" / "table.csv")
    assert "leads out of" in refused(path, image_root=str(root / "images" / "cat"))


def test_ids_without_an_ending_are_found_by_name(root: Path) -> None:
    for number in range(6):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 255, (8, 8, 3), dtype="uint8")
        Image.fromarray(pixels).save(root / f"00{number}.{'jpg' if number % 2 else 'png'}")
    rows = [f"00{number},{number % 2}" for number in range(6)]
    splits = read(csv(root, *rows, header="image_id,label"))
    names = []
    for part in PARTS:
        images = splits.images(part)
        names += [images.name(row) for row in range(len(images.y))]
    assert sorted(Path(name).stem for name in names) == [f"00{number}" for number in range(6)]
    (root / "000.jpg").write_bytes((root / "001.jpg").read_bytes())
    message = refused(csv(root, *rows, header="image_id,label"))
    assert "line 2: '000' may be any of " in message
    assert "/000.jpg, " in message


def test_plain_names_are_found_in_the_folders_below(root: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(4):
            image = root / "images" / name / f"{number}.png"
            image.rename(image.with_name(f"{name}{number}.png"))
    rows = [f"{name}{number},{name}" for name in ("cat", "dog") for number in range(4)]
    assert sum(read(csv(root, *rows, header="id,label")).sizes().values()) == 8
    (root / "images" / "dog" / "cat0.png").write_bytes(b"")
    message = refused(csv(root, *rows, header="id,label"))
    assert "line 2: 'cat0' may be any of " in message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("https://example.org/a.png", "is an address. Download the images"),
        (r"C:\photos\a.png", "is a path of another computer"),
        ("a\0b.png", ""),
    ],
)
def test_paths_of_elsewhere_are_refused(root: Path, name: str, expected: str) -> None:
    assert expected in refused(csv(root, f"{name},cat"))


# --- columns as people write them


def test_labels_stay_as_they_are_written(root: Path) -> None:
    assert read(csv(root, *rows_of({"cat": "1.10", "dog": "1.1"}))).classes == ("1.1", "1.10")
    assert read(csv(root, *rows_of({"cat": "007", "dog": "7"}))).classes == ("007", "7")


def test_which_column_was_taken_for_what_is_said(root: Path) -> None:
    rows = [f"{number},{row},x" for number, row in enumerate(rows_of({"cat": "a", "dog": "b"}))]
    splits = read(csv(root, *rows, header="id,where,label,remark"))
    assert "columns: path=where, label=label; not used: id, remark" in splits.notes


def test_the_other_of_two_columns_is_the_label(root: Path) -> None:
    splits = read(csv(root, *rows_of({"cat": "a", "dog": "b"}), header="img,animal"))
    assert splits.classes == ("a", "b")
    assert "columns: path=img, label=animal" in splits.notes


@pytest.mark.parametrize("delimiter", [",", "\t", " "])
def test_a_table_without_a_header_is_read_from_its_first_line(root: Path, delimiter: str) -> None:
    rows = [row.replace(",", delimiter) for row in rows_of({"cat": "0", "dog": "1"})]
    path = written("\n".join(rows), root / "list.txt")
    splits = read(path)
    assert splits.classes == ("0", "1")
    assert sum(splits.sizes().values()) == 8
    spoilt = written("\n".join([*rows, f"images/cat/99.png{delimiter}0"]), path)
    assert "do not exist. line 9: " in refused(spoilt)


def test_one_column_of_0_and_1_a_class_is_read(root: Path) -> None:
    rows = rows_of({"cat": "1.0,0.0", "dog": "0.0,1.0"})
    splits = read(csv(root, *rows, header="image,MEL,NV"))
    assert splits.classes == ("MEL", "NV")
    assert "the class is the one of MEL, NV that is 1" in splits.notes


def test_an_image_of_two_classes_is_refused_with_its_line(root: Path) -> None:
    rows = [*rows_of({"cat": "1,0", "dog": "0,1"})[:-1], "images/dog/3.png,1,1"]
    message = refused(csv(root, *rows, header="image,MEL,NV"))
    assert "line 9: several of the columns MEL, NV are 1 (1 such rows)" in message


@pytest.mark.parametrize(("header", "empty"), [(HEADER, ""), ("path,a,b", "0,0")])
def test_rows_without_a_label_are_left_out_on_request(root: Path, header: str, empty: str) -> None:
    labels = {"cat": "a", "dog": "b"} if header == HEADER else {"cat": "1,0", "dog": "0,1"}
    rows = [*rows_of(labels)[:-1], f"images/dog/3.png,{empty}"]
    path = csv(root, *rows, header=header)
    assert "leave such rows out: --drop-missing" in refused(path)
    splits = read(path, drop_missing=True)
    assert sum(splits.sizes().values()) == 7
    assert "1 row without a label left out (line 9)" in splits.notes


# --- annotations, boxes and pixels


def coco_file(root: Path, categories: dict[str, list[int]]) -> Path:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name in ("cat", "dog"):
        for number in range(4):
            image = len(images)
            images.append({"id": image, "file_name": f"images/{name}/{number}.png"})
            for category in categories[name]:
                annotations.append({"image_id": image, "category_id": category})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    return written(json.dumps(content), root / "annotations.json")


def test_annotations_of_coco_are_the_classes_of_images(root: Path) -> None:
    splits = read(coco_file(root, {"cat": [3, 3], "dog": [7]}))
    assert splits.describe()["classes"] == "2: cat 4, dog 4"


def test_an_image_that_shows_several_classes_is_refused_with_its_name(root: Path) -> None:
    message = refused(coco_file(root, {"cat": [3, 7], "dog": [7]}))
    assert "4 images show objects of several classes: images/cat/0.png (cat, dog)" in message


def test_an_image_that_a_table_names_twice_with_one_label_is_there_once(root: Path) -> None:
    rows = rows_of({"cat": "cat", "dog": "dog"})
    splits = read(csv(root, *rows, *rows[:3]))
    assert sum(splits.sizes().values()) == 8
    assert any("3 rows left out that name an image again" in note for note in splits.notes)


@pytest.mark.parametrize("name", ["images/CAT/0.PNG", "images/cat/00"])
def test_names_with_other_capitals_or_zeros_are_pointed_at(root: Path, name: str) -> None:
    message = refused(csv(root, f"{name},cat", *rows_of({"cat": "cat", "dog": "dog"})))
    assert "There is 0.png for" in message


def pixels_of(number: int) -> str:
    return ",".join(str((number * 7 + pixel) % 200) for pixel in range(25))


@pytest.mark.parametrize("form", ["columns", "no header", "one cell"])
def test_tables_of_pixels_are_read_as_square_images(tmp_path: Path, form: str) -> None:
    rows = [(str(number % 2), pixels_of(number)) for number in range(30)]
    header = ",".join(["label", *(f"pixel{pixel}" for pixel in range(25))])
    lines = [f"{label},{pixels}" for label, pixels in rows]
    if form == "one cell":
        header = "emotion,pixels,Usage"
        parts = ["Training"] * 20 + ["PublicTest"] * 5 + ["PrivateTest"] * 5
        joined = zip(rows, parts, strict=True)
        lines = [f"{row[0]},{row[1].replace(',', ' ')},{part}" for row, part in joined]
    if form != "no header":
        lines = [header, *lines]
    splits = read(written("\n".join(lines), tmp_path / "pixels.csv"))
    assert splits.shape == (5, 5, 1)
    assert splits.classes == ("0", "1")
    assert splits.train.x.dtype == np.uint8
    if form == "one cell":
        assert splits.sizes() == {"train": 20, "val": 5, "test": 5}
        assert splits.train.x[3].ravel().tolist() == list(map(int, rows[3][1].split(",")))


def test_an_address_of_images_stays_refused_beside_numbers(tmp_path: Path) -> None:
    rows = [f"https://x.org/{number}.png,{number % 2}" for number in range(9)]
    assert "is an address" in refused(written("\n".join(["url,label", *rows]), tmp_path / "a.csv"))


@pytest.mark.parametrize("form", ["bytes", "objects"])
def test_a_parquet_file_may_hold_the_images_themselves(form: str, tmp_path: Path) -> None:
    contents = []
    for number in range(20):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8), 12 * number, np.uint8)).save(file, "PNG")
        contents.append(file.getvalue())
    cells: list[object] = list(contents)
    if form == "objects":  # as datasets of Hugging Face have them
        cells = [{"bytes": content, "path": "x.png"} for content in contents]
    frame = pd.DataFrame({"image": cells, "label": [number % 2 for number in range(20)]})
    frame.to_parquet(tmp_path / "images.parquet")
    options = VisionOptions(data=str(tmp_path / "images.parquet"))
    splits = load(options)
    assert splits.classes == ("0", "1")
    values = np.concatenate([splits.images(part).x[:, 0, 0, 0] for part in PARTS])
    assert sorted(values.tolist()) == [12 * number for number in range(20)]
    assert "columns: image=image, label=label" in splits.notes
    cells[3] = b"broken" if form == "bytes" else {"bytes": b"broken", "path": None}
    frame.assign(image=pd.Series(cells)).to_parquet(tmp_path / "images.parquet")
    with pytest.raises(DataError, match="1 of 20 images cannot be read: line 4 is not an image"):
        load(options)
    assert sum(load(dataclasses.replace(options, skip_unreadable=True)).sizes().values()) == 19


def test_labels_that_look_like_several_are_noted(root: Path) -> None:
    labels = ["rust|scab", "scab", "rust|scab", "scab"] * 2
    rows = [row.rpartition(",")[0] for row in rows_of({"cat": "", "dog": ""})]
    lines = [f"{row},{label},7" for row, label in zip(rows, labels, strict=True)]
    path = written("\n".join(["Image Index,Finding Labels,ID", *lines]), root / "a.csv")
    notes = load(VisionOptions(data=str(path))).notes
    assert any("1 of 2 classes hold '|', such as 'rust|scab'" in note for note in notes)


def test_a_list_that_counts_its_rows_has_its_labels_behind(root: Path) -> None:
    rows = rows_of({"cat": "0.0", "dog": "1.0"})
    lines = []
    for number, row in enumerate(rows):
        image, _, label = row.partition(",")
        lines.append(f"{number}\t{label}\t{image}")
    splits = load(VisionOptions(data=str(written("\n".join(lines), root / "a.tsv"))))
    assert splits.classes == ("0", "1")
