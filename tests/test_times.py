"""Times as people write them: one form for a column."""

import datetime

import pandas as pd
import pytest

from pipelines.io.parsed_times import TimeFormat
from pipelines.io.time_forms import written_form
from pipelines.io.times import holds_times, is_clock, parse_times


def stamps(*cells: object) -> list[str]:
    parsed = parse_times(pd.Series(cells, dtype=object))
    assert not parsed.problem
    assert not parsed.wrong.any()
    assert not parsed.is_numbered
    return [str(value) for value in parsed.values]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2020-01-31", "2020-02-29"], "2020-01-31 00:00:00"),
        (["2020-01-31 18:30", "2020-01-31 19:00"], "2020-01-31 18:30:00"),
        (["13/01/2020", "14/01/2020"], "2020-01-13 00:00:00"),
        (["13.01.2020", "14.01.2020"], "2020-01-13 00:00:00"),
        (["01/13/2020", "01/14/2020"], "2020-01-13 00:00:00"),
        (["1/13/20 6:30 PM", "1/13/20 7:30 PM"], "2020-01-13 18:30:00"),
        (["13.1.2020 24:00", "14.1.2020 01:00"], "2020-01-14 00:00:00"),
        (
            ["Tue Apr 03 18:00:09 +0000 2012", "Wed Apr 04 18:00:09 +0000 2012"],
            "2012-04-03 18:00:09",
        ),
        (["Wed Jun  9 04:26:40 1993", "Thu Jun 10 04:26:40 1993"], "1993-06-09 04:26:40"),
        (["Sat Jan 5 12:00:00 EST 2019", "Sun Jan 6 12:00:00 EST 2019"], "2019-01-05 17:00:00"),
        (["Jan-08", "Feb-08"], "2008-01-01 00:00:00"),
        (["January 2020", "February 2020"], "2020-01-01 00:00:00"),
        (["2020-Jan", "2020-Feb"], "2020-01-01 00:00:00"),
        (["13 January 2020", "14 January 2020"], "2020-01-13 00:00:00"),
        (["13-Jan-20", "14-Jan-20"], "2020-01-13 00:00:00"),
        (["January 13, 2020", "January 14, 2020"], "2020-01-13 00:00:00"),
        (["Mon, 13 Jan 2020 06:00:00 GMT", "Tue, 14 Jan 2020 06:00:00 GMT"], "2020-01-13 06:00:00"),
        (["Q1 1980", "Q2 1980"], "1980-01-01 00:00:00"),
        (["1970 Q1", "1970 Q2"], "1970-01-01 00:00:00"),
        (["1980Q2", "1980Q3"], "1980-04-01 00:00:00"),
        (["2020-W05", "2020-W06"], "2020-01-27 00:00:00"),
        (["01/2020", "02/2020"], "2020-01-01 00:00:00"),
        (["2020M01", "2020M02"], "2020-01-01 00:00:00"),
        (["20240131", "20240201"], "2024-01-31 00:00:00"),
        (["202401311830", "202401311900"], "2024-01-31 18:30:00"),
        (["202401", "202402"], "2024-01-01 00:00:00"),
        (["1980", "1981"], "1980-01-01 00:00:00"),
        ([1577836800, 1577840400], "2020-01-01 00:00:00"),
        ([1577836800000, 1577840400000], "2020-01-01 00:00:00"),
        (["1577836800", "1577840400"], "2020-01-01 00:00:00"),
        ([datetime.date(2020, 1, 31), datetime.date(2020, 2, 1)], "2020-01-31 00:00:00"),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z"], "2020-01-01 00:00:00"),
        (["2023-10-28 02:00 CEST", "2023-10-30 02:00 CET"], "2023-10-28 00:00:00"),
        (["1Q80", "2Q80"], "1980-01-01 00:00:00"),
        (["3Q 1980", "4Q 1980"], "1980-07-01 00:00:00"),
        (["Q1 '99", "Q2 '99"], "1999-01-01 00:00:00"),
        (["KW 5/2020", "KW 6/2020"], "2020-01-27 00:00:00"),
        (["2020 Week 5", "2020 Week 6"], "2020-01-27 00:00:00"),
        (["202051", "202052", "202053"], "2020-12-14 00:00:00"),
        (["Januar 2020", "März 2020"], "2020-01-01 00:00:00"),
        (["1. Oktober 2020", "2. Oktober 2020"], "2020-10-01 00:00:00"),
        (["3 de enero de 2020", "4 de enero de 2020"], "2020-01-03 00:00:00"),
        (["3 août 2020", "4 août 2020"], "2020-08-03 00:00:00"),
        (["12-18", "01-19"], "2018-12-01 00:00:00"),
        (["2024-02-25-18.30.00", "2024-02-25-18.45.00"], "2024-02-25 18:30:00"),
        (["2024-02-25 18:30:00,500", "2024-02-25 18:30:01,500"], "2024-02-25 18:30:00.500000"),
        (["10/03/2004 18.00.00", "13/03/2004 19.00.00"], "2004-03-10 18:00:00"),
    ],
)
def test_times_are_read_in_the_form_that_they_share(cells: list[object], first: str) -> None:
    assert stamps(*cells)[0] == first


