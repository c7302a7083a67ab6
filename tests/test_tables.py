"""Tables as people bring them: any delimiter, with a header or without, JSON, workbooks."""

import gzip
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.errors import DataError
from pipelines.io.blanks import divided_by_blanks
from pipelines.io.tables import Table, read_table
from tests.samples import written


def read(content: str, path: Path) -> Table:
    path.write_text(content)
    return read_table(path)


def rows(table: Table) -> list[list[str]]:
    return [list(row) for row in table.frame.fillna("").to_numpy()]


@pytest.mark.parametrize(
    ("content", "names", "first"),
    [
        ("text,label\nhello,a\n", ["text", "label"], ["hello", "a"]),
        ("text;label\nhello, you;a\nyes, no;b\n", ["text", "label"], ["hello, you", "a"]),
        ("a|b|c\n1|2|3\n", ["a", "b", "c"], ["1", "2", "3"]),
        ("\n\ntext;label\nx;y\n", ["text", "label"], ["x", "y"]),
        ("sep=;\ntext;label\nx;y\n", ["text", "label"], ["x", "y"]),
        (" text , label \nx,y\n", ["text", "label"], ["x", "y"]),
        ("text,label\nx,y,\nz,w,\n", ["text", "label"], ["x", "y"]),
        ("text\nwell, a comma\n", ["text"], ["well, a comma"]),
    ],
    ids=["comma", "commas within", "pipe", "blank lines", "excel", "blanks", "trailing", "single"],
)
def test_a_delimited_file_is_read_whatever_divides_its_cells(
    content: str, names: list[str], first: list[str], tmp_path: Path
) -> None:
    if names == ["text"]:
        content = content.replace("well, a comma", '"well, a comma"')
    table = read(content, tmp_path / "table.csv")
    assert table.columns == names
    assert rows(table)[0] == first


@pytest.mark.parametrize(
    "content",
    [
        "ham\tGo until jurong point\nspam\tFree entry in 2 a wkly\nham\tOk lar\nspam\tWINNER\n",
        "3,Wall St. Bears,Short-sellers are back\n4,Carlyle,Private investment\n",
        "0,0.0,5.0,13.0\n1,0.0,12.0,13.0\n",
        "1;1193;5\n1;661;3\n",
        "2020-01-01,5\n2020-01-02,7\n2020-01-03,8\n",
        "a lovely cup\t0\ncold soup\t1\nwarm tea\t0\nstale bread\t1\n",
    ],
    ids=["sms", "ag news", "digits", "ratings", "dates", "labels from 0"],
)
def test_a_file_without_a_header_keeps_its_first_row(content: str, tmp_path: Path) -> None:
    table = read(content, tmp_path / "table.csv")
    assert not table.has_header
    assert len(table.frame) == content.count("\n")
    assert table.columns[0] == "column 1"
    assert table.lines.tolist() == list(range(1, 1 + content.count("\n")))
    assert "no header" in table.notes[0]


@pytest.mark.parametrize(
    "content",
    [
        "country,1990,1991,1992\nChad,1,2,3\nPeru,4,5,6\n",
        ",0\n0,1.5\n1,2.5\n",
        "0,1,2\n0.5,0.25,1\n0.1,0.2,0\n",
        "a,b\nx,y\na,b\nz,w\n",
        "male,female\n0,1\n1,0\n",
        "2020-01,2020-02\n1,2\n3,4\n",
    ],
    ids=["wide by years", "pandas", "numbered", "glued", "one-hot", "wide by months"],
)
def test_a_header_of_odd_names_is_a_header(content: str, tmp_path: Path) -> None:
    assert read(content, tmp_path / "table.csv").has_header


def test_identifiers_stay_as_they_are_written(tmp_path: Path) -> None:
    table = read("version,code\n1.1,007\n1.10,7\n", tmp_path / "table.csv")
    assert table.identifiers("version").tolist() == ["1.1", "1.10"]
    assert table.identifiers("code").tolist() == ["007", "7"]


def test_whole_floats_of_a_column_with_gaps_join_with_whole_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"user": [12.0, None, 7.0]}).to_parquet(tmp_path / "table.parquet")
    assert read_table(tmp_path / "table.parquet").identifiers("user").tolist() == ["12", "", "7"]
    table = read("user,item\n12.0,a\n7.0,b\n", tmp_path / "table.csv")
    assert table.identifiers("user").tolist() == ["12", "7"]


