"""Which columns of a table of texts are taken for what, and what is said of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.texts import every, load, load_path, noted, refused, small, total, write

WORDS = ("the soup was warm", "a dull and grey film", "nobody came to the party", "a bright day")


def words(rows: int) -> list[str]:
    """Texts of five words or more, no two of them the same."""
    return [f"{WORDS[n % 4]} on day {n} of {n % 7}" for n in range(rows)]


def test_the_columns_are_said(tmp_path: Path) -> None:
    table = small().assign(id=range(20), when="2020-01-01").rename(columns={"text": "review_body"})
    assert noted(
        load(table.rename(columns={"label": "Stars"}), tmp_path),
        "columns: text=review_body, label=Stars; not used: id, when",
    )


@pytest.mark.parametrize(
    "written", ["Review-Text", "review text", "REVIEW_TEXT", " review.text ", "ReviewText"]
)
def test_names_are_the_same_with_other_blanks_and_dashes(written: str, tmp_path: Path) -> None:
    table = small().rename(columns={"text": written, "label": "Label"})
    plain = load(small(), tmp_path, "plain.csv")
    assert load(table, tmp_path).digest == plain.digest
    assert load(table, tmp_path, text_column="review-text", label_column="LABEL").digest == (
        plain.digest
    )


def test_of_two_columns_the_one_of_texts_is_the_text(tmp_path: Path) -> None:
    table = small().rename(columns={"text": "b", "label": "a"})
    assert load(table[["a", "b"]], tmp_path).digest == load(small(), tmp_path, "p.csv").digest
    # However many labels there are: 8 of 24 rows.
    many = pd.DataFrame({"a": [f"intent {n % 8}" for n in range(24)], "b": words(24)})
    assert len(load(many, tmp_path, "many.csv").classes) == 8


def test_long_texts_and_few_values_are_found_among_other_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": [f"{n:08}" for n in range(60)],
            "when": pd.date_range("2020-01-01", periods=60).astype(str),
            "mood": ["good", "bad", "so so"] * 20,
            "said": words(60),
            "share": rng.random(60),
            "link": [f"https://example.org/{n}" for n in range(60)],
        }
    )
    splits = load(table, tmp_path)
    assert splits.classes == ("bad", "good", "so so")
    assert noted(splits, "columns: text=said, label=mood; not used: id, when, share, link")


def test_two_columns_that_may_be_labels_are_named_with_their_values(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"said": words(30), "mood": ["a", "b", "c"] * 10, "tongue": ["de", "en"] * 15}
    )
    message = refused(write(table, tmp_path))
    assert "It may be one of these: mood (3 values), tongue (2 values)" in message
    assert load_path(tmp_path / "texts.csv", label_column="tongue").classes == ("de", "en")


def test_several_columns_of_texts_are_joined(tmp_path: Path) -> None:
    table = small().assign(head=[f"head {n}" for n in range(20)])
    splits = load(table, tmp_path, text_column="head,text")
    assert "head 0 good good film number 0" in every(splits)
    assert noted(splits, "columns: text=head+text, label=label")
    table.loc[0, "text"] = None
    assert "head 0" in every(load(table, tmp_path, text_column="Head, TEXT"))


def test_other_columns_of_texts_are_named_with_the_flag_that_joins_them(tmp_path: Path) -> None:
    table = pd.DataFrame({"title": words(20), "body": words(20)[::-1], "label": ["a", "b"] * 10})
    splits = load(table, tmp_path)
    assert noted(splits, "columns: text=body, label=label; not used: title")
    assert noted(splits, "title: texts too. To join them: --text-column body,title")


def test_a_column_name_may_hold_a_comma(tmp_path: Path) -> None:
    table = small().rename(columns={"text": "what, exactly"})
    assert total(load(table, tmp_path, text_column="what, exactly")) == 20


def test_a_column_of_numbers_for_a_text_is_noted(tmp_path: Path) -> None:
    table = small().assign(text=[f"{n:06}" for n in range(20)])
    assert noted(
        load(table, tmp_path),
        "the column 'text' holds links, ids or numbers rather than texts, such as '000000'",
    )


def test_links_may_be_classified(tmp_path: Path) -> None:
    table = small().assign(text=[f"https://example.org/{n}" for n in range(20)])
    splits = load(table.rename(columns={"text": "url"}), tmp_path)
    assert noted(splits, "columns: text=url, label=label")


def test_of_hundreds_of_columns_a_few_are_named(tmp_path: Path) -> None:
    table = pd.DataFrame({f"c{n}": np.arange(30) / 7 for n in range(400)})
    message = refused(write(table.assign(said=words(30)), tmp_path))
    assert "c18, c19 and 381 more" in message
    assert len(message) < 600


# -------------------------------------------------------------------------------- known collections


def test_a_label_a_tab_and_a_text_need_no_header(tmp_path: Path) -> None:
    """As the SMS spam collection has them."""
    rows = [f"{'ham' if n % 3 else 'spam'}\t{text}" for n, text in enumerate(words(30))]
    splits = load("\n".join(rows), tmp_path, "SMSSpamCollection.tsv")
    assert total(splits) == 30
    assert every(splits)[words(1)[0]] == "spam"
    assert noted(splits, "no header (its first line holds data)")
    assert noted(splits, "columns: text=column 2, label=column 1")


def test_tweets_of_six_columns_need_no_header(tmp_path: Path) -> None:
    """As sentiment140 has them: two of the users wrote twice, and all dates are of one minute."""
    rows = []
    for n, text in enumerate(words(60)):
        date = f"Mon Apr 06 22:19:{n // 2:02} PDT 2009"
        rows.append(f'"{4 * (n % 2)}","{1467810369 + n}","{date}","NO_QUERY","user{n}","{text}"')
    splits = load("\n".join(rows), tmp_path, "training.csv")
    assert splits.classes == ("0", "4")
    assert total(splits) == 60
    assert noted(splits, "columns: text=column 6, label=column 1; not used: column 2, column 3")


def test_news_of_class_title_and_body_need_no_header(tmp_path: Path) -> None:
    """As AG's news has them."""
    rows = []
    for n, text in enumerate(words(40)):
        rows.append(f'"{n % 4 + 1}","{text}","{text} and {text}, as {text} was"')
    splits = load("\n".join(rows), tmp_path, "train.csv")
    assert splits.classes == ("1", "2", "3", "4")
    assert noted(splits, "columns: text=column 3, label=column 1; not used: column 2")
    assert noted(splits, "--text-column 'column 3,column 2'")
    joined = load_path(tmp_path / "train.csv", text_column="column 2,column 3")
    assert total(joined) == 40