def test_the_first_days_of_months_decide_that_days_come_first() -> None:
    """01/02/2008 is the first of February where 01/01/2008 stands before it."""
    cells = [f"01/{month:02}/{year}" for year in (2008, 2009) for month in range(1, 13)]
    parsed = parse_times(pd.Series(cells))
    assert parsed.values.iloc[1] == pd.Timestamp("2008-02-01")
    assert "day first" in parsed.note


def test_the_first_days_of_months_decide_that_months_come_first() -> None:
    cells = [f"{month:02}/01/{year}" for year in (2008, 2009) for month in range(1, 13)]
    parsed = parse_times(pd.Series(cells))
    assert parsed.values.iloc[1] == pd.Timestamp("2008-02-01")
    assert "month first" in parsed.note


def test_days_that_follow_each_other_decide_too_and_for_several_series() -> None:
    days = pd.date_range("2020-03-01", periods=12).strftime("%d/%m/%Y")
    cells = pd.Series([*days, *days])
    assert parse_times(cells).values.iloc[1] == pd.Timestamp("2020-03-02")


def test_dates_that_both_readings_fit_are_asked_for() -> None:
    cells = pd.Series(["01/02/2008", "03/05/2008", "09/06/2008", "11/12/2008"])
    parsed = parse_times(cells)
    assert "--day-first" in parsed.problem
    read = parse_times(cells, TimeFormat(day_first=True))
    assert read.values.iloc[0] == pd.Timestamp("2008-02-01")
    assert not read.problem
    read = parse_times(cells, TimeFormat(format="%m/%d/%Y"))
    assert read.values.iloc[0] == pd.Timestamp("2008-01-02")


@pytest.mark.parametrize(
    ("cells", "last"),
    [
        ([f"{day:%b-%y}" for day in pd.date_range("2001-01", periods=30, freq="MS")], "2003-06-01"),
        ([f"{day:%b-%y}" for day in pd.date_range("2001-03", periods=8, freq="QS")], "2003-01-01"),
        (["Jan-98", "Jan-99", "Jan-00"], "2000-01-01"),
        (["Jan-08"], "2008-01-01"),
    ],
)
def test_months_with_years_of_two_digits_are_no_days(cells: list[str], last: str) -> None:
    assert stamps(*cells)[-1] == f"{last} 00:00:00"


@pytest.mark.parametrize(
    "cells",
    [
        [f"{day:%b-%d}" for day in pd.date_range("2024-01-01", periods=60)],
        [f"{day:%b-%d}" for day in pd.date_range("2024-01-04", periods=40, freq="7D")],
        [f"Jan-{year:02}" for year in range(1, 21)],
    ],
    ids=["days", "weeks", "januaries"],
)
def test_days_without_a_year_are_not_taken_for_months(cells: list[str]) -> None:
    problem = parse_times(pd.Series(cells)).problem
    assert "months of years and as days without a year" in problem
    assert "Months: --time-format %b-%y. Days need their year" in problem
    as_months = parse_times(pd.Series(cells), TimeFormat(format="%b-%y"))
    assert as_months.values.iloc[0] == pd.Timestamp(f"20{cells[0][-2:]}-01-01")


def test_the_doubled_hour_of_autumn_and_the_missing_one_of_spring_are_regular_in_utc() -> None:
    local = pd.date_range("2021-03-27", "2021-11-01", freq="h", tz="Europe/Berlin")
    parsed = parse_times(pd.Series([stamp.isoformat() for stamp in local]))
    assert parsed.values.diff().dropna().nunique() == 1
    assert "UTC" in parsed.note


def test_days_with_changing_offsets_stay_days() -> None:
    local = pd.date_range("2021-03-25", "2021-04-02", freq="D", tz="Europe/Berlin")
    parsed = parse_times(pd.Series([stamp.isoformat() for stamp in local]))
    assert parsed.values.iloc[0] == pd.Timestamp("2021-03-25")
    assert parsed.values.diff().dropna().nunique() == 1


def test_years_and_months_without_a_calendar_are_numbered() -> None:
    parsed = parse_times(pd.Series(["1-11", "1-12", "2-01"]))
    assert parsed.is_numbered
    assert parsed.values.tolist() == [23, 24, 25]


