"""Numbers as people write them."""

import pandas as pd
import pytest

from pipelines.io.numbers import is_numeric, parse_numbers


def values(*cells: object, **how: str) -> list[float | None]:
    parsed = parse_numbers(pd.Series(cells, dtype=object), **how)  # type: ignore[arg-type]
    assert not parsed.wrong.any()
    assert not parsed.ambiguous
    return [None if pd.isna(value) else value for value in parsed.values]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", "2.5", "-3", "1e3"], [1, 2.5, -3, 1000]),
        (["12.342,49", "7,5", "3"], [12342.49, 7.5, 3]),
        (["12,342.49", "7.5"], [12342.49, 7.5]),
        (["1.234.567", "1.000"], [1234567, 1000]),
        (["1,234,567", "1,000"], [1234567, 1000]),
        (["1\u202f234,5", "12,25"], [1234.5, 12.25]),
        (["1'234.50", "2.25"], [1234.5, 2.25]),
        (["5 %", "12.5%"], [5, 12.5]),
        (["$ 12", "$1,200.50", "-$3"], [12, 1200.5, -3]),
        (["12 €", "3,50 €"], [12, 3.5]),
        (["(300)", "12"], [-300, 12]),
        (["1.234,50 EUR", "7,25 EUR"], [1234.5, 7.25]),
        (["US$ 1,234.50", "-US$ 7.25"], [1234.5, -7.25]),
        (["R$ 12,50", "R$ 1.012,50"], [12.5, 1012.5]),
        (["100 kr", "99,50 kr"], [100, 99.5]),
        (["Rs. 1,23,456.50", "Rs. 12"], [123456.5, 12]),
        (["300-", "12"], [-300, 12]),
        (["\u22125", "4"], [-5, 4]),
        (["1", "NA", "-", "n/a", "", "#N/A", "?", "2"], [1, *[None] * 6, 2]),
        (["0.123", "0.456"], [0.123, 0.456]),
        (["0,123", "0,456"], [0.123, 0.456]),
        ([7, 2.5, None], [7, 2.5, None]),
    ],
)
def test_a_column_is_read_where_its_cells_agree(
    cells: list[object], numbers: list[float | None]
) -> None:
    assert values(*cells) == numbers


def test_three_digits_behind_every_mark_are_asked_for_where_commas_may_be_decimal() -> None:
    cells = pd.Series(["1.234", "5.678"])
    assert parse_numbers(cells, delimiter=";").ambiguous
    assert values("1.234", "5.678", delimiter=";", decimal=".") == [1.234, 5.678]
    assert values("1.234", "5.678", delimiter=";", decimal=",") == [1234, 5678]
    assert parse_numbers(pd.Series(["1,234", "5,678"]), delimiter=";").ambiguous


def test_where_commas_divide_cells_a_point_is_a_decimal_mark() -> None:
    assert values("1.234", "5.678") == [1.234, 5.678]
    assert values("1,234", "5,678") == [1234, 5678]


@pytest.mark.parametrize("cell", ["12k", "good", "1.2.3,4", "12-13", "0x1F", "1,23,4"])
def test_what_is_no_number_is_wrong_and_never_another_number(cell: str) -> None:
    parsed = parse_numbers(pd.Series(["1.5", "2.5", cell]))
    assert parsed.wrong.tolist() == [False, False, True]


def test_a_column_is_numeric_where_nearly_all_cells_are_numbers() -> None:
    assert is_numeric(pd.Series(["1", "2", None, "NA"]))
    assert is_numeric(pd.Series([*["1.5"] * 20, "oops"]))
    assert not is_numeric(pd.Series(["a", "b", "1"]))
    assert not is_numeric(pd.Series([None, None], dtype=object))
    assert not is_numeric(pd.Series(["2020-01-01", "2020-01-02"]))
