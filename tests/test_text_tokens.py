"""How texts become tokens, and tokens ids: what a token is, what train alone decides."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipelines.text import tokens
from pipelines.text.data import TextSplits
from pipelines.text.tokens import Tokenization
from tests.texts import load, parted, small


def words(text: str, unit: tokens.Unit = "word", lower: bool = True) -> list[str]:
    found = tokens.split(tf.constant([text]), Tokenization(unit=unit, lower=lower))
    return [token.decode() for token in found[0].numpy().tolist()]


def word_fingerprints(text: str) -> set[int]:
    words = Tokenization(unit="word", lower=True)
    return set(tokens.ngram_fingerprints(tf.constant([text]), words, characters=False)[0].numpy())


# ------------------------------------------------------------------------------------------- tokens


def test_a_linear_model_knows_where_a_text_begins_and_ends() -> None:
    first, last = word_fingerprints("what a"), word_fingerprints("a what")
    alone = word_fingerprints("what")
    assert len(first & last) == 2, "the words, and neither what stands at an end nor their order"
    assert len(alone & first) == 2, "the word, and that it begins the text"
    assert len(alone & last) == 2, "the word, and that it ends the text"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop", ["don\u2019t", "stop"]),
        ("Don\u2019t stop", ["don\u2019t", "stop"]),
        ("rock'n'roll", ["rock\u2019n\u2019roll"]),
        ("the dogs' 'big' day", ["the", "dogs", "'", "'", "big", "'", "day"]),
        ("Really?! (yes...)", ["really", "?", "!", "(", "yes", ".", ".", ".", ")"]),
        ("3.5 stars, 100%", ["3", ".", "5", "stars", ",", "100", "%"]),
        ("ÉTÉ Straße ЖУК ΛΌΓΟΙ", ["été", "straße", "жук", "λόγοι"]),
        ("great😀😀film", ["great", "😀", "😀", "film"]),
        ("e\u0301te\u0301 हिन्दी", ["e\u0301te\u0301", "हिन्दी"]),
        ("a\u00a0b\u2003c\u3000d\x85e\tf\ng\x07h\u2028i", list("abcdefghi")),
        ("", []),
        (" \x85\t", []),
    ],
    ids=lambda value: ascii(value) if isinstance(value, str) else "",
)
def test_words_and_single_marks_are_tokens(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_case_is_kept_on_request() -> None:
    assert words("Good FILM", lower=False) == ["Good", "FILM"]
    assert words("GaT", "char", lower=False) == ["G", "a", "T"]


def test_characters_are_tokens_of_their_own() -> None:
    assert words(" 很好😀 A\n\nb ", "char") == ["很", "好", "😀", " ", "a", " ", "b"]


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["a good film of the year", "a bad book about nothing"], "word"),
        (
            [
                "sehr ordentliche Donaudampfschifffahrtsgesellschaft",
                "ein schlechtes Rechtsschutzversicherungsunternehmen",
            ],
            "word",
        ),
        (
            [
                "无论如何这部电影都非常值得一看,演员的表演也十分出色,强烈推荐",
                "这本书的内容十分无聊,我看了十分钟就睡着了,完全不推荐给大家",
            ],
            "char",
        ),
        (["很好看", "不好看"], "char"),
        (["とても良い映画でした", "つまらない本だった"], "char"),
        (["หนังเรื่องนี้ดีมาก", "หนังสือเล่มนี้แย่มาก"], "char"),
        (["한국 영화는 정말 좋다", "이 책은 정말 나쁘다"], "word"),
        (["ACGTTGCAACGTGGCATTACGGATCA" * 2, "TTGACCGATTACGGCATCAGGATTAC" * 2], "char"),
        (["MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "GSHMASMTGGQQMGRGSEFELRRQACGRMKWVQ"], "char"),
        (["😀 good", "😡 bad"], "word"),
    ],
    ids=[
        "English",
        "German",
        "Chinese",
        "short Chinese",
        "Japanese",
        "Thai",
        "Korean",
        "DNA",
        "protein",
        "emoji",
    ],
)
def test_tokens_are_characters_where_texts_lack_spaces(
    texts: list[str], unit: str, tmp_path: Path
) -> None:
    splits = load(
        parted(train=[text + " " * n for n in range(3) for text in texts], val=texts, test=texts),
        tmp_path,
    )
    assert splits.tokenization.unit == unit
    assert splits.describe()["tokens"].startswith("words" if unit == "word" else "characters")


def test_the_kind_of_token_can_be_given(tmp_path: Path) -> None:
    assert set("goodfilm") <= set(load(small(), tmp_path, tokens="char").vocabulary)
    splits = load(
        parted(train=["很好看", "不好看"] * 2, val=["很好看", "不"], test=["好", "不"]),
        tmp_path,
        tokens="word",
    )
    assert set(splits.vocabulary) == {"很好看", "不好看"}


def test_unicode_is_kept_from_the_file_to_the_ids(tmp_path: Path) -> None:
    texts = ["naïve café ☕️", "Ünïcödé 👩‍🚀 wins", "Привет мир", "مرحبا بالعالم"]
    splits = load(parted(train=texts, val=texts[:2], test=texts[2:]), tmp_path)
    assert list(splits.train.x) == texts
    assert {"naïve", "café", "☕", "ünïcödé", "👩", "🚀", "привет", "мир", "مرحبا"} <= set(
        splits.vocabulary
    )
    assert (splits.ids["test"] != tokens.UNKNOWN).all()


def test_half_of_a_surrogate_pair_is_read(tmp_path: Path) -> None:
    rows = [{"text": f"odd \ud83d text {n}", "label": "ab"[n % 2]} for n in range(20)]
    splits = load("\n".join(map(json.dumps, rows)), tmp_path, "texts.jsonl")
    assert sum(splits.sizes().values()) == 20
    assert "odd" in splits.vocabulary


# ---------------------------------------------------------------------------------------------- ids


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> TextSplits:
    """Splits whose test holds a token and a length that train lacks."""
    table = parted(
        train=["a good film", "a bad film", "a good book", "a bad"],
        val=["a warm film", "bad"],
        test=["good unseen film and so on", "bad"],
    )
    return load(table, tmp_path_factory.mktemp("known"))


def test_vocabulary_and_length_come_from_train_alone(known: TextSplits) -> None:
    assert known.vocabulary == ("a", "bad", "film", "good", "book")
    assert known.length == 3
    assert known.ids["train"].tolist() == [[2, 5, 4], [2, 3, 4], [2, 5, 6], [0, 2, 3]]
    assert known.ids["test"][0].tolist() == [5, tokens.UNKNOWN, 4]
    assert known.ids["val"][0].tolist() == [2, tokens.UNKNOWN, 4]


def test_ids_are_padded_on_the_left(known: TextSplits) -> None:
    assert known.ids["test"][1].tolist() == [tokens.PADDING, tokens.PADDING, 3]


def test_a_vocabulary_and_a_length_can_be_given(tmp_path: Path) -> None:
    splits = load(small(), tmp_path, vocabulary=2, length=7)
    assert splits.vocabulary == ("film", "number")
    assert splits.ids["train"].shape == (12, 7)
    assert set(np.unique(splits.ids["train"])) == {0, 1, 2, 3}


def test_the_order_of_rows_does_not_decide_the_vocabulary(tmp_path: Path) -> None:
    train = ["b a", "a b", "d c", "c d"]
    given: dict[str, Any] = {"val": ["a", "b"], "test": ["c", "d"]}
    assert (
        load(parted(train=train, **given), tmp_path).vocabulary
        == load(parted(train=train[::-1], **given), tmp_path).vocabulary
    )


def test_an_automatic_length_is_no_longer_than_400(tmp_path: Path) -> None:
    splits = load(
        parted(
            train=["word " * 900, "word " * 1000] * 2, val=["word", "other"], test=["word", "other"]
        ),
        tmp_path,
    )
    assert splits.length == 400
