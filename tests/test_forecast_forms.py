"""Tables of series in the forms that people keep them in."""

import json
import time as clock
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataError
from pipelines.forecast.column_names import beside_history
from pipelines.forecast.columns import Columns
from pipelines.forecast.data import ForecastSplits
from pipelines.forecast.data import load as load_splits
from pipelines.forecast.options import ForecastOptions

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def season(rows: int) -> np.ndarray:
    step = np.arange(rows)
    return np.asarray((10 + np.sin(2 * np.pi * step / 12) + 0.01 * step).round(4))


def load(table: pd.DataFrame | str, folder: Path, **options: Any) -> ForecastSplits:
    path = folder / "series.csv"
    if isinstance(table, str):
        path.write_text(table)
    else:
        table.to_csv(path, index=False)
    windows: dict[str, Any] = {"horizon": 3, "lookback": 12}
    return load_splits(ForecastOptions(data=str(path), **{**windows, **options}))


def refused(table: pd.DataFrame | str, folder: Path, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(table, folder, **options)
    return str(error.value)


def first_time(splits: ForecastSplits) -> str:
    return splits.frequency.text(int(splits.number[0]))


def monthly(form: str, rows: int = 96) -> pd.DataFrame:
    times = pd.date_range("2001-01-01", periods=rows, freq="MS")
    return pd.DataFrame({"when": times.strftime(form), "y": season(rows)})


@pytest.mark.parametrize(
    "form",
    ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%b-%y", "%B %Y", "%Y-%b", "%m/%Y", "%Y%m", "%Y-%m"],
)
def test_months_are_months_in_whatever_form_they_are_written(form: str, tmp_path: Path) -> None:
    splits = load(monthly(form), tmp_path)
    assert splits.frequency.label == "MS"
    assert len(splits.raw) == 96
    assert first_time(splits) == "2001-01-01"


def test_quarters_and_years_are_read(tmp_path: Path) -> None:
    quarters = [f"Q{1 + n % 4} {1980 + n // 4}" for n in range(96)]
    assert load(pd.DataFrame({"t": quarters, "y": season(96)}), tmp_path).frequency.label == "QS"
    years = pd.DataFrame({"year": np.arange(1900, 1996), "y": season(96)})
    assert load(years, tmp_path).frequency.label == "YS"


@pytest.mark.parametrize("per_second", [1, 1000])
def test_seconds_and_milliseconds_since_1970_are_times(per_second: int, tmp_path: Path) -> None:
    times = (1_704_067_200 + 3600 * np.arange(96)) * per_second
    splits = load(pd.DataFrame({"ts": times, "y": season(96)}), tmp_path, target="y")
    assert splits.frequency.label == "h"
    assert first_time(splits) == "2024-01-01"


def test_the_last_business_days_of_months_are_a_regular_grid(tmp_path: Path) -> None:
    times = pd.date_range("2015-01-01", periods=96, freq="BME")
    splits = load(pd.DataFrame({"date": times, "y": season(96)}), tmp_path)
    assert splits.frequency.label == "BME"
    assert len(splits.raw) == 96
    following = splits.frequency.times(splits.number[:3])
    assert [str(day)[:10] for day in following] == [str(day)[:10] for day in times[:3]]


def test_a_column_of_times_is_found_by_its_values(tmp_path: Path) -> None:
    table = monthly("%Y-%m-%d").rename(columns={"when": "datetime_gmt"})
    assert load(table, tmp_path).frequency.label == "MS"
    table = monthly("%Y-%m-%d").rename(columns={"when": "year"})
    assert load(table, tmp_path).frequency.label == "MS"


def test_times_in_several_columns_are_put_together(tmp_path: Path) -> None:
    times = pd.date_range("2001-01-01", periods=96, freq="MS")
    parts = pd.DataFrame({"Year": times.year, "Month": times.month, "y": season(96)})
    splits = load(parts, tmp_path)
    assert (splits.frequency.label, splits.columns) == ("MS", ())
    days = pd.date_range("2001-01-01", periods=96, freq="D")
    parts = pd.DataFrame({"year": days.year, "month": days.month, "day": days.day, "y": season(96)})
    assert load(parts, tmp_path).frequency.label == "D"
    hours = pd.date_range("2001-01-01", periods=96, freq="h")
    parts = pd.DataFrame(
        {"Date": hours.strftime("%d.%m.%Y"), "Time": hours.strftime("%H:%M"), "y": season(96)}
    )
    assert load(parts, tmp_path).frequency.label == "h"


def test_a_year_with_a_quarter_or_a_week_and_a_date_with_an_hour_are_times(tmp_path: Path) -> None:
    times = pd.date_range("2001-01-01", periods=96, freq="QS")
    quarters = pd.DataFrame({"year": times.year, "quarter": times.quarter, "y": season(96)})
    assert load(quarters, tmp_path).frequency.label == "QS"
    calendar = pd.date_range("2001-01-01", periods=96, freq="7D").isocalendar()
    weeks = pd.DataFrame({"Year": calendar.year, "Week": calendar.week, "y": season(96)})
    assert load(weeks, tmp_path).frequency.label == "7D"
    hours = pd.date_range("2001-01-01", periods=96, freq="h")
    ending = pd.DataFrame({"date": hours.strftime("%m/%d/%Y"), "Hour": hours.hour + 1})
    splits = load(ending.assign(y=season(96)), tmp_path)
    assert splits.frequency.label == "h"
    assert first_time(splits) == "2001-01-01 01:00"
    dotted = {"Date": hours.strftime("%d/%m/%Y"), "Time": hours.strftime("%H.%M.%S")}
    assert load(pd.DataFrame(dotted).assign(y=season(96)), tmp_path).frequency.label == "h"


def shops(*names: str) -> pd.DataFrame:
    days = pd.date_range("2020-01-01", periods=60, freq="D").strftime("%d.%m.%Y")
    parts = [pd.DataFrame({"Datum": days, "Shop": name, "Units": season(60)}) for name in names]
    return pd.concat(parts)


def test_the_one_column_that_tells_series_apart_is_taken_and_said(tmp_path: Path) -> None:
    splits = load(shops("00123", "123"), tmp_path)
    assert splits.names == ("00123", "123")
    assert any("series=Shop, target=Units" in note for note in splits.notes)
    described = shops("00123", "123").assign(Area=lambda table: table["Shop"].str.len())
    assert load(described, tmp_path, target="Units", id_column="shop").names == ("00123", "123")


def test_two_columns_that_may_tell_series_apart_are_left_to_a_person(tmp_path: Path) -> None:
    """By one of them other rows are a series than by the other."""
    table = shops("1", "2").reset_index(drop=True)
    table["Region"] = [str(7 + (row + row // 60) % 2) for row in table.index]
    assert "--id-column NAME" in refused(table, tmp_path, target="Units")

    table = shops("1", "2")
    is_odd = np.tile(np.arange(len(table) // 2) % 2, 2)
    crossed = table.assign(Place=np.where(is_odd == (table["Shop"] == "1"), "7", "8"))
    assert "--id-column NAME" in refused(crossed, tmp_path, target="Units")


def test_of_columns_that_say_the_same_the_shortest_tells_series_apart(tmp_path: Path) -> None:
    table = shops("DE", "FR").assign(KEY=lambda rows: "M." + rows["Shop"])
    splits = load(table, tmp_path, target="Units")
    assert splits.names == ("DE", "FR")


def test_a_column_that_numbers_the_rows_is_neither_a_series_nor_a_covariate(tmp_path: Path) -> None:
    table = pd.concat([shops("1", "2").assign(family=name) for name in "AB"], ignore_index=True)
    table.insert(0, "id", np.arange(len(table)))
    table["price"] = np.tile(season(60), 4)
    table["currency"] = 1
    message = refused(table, tmp_path, target="Units")
    assert "the same time 2020-01-01 again" in message
    assert "--id-column Shop,family" in message
    splits = load(table, tmp_path, target="Units", id_column="Shop,family")
    assert splits.names == ("1/A", "1/B", "2/A", "2/B")
    assert splits.columns == ("price",)
    known = load(table, tmp_path, target="Units", id_column="Shop,family", known_future="id")
    assert known.columns == ("price", "id")


@pytest.mark.parametrize("words", [("True", "False"), ("yes", "no"), (True, False)])
@pytest.mark.parametrize("known", ["", "promo"])
def test_a_column_of_yes_and_no_is_a_covariate_of_1_and_0(
    words: tuple[str, str] | tuple[bool, bool], known: str, tmp_path: Path
) -> None:
    table = monthly("%Y-%m").assign(promo=[words[step % 5 > 0] for step in range(96)])
    splits = load(table, tmp_path, known_future=known)
    assert splits.columns == ("promo",)
    channel = splits.rows[:, 1] * splits.covariate_std[0] + splits.covariate_mean[0]
    assert channel[:6].round(4).tolist() == [1, 0, 0, 0, 0, 1]


def test_lists_without_names_are_numbered_series(tmp_path: Path) -> None:
    path = tmp_path / "series.jsonl"
    row = {"start": "2012-01-01", "target": season(96).tolist()}
    path.write_text("\n".join(json.dumps(row) for _ in range(3)))
    splits = load_splits(ForecastOptions(data=str(path), freq="D", horizon=3, lookback=12))
    assert splits.names == ("T1", "T2", "T3")


def test_wide_rows_are_called_by_the_words_that_tell_them_apart(tmp_path: Path) -> None:
    dates = pd.date_range("2020-01-01", periods=90).strftime("%m/%d/%y")
    rows = [
        ["", "Italy", 41.9, 12.6, "x", *season(90)],
        ["Hubei", "China", 30.9, 112, "x", *season(90)],
    ]
    table = pd.DataFrame(rows, columns=["Province", "Country", "Lat", "Long", "Unit", *dates])
    assert load(table, tmp_path).names == ("Hubei/China", "Italy")
    same = table.assign(Country="China", Province="")
    assert load(same, tmp_path).names == ("30.9/112.0", "41.9/12.6")


def test_events_without_numbers_are_to_be_counted_first(tmp_path: Path) -> None:
    table = pd.DataFrame({"Date": ["2020-01-01"] * 5, "Type": list("abcde")})
    assert "count them for each time first" in refused(table, tmp_path)


def test_a_column_called_as_times_that_cannot_be_read_is_never_left_aside(tmp_path: Path) -> None:
    table = pd.DataFrame({"period": [f"FY{1950 + n}" for n in range(60)], "y": season(60)})
    message = refused(table, tmp_path)
    assert "column 'period' holds no times that I can read, such as 'FY1950'" in message
    assert "--time-format" in message


def test_rows_that_cannot_be_read_are_left_out_on_demand(tmp_path: Path) -> None:
    text = monthly("%Y-%m").to_csv(index=False) + "Total,960\nSource: office,\n"
    assert "lines 98, 99" in refused(text, tmp_path)
    splits = load(text, tmp_path, drop_missing=True)
    assert len(splits.raw) == 96
    assert any("2 rows without a series or a time" in note for note in splits.notes)
    lines = monthly("%Y-%m").to_csv(index=False).splitlines()
    lines[50] = lines[50].split(",")[0] + ",12x"
    assert "12x" in refused("\n".join(lines), tmp_path)
    filled = load("\n".join(lines), tmp_path, drop_missing=True, fill="interpolate")
    assert any("1 cell that cannot be read as numbers" in note for note in filled.notes)


def test_a_doubled_hour_of_autumn_without_an_offset_is_named_as_that(tmp_path: Path) -> None:
    times = pd.date_range("2023-10-27", periods=96, freq="h", tz="Europe/Berlin")
    table = pd.DataFrame({"ds": times.strftime("%Y-%m-%d %H:%M"), "y": season(96)})
    assert "Were clocks put back then?" in refused(table, tmp_path)


def test_a_season_that_nobody_set_fits_a_short_series(tmp_path: Path) -> None:
    times = pd.date_range("2024-02-25", periods=120, freq="15min")
    table = pd.DataFrame({"ds": times, "y": season(120)})
    splits = load(table, tmp_path)
    assert splits.season == 1
    assert any("--season 1 in its place" in note for note in splits.notes)


def test_a_row_for_each_year_holds_twelve_months(tmp_path: Path) -> None:
    table = pd.DataFrame(season(96).reshape(8, 12), columns=MONTHS)
    table.insert(0, "Year", range(2001, 2009))
    splits = load(table, tmp_path)
    assert splits.frequency.label == "MS"
    assert splits.raw.tolist() == season(96).tolist()


def test_a_column_for_each_date_is_a_series_in_each_row(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=96).strftime("%Y-%m-%d")
    table = pd.DataFrame([season(96), season(96) + 5], columns=days)
    table.insert(0, "Page", ["007", "7"])
    splits = load(table, tmp_path)
    assert (splits.names, splits.frequency.label) == (("007", "7"), "D")


def test_columns_that_count_are_steps(tmp_path: Path) -> None:
    table = pd.DataFrame([season(96), season(96) + 5], columns=[f"d_{n}" for n in range(1, 97)])
    table.insert(0, "item", ["a", "b"])
    splits = load(table, tmp_path)
    assert splits.names == ("a", "b")
    assert len(splits.raw) == 192


def test_series_with_other_zeros_are_other_series(tmp_path: Path) -> None:
    table = pd.concat([monthly("%Y-%m-%d").assign(id=name) for name in ("00123", "123")])
    assert load(table, tmp_path).names == ("00123", "123")


def test_which_column_was_taken_for_what_is_said(tmp_path: Path) -> None:
    splits = load(monthly("%Y-%m-%d").assign(x=season(96), city="Rome"), tmp_path)
    sentence = "columns: time=when, target=y, covariates=x; not used: city"
    assert any(sentence in note for note in splits.notes)


def test_numbers_with_a_decimal_comma_are_read(tmp_path: Path) -> None:
    rows = monthly("%d.%m.%Y")
    lines = [f"{when};{f'{y:.2f}'.replace('.', ',')}" for when, y in rows.to_numpy()]
    splits = load("\n".join(["Datum;Wert", *lines]), tmp_path, target="Wert")
    assert splits.raw[0] == 10.0
    assert any("a comma stands before decimals" in note for note in splits.notes)


def test_a_mark_with_two_readings_is_asked_for(tmp_path: Path) -> None:
    rows = monthly("%d.%m.%Y")
    lines = [f"{when};1.{n + 100}" for n, when in enumerate(rows["when"])]
    table = "\n".join(["Datum;Wert", *lines])
    assert "--decimal" in refused(table, tmp_path, target="Wert")
    assert load(table, tmp_path, target="Wert", decimal=",").raw[0] == 1100


def test_dates_with_two_readings_are_asked_for(tmp_path: Path) -> None:
    when = [f"{1 + n * 7 % 12:02}/{1 + n * 5 % 12:02}/{2001 + n}" for n in range(60)]
    message = refused(pd.DataFrame({"date": when, "y": season(60)}), tmp_path)
    assert "--day-first" in message


def test_most_of_a_series_is_never_made_up(tmp_path: Path) -> None:
    table = monthly("%Y-%m-%d")
    message = refused(table, tmp_path, freq="D", fill="ffill")
    assert "2,796 of 2,892 steps (97%) are missing" in message
    assert "--day-first" in message
    gap = table.drop(index=[40])
    assert len(load(gap, tmp_path, fill="ffill").raw) == 96
    assert "5%" in refused(table.drop(index=range(40, 50)), tmp_path, fill="ffill")
    assert len(load(table.drop(index=range(40, 50)), tmp_path, fill="ffill", fill_limit=0.2).raw)


def test_a_value_far_from_all_others_is_noted_with_its_line(tmp_path: Path) -> None:
    table = monthly("%Y-%m-%d")
    table.loc[[30, 50], "y"] = -9999
    notes = load(table, tmp_path).notes
    assert any("-9999 2 times (line 32)" in note for note in notes)


def test_a_value_beyond_32_bits_is_refused_with_its_line(tmp_path: Path) -> None:
    table = monthly("%Y-%m-%d")
    table.loc[30, "y"] = 1e300
    assert "line 32: the target is infinite, or too large" in refused(table, tmp_path)


def test_lengths_that_nobody_has_set_fit_short_series(tmp_path: Path) -> None:
    splits = load(monthly("%Y-%m-%d", rows=36), tmp_path, horizon=None, lookback=None)
    assert all(len(splits.starts[part]) for part in ("train", "val", "test"))
    assert any("--lookback" in note for note in splits.notes)
    message = refused(monthly("%Y-%m-%d", rows=36), tmp_path, lookback=100)
    assert "--lookback 100" in message


def test_a_thousand_columns_of_dates_are_read_in_seconds(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-22", periods=1000)
    names = [f"{day.month}/{day.day}/{day:%y}" for day in days]
    table = pd.DataFrame([season(1000), season(1000) ** 2], columns=names)
    table.insert(0, "Province", [None, None])
    table.insert(1, "Country", ["Chad", "Peru"])

    begin = clock.monotonic()
    splits = load(table, tmp_path)

    assert clock.monotonic() - begin < 30  # one name after the other they took minutes
    assert splits.names == ("Chad", "Peru")
    assert splits.frequency.label == "D"
    assert splits.raw[:1000].tolist() == season(1000).tolist()


def test_columns_of_years_are_read_below_the_lines_that_the_world_bank_writes(
    tmp_path: Path,
) -> None:
    years = [str(year) for year in range(1960, 2021)]
    header = ",".join(['"Country Name"', '"Country Code"', *years, ""])
    row = ",".join(["Chad", "TCD", *map(str, season(61)), ""])
    above = '"Data Source","World Development Indicators",\n\n"Last Updated Date","2024-05-30",\n\n'

    splits = load(f"{above}{header}\n{row}\n", tmp_path)

    assert splits.names == ("Chad/TCD",)
    assert splits.raw.tolist() == season(61).tolist()
    assert first_time(splits) == "1960-01-01"


def test_years_beside_a_column_of_times_are_names_of_series(tmp_path: Path) -> None:
    times = pd.date_range("2001-01-01", periods=96, freq="MS")
    shops = {name: season(96) for name in ("2001", "2002", "2003", "2004")}
    splits = load(pd.DataFrame({"date": times, **shops}), tmp_path, target="*")
    assert splits.names == ("2001", "2002", "2003", "2004")


def test_a_first_numbered_column_of_words_holds_the_names_of_series(tmp_path: Path) -> None:
    columns = [f"V{number}" for number in range(1, 98)]
    rows = [["D1", *season(96)], ["D2", *season(96)]]
    splits = load(pd.DataFrame(rows, columns=columns), tmp_path)
    assert splits.names == ("D1", "D2")
    assert splits.raw[:96].tolist() == season(96).tolist()


def test_a_series_in_each_cell_is_read_with_its_start(tmp_path: Path) -> None:
    path = tmp_path / "series.jsonl"
    rows = []
    for name in ("007", "8"):
        row = {"item_id": name, "start": "2001-01-01", "target": season(96).tolist()}
        rows.append(json.dumps({**row, "feat_static_cat": [1]}))
    path.write_text("\n".join(rows))
    options = ForecastOptions(data=str(path), horizon=3, lookback=12)

    with pytest.raises(DataError, match="Say how far its values are apart: --freq D"):
        load_splits(options)
    splits = load_splits(replace(options, freq="MS"))

    assert splits.names == ("007", "8")
    assert first_time(splits) == "2001-01-01"
    assert splits.raw[:96].tolist() == season(96).tolist()


def two_columns_of_names() -> pd.DataFrame:
    parts = []
    for store in ("007", "8"):
        for product in ("A", "B"):
            times = pd.date_range("2001-01-01", periods=96, freq="MS")
            part = pd.DataFrame({"store": store, "product": product, "date": times})
            parts.append(part.assign(sales=season(96)))
    return pd.concat(parts)


def test_several_columns_tell_series_apart_together(tmp_path: Path) -> None:
    table = two_columns_of_names()
    assert "--id-column store,product" in refused(table, tmp_path)
    splits = load(table, tmp_path, id_column="Store, product")
    assert splits.names == ("007/A", "007/B", "8/A", "8/B")
    assert splits.source.time == "date"


def test_answers_have_each_column_that_tells_series_apart() -> None:
    series = np.array(["007/A", "8/B"], dtype=object)
    times = np.array(["2001-01-01", "2001-01-01"])
    columns = Columns(id="store,product", time="date")
    answers = beside_history(columns, series, times, pd.DataFrame({"mean": [1.0, 2.0]}))
    assert answers.columns.tolist() == ["store", "product", "date", "mean"]
    assert answers["store"].tolist() == ["007", "8"]


def test_totals_and_units_are_refused_with_what_leaves_them_out(tmp_path: Path) -> None:
    table = monthly("%Y-%m-%d").to_csv(index=False)
    total = f"{table}Total,960\n"
    units = table.replace("when,y\n", "when,y\n,mm\n")
    assert "left out by --drop-missing" in refused(total, tmp_path)
    assert "take such cells for missing: --drop-missing" in refused(units, tmp_path)
    for text in (total, units):
        assert len(load(text, tmp_path, drop_missing=True).raw) == 96


def test_of_columns_that_tell_the_same_series_apart_one_is_taken(tmp_path: Path) -> None:
    """As Our World in Data has the name of a country and its code, which continents lack."""
    years = range(1900, 2000)
    table = pd.concat(
        pd.DataFrame({"Code": code, "Entity": name, "Year": years, "Life": season(100)})
        for name, code in (("France", "FRA"), ("World", "OWID_WRL"), ("Europe", None))
    )
    splits = load(table, tmp_path)
    assert splits.names == ("Europe", "France", "World")
    assert any("series=Entity" in note and "not used: Code" in note for note in splits.notes)
