"""Folders of labelled files: what is taken for parts and classes, and what is left out and said."""

import os
import shlex
from collections import Counter
from pathlib import Path

import pytest

from pipelines.errors import DataError
from pipelines.io.folders import FileKind
from pipelines.io.layouts import Layout, read_layout

KIND = FileKind(what="images", suffixes=(".png",), remedies={".heic": "HEIC: convert it"})


def tree(root: Path, *paths: str) -> Path:
    """Write an empty file at each path; `cat/*3.png` stands for three of them."""
    for path in paths:
        folder, star, count = path.partition("*")
        names = [folder]
        if star:
            number, _, ending = count.partition(".")
            names = [f"{folder}{position}.{ending}" for position in range(int(number))]
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return root


def found(layout: Layout) -> dict[tuple[str, str], int]:
    """Return how many files each class of each part has."""
    return dict(Counter((file.part, file.label) for file in layout.files))


def read(root: Path) -> Layout:
    return read_layout(root, KIND)


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(root)
    return str(caught.value)


CLASSES = {("train", "cat"): 2, ("train", "dog"): 2}
THREE = {**CLASSES, ("val", "cat"): 2, ("val", "dog"): 2, ("test", "cat"): 2, ("test", "dog"): 2}


def classes_in(*folders: str) -> list[str]:
    paths = []
    for folder in folders:
        paths += [f"{folder}cat/*2.png", f"{folder}dog/*2.png"]
    return paths


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("training_set", "validation_set", "test_set"),
        ("Training", "Validation", "Testing"),
        ("train_images", "dev", "test_images"),
        ("seg_train/seg_train", "seg_valid/seg_valid", "seg_test/seg_test"),
        ("training", "validation", "evaluation"),
        ("data/train", "data/eval", "data/test"),
        ("archive/pets/train", "archive/pets/valid", "archive/pets/test"),
    ],
)
def test_parts_are_known_by_what_people_call_them(
    tmp_path: Path, train: str, val: str, test: str
) -> None:
    layout = read(tree(tmp_path, *classes_in(f"{train}/", f"{val}/", f"{test}/")))
    assert found(layout) == THREE


def test_parts_below_the_classes_are_known(tmp_path: Path) -> None:
    tree(tmp_path, "cat/train/*2.png", "cat/test/*1.png", "dog/train/*2.png", "dog/test/*1.png")
    assert found(read(tmp_path)) == {**CLASSES, ("test", "cat"): 1, ("test", "dog"): 1}


def test_a_class_may_be_called_as_a_part(tmp_path: Path) -> None:
    layout = read(tree(tmp_path, "train/*2.png", "car/*2.png", "test_tube/*2.png"))
    assert found(layout) == {
        ("train", "car"): 2,
        ("train", "test_tube"): 2,
        ("train", "train"): 2,
    }


def test_folders_that_only_wrap_are_gone_through_and_it_is_said(tmp_path: Path) -> None:
    layout = read(tree(tmp_path, *classes_in("archive/images/"), "archive/readme.md"))
    assert found(layout) == CLASSES
    assert layout.notes[0] == f"read from {tmp_path}/archive/images, the only folder with images"


@pytest.mark.parametrize("test", ["test/*3.png", "test/unknown/*3.png", "test/test/*3.png"])
def test_a_test_part_without_classes_is_left_out_and_said(tmp_path: Path, test: str) -> None:
    layout = read(tree(tmp_path, *classes_in("train/"), test))
    assert found(layout) == CLASSES
    assert any(
        "test/ holds 3 images without folders of classes" in note
        and "test is split off from train" in note
        for note in layout.notes
    )


def test_a_hold_out_of_one_known_class_is_read(tmp_path: Path) -> None:
    layout = read(tree(tmp_path, *classes_in("train/"), "test/cat/*3.png"))
    assert found(layout) == {**CLASSES, ("test", "cat"): 3}


def test_folders_beside_the_parts_are_counted(tmp_path: Path) -> None:
    layout = read(tree(tmp_path, *classes_in("train/"), "seg_pred/*4.png"))
    assert "4 images in seg_pred/ left out: it is not called like a part" in layout.notes[-1]


def test_folders_below_the_classes_count_for_the_class_above_and_it_is_said(tmp_path: Path) -> None:
    layout = read(tree(tmp_path, "cat/*1.png", "cat/kitten/*1.png", "dog/*2.png"))
    assert found(layout) == CLASSES
    assert "1 image of train in folders below those of the classes" in layout.notes[0]
    assert "cat/kitten/" in layout.notes[0]