@pytest.mark.parametrize("name", ["User-ID", "user id", "USER_ID", "userId", " userid "])
def test_a_column_is_found_without_case_blanks_and_dashes(name: str, tmp_path: Path) -> None:
    table = read(f"{name},b\nx,y\n", tmp_path / "table.csv")
    assert table.find_column("", ("user_id",), role="user", flag="") == name.strip()
    assert table.find_column("User_Id", (), role="user", flag="") == name.strip()


def test_which_column_was_taken_for_what_is_said(tmp_path: Path) -> None:
    table = read("userId,movieId,when,note\n1,2,3,4\n", tmp_path / "table.csv")
    sentence = table.describe_columns({"user": "userId", "item": ["movieId", "note"], "time": None})
    assert sentence == "columns: user=userId, item=movieId+note; not used: when"


RECORDS = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", json.dumps(RECORDS)),
        ("pretty.json", json.dumps(RECORDS, indent=2)),
        ("lines.json", "\n".join(map(json.dumps, RECORDS))),
        ("lines.jsonl", "\n\n".join(map(json.dumps, RECORDS))),
        ("lines.ndjson", "\n".join(map(json.dumps, RECORDS))),
        ("list.jsonl", json.dumps(RECORDS)),
        ("wrapped.json", json.dumps({"version": "1", "data": RECORDS}, indent=1)),
        ("columns.json", json.dumps({"text": ["a", "b"], "label": ["x", "y"]})),
        ("python.json", "\n".join(map(str, RECORDS))),
    ],
)
def test_json_is_a_table_in_any_of_its_forms(name: str, content: str, tmp_path: Path) -> None:
    table = read(content, tmp_path / name)
    assert table.frame[["text", "label"]].to_dict("records") == RECORDS


def test_json_keeps_large_ids_beside_gaps_and_opens_objects(tmp_path: Path) -> None:
    content = '{"user": {"id": 9007199254740993}}\n{"user": {"id": null}}\n'
    table = read(content, tmp_path / "table.jsonl")
    assert table.identifiers("user.id").tolist() == ["9007199254740993", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n\n{"a": \n', r"line 3: is no JSON\. Expected an object on each line"),
        ('{"a": 1}\n7\n', "line 2: is no object"),
        ("[1, 2]", "holds no list of objects"),
        ("[" * 100_000, r"line 1: is no JSON|is nested too deeply"),
    ],
)
def test_broken_json_is_refused_with_its_line(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(content, tmp_path / "table.jsonl")


def test_a_row_with_too_many_values_is_refused_with_its_line(tmp_path: Path) -> None:
    message = r"line 4: has 3 values, the header has 2\. .*a comma in quotes"
    with pytest.raises(DataError, match=message):
        read("text,label\na,b\n\nc,d,e\n", tmp_path / "table.csv")


def test_a_quote_that_is_never_closed_is_named_by_the_line_where_it_opens(tmp_path: Path) -> None:
    lines = ["text,label", *["a,b"] * 9, '"c,d', *["e,f"] * 5]
    with pytest.raises(DataError, match="line 11: a quote is opened here and never closed"):
        read("\n".join(lines), tmp_path / "table.csv")


def test_a_table_on_its_side_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    wide = ",".join(["x"] * 1_000_000)
    with pytest.raises(DataError, match="has 1,000,000 columns"):
        read(f"{wide}\n{wide}\n", tmp_path / "table.csv")


def test_a_backslash_before_a_quote_is_read_as_databases_write_it(tmp_path: Path) -> None:
    content = 'text,label\n"He said \\"hi,\nthere\\" ok",pos\n"plain",neg\n'
    table = read(content, tmp_path / "table.csv")
    assert rows(table) == [['He said "hi,\nthere" ok', "pos"], ["plain", "neg"]]
    assert table.lines.tolist() == [2, 4]


def test_a_backslash_elsewhere_stays(tmp_path: Path) -> None:
    table = read('path,label\n"C:\\new\\a.png",x\n', tmp_path / "table.csv")
    assert rows(table) == [["C:\\new\\a.png", "x"]]


def test_a_table_is_read_in_utf_16_and_from_an_archive(tmp_path: Path) -> None:
    content = "text\tlabel\nné\ta\n\nb\tb\n"
    (tmp_path / "table.txt").write_bytes(content.encode("utf-16"))
    (tmp_path / "table.tsv.gz").write_bytes(gzip.compress(content.encode()))
    for name in ("table.txt", "table.tsv.gz"):
        table = read_table(tmp_path / name)
        assert rows(table) == [["né", "a"], ["b", "b"]]
        assert table.lines.tolist() == [2, 4]


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(b"text,label\na,b\n")[:-9])
    with pytest.raises(DataError, match=r"table.csv.gz: is a broken archive"):
        read_table(tmp_path / "table.csv.gz")