def test_steps_are_numbered() -> None:
    assert parse_times(pd.Series([1, 2, 3])).is_numbered
    assert parse_times(pd.Series(["0", "1", "2"])).is_numbered


def test_seconds_and_milliseconds_in_one_column_are_a_problem() -> None:
    parsed = parse_times(pd.Series([1577836800, 1577840400000]))
    assert "several units: seconds and milliseconds" in parsed.problem


def test_offsets_on_some_times_alone_are_a_problem() -> None:
    parsed = parse_times(pd.Series(["2020-01-01T00:00Z", "2020-01-01T01:00"]))
    assert "offset" in parsed.problem


@pytest.mark.parametrize("cell", ["05/01/2562", "2562-01-05", "1 January 1300", "9999-12-31"])
def test_times_beyond_the_years_of_timestamps_are_wrong_and_no_crash(cell: str) -> None:
    parsed = parse_times(pd.Series(["05/01/2012" if "/" in cell else "2012-01-05", cell]))
    assert parsed.wrong.tolist()[1]


def test_months_and_years_of_two_digits_that_fit_both_ways_are_asked_for() -> None:
    assert "--time-format %m-%y" in parse_times(pd.Series(["01-02", "03-04"])).problem
    months = [f"{month:02}-{year:02}" for year in range(1, 9) for month in range(1, 13)]
    assert str(parse_times(pd.Series(months)).values.iloc[-1]) == "2008-12-01 00:00:00"


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["13.01.2020", "14.01.2020"], "%d.%m.%Y"),
        (["01/13/2020 06:30 PM", "01/14/2020 06:30 PM"], "%m/%d/%Y %I:%M %p"),
        (["Jan-08", "Feb-08"], "%b-%y"),
        ([20240131, 20240201], "%Y%m%d"),
        (["2020-01", "2020-02"], "%Y-%m"),
        (["2020-01-13", "2020-01-14"], ""),
        (["1/2/2020", "13/2/2020"], ""),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z"], ""),
    ],
)
def test_the_form_of_times_is_known_where_it_writes_them_back(
    cells: list[object], form: str
) -> None:
    series = pd.Series(cells)
    assert written_form(series, parse_times(series).values) == form


@pytest.mark.parametrize("cell", ["soon", "2020-02-30", "32/01/2020", ""])
def test_what_is_no_time_is_wrong(cell: str) -> None:
    parsed = parse_times(pd.Series(["2020-02-01", "2020-02-02", cell]))
    assert parsed.wrong.tolist() == [False, False, True]


def test_columns_of_times_are_told_from_columns_of_numbers_and_words() -> None:
    assert holds_times(pd.Series(["2020-01-01", "2020-01-02"]))
    assert holds_times(pd.Series(["13/01/2020", "14/01/2020"]))
    assert holds_times(pd.Series([20240131, 20240201]))
    assert not holds_times(pd.Series([1, 2, 3]))
    assert not holds_times(pd.Series(["a", "b"]))
    assert not holds_times(pd.Series([0.5, 1.5]))
    assert is_clock(pd.Series(["18:30", "19:00"]))
    assert not is_clock(pd.Series(["18", "19"]))


@pytest.mark.parametrize(
    ("cells", "last"),
    [
        (["2021030123", "2021030200"], "2021-03-02"),
        (["18:30 31.01.2024", "19:30 31.01.2024"], "2024-01-31 19:30"),
        (["2024-01-01/2024-01-07", "2024-01-08/2024-01-14"], "2024-01-08"),
        (["01/02/2024 - 07/02/2024", "13/02/2024 - 19/02/2024"], "2024-02-13"),
        ([f"{1949 + month / 12:.3f}" for month in range(24)], "1950-12-01"),
        ([f"{1949 + month / 12 + 1 / 24:.3f}" for month in range(24)], "1950-12-01"),
        ([f"{1949 + quarter / 4}" for quarter in range(8)], "1950-10-01"),
    ],
)
def test_hours_spans_and_decimals_of_years_are_times(cells: list[str], last: str) -> None:
    read = parse_times(pd.Series(cells))
    assert not read.is_numbered
    assert read.values.iloc[-1] == pd.Timestamp(last)


def test_prices_are_no_decimal_years() -> None:
    prices = pd.Series([1999.25, 2000.5, 1999.75, 2000.0, 1999.5])
    assert parse_times(prices).is_numbered


def test_midnights_of_a_time_zone_are_days() -> None:
    days = pd.date_range("2020-03-27", periods=5, tz="Europe/Berlin").to_series()
    hours = pd.date_range("2020-03-27", periods=5, freq="h", tz="Europe/Berlin").to_series()
    assert parse_times(days).values.iloc[-1] == pd.Timestamp("2020-03-31")
    assert parse_times(hours).values.iloc[0] == pd.Timestamp("2020-03-26 23:00")
