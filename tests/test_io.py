"""Tables and texts of any domain: encodings, delimiters, lines of rows, parts, digests."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataError
from pipelines.io.digest import data_digest
from pipelines.io.folders import FileKind, scan
from pipelines.io.parts import part_folders, part_of
from pipelines.io.paths import require_path
from pipelines.io.progress import Work, counted, shown_by, working
from pipelines.io.spreadsheet_safe import neutralise_formulas
from pipelines.io.tables import cell_text, raise_for_lines, read_table
from pipelines.io.text_files import encoding_of, read_lines, read_text
from pipelines.splits import Part
from tests.samples import written

# --- encodings

CHINESE = "今天天气很好,我们一起去公园散步,孩子们在草地上玩耍。"
KOREAN = "오늘은 날씨가 아주 좋아서 우리는 함께 공원에 산책하러 갔습니다."
JAPANESE = "今日はとても天気がよかったので、みんなで公園へ散歩に行きました。"
WESTERN = "“Größe” – déjà vu, 5 €"  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "utf-8"),
        (WESTERN, "utf-8-sig"),
        (WESTERN, "cp1252"),
        ("Größe, déjà vu", "latin-1"),
        (CHINESE, "gbk"),
        (CHINESE, "gb18030"),
        (CHINESE, "big5"),
        (KOREAN, "euc_kr"),
        (JAPANESE, "shift_jis"),
        (3 * JAPANESE, "euc_jp"),
    ],
)
def test_a_text_is_read_in_the_encoding_that_it_was_saved_in(
    text: str, encoding: str, tmp_path: Path
) -> None:
    if encoding == "big5":
        text = "今天天氣很好,我們一起去公園散步,孩子們在草地上玩耍。"
    path = written(text.encode(encoding), tmp_path / "text.txt")
    assert read_text(path) == text


@pytest.mark.parametrize("word", ["Köln", "größe", "año", "São", "Åse", "smörgås", "brûlée", "“ü”"])
@pytest.mark.parametrize("rest", ["", ",a\n", "\nplain words follow,b\nand more of them,a\n"])
def test_a_few_accents_among_plain_letters_are_windows_own(word: str, rest: str) -> None:
    """The two bytes of `öl` are one character of Big5, those of `üb` one of its Hong Kong kind."""
    assert encoding_of(f"text,label\n{word}{rest}".encode("cp1252")) == "cp1252"


POLISH = "Zażółć gęślą jaźń, część książek była świetna, żółw też"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, dobré zboží, přesně tři"
HUNGARIAN = "Árvíztűrő tükörfúrógép, nagyon jó könyv, sőt gyönyörű, örülök ennek a jövő heti időnek"
ROMANIAN = "Îmi place această carte şi o să o citesc încă o dată, puţin câte puţin"
TURKISH = "Çok güzel bir kitap, aldığım gün okudum, ışık ve gölge, şimdi öğreniyorum"  # noqa: RUF001
LITHUANIAN = "Ši knyga yra labai gera, žmonės ją skaitė ir mėgo, ąžuolų šešėlyje įdomių dalykų"
GERMAN = "Größe und Qualität überzeugen, schöne Bücher, für Mädchen, süß und hübsch"
FRENCH = "Très bien, déjà lu, ça m'a plu à l'été, être ou ne pas être, élève modèle, garçon"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", POLISH),
        ("cp1250", CZECH),
        ("cp1250", HUNGARIAN),
        ("cp1250", ROMANIAN),
        ("iso8859_2", POLISH),
        ("iso8859_2", CZECH),
        ("cp852", POLISH),
        ("cp1254", TURKISH),
        ("cp1257", LITHUANIAN),
        ("mac_roman", GERMAN),
        ("mac_roman", FRENCH),
        ("cp850", GERMAN),
        ("cp850", FRENCH),
    ],
)
def test_the_language_of_a_text_tells_its_latin_encoding(encoding: str, text: str) -> None:
    raw = f"text,label\n{text},a\n".encode(encoding)
    assert raw.decode(encoding_of(raw)) == raw.decode(encoding)


@pytest.mark.parametrize(
    "text",
    [
        GERMAN,
        FRENCH,
        "Björk, Beyoncé, Sigur Rós, Motörhead, Mötley Crüe, Röyksopp, Café Tacuba, Múm, Ásgeir",
        "É um livro muito bom, não há dúvida, a emoção é única, são três irmãos",
        "Äiti söi hyvää puuroa, yötä päivää, näin käy; perché no? Città, così, più, però, é",
        "“quoted” – and it’s 5 € a piece; don’t…",  # noqa: RUF001
        "één vóór allemaal, één",
        "m³, m², 20 °C, ½, Nº 5, ± 3, © 2020",
    ],
)
def test_texts_of_the_west_stay_in_the_encoding_of_windows_there(text: str) -> None:
    assert encoding_of(f"text,label\n{text},a\n".encode("cp1252")) == "cp1252"


def test_bytes_that_windows_does_not_have_are_latin_1() -> None:
    assert encoding_of(b"line one\x81 line two caf\xe9") == "latin-1"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "gbk"])
def test_a_table_is_read_in_the_encoding_that_it_was_saved_in(
    encoding: str, tmp_path: Path
) -> None:
    cell = CHINESE.replace(",", "") if encoding == "gbk" else "Größe 5"
    path = written(f"text,label\n{cell},a\n".encode(encoding), tmp_path / "table.csv")
    assert read_table(path).frame["text"].tolist() == [cell]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"PK\x03\x04\0\0", "is compressed, or a workbook"),
        (b"a,b\n1,\0\n", "line 2 holds a NUL byte"),
    ],
    ids=["archive", "NUL"],
)
def test_what_is_not_a_text_is_refused_with_what_it_may_be(
    raw: bytes, message: str, tmp_path: Path
) -> None:
    path = written(raw, tmp_path / "table.csv")
    with pytest.raises(DataError, match=message):
        read_table(path)
    with pytest.raises(DataError, match=message):
        read_text(path)


# --- lines of texts


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_read_without_their_ends_and_blank_ones_count(end: str, tmp_path: Path) -> None:
    path = written(end.join(["first", "", "third", "", ""]), tmp_path / "text.txt")
    assert read_lines(path) == ["first", "", "third"]


def test_a_control_character_of_latin_1_ends_no_line(tmp_path: Path) -> None:
    path = written("one\x85still one\ntwo".encode("latin-1"), tmp_path / "text.txt")
    assert len(read_lines(path)) == 2


# --- tables


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    text = f"text{delimiter}label\nfine{delimiter}good\n"
    table = read_table(written(text, tmp_path / "table.csv"))
    assert table.columns == ["text", "label"]
    assert table.frame.iloc[0].tolist() == ["fine", "good"]


def test_nothing_in_a_delimited_file_is_a_number(tmp_path: Path) -> None:
    path = written("user,year,word\n007,2020,NA\n", tmp_path / "table.csv")
    assert read_table(path).frame.iloc[0].tolist() == ["007", "2020", "NA"]


@pytest.mark.parametrize("content", ["", "\n\n", "text,label\n"])
def test_a_table_without_rows_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Expected a header and at least one row"):
        read_table(written(content, tmp_path / "table.csv"))


CSV_LINES = [
    "text,label",
    "first,a",
    "",
    "   ",
    '"over',
    'two lines",b',
    ",",
    "last,c",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_a_delimited_file_know_their_lines(end: str, tmp_path: Path) -> None:
    table = read_table(written(end.join(CSV_LINES), tmp_path / "table.csv"))
    assert table.lines.tolist() == [2, 5, 7, 8]
    assert len(table.lines) == len(table.frame)


def test_a_row_of_tabs_is_a_row_of_empty_cells(tmp_path: Path) -> None:
    table = read_table(written("text\tlabel\n\t\n \nb\tb\n", tmp_path / "table.tsv"))
    assert len(table.frame) == 2
    assert table.lines.tolist() == [2, 4]


def test_blank_lines_before_the_header_count(tmp_path: Path) -> None:
    table = read_table(written("\n\ntext,label\na,b\n", tmp_path / "table.csv"))
    assert table.columns == ["text", "label"]
    assert table.lines.tolist() == [4]


def test_rows_of_jsonl_know_their_lines_and_rows_of_parquet_their_numbers(tmp_path: Path) -> None:
    jsonl = written('{"y": 1}\n\n{"y": 2}\n', tmp_path / "table.jsonl")
    assert read_table(jsonl).lines.tolist() == [1, 3]
    parquet = written(pd.DataFrame({"y": [1, 2]}), tmp_path / "table.parquet")
    assert read_table(parquet).lines.tolist() == [1, 2]


def test_the_lines_of_a_cell_longer_than_csv_allows_are_found(tmp_path: Path) -> None:
    path = written(f"text,label\n{'x' * 200_000},a\nshort,b\n", tmp_path / "table.csv")
    assert read_table(path).lines.tolist() == [2, 3]


def test_a_column_is_found_by_its_usual_names_and_by_the_given_one(tmp_path: Path) -> None:
    table = read_table(written("ID, Text ,kind\n1,a,b\n", tmp_path / "table.csv"))
    names = ("text", "sentence")
    assert table.find_column("", names, role="text", flag="--text-column") == "Text"
    assert table.find_column("kind", names, role="text", flag="--text-column") == "kind"
    assert table.find_column("", ("label",), role="label", flag="--label-column") is None
    with pytest.raises(DataError, match=r"has no column 'kid' for the text\..* --text-column NAME"):
        table.find_column("kid", names, role="text", flag="--text-column")


def test_the_first_five_lines_that_cannot_be_used_are_named() -> None:
    with pytest.raises(DataError, match=r"^t: line 3: is empty\. Fix it$"):
        raise_for_lines("t", [3], "is empty", "Fix it")
    with pytest.raises(DataError, match=r"^t: lines 2, 3, 4, 5, 6 and 1,998 more: are empty"):
        raise_for_lines("t", list(range(2, 2005)), "are empty", "Fix them")


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.0, "12"), (12.5, "12.5"), (np.nan, ""), (None, ""), (b"caf\xc3\xa9", "café"), ("a", "a")],
)
def test_a_cell_is_a_label_as_people_write_it(value: object, text: str) -> None:
    assert cell_text(value) == text


# --- parts


def test_a_split_column_says_the_parts_in_any_of_their_names(tmp_path: Path) -> None:
    path = written("y,split\n1,Train\n2, dev \n3,testing\n", tmp_path / "table.csv")
    assert read_table(path).parts("split") == ["train", "val", "test"]
    assert read_table(path).parts(None) == ["train"] * 3


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tset", r"line 4: unknown split 'tset'\. Did you mean 'test'\?"),
        ("", "line 4: column 'split' is empty"),
    ],
)
def test_another_word_in_the_split_column_is_refused_with_its_line(
    word: str, message: str, tmp_path: Path
) -> None:
    path = written(f"y,split\n1,train\n\n2,{word}\n", tmp_path / "table.csv")
    with pytest.raises(DataError, match=message):
        read_table(path).parts("split")


NAMES: dict[str, Part | None] = {
    "training_set": "train",
    "Training": "train",
    "train_images": "train",
    "seg_train": "train",
    "TrainImages": "train",
    "train2017": "train",
    "Train data": "train",
    "trainset": "train",
    "20news-bydate-train": "train",
    "valid": "val",
    "validation_set": "val",
    "dev": "val",
    "eval": "val",
    "val2017": "val",
    "testing": "test",
    "test_set": "test",
    "asl_alphabet_test": "test",
    "train_test": None,  # words of two parts
    "trained": None,
    "contest": None,
    "latest": None,
    "cat": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_a_part_by_any_of_its_words(name: str) -> None:
    assert part_of(name) == NAMES[name]


def test_evaluation_is_the_test_part_where_another_one_is_for_validation() -> None:
    three = [Path("training"), Path("validation"), Path("evaluation")]
    assert part_folders(three) == {"train": [three[0]], "val": [three[1]], "test": [three[2]]}
    assert part_folders([Path("train"), Path("eval")])["val"] == [Path("eval")]


# --- paths


PICTURES = FileKind(what="images", suffixes=(".png",))


def test_what_is_not_there_is_refused_with_the_nearest_known_name() -> None:
    with pytest.raises(DataError, match=r"Did you mean 'digits'\? Known data sets: appline vision"):
        require_path("digit", ["digits"], "vision")


def test_a_file_is_hidden_by_any_folder_above_it(tmp_path: Path) -> None:
    for folder in ("cache", ".cache"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.PNG").touch()
    assert scan(tmp_path, PICTURES).all_files() == [tmp_path / "cache" / "a.PNG"]


def test_a_name_that_is_not_utf8_is_refused_and_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).touch()
    with pytest.raises(DataError, match=r"caf\\xe9\.png: the name is not UTF-8\. Rename it"):
        scan(tmp_path, PICTURES)


# --- what is shown, what a spreadsheet opens


class Heard:
    """Keeps what is said of work, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begun(self, work: Work) -> None:
        self.lines.append(f"{work.what} begun, {work.total} in all")

    def ended(self, work: Work) -> None:
        self.lines.append(f"{work.what} ended at {work.done}")