def test_the_first_sheet_of_a_workbook_is_read_as_texts(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as writer:
        pd.DataFrame({"id": ["007", "7"], "n": [1, 2]}).to_excel(
            writer, sheet_name="A", index=False
        )
        pd.DataFrame({"x": [1]}).to_excel(writer, sheet_name="B", index=False)
    table = read_table(path)
    assert table.frame.values.tolist() == [["007", "1"], ["7", "2"]]
    assert table.lines.tolist() == [2, 3]
    assert table.notes == (f"{path}: the sheet 'A' is read, not: B",)


def test_what_is_no_workbook_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_text("no")
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("x", "y")
    for name, message in (("a.xlsx", "is no Excel workbook"), ("b.xlsx", "cannot be read as")):
        with pytest.raises(DataError, match=message):
            read_table(tmp_path / name)


def test_a_broken_parquet_file_is_refused_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet: it is truncated") as error:
        read_table(path)
    assert "Arrow" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.feather", "python -c \"import pandas; pandas.read_feather('{path}').to_csv('{new}')\""),
        ("a.dta", "pandas.read_stata("),
        ("a.pkl", "if you trust it: it may run code: python -c"),
        ("a.sqlite", "sqlite3 -csv -header {path} 'select * from TABLE' > {new}"),
        ("a.tsf", "an archive of series: give it to the application forecast"),
        ("a.ts", "write a table with the columns series, time and value"),
        ("a.rds", "Rscript -e \"write.csv(readRDS('FILE.rds')"),
        ("a.csv.zip", "Unpack it: unzip FILE.zip"),
    ],
)
def test_a_table_in_a_form_that_is_not_read_is_refused_with_what_makes_one(
    name: str, message: str, tmp_path: Path
) -> None:
    path = written(b"\x00\x01", tmp_path / name)
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert message.format(path=path, new=path.with_suffix(".csv")) in str(caught.value)


def test_the_command_that_makes_a_table_of_an_arff_file_does(tmp_path: Path) -> None:
    arff = "@RELATION iris\n@ATTRIBUTE a NUMERIC\n@attribute class {x,y}\n@DATA\n5.1,x\n4.2,y\n"
    path = written(arff.encode(), tmp_path / "my iris.arff")
    with pytest.raises(DataError) as caught:
        read_table(path)
    command = str(caught.value).partition("as Weka writes it: ")[2]
    subprocess.run(["bash", "-c", command], check=True)
    assert read_table(tmp_path / "my iris.csv").frame.to_dict("list") == {
        "a": ["5.1", "4.2"],
        "class": ["x", "y"],
    }


def test_an_encoding_that_was_guessed_is_said_with_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "russian.csv"
    path.write_bytes(("text,label\n" + "это хорошо,да\n" * 9).encode("cp1251"))

    table = read_table(path)

    assert table.frame["label"].unique().tolist() == ["да"]
    assert "read as cp1251" in table.notes[0]
    assert "iconv -f ENCODING -t UTF-8 russian.csv" in table.notes[0]


@pytest.mark.parametrize(
    "above",
    [
        "# made by a tool\n# version 2\n",
        "Station: 123\nUnit: mm\n\n",
        "Report 2024\n",
        '"Source","World Bank",\n\n"Last Updated","2024-01-01",\n\n',
    ],
)
def test_lines_above_the_header_are_left_out_and_rows_keep_their_lines(
    tmp_path: Path, above: str
) -> None:
    path = tmp_path / "table.csv"
    rows = "".join(f"2024-01-{day:02},{day},a,b,c,d\n" for day in range(1, 21))
    path.write_text(f"{above}date,rain,e,f,g,h\n{rows}")

    table = read_table(path)

    assert table.columns == ["date", "rain", "e", "f", "g", "h"]
    assert len(table.frame) == 20
    assert table.lines[0] == above.count("\n") + 2
    assert "above the header left out" in table.notes[0]


