"""Labels in the names of files: read by --label-pattern, and recognised where nobody gave one."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import DataError, UsageError
from pipelines.io.folders import FileKind
from pipelines.io.label_patterns import label_of_hold_out, labels_in_names, read_pattern
from pipelines.io.layouts import Layout, read_layout
from pipelines.splits import PARTS
from pipelines.text.options import TextOptions
from pipelines.text.pipeline import TextPipeline
from pipelines.vision.data import load
from pipelines.vision.options import VisionOptions

KIND = FileKind(what="images", suffixes=(".png", ".jpg"))
ROOT = Path("pets")


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def read(root: Path, pattern: str = "", *, drop_missing: bool = False) -> Layout:
    return read_layout(root, KIND, read_pattern(pattern), drop_missing=drop_missing)


def found(layout: Layout) -> dict[tuple[str, str], int]:
    return dict(Counter((file.part, file.label) for file in layout.files))


def refused(root: Path, pattern: str = "") -> str:
    with pytest.raises(DataError) as caught:
        read(root, pattern)
    return str(caught.value)


# -------------------------------------------------------------------------------------- the pattern


@pytest.mark.parametrize(
    ("pattern", "path", "label", "group"),
    [
        (r"^(.+?)\.", "cat.0.jpg", "cat", ""),
        (r"^(.*)_\d+.jpg$", "images/great_pyrenees_12.jpg", "great_pyrenees", ""),
        (r"/([^/]+)_\d+.jpg$", "Abyssinian_1.jpg", "Abyssinian", ""),  # as fastai's tutorial has it
        (r"/([^/]+)/[^/]+$", "8863/benign/1.png", "benign", ""),
        (r"^/(?P<group>[^/]+)/(?P<label>\d)/", "8863/0/1.png", "0", "8863"),
        (r"(?P<group>p\d+)_(\w+)\.", "p7_benign.png", "benign", "p7"),
        (r"(?P<breed>[a-z]+)_", "pug_1.png", "pug", ""),
        (r"^(dog)|cat", "cat.0.jpg", "", ""),
    ],
)
def test_the_label_is_the_group_called_so_or_the_first(
    pattern: str, path: str, label: str, group: str
) -> None:
    read_by = read_pattern(pattern)
    assert read_by is not None
    assert read_by.find(ROOT / path, ROOT) == (label, group)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("^(.+?", r"is no regular expression: missing \), unterminated subpattern at character 2"),
        ("^cat", "no group says which part is the label. Put it between parentheses"),
        ("(?P<group>x)y", "no group says which part is the label"),
        ("(?P<a>x)(?P<b>y)", r"which of the groups a, b is the label\? Call that one label"),
    ],
)
@pytest.mark.parametrize("options", [VisionOptions, TextOptions])
def test_a_pattern_without_a_label_is_refused_with_the_options(
    options: type[VisionOptions] | type[TextOptions], pattern: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        options(label_pattern=pattern)


def test_data_without_files_of_its_own_has_no_names_to_read() -> None:
    with pytest.raises(DataError, match="digits: --label-pattern reads labels in the names of"):
        load(VisionOptions(data="digits", label_pattern=r"^(\d)"))


# ------------------------------------------------------------------------------------------ folders


def test_files_of_one_folder_are_labelled_by_their_names(tmp_path: Path) -> None:
    tree(tmp_path, "cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "notes.md")
    layout = read(tmp_path, r"^(\w+)\.")
    assert found(layout) == {("train", "cat"): 2, ("train", "dog"): 1}
    assert "labels are read from the names of files by --label-pattern '^(\\w+)\\.'" in layout.notes
    assert any("1 file left out, not read as images: 1 .md" in note for note in layout.notes)


def test_parts_are_kept_and_a_part_without_labels_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg", "valid/cat.1.jpg", "test1/1.jpg")
    layout = read(tmp_path, "^(cat|dog)")
    assert found(layout) == {("train", "cat"): 1, ("train", "dog"): 1, ("val", "cat"): 1}
    assert layout.notes[0].startswith(
        "test1/ holds 1 image whose names --label-pattern '^(cat|dog)' does not fit, thus without"
    )


def test_files_that_do_not_fit_are_named_or_left_out(tmp_path: Path) -> None:
    tree(tmp_path, "cat.0.jpg", "dog.0.jpg", "IMG_7.jpg")
    message = refused(tmp_path, "^(cat|dog)")
    assert "does not fit the names of 1 of 3 images: IMG_7.jpg. Expected" in message
    assert message.endswith("--drop-missing")
    layout = read(tmp_path, "^(cat|dog)", drop_missing=True)
    assert found(layout) == {("train", "cat"): 1, ("train", "dog"): 1}
    assert "1 image without a label in their names left out: IMG_7.jpg" in layout.notes
    nothing = refused(tmp_path, "/(lion)/")
    assert "does not fit the names of 3 of 3 images: /IMG_7.jpg, /cat.0.jpg" in nothing
    assert "--drop-missing" not in nothing


def test_what_a_pattern_calls_a_group_is_split_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for patient in range(10):
        for label in "01":
            for number in range(3):
                path = tmp_path / f"p{patient}" / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
    pattern = "/(?P<group>[^/]+)/(?P<label>[^/]+)/[^/]+$"
    splits = load(VisionOptions(data=str(tmp_path), label_pattern=pattern))
    assert splits.classes == ("0", "1")
    groups = []
    for part in PARTS:
        of_part = splits.images(part).groups
        assert of_part is not None
        groups.append(set(of_part))
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert set().union(*groups) == {f"p{patient}" for patient in range(10)}


def test_texts_are_labelled_by_their_names_too(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"spmsg{number}.txt").write_text(f"win money {number}", encoding="utf-8")
        (tmp_path / f"msg{number}.txt").write_text(f"see you at {number}", encoding="utf-8")
    options = TextOptions(data=str(tmp_path), label_pattern=r"^(spmsg|msg)")
    splits = TextPipeline(options).load()
    assert splits.classes == ("msg", "spmsg")
    assert sum(splits.sizes().values()) == 20


def test_a_hold_out_is_labelled_by_name_or_folder_whichever_the_model_knows() -> None:
    pattern = read_pattern(r"^(.+?)[._]")
    classes = ["cat", "dog"]

    def label(path: str) -> str:
        return label_of_hold_out(ROOT / path, ROOT, classes, pattern)

    assert label("cat.7.jpg") == "cat"
    assert label("test/dog/img_1.jpg") == "dog"
    assert label("fox.1.jpg") == "fox"
    assert label_of_hold_out(ROOT / "test/fox/1.jpg", ROOT, classes, None) == "fox"
    assert label_of_hold_out(ROOT / "1.jpg", ROOT, ["pets", "cat"], None) == "pets"
    assert label_of_hold_out(ROOT / "1.jpg", ROOT, classes, None) == ""


# -------------------------------------------------------------------------------------- recognition


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"], {"cat": 2, "dog": 2}),
        (["Abyssinian_1.jpg", "Abyssinian_2.jpg"], {}),
        (
            ["Manx_1.jpg", "Manx_2.jpg", "great_pyrenees_1.jpg", "great_pyrenees_2.jpg"],
            {"Manx": 2, "great_pyrenees": 2},
        ),
        (
            ["n02085620_7.jpg", "n02085620_8.jpg", "n02085782_1.jpg", "n02085782_2.jpg"],
            {"n02085620": 2, "n02085782": 2},
        ),
        (["cat (1).png", "cat (2).png", "dog (1).png", "dog (2).png"], {"cat": 2, "dog": 2}),
        (["a_b1x.png", "a_c2y.png", "d_b3z.png", "d_z.png"], {"a": 2, "d": 2}),
        (["1-x_ok.png", "2-y_ok.png", "1-z_bad.png", "5-y_bad.png"], {"ok": 2, "bad": 2}),
        (["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg", "IMG_0004.jpg"], {}),
        (["0001.jpg", "0002.jpg", "1001.jpg", "1002.jpg"], {}),
        (["2020_01.jpg", "2020_02.jpg", "2021_01.jpg", "2021_02.jpg"], {}),
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg", "readme.jpg"], {}),
        (["a.jpg", "b.jpg", "c.jpg"], {}),
        ([], {}),
    ],
)
def test_labels_are_recognised_in_names_where_they_are_plain(
    names: list[str], labels: dict[str, int]
) -> None:
    recognised = labels_in_names(names)
    assert dict(recognised.counts if recognised else {}) == labels


@pytest.mark.parametrize("folder", ["", "images/", "train/"])
def test_a_flat_folder_whose_names_carry_labels_is_refused_with_the_pattern_that_reads_them(
    tmp_path: Path, folder: str
) -> None:
    tree(tmp_path, *[f"{folder}{name}_{number}.jpg" for name in ("pug", "cat") for number in "12"])
    message = refused(tmp_path)
    assert "The names of the files look like labels: cat (2), pug (2)" in message
    _, pattern = message.split("--label-pattern '")
    layout = read(tmp_path, pattern.rstrip("'"))
    assert found(layout) == {("train", "pug"): 2, ("train", "cat"): 2}


def test_folders_of_ids_above_the_classes_are_asked_about(tmp_path: Path) -> None:
    tree(tmp_path, *[f"{9000 + number}/{label}/a.png" for number in range(3) for label in "01"])
    message = refused(tmp_path)
    assert "which folders are the classes: 9000, 9001, 9002, or the lower ones, 0, 1?" in message
    lower, upper = message.split("--label-pattern '")[1:]
    assert found(read(tmp_path, lower.split("'")[0])) == {("train", "0"): 3, ("train", "1"): 3}
    assert {label for _, label in found(read(tmp_path, upper.rstrip("'")))} == {
        *("9000", "9001", "9002")
    }


def test_lower_folders_that_recur_are_read_by_the_pattern_in_the_note(tmp_path: Path) -> None:
    tree(tmp_path, *[f"{a}/{b}/1.png" for a in ("cat", "dog") for b in ("indoor", "outdoor")])
    layout = read(tmp_path)
    assert found(layout) == {("train", "cat"): 2, ("train", "dog"): 2}
    assert "If the classes are the lower folders, --label-pattern '/([^/]+)/[^/]+$'" in "\n".join(
        layout.notes
    )


def test_folders_that_are_called_as_folds_are_asked_about(tmp_path: Path) -> None:
    tree(tmp_path, *[f"Fold{n}/{name}/1.png" for n in (1, 2) for name in ("benign", "malignant")])
    assert "which folders are the classes: Fold1, Fold2, or the lower ones" in refused(tmp_path)
