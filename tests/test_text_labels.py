"""What a text's label may be, one or several."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.splits import PARTS
from tests.texts import load, load_path, noted, refused, several, small, total, write

# ------------------------------------------------------------------------------------------- labels


def test_a_missing_label_is_refused_with_its_line(tmp_path: Path) -> None:
    table = small()
    table.loc[[6, 9], "label"] = None
    assert "texts.csv: line 8: no label in column 'label' (2 such rows)" in refused(
        write(table, tmp_path)
    )


@pytest.mark.parametrize("name", ["texts.csv", "texts.jsonl", "texts.parquet"])
def test_a_label_of_spaces_is_a_missing_label(name: str, tmp_path: Path) -> None:
    table = small()
    table.loc[[6, 9], "label"] = ["", "  "]
    line = 8 if name == "texts.csv" else 7
    assert f"{name}: line {line}: no label in column 'label' (2 such rows)" in refused(
        write(table, tmp_path, name)
    )


def test_one_class_is_refused(tmp_path: Path) -> None:
    assert "texts.csv: classification needs at least 2 classes. Found 1 (pos: 20)" in refused(
        write(small().assign(label="pos"), tmp_path)
    )


def test_a_class_with_one_row_is_refused(tmp_path: Path) -> None:
    table = small()
    table.loc[4, "label"] = "odd"
    message = refused(write(table, tmp_path))
    assert (
        "texts.csv: each class needs at least 3 examples, one for each of train, val and test. "
        "'odd' has 1. All: " in message
    )


@pytest.mark.parametrize("name", ["texts.csv", "texts.jsonl", "texts.parquet"])
def test_whole_numbers_with_a_point_are_called_by_the_number(name: str, tmp_path: Path) -> None:
    splits = load(small().assign(label=[1.0, 0.0] * 10), tmp_path, name)
    assert splits.classes == ("0", "1")
    assert (
        splits.digest
        == load(small().assign(label=[1, 0] * 10), tmp_path, f"same{Path(name).suffix}").digest
    )


def test_numbers_are_in_their_order_and_written_as_they_stand(tmp_path: Path) -> None:
    assert load(small().assign(label=["10", "9", "-1", "2"] * 5), tmp_path).classes == (
        "-1",
        "2",
        "9",
        "10",
    )
    assert load(small().assign(label=["0.5", "1.5"] * 10), tmp_path).classes == ("0.5", "1.5")
    assert load(small().assign(label=["007", "7"] * 10), tmp_path).classes == ("007", "7")
    assert load(small().assign(label=["²", "--1"] * 10), tmp_path).classes == ("--1", "²")


def test_labels_are_stripped_and_words_for_gaps_are_labels(tmp_path: Path) -> None:
    table = small().assign(label=["NA ", "None", " NA", "None"] * 5)
    assert load(table, tmp_path).classes == ("NA", "None")


@pytest.mark.parametrize("name", ["texts.csv", "texts.jsonl", "texts.parquet"])
def test_true_and_false_are_labels(name: str, tmp_path: Path) -> None:
    assert load(small().assign(label=[True, False] * 10), tmp_path, name).classes == (
        "False",
        "True",
    )


def test_a_categorical_column_is_read(tmp_path: Path) -> None:
    table = small()
    assert (
        load(table.astype({"label": "category"}), tmp_path, "a.parquet").digest
        == load(table, tmp_path).digest
    )


def test_a_column_of_measurements_is_refused_with_the_flag(tmp_path: Path) -> None:
    message = refused(write(small(20).assign(label=np.arange(40) / 7), tmp_path))
    assert "texts.csv: the column 'label' holds measurements (0.0, 0.142857" in message
    assert "--label-column NAME" in message


# ----------------------------------------------------------------------------------- several labels


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_the_separator_of_several_labels_is_found(separator: str, tmp_path: Path) -> None:
    splits = load(
        several("a", "b", f"a{separator} b", f"c{separator}a"), tmp_path, multi_label=True
    )
    assert splits.classes == ("a", "b", "c")
    assert not splits.exclusive
    assert noted(splits, f"texts.csv: labels are separated by {separator!r}: 3 classes")
    assert total(splits) == 20
    one_hot = {}
    for part in PARTS:
        for text, row in zip(splits.texts(part), splits.one_hot(part), strict=True):
            one_hot[text] = row.tolist()
    assert one_hot[f"text 0 of a{separator} b"] == [1, 1, 0]
    assert one_hot[f"text 4 of c{separator}a"] == [1, 0, 1]
    assert all(splits.one_hot(part).any(axis=0).all() for part in PARTS)


def test_another_separator_is_given(tmp_path: Path) -> None:
    splits = load(several("a", "b", "a / b, c"), tmp_path, multi_label=True, label_separator="/")
    assert splits.classes == ("a", "b", "b, c")


def test_labels_without_a_separator_are_refused_with_the_flag(tmp_path: Path) -> None:
    message = refused(write(several("a", "b", "a/b"), tmp_path), multi_label=True)
    assert (
        "texts.csv: --multi-label, but no label contains | ; or , between several. "
        "Say what separates them: --label-separator TEXT" in message
    )


def test_a_given_separator_that_no_label_holds_is_refused(tmp_path: Path) -> None:
    message = refused(
        write(several("a", "b", "a|b"), tmp_path), multi_label=True, label_separator="/"
    )
    assert "texts.csv: --label-separator '/' occurs in no label. The first label: '" in message


def test_several_labels_are_limited_with_their_texts(tmp_path: Path) -> None:
    splits = load(several("a", "b", "a|b", "c|b", each=10), tmp_path, multi_label=True, limit=6)
    assert splits.sizes() == {"train": 4, "val": 1, "test": 1}
    table = several("a", "a|b", each=10).assign(split="train")
    more = several("a", "b", each=2).assign(split="test", text=[f"new {n}" for n in range(4)])
    limited = load(pd.concat([table, more]), tmp_path, multi_label=True, limit=4).sizes()
    assert limited == {"train": 2, "val": 1, "test": 1}


def test_lists_of_labels_are_refused_with_the_form_expected(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": [["a"], ["b"], ["a", "b"]][n % 3]} for n in range(15)]
    for path in (
        write("\n".join(map(json.dumps, rows)), tmp_path, "texts.jsonl"),
        write(pd.DataFrame(rows), tmp_path, "texts.parquet"),
    ):
        message = refused(path, multi_label=True)
        assert (
            f"{path.name}: line 1: the label is a list or an object. "
            "Expected one value in a cell, several labels as a|b." in message
        )
        assert "Received: ['a']" in message


@pytest.mark.parametrize("joined", ["a|b", "a;b", "b, a"])
def test_labels_that_look_like_several_are_noted(joined: str, tmp_path: Path) -> None:
    splits = load(several("a", "b", joined), tmp_path)
    assert splits.exclusive
    assert noted(
        splits,
        f"texts.csv: labels such as {joined!r} look like several labels in one cell. "
        "If they are, add --multi-label",
    )


def test_labels_that_only_hold_a_comma_are_not_suspicious(tmp_path: Path) -> None:
    assert not noted(load(several("food, drink", "tools", "toys"), tmp_path), "--multi-label")


def test_a_rare_class_among_several_labels_stays_in_train(tmp_path: Path) -> None:
    rows = [(f"a word of {number}", "a|b" if number % 2 else "b") for number in range(60)]
    rows += [(f"rare {name} {number}", name) for name in ("x", "y", "z") for number in range(3)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "rare.csv", index=False)
    for seed in range(5):
        splits = load_path(tmp_path / "rare.csv", multi_label=True, seed=seed)
        assert (splits.one_hot("train").sum(axis=0) > 0).all()


def test_many_rare_labels_are_split_all_the_same(tmp_path: Path) -> None:
    """No label is the rarest one of five texts, so texts are split without regard to labels."""
    rows = [(f"text number {n}", f"l{n % 20}|l{(n + 7) % 20}") for n in range(40)]
    splits = load(pd.DataFrame(rows, columns=["text", "label"]), tmp_path, multi_label=True)
    assert sum(splits.sizes().values()) == 40
    assert all(splits.sizes().values())