def test_a_short_header_of_a_broken_file_is_no_title(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("alpha\n" + "1,2\n" * 20)

    with pytest.raises(DataError):
        read_table(path)


def test_blanks_before_quotes_belong_to_no_cell(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('"text", "label"\n' + '"good, really", "pos"\n"bad", "neg"\n' * 5)

    table = read_table(path)

    assert table.columns == ["text", "label"]
    assert table.frame.iloc[0].tolist() == ["good, really", "pos"]


def test_identifiers_have_no_blanks_around_them(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("user,item\n007 ,a\n 007,b\n007,c\n")

    assert set(read_table(path).identifiers("user")) == {"007"}


def test_an_index_of_parquet_with_names_or_times_is_read_as_columns(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=3)
    levels = pd.MultiIndex.from_product([["a", "b"], days], names=["item", "day"])
    unnamed = pd.DataFrame({"y": [1, 2, 3]}, index=days)
    several = pd.DataFrame({"y": range(6)}, index=levels)
    counted = pd.DataFrame({"y": [1, 2]}, index=[5, 9])
    frames = {"unnamed": unnamed, "several": several, "counted": counted}
    columns = {}
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
        columns[name] = read_table(tmp_path / f"{name}.parquet").columns

    assert columns == {
        "unnamed": ["index", "y"],
        "several": ["item", "day", "y"],
        "counted": ["y"],
    }


@pytest.mark.parametrize("orient", ["columns", "records", "index", "split"])
def test_json_as_pandas_writes_it_has_the_same_rows(tmp_path: Path, orient: Any) -> None:
    path = tmp_path / "table.json"
    frame = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}, index=["r1", "r2"])
    if orient in ("columns", "records"):
        frame = frame.reset_index(drop=True)
    frame.to_json(path, orient=orient)

    table = read_table(path)

    assert table.frame[["text", "label"]].to_numpy().tolist() == [["a", "x"], ["b", "y"]]


def test_a_json_object_that_is_no_table_is_named_by_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text('{"status": "success", "result": 3}')

    with pytest.raises(DataError, match="Found one object with the keys status, result"):
        read_table(path)


def test_lists_of_a_json_file_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text("[[1600000000000, 1.5], [1600003600000, 2.5]]")

    assert read_table(path).columns == ["column 1", "column 2"]


def test_a_title_above_the_header_of_a_workbook_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    cells = [["Report 2024", None], [None, None], ["text", "label"], ["a", "007"], ["b", "x"]]
    pd.DataFrame(cells).to_excel(path, header=False, index=False)

    table = read_table(path)

    assert table.columns == ["text", "label"]
    assert rows(table) == [["a", "007"], ["b", "x"]]
    assert table.lines.tolist() == [4, 5]
    assert "above the header left out" in table.notes[0]


R_TABLES = {
    "blanks": '"text" "label"\n"1" "good, cheap" "a"\n"2" "bad tea" "b"\n',
    "commas": '"text","label"\n"1","good, cheap","a"\n"2","bad tea","b"\n',
    "no names": '"text" "label"\n"good, cheap" "a"\n"bad tea" "b"\n',
    "wide blanks": 'text    label\n"good, cheap"   1\n"bad tea"       2\n',
}


@pytest.mark.parametrize("form", R_TABLES)
def test_a_table_as_r_writes_it_is_read_without_the_names_of_its_rows(
    form: str, tmp_path: Path
) -> None:
    table = read(R_TABLES[form], tmp_path / "r.csv")
    assert table.columns == ["text", "label"]
    assert table.frame["text"].tolist() == ["good, cheap", "bad tea"]
    assert table.lines.tolist() == [2, 3]


@pytest.mark.parametrize(
    "text",
    ["two words\nother words\nthird line\n", "a b c\n1 2\n3 4 5\n", "1 2 3\n", '"a" "b\nx y\n'],
)
def test_lines_of_words_are_no_table_of_blanks(text: str, tmp_path: Path) -> None:
    table = read("\n".join(["text,label", "a b,1"]), tmp_path / "a.csv")
    assert table.columns == ["text", "label"]
    assert divided_by_blanks(text, "|") == ""


def test_comments_of_any_width_above_the_header_are_left_out(tmp_path: Path) -> None:
    text = "#group,a,b\n#datatype,long,double\n,time,value\n,2020,1\n,2021,2\n,2022,3\n"
    table = read(text, tmp_path / "influx.csv")
    assert table.columns[1:] == ["time", "value"]
    assert table.lines.tolist() == [4, 5, 6]
    one = read("#id,name\n1,a\n2,b\n3,c\n", tmp_path / "one.csv")
    assert one.columns == ["#id", "name"]


def test_another_table_above_the_header_is_left_out(tmp_path: Path) -> None:
    text = "latitude,longitude,zone\n52.5,13.4,GMT\n\ntime,value\n" + "2020-01-01,1\n" * 20
    table = read(text, tmp_path / "weather.csv")
    assert table.columns == ["time", "value"]
    assert table.lines[0] == 5


@pytest.mark.parametrize(
    ("column", "cells", "parts"),
    [
        ("is_valid", ["True", "False"], ["val", "train"]),
        ("isTest", ["1", "0"], ["test", "train"]),
        ("split", ["dev", "train"], ["val", "train"]),
    ],
)
def test_a_column_of_yes_and_no_may_divide_the_rows(
    column: str, cells: list[str], parts: list[str], tmp_path: Path
) -> None:
    table = read(f"text,{column}\n" + "".join(f"x,{cell}\n" for cell in cells), tmp_path / "a.csv")
    assert table.split_column() == column
    assert table.parts(column) == parts


def test_a_column_of_other_words_does_not_divide_the_rows(tmp_path: Path) -> None:
    assert read("text,is_valid\nx,maybe\ny,True\n", tmp_path / "a.csv").split_column() is None


LEVELS = """Price,Close,Close,Volume
Ticker,AAPL,MSFT,AAPL
Date,,,
2020-01-02,75.1,160.6,135480400
2020-01-03,74.4,158.6,146322800
"""


def test_a_header_of_several_rows_becomes_one_and_rows_keep_their_lines(tmp_path: Path) -> None:
    """As pandas writes columns of several levels, those of yfinance among them."""
    table = read(LEVELS, tmp_path / "prices.csv")
    assert table.columns == ["Date", "Close AAPL", "Close MSFT", "Volume AAPL"]
    assert table.lines.tolist() == [4, 5]
    assert "prices.csv: 3 rows of names are read as one header" in table.notes


def test_a_level_that_is_the_same_everywhere_is_no_part_of_the_names(tmp_path: Path) -> None:
    table = read(
        LEVELS.replace("MSFT", "AAPL").replace(",Close,Close", ",Close,High"), tmp_path / "a.csv"
    )
    assert table.columns == ["Date", "Close", "High", "Volume"]


@pytest.mark.parametrize("second", ["a,x,y", "2020-01-01,,", "total,,"])
def test_a_first_row_with_gaps_is_no_header(second: str, tmp_path: Path) -> None:
    table = read(f"name,one,two\n{second}\n2020-01-02,3,4\n2020-01-03,5,6\n", tmp_path / "a.csv")
    assert table.columns == ["name", "one", "two"]
    assert len(table.frame) == 3


def test_an_object_with_a_list_for_each_part_is_one_table(tmp_path: Path) -> None:
    """As CLINC150 is passed on."""
    parts = {"train": [["hello", "greet"], ["bye", "leave"]], "oos_test": [["what", "oos"]]}
    table = read(json.dumps(parts), tmp_path / "data.json")
    assert rows(table) == [
        ["hello", "greet", "train"],
        ["bye", "leave", "train"],
        ["what", "oos", "test"],
    ]
    assert table.columns[-1] == "split"
    lists = {"train": [{"text": "a", "label": "x"}], "test": [{"text": "b", "label": "y"}]}
    table = read(json.dumps(lists), tmp_path / "lists.json")
    assert rows(table) == [["a", "x", "train"], ["b", "y", "test"]]


def test_cells_may_stand_between_single_quotes(tmp_path: Path) -> None:
    rows = ["'good, tea','pos'", "'it\\'s bad','neg'", "plain,'neg'"]
    table = read("\n".join(["text,label", *rows]), tmp_path / "weka.csv")
    assert table.frame["text"].tolist() == ["good, tea", "it's bad", "plain"]
    assert table.frame["label"].tolist() == ["pos", "neg", "neg"]
    assert table.lines.tolist() == [2, 3, 4]


@pytest.mark.parametrize("text", ["don't,a\nit's,b\n", "'tis late,a\nrock 'n' roll,b\n"])
def test_apostrophes_stay(text: str, tmp_path: Path) -> None:
    table = read(f"text,label\n{text}", tmp_path / "a.csv")
    cells = [line.partition(",")[0] for line in text.splitlines()]
    assert table.frame["text"].tolist() == cells