def test_whoever_shows_work_hears_of_what_is_read_within_it() -> None:
    heard = Heard()
    with shown_by(heard), working("data"):
        assert list(counted("ab", "images", 2)) == ["a", "b"]
    expected = ["data begun, 0 in all", "images begun, 2 in all"]
    assert heard.lines == [*expected, "images ended at 2", "data ended at 0"]
    assert list(counted("ab", "images", 2)) == ["a", "b"]
    assert len(heard.lines) == 4, "nobody is told after the block"


def test_work_that_fails_is_over() -> None:
    heard = Heard()
    with shown_by(heard), pytest.raises(KeyError), working("data"):
        raise KeyError
    assert heard.lines[-1] == "data ended at 0"


def test_what_a_spreadsheet_takes_for_a_formula_becomes_a_text() -> None:
    frame = pd.DataFrame({"=x": ["=1+1", "@a", "b"], "score": [-1.5, 2.0, 0.0]})
    safe = neutralise_formulas(frame)
    assert safe["'=x"].tolist() == ["'=1+1", "'@a", "b"]
    assert safe["score"].tolist() == [-1.5, 2.0, 0.0]


# --- digests

NUMBERS = np.arange(6)


@pytest.mark.parametrize(
    "other",
    [NUMBERS.reshape(2, 3), NUMBERS.astype("int32"), NUMBERS[::-1], NUMBERS.astype(str)],
    ids=["shape", "type", "order", "texts"],
)
def test_other_data_has_another_digest(other: np.ndarray) -> None:
    assert data_digest(NUMBERS) == data_digest(NUMBERS.copy())
    assert data_digest(NUMBERS) != data_digest(other)


