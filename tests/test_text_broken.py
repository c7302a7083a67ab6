"""Files of texts that are broken, or only look so."""

import gzip
import json
from pathlib import Path

import pytest

from pipelines.splits import PARTS
from tests.texts import every, load, noted, refused, small, total, write


@pytest.mark.parametrize("name", ["texts.csv", "texts.tsv", "texts.jsonl"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    message = refused(write("", tmp_path, name))
    assert message.count(name) == 1
    assert "Expected a header and at least one row" in message


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    assert "texts.csv: holds no rows. Expected a header and at least one row" in refused(
        write("text,label\n", tmp_path)
    )


def test_an_unclosed_quote_is_refused(tmp_path: Path) -> None:
    text = (
        "text,label\n"
        + "good,pos\nbad,neg\n" * 9
        + '"an unclosed quote,pos\n'
        + "good,pos\nbad,neg\n" * 9
    )
    message = refused(write(text, tmp_path))
    assert "line 20: a quote is opened here" in message


def test_quotes_in_a_file_of_tabs_are_characters_where_they_hold_nothing_together(
    tmp_path: Path,
) -> None:
    """As in the SMS spam collection, of which pandas reads two messages less."""
    rows = ['"' * (n in (3, 8)) + f"film {n}\t{'ab'[n % 2]}" for n in range(20)]
    splits = load("text\tlabel\n" + "\n".join(rows), tmp_path, "texts.tsv")
    assert every(splits)['"film 3'] == "b"
    assert total(splits) == 20
    headerless = ["\t".join(row.split("\t")[::-1]) for row in rows]
    splits = load("\n".join(headerless), tmp_path, "spam.txt")
    assert every(splits)['"film 8'] == "a"
    assert total(splits) == 20
    assert splits.of_part("train").origin.tolist()[0] in (1, 2, 3)
    assert noted(splits, "spam.txt: no header")


def test_texts_of_several_rows_between_quotes_that_are_none_are_noted(tmp_path: Path) -> None:
    rows = ['"' * (n in (3, 8)) + f"film {n}\t{'ab'[n % 2]}" for n in range(20)]
    splits = load(
        "text\tlabel\n" + "\n".join([*rows, "one cell"]), tmp_path, "texts.tsv", drop_missing=True
    )
    assert noted(splits, "texts.tsv: 1 texts contain tabs and line breaks (the first on line 5)")
    assert not noted(load(small(), tmp_path, "texts.tsv"), "line breaks")


def test_rows_that_a_stray_quote_swallows_are_noted_and_texts_of_several_lines_are_not(
    tmp_path: Path,
) -> None:
    rows = ['"' * (n in (3, 8)) + f"film {n},{'ab'[n % 2]}" for n in range(20)]
    splits = load("text,label\n" + "\n".join(rows), tmp_path)
    assert total(splits) == 15
    assert noted(splits, "texts.csv: 1 texts contain whole rows of the table (the first on line 5)")
    several_lines = "text,label\n" + "\n".join(
        f'"film {n}, at last\nand, again, film",' + "ab"[n % 2] for n in range(20)
    )
    assert not noted(load(several_lines, tmp_path), "whole rows")


@pytest.mark.parametrize("between", [" and ", ", ", ", well, "])
def test_another_delimiter_is_refused_with_a_hint(between: str, tmp_path: Path) -> None:
    text = "text~label\n" + f"good{between}warm~pos\nbad{between}cold~neg\n" * 9
    message = refused(write(text, tmp_path))
    assert "texts.csv: " in message
    assert "separated by something other than" in message


def test_a_comma_without_quotes_is_refused(tmp_path: Path) -> None:
    text = "text,label\n" + "good, warm,pos\nbad, cold,neg\n" * 9
    message = refused(write(text, tmp_path))
    assert (
        "texts.csv: line 2: has 3 values, the header has 2. "
        "Expected as many: write values that hold a comma in quotes" in message
    )
    assert "texts.csv: line 3: has 3 values, the header has 2" in refused(
        write("text,label\ngood,pos\n" + "good, warm,pos\n" * 9, tmp_path)
    )


def test_rows_of_too_many_values_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    """And messages still name the lines of the file."""
    lines = [f"film {n},{'ab'[n % 2]}" for n in range(20)]
    lines[3] = "film 3, a long one,b"
    lines[8] = '"film 8, in quotes",a'
    lines[9] = "film 9, too, long,b"
    text = "text,label\n" + "\n".join(lines)
    splits = load(text, tmp_path, drop_missing=True)
    assert noted(splits, "2 rows with more values than the header left out (lines 5, 11)")
    assert total(splits) == 18
    assert every(splits)["film 8, in quotes"] == "a"
    for part in PARTS:
        texts = splits.of_part(part)
        for line, found in zip(texts.origin, texts.x, strict=True):
            assert found in text.splitlines()[line - 1]
    splits = load(text.replace("film 12,a", "film 12,"), tmp_path, drop_missing=True)
    assert noted(splits, "1 row without a label left out (line 14)")
    most = write("text,label\na,b\n" + "good, warm,pos\n" * 9, tmp_path)
    assert "has 3 values, the header has 2" in refused(most, drop_missing=True)


def test_nul_bytes_are_refused_with_their_line(tmp_path: Path) -> None:
    text = small().to_csv(index=False).encode()
    path = write(text.replace(b"number 1", b"\0", 1), tmp_path)
    assert refused(path) == f"{path}: line 4 holds a NUL byte, so this is not a text file"


def test_an_archive_under_another_name_is_named_for_what_it_is(tmp_path: Path) -> None:
    content = gzip.compress(b"text,label\ngood,a\n", mtime=0)
    assert "is compressed" in refused(write(content, tmp_path))


def test_of_columns_alike_but_for_case_the_first_is_taken(tmp_path: Path) -> None:
    table = small().assign(Text="something else")
    assert set(every(load(table, tmp_path))) == set(every(load(small(), tmp_path, "plain.csv")))


def test_an_empty_cell_of_the_split_column_is_named_with_its_line(tmp_path: Path) -> None:
    table = small().assign(split="train")
    table.loc[2, "split"] = ""
    assert "line 4: column 'split' is empty. Expected train, val or test" in refused(
        write(table, tmp_path)
    )


@pytest.mark.parametrize(
    ("more", "read_as"),
    [
        (" caf\xe9\x85 and \x0b more", " café\u2026 and \x0b more"),
        # Windows has no character \x81, so this is Latin-1, whose \x85 is a next line.
        (" caf\xe9\x85 and \x81 more", " café\x85 and \x81 more"),
    ],
    ids=["Windows", "Latin-1"],
)
def test_next_line_characters_do_not_change_the_number_of_rows(
    more: str, read_as: str, tmp_path: Path
) -> None:
    table = small()
    content = table.assign(text=table["text"] + more).to_csv(index=False).encode("latin-1")
    splits = load(content, tmp_path)
    assert total(splits) == 20
    assert every(splits) == dict(zip(table["text"] + read_as, table["label"], strict=True))
    assert "café" in splits.vocabulary


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + small().to_csv(index=False, lineterminator="\r\n").encode()
    rows = (
        b"\xef\xbb\xbf"
        + small().to_json(orient="records", lines=True).replace("\n", "\r\n").encode()
    )
    assert (
        load(text, tmp_path).digest
        == load(rows, tmp_path, "a.jsonl").digest
        == load(small(), tmp_path, "same.csv").digest
    )


def test_rows_of_json_may_be_lists(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in small().to_numpy().tolist())
    splits = load(text, tmp_path, "texts.jsonl", text_column="column 1", label_column="column 2")
    assert splits.digest == load(small(), tmp_path).digest


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("texts.jsonl", '{"text": "a", "label"\n', "line 1: is no JSON"),
        ("texts.parquet", "no parquet", "cannot be read as Parquet"),
        ("t.jsonl", "[1, 2", "line 1: is no JSON"),
    ],
)
def test_other_broken_tables_are_refused_by_their_name(
    name: str, text: str, what: str, tmp_path: Path
) -> None:
    assert f"{name}: {what}" in refused(write(text, tmp_path, name))