def test_everything_left_out_is_counted_with_what_to_do(tmp_path: Path) -> None:
    tree(tmp_path, *classes_in(""), "cat/*3.heic", "fox/*2.svg", "stray.png", "cat/.hidden.png")
    tree(tmp_path, "__MACOSX/cat/._0.png", "cat/Thumbs.db", ".git/0.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    layout = read(tmp_path)
    notes = "\n".join(layout.notes)
    assert found(layout) == CLASSES
    assert f"1 image directly in {tmp_path} without the folder of a class left out" in notes
    assert "that hold no images are no classes: fox" in notes
    assert (
        "6 files left out, not read as images: 3 .heic, 2 .svg, 1 pipe or device. "
        "HEIC: convert it" in notes
    )
    assert "hidden" not in notes
    assert "MACOSX" not in notes


def test_links_out_of_the_data_are_not_followed_and_said(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret/*2.png")
    root = tree(tmp_path / "data", *classes_in(""))
    (root / "fox").symlink_to(outside / "secret")
    (root / "cat" / "link.png").symlink_to(outside / "secret" / "0.png")
    (root / "cat" / "inside.png").symlink_to(root / "dog" / "0.png")
    (root / "loop").symlink_to(root)
    layout = read(root)
    assert found(layout) == {("train", "cat"): 3, ("train", "dog"): 2}
    assert "3 links to folders or out of" in layout.notes[-1]
    assert "fox, loop, cat/link.png" in layout.notes[-1]


# --- what is refused, and which folder is named


def test_the_folder_of_one_class_names_the_one_above(tmp_path: Path) -> None:
    tree(tmp_path, *classes_in("my pets/"))
    message = refused(tmp_path / "my pets" / "cat")
    assert f"holds cat, dog. Give that one: --data {shlex.quote(str(tmp_path / 'my pets'))}" in (
        message
    )


def test_several_data_sets_in_one_folder_are_one_folder_too_high(tmp_path: Path) -> None:
    paths = [*classes_in("a/train/"), *classes_in("b/train/"), *classes_in("b/test/")]
    message = refused(tree(tmp_path, *paths))
    assert "is one folder too high: a, b hold parts and classes of their own" in message
    assert f"--data {tmp_path}/a" in message


def test_a_part_given_alone_names_those_beside_it(tmp_path: Path) -> None:
    tree(tmp_path, *classes_in("train/"), "test/cat/*2.png")
    layout = read(tmp_path / "train")
    assert "beside it lie test, which are not used" in layout.notes[-1]
    assert layout.notes[-1].endswith(f"--data {tmp_path}")


def test_parts_without_classes_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    message = refused(tree(tmp_path, "train/*3.png", "test/*2.png"))
    assert "test, train hold 5 images but no folders of classes, thus no labels" in message
    assert "--data TABLE.csv" in message


def test_parts_without_one_for_training_are_refused(tmp_path: Path) -> None:
    message = refused(tree(tmp_path, *classes_in("val/", "test/")))
    assert "holds parts (test, val) but none for training" in message


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    message = refused(tree(tmp_path, *classes_in("train_a/", "train_b/", "test/")))
    assert "several folders could be the same part: train_a, train_b" in message


def test_other_files_alone_are_counted_in_the_refusal(tmp_path: Path) -> None:
    message = refused(tree(tmp_path, "cat/*2.heic", "dog/*1.heic"))
    assert "Files of other kinds: 3 .heic. HEIC: convert it" in message


def test_folders_too_deep_are_refused(tmp_path: Path) -> None:
    message = refused(tree(tmp_path, "/".join("abcdefghijklmnop") + "/0.png"))
    assert "lies more than 12 folders deep" in message


def test_texts_named_by_numbers_alone_are_read(tmp_path: Path) -> None:
    kind = FileKind(what="texts", suffixes=(".txt",), bare_numbers=True)
    tree(tmp_path, "20news-bydate-train/a/1", "20news-bydate-train/b/2", "20news-bydate-test/a/3")
    tree(tmp_path, "20news-bydate-train/a/README")
    (tmp_path / "20news-bydate-train" / "a" / "gone").symlink_to("nowhere")
    layout = read_layout(tmp_path, kind)
    assert found(layout) == {("train", "a"): 1, ("train", "b"): 1, ("test", "a"): 1}
    assert layout.notes[-1] == "2 files left out, not read as texts: 1 no ending, 1 broken link"
