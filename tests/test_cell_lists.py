"""Lists in a cell, as programs write them."""

import numpy as np
import pytest

from pipelines.io.cell_lists import is_list, read_list


@pytest.mark.parametrize(
    ("cell", "entries"),
    [
        (["a", 2, None], ["a", "2", ""]),
        (np.array(["a", "b"]), ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("[1, 2]", ["1", "2"]),
        ("[1.10, 1.1, 12345678901234567890]", ["1.10", "1.1", "12345678901234567890"]),
        ("(1.10, 2)", ["1.10", "2"]),
        ("{1.10}", ["1.10"]),
        ("['1.10', 3, None]", ["1.10", "3", ""]),
        ("[007, 08]", ["007", "08"]),
        ("['it\\'s', \"b c\"]", ["it's", "b c"]),
        ("['ä', 'ö', 7.50]", ["ä", "ö", "7.50"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),
        ("['a' \"it's\"]", ["a", "it's"]),
        ("[1 2\n 3]", ["1", "2", "3"]),
        ("[-1.50 +2]", ["-1.50", "+2"]),
        ("[A-1, B-2]", ["A-1", "B-2"]),
        ("['a\\d', 'b']", ["a\\d", "b"]),
        ("{a,b}", ["a", "b"]),
        ("<c++><data.table>", ["c++", "data.table"]),
        ("[sports, local news]", ["sports", "local news"]),
        ("[whole milk]", ["whole milk"]),
        ("[A1]", ["A1"]),
        ("(A1)", ["A1"]),
        ("[]", []),
        ("()", []),
        (" [ 1 , 2 ] ", ["1", "2"]),
    ],
)
def test_a_list_is_read_with_its_entries_as_they_are_written(
    cell: object, entries: list[str]
) -> None:
    assert read_list(cell) == entries


@pytest.mark.parametrize("cell", ["a", "", "a, b", "[a", "1", 7, None, float("nan"), "f(x)"])
def test_what_is_no_list_is_none(cell: object) -> None:
    assert not is_list(cell)


def test_nothing_in_a_list_is_run() -> None:
    assert read_list("[open('x'), 1]") == ["open('x')", "1"]


def test_deep_lists_end() -> None:
    deep = "[" * 50_000 + "]" * 50_000
    assert read_list(deep) is not None