def test_two_named_columns_and_three_empty_ones_are_read(tmp_path: Path) -> None:
    """As the spam collection is shared elsewhere: v1,v2,,, in Latin-1."""
    rows = ["v1,v2,,,"]
    rows += [f'{"ham" if n % 3 else "spam"},"{text}, £5",,,' for n, text in enumerate(words(30))]
    splits = load("\n".join(rows).encode("latin-1"), tmp_path, "spam.csv")
    assert splits.classes == ("ham", "spam")
    assert f"{words(1)[0]}, £5" in every(splits)


def test_lines_of_fasttext_are_read(tmp_path: Path) -> None:
    rows = [f"__label__{'ab'[n % 2]} {text}" for n, text in enumerate(words(20))]
    splits = load("\n".join(rows), tmp_path, "cooking.txt")
    assert splits.exclusive
    assert every(splits)[words(2)[1]] == "b"
    several = [f"__label__a {row}" for row in rows]
    splits = load("\n".join(several), tmp_path, "several.txt")
    assert not splits.exclusive
    assert splits.classes == ("a", "b")
    assert "line 3: no __label__ at its beginning" in refused(
        write("\n".join([*rows[:2], "bare", *rows]), tmp_path, "bare.txt")
    )


def test_objects_in_objects_are_columns_of_their_own(tmp_path: Path) -> None:
    rows = []
    for n, text in enumerate(words(20)):
        rows.append({"data": {"text": text, "lang": "en"}, "meta": {"label": "ab"[n % 2]}})
    for name, content in (
        ("nested.json", json.dumps(rows)),
        ("nested.jsonl", "\n".join(map(json.dumps, rows))),
    ):
        splits = load(content, tmp_path, name)
        assert noted(splits, "columns: text=data.text, label=meta.label; not used: data.lang")


def test_a_text_of_sentences_is_joined(tmp_path: Path) -> None:
    rows = [{"text": ["One.", f"Two {n}."], "label": "ab"[n % 2]} for n in range(12)]
    assert "One. Two 3." in every(load(json.dumps(rows), tmp_path, "a.json"))


def test_a_column_called_part_with_other_words_is_no_split(tmp_path: Path) -> None:
    table = small().assign(part=["engine", "wheel"] * 10)
    assert load(table, tmp_path).digest == load(small(), tmp_path, "same.csv").digest


def test_the_same_text_of_two_columns_names_is_one_data_set(tmp_path: Path) -> None:
    table = small().assign(split=["train"] * 12 + ["dev"] * 4 + ["test"] * 4)
    splits = load(table.rename(columns={"split": "Split"}), tmp_path)
    assert splits.sizes() == {"train": 12, "val": 4, "test": 4}
    assert noted(splits, "columns: text=text, label=label, split=Split")


def test_two_columns_of_texts_are_refused_with_what_joins_them(tmp_path: Path) -> None:
    pairs = pd.DataFrame({"sentence1": words(20), "sentence2": words(20)[::-1]})
    message = refused(write(pairs.assign(label=["a", "b"] * 10), tmp_path))
    assert "To join them: --text-column sentence1,sentence2" in message
