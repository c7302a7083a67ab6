"""What a text's label may be, one or several."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.splits import PARTS
from pipelines.text.data import TextSplits
from tests.texts import load, load_path, noted, refused, several, small, total, write


def one_hot(splits: TextSplits) -> dict[str, list[int]]:
    """Return the zeros and ones of each text."""
    rows = {}
    for part in PARTS:
        for text, row in zip(splits.texts(part), splits.one_hot(part), strict=True):
            rows[text] = row.astype(int).tolist()
    return rows


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


@pytest.mark.parametrize("separator", ["|", ";", ",", "\n"])
def test_the_separator_of_several_labels_is_found(separator: str, tmp_path: Path) -> None:
    splits = load(
        several("a", "b", f"a{separator} b", f"c{separator}a"), tmp_path, multi_label=True
    )
    assert splits.classes == ("a", "b", "c")
    assert not splits.exclusive
    assert noted(splits, f"texts.csv: labels are separated by {separator!r}: 3 classes")
    assert total(splits) == 20
    assert one_hot(splits)[f"text 0 of a{separator} b"] == [1, 1, 0]
    assert one_hot(splits)[f"text 4 of c{separator}a"] == [1, 0, 1]
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


@pytest.mark.parametrize("name", ["texts.jsonl", "texts.json", "texts.parquet", "texts.csv"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_lists_of_labels_are_several_labels(name: str, multi_label: bool, tmp_path: Path) -> None:
    """In a CSV they are written as Python writes them: "['a', 'b']"."""
    labels = [["a"], ["b"], ["a", "b"], []]
    rows: list[dict[str, object]] = []
    for n in range(20):
        rows.append({"text": f"text number {n}", "label": labels[n % 4]})
    content: pd.DataFrame | str = pd.DataFrame(rows)
    if name == "texts.jsonl":
        content = "\n".join(map(json.dumps, rows))
    elif name == "texts.json":
        content = json.dumps(rows)
    splits = load(content, tmp_path, name, multi_label=multi_label)
    assert splits.classes == ("a", "b")
    assert one_hot(splits)["text number 2"] == [1, 1]
    assert one_hot(splits)["text number 3"] == [0, 0]
    assert noted(splits, f"{name}: labels are lists: 2 classes, and a text may have several")
    assert noted(splits, "5 texts without a label: none of the classes")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("['a', 'b c']", ("a", "b c")),
        ('["a", "it\'s"]', ("a", "it's")),
        ("['a' 'b']", ("a", "b")),  # as NumPy writes arrays: Python would read 'ab'
        ("{'b', 'a'}", ("a", "b")),
        ("{a,b}", ("a", "b")),  # as Postgres writes arrays
        ("[1, 2]", ("1", "2")),
        ("[1 2]", ("1", "2")),
        ("[1.10, 1.1]", ("1.1", "1.10")),
        ("['it\\'s', 'a']", ("a", "it's")),
        ("[sports, news]", ("news", "sports")),
    ],
)
def test_a_list_is_read_however_it_was_written(
    written: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    table = pd.DataFrame({"text": [f"text number {n}" for n in range(12)]})
    splits = load(table.assign(label=[written, "[]"] * 6), tmp_path, multi_label=True)
    assert splits.classes == names


def test_lists_of_0_and_1_are_a_class_for_each_place(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": [f"text number {n}" for n in range(12)]})
    splits = load(table.assign(labels=["[0, 0, 1]", "[1, 1, 0]", "[0, 0, 0]"] * 4), tmp_path)
    assert splits.classes == ("0", "1", "2")
    assert one_hot(splits)["text number 1"] == [1, 1, 0]
    assert one_hot(splits)["text number 2"] == [0, 0, 0]
    assert noted(splits, "3 classes, called by their place in the list from 0 to 2")


def test_several_columns_of_labels_are_several_labels(tmp_path: Path) -> None:
    table = small().assign(fine=["x", "y", "x", ""] * 5)
    splits = load(table, tmp_path, label_column="label,fine")
    assert splits.classes == ("neg", "pos", "x", "y")
    assert one_hot(splits)["bad bad film number 0"] == [1, 0, 0, 1]
    assert noted(splits, "2 columns of labels: a text may have several")


def test_lists_of_one_label_are_labels(tmp_path: Path) -> None:
    table = small()
    lists = pd.Series([[label] for label in table["label"]], dtype=object)
    splits = load(table.assign(label=lists), tmp_path, "a.parquet")
    assert splits.exclusive
    assert splits.digest == load(table, tmp_path).digest


def test_an_object_for_a_label_is_refused(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": {"is": {"deep": n}}} for n in range(5)]
    message = refused(
        write("\n".join(map(json.dumps, rows)), tmp_path, "a.jsonl"), label_column="label.is"
    )
    assert (
        "a.jsonl: line 1: the label in column 'label.is' is an object. Expected a word, or a list "
        "of words: write what counts of it into a column of its own" in message
    )


def test_texts_without_a_label_are_a_case_among_several(tmp_path: Path) -> None:
    splits = load(several("a|b", "b", "a", ""), tmp_path, multi_label=True)
    assert total(splits) == 20
    assert noted(splits, "5 texts without a label: none of the classes")
    assert one_hot(splits)["text 0 of "] == [0, 0]
    one_or_none = load(several("a", "b", ""), tmp_path, "none.csv", multi_label=True)
    assert not one_or_none.exclusive
    assert noted(one_or_none, "a text has one label or none: 2 classes")


def toxic() -> pd.DataFrame:
    """Comments as the set of toxic comments has them: a column of 0 and 1 for each class."""
    texts = [f"a comment of some words {n}" for n in range(40)]
    rude = [n % 2 for n in range(40)]
    threat = [int(n % 4 == 1) for n in range(40)]
    return pd.DataFrame({"id": range(40), "comment_text": texts, "rude": rude, "threat": threat})


def test_columns_of_0_and_1_are_a_class_each(tmp_path: Path) -> None:
    splits = load(toxic(), tmp_path)
    assert splits.classes == ("rude", "threat")
    assert one_hot(splits)["a comment of some words 1"] == [1, 1]
    assert one_hot(splits)["a comment of some words 2"] == [0, 0]
    assert noted(splits, "columns: text=comment_text, label=rude+threat; not used: id")
    assert noted(splits, "2 columns of 0 and 1, a class each: a text may have several labels")
    assert noted(splits, "20 texts without a label: none of the classes")
    typed = load(toxic().astype({"rude": float, "threat": bool}), tmp_path, "typed.parquet")
    assert typed.digest == splits.digest


def test_columns_of_0_and_1_with_one_1_in_each_row_are_one_label(tmp_path: Path) -> None:
    table = toxic()
    splits = load(table.assign(threat=1 - table["rude"]), tmp_path)
    assert splits.exclusive
    assert splits.classes == ("rude", "threat")
    assert noted(splits, "every text has exactly one label")


def test_columns_of_0_and_1_are_chosen_with_the_flag(tmp_path: Path) -> None:
    table = toxic().assign(other=[0, 1] * 20)
    splits = load(table, tmp_path, label_column="Threat,rude")
    assert splits.classes == ("rude", "threat")
    message = refused(tmp_path / "texts.csv", label_column="threat,id")
    assert "line 4: the column 'id' holds '2'" in message
    assert "Expected 0 or 1 where several columns hold labels" in message


def test_a_hidden_label_of_minus_1_is_a_missing_one(tmp_path: Path) -> None:
    table = toxic()
    table.loc[[3, 5], ["rude", "threat"]] = -1
    message = refused(write(table, tmp_path))
    assert "line 5: no label in column 'rude' + 'threat' (2 such rows)" in message
    assert message.endswith("Leave them out: --drop-missing")
    splits = load_path(tmp_path / "texts.csv", drop_missing=True)
    assert total(splits) == 38
    assert noted(splits, "2 rows without a label left out (lines 5, 7)")


# --------------------------------------------------------------------- what is left out on demand


def test_rows_without_a_label_are_left_out_on_demand(tmp_path: Path) -> None:
    table = small()
    table.loc[[6, 9], "label"] = [None, " "]
    assert "Leave them out: --drop-missing" in refused(write(table, tmp_path))
    splits = load(table, tmp_path, drop_missing=True)
    assert total(splits) == 18
    assert noted(splits, "2 rows without a label left out (lines 8, 11)")
    empty = write(small().assign(label=[" "] * 20), tmp_path)
    assert "the column 'label' is empty in all 20 rows" in refused(empty, drop_missing=True)


def test_small_classes_are_left_out_on_demand(tmp_path: Path) -> None:
    table = small()
    table.loc[4, "label"] = "odd"
    assert "--min-class 3" in refused(write(table, tmp_path))
    splits = load(table, tmp_path, min_class=3)
    assert splits.classes == ("neg", "pos")
    assert total(splits) == 19
    assert noted(splits, "1 class with fewer than 3 training examples left out, 1 example in all")


def test_small_labels_are_left_out_on_demand_and_their_texts_stay(tmp_path: Path) -> None:
    table = several("a|b", "b", "a")
    table.loc[0, "label"] = "a|rare"
    splits = load(table, tmp_path, multi_label=True, min_class=3)
    assert splits.classes == ("a", "b")
    assert total(splits) == 15
    assert one_hot(splits)["text 0 of a|b"] == [1, 0]
    assert noted(
        splits, "1 class with fewer than 3 training texts left out, their texts stay: rare (1)"
    )


# -------------------------------------------------------------------------------- labels as written


def test_labels_are_as_written(tmp_path: Path) -> None:
    """1.1 and 1.10 are sections of a book, 007 and 7 are codes."""
    table = small().assign(label=["1.1", "1.10", "007", "7"] * 5)
    assert load(table, tmp_path).classes == ("007", "1.1", "1.10", "7")


def test_a_measurement_and_an_id_are_no_labels(tmp_path: Path) -> None:
    ids = small(20).assign(label=[f"{n:05}" for n in range(40)])
    message = refused(write(ids, tmp_path))
    assert (
        "the column 'label' holds 40 different values in 40 rows (00000, 00001 and 1 more)"
        in message
    )
    assert "--label-column NAME" in message


def test_labels_of_few_words_in_many_combinations_are_named(tmp_path: Path) -> None:
    table = several(*[f"{a}|{b}" for a in "pqrs" for b in "pqrs" if a < b], each=1)
    message = refused(write(table, tmp_path))
    assert "look like several labels in one cell. If they are, add --multi-label" in message


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


def test_a_label_that_is_an_object_in_a_list_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = []
    for number, row in enumerate(small().to_dict("records")):
        choices = [{"value": {"choices": [row["label"]]}}]
        rows.append(json.dumps({"id": number, "text": row["text"], "label": choices}))
    message = refused(write("\n".join(rows), tmp_path, "exported.jsonl"))
    assert "exported.jsonl: line 1: the label in column 'label' is an object" in message


def test_labels_that_are_written_as_gaps_are_said_to_be_classes(tmp_path: Path) -> None:
    table = small()
    table.loc[[3, 6, 9], "label"] = "NaN"
    splits = load(table, tmp_path)
    assert "NaN" in splits.classes
    assert noted(splits, "column 'label': 3 labels 'NaN' (the first on line 5)")


@pytest.mark.parametrize(
    ("names", "is_said"),
    [
        (["a|b", "a|c"], True),
        (["2,5", "5"], True),
        (["Austin, TX", "San Diego, CA"], False),
        (["rock", "pop"], False),
    ],
)
def test_cells_that_look_like_several_labels_are_pointed_at(
    names: list[str], is_said: bool, tmp_path: Path
) -> None:
    table = small().assign(label=names * 10)
    splits = load(table, tmp_path)
    assert set(splits.classes) == set(names)
    assert bool(noted(splits, "If they are several: --multi-label")) == is_said


def test_tags_of_stack_overflow_are_several_labels(tmp_path: Path) -> None:
    splits = load(small().assign(Tags=["<c++><stl>", "<c++>"] * 10).drop(columns="label"), tmp_path)
    assert splits.classes == ("c++", "stl")
    assert not splits.exclusive