def test_texts_and_times_have_digests_that_do_not_depend_on_the_process() -> None:
    texts = np.asarray(["a", "é", None], dtype=object)
    times = np.asarray(["2024-01-01"], dtype="datetime64[ns]")
    assert data_digest(texts, times) == data_digest(texts.copy(), times.copy())
    assert data_digest(texts) == "b4e4e67259e2f2d4"
    assert data_digest(NUMBERS.astype("int64")) == "2118944d8c52cd1b"


def test_a_digest_does_not_depend_on_the_layout_in_memory() -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    assert data_digest(matrix) == data_digest(np.asfortranarray(matrix))


def test_the_encoding_of_a_large_file_is_guessed_from_its_beginning() -> None:
    raw = (CHINESE * 40_000).encode("gbk")
    began = time.monotonic()
    assert raw.decode(encoding_of(raw)) == CHINESE * 40_000
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "это очень хорошо,плохо\n"),
        ("koi8_r", "это очень хорошо,плохо\n"),
        ("cp866", "это очень хорошо,плохо\n"),
        ("cp1253", "αυτό είναι πολύ καλό,κακό\n"),
        ("cp1255", "זה טוב מאוד,רע\n"),
        ("cp1256", "هذا جيد جدا,سيئ\n"),
        ("cp932", "これは良いです,悪い\n"),
        ("euc_jp", "これは良いです,悪い\n"),
    ],
)
@pytest.mark.parametrize("english", ["", "good tea number 7 "])
def test_letters_of_other_alphabets_are_read_as_they_were_written(
    encoding: str, text: str, english: str
) -> None:
    whole = "text,label\n" + (english + text) * 30

    raw = whole.encode(encoding)

    assert raw.decode(encoding_of(raw)) == whole


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        ("https://x.org/a.zip", "Download it: curl -LO https://x.org/a.zip"),
        ("s3://b/a", "Download"),
    ],
)
def test_an_address_is_no_path(data: str, remedy: str) -> None:
    with pytest.raises(DataError, match="is an address, and data is read from files") as refused:
        require_path(data, [], "text")
    assert remedy in str(refused.value)
