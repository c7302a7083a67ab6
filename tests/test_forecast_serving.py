"""Served forecasts: one answer however a model is asked, what is left out said, all of new data."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.forecast import metrics
from pipelines.forecast.answers import significant
from pipelines.forecast.hold_out import HoldOut
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.pipeline import ForecastPipeline
from pipelines.forecast.predict_options import ForecastPredictOptions
from pipelines.forecast.quantiles import LEVELS
from pipelines.forecast.spec import ForecastSpec
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel

LOOKBACK, HORIZON, DAYS = 14, 5, 160
STORES = {"00456": 10.0, "c$1": 1000.0, "市场": 1.0}
SPEC = replace(ForecastSpec(), {"conv.filters": 4, "head.units": 4, "context.width": 2})
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning", "error::UserWarning")


def days(first: str, count: int) -> pd.DataFrame:
    """Sales of three stores from a day on, and days of promotion, which are known in advance."""
    times = pd.date_range(first, periods=count, freq="D")
    week = np.sin(2 * np.pi * times.day_of_week.to_numpy() / 7)
    parts = []
    for seed, (store, size) in enumerate(STORES.items()):
        noise = np.random.default_rng(seed).normal(0, 0.1, count)
        part = {"Store": store, "Day": times, "Sales": size * (5 + week + noise)}
        parts.append(pd.DataFrame(part).assign(promo=(times.day == 1).astype(int)))
    return pd.concat(parts, ignore_index=True)


def with_future(history: pd.DataFrame) -> pd.DataFrame:
    """The history, and for each store the days to forecast with their promotions."""
    begin = history["Day"].max() + pd.Timedelta(days=1)
    future = days(str(begin.date()), HORIZON)
    future = future[future["Store"].isin(history["Store"])].assign(Sales=np.nan)
    return pd.concat([history, future], ignore_index=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def options(folder: Path) -> ForecastOptions:
    path = folder / "stores.csv"
    days("2024-01-01", DAYS).to_csv(path, index=False)
    return ForecastOptions(
        data=str(path),
        id_column="Store",
        known_future="promo",
        horizon=HORIZON,
        lookback=LOOKBACK,
    )


@pytest.fixture(scope="module")
def served(options: ForecastOptions, folder: Path) -> ServingModel:
    """A network before training, which is the ridge regression, saved and loaded again."""
    pipeline = ForecastPipeline(options)
    splits = pipeline.load()
    network = pipeline.build(pipeline.fit_defaults(SPEC, splits, set()), splits)
    write_model(pipeline.serve(network, splits), folder / "model.keras")
    return read_model(folder / "model.keras")


def answers(
    served: ServingModel,
    source: "pd.DataFrame | Path",
    notes: list[str] | None = None,
    **set_: object,
) -> pd.DataFrame:
    told = ForecastPredictOptions(**set_)  # type: ignore[arg-type]
    return ForecastPipeline.predict_raw(served, source, told, notes)


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return with_future(days("2024-01-01", DAYS))


# ---------------------------------------------------------------------------- one model, one answer


def test_a_file_and_a_table_get_the_same_answer(
    served: ServingModel, history: pd.DataFrame, tmp_path: Path
) -> None:
    history.to_csv(tmp_path / "history.csv", index=False)
    history.to_parquet(tmp_path / "history.parquet")
    expected = answers(served, history)
    for name in ("history.csv", "history.parquet"):
        pd.testing.assert_frame_equal(
            answers(served, tmp_path / name), expected, rtol=1e-6, check_dtype=False
        )


def test_a_table_as_json_sends_it_gets_the_same_answer(
    served: ServingModel, history: pd.DataFrame
) -> None:
    sent = history.assign(Day=history["Day"].dt.strftime("%Y-%m-%d")).astype(object)
    received = sent.where(sent.notna(), None)  # as a request of `dataframe_split` is read
    pd.testing.assert_frame_equal(answers(served, received), answers(served, history))


def test_times_and_series_may_be_the_index_of_a_table(
    served: ServingModel, history: pd.DataFrame
) -> None:
    expected = answers(served, history)
    by_series = history.set_index(["Store", "Day"])
    pd.testing.assert_frame_equal(answers(served, by_series), expected)
    by_time = answers(served, history.set_index("Day").rename_axis(None))
    assert by_time["ds"].tolist() == expected["Day"].tolist()
    assert by_time["mean"].tolist() == expected["mean"].tolist()


def test_model_keras_takes_histories_in_the_targets_units(
    served: ServingModel, history: pd.DataFrame
) -> None:
    facts = served.facts
    assert facts.channels[:2] == ["target", "promo"]
    asked = history[history["Store"] == "c$1"].tail(LOOKBACK + HORIZON)
    day = (asked["Day"].dt.day_of_week.to_numpy()[:, None]) / 7
    week = [np.sin(2 * np.pi * day), np.cos(2 * np.pi * day)]
    week += [np.sin(4 * np.pi * day), np.cos(4 * np.pi * day)]
    channels = np.hstack([asked[["Sales", "promo"]].to_numpy(float), *week]).astype("float32")
    answer = served.model.predict(
        {
            "history": channels[None, :LOOKBACK],
            "future": channels[None, LOOKBACK:, 1:],
            "series": np.array([1 + facts.series.index("c$1")]),
        },
        verbose=0,
    )
    expected = answers(served, asked)
    assert answer["mean"][0] == pytest.approx(expected["mean"].to_numpy(), rel=1e-4)
    assert answer["quantiles"][0, :, 0] == pytest.approx(expected["q0.025"].to_numpy(), rel=1e-4)


def test_the_example_of_the_docs_runs(
    options: ForecastOptions,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = ForecastPipeline(dataclasses.replace(options, known_future="", calendar=False))
    table = days("2024-01-01", DAYS).drop(columns="promo")
    pipeline = new_data(pipeline.options, table, tmp_path / "stores.csv")
    splits = pipeline.load()
    network = pipeline.build(pipeline.fit_defaults(SPEC, splits, set()), splits)
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    docs = Path(__file__).parents[1] / "docs" / "forecast.md"
    (example,) = re.findall(r"```python\n(.*?)```", docs.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert "(5, 13)" in capsys.readouterr().out


def test_log1p_is_served_as_it_is_scored(options: ForecastOptions) -> None:
    pipeline = ForecastPipeline(dataclasses.replace(options, log1p=True))
    splits = pipeline.load()
    network = pipeline.build(pipeline.fit_defaults(SPEC, splits, set()), splits)
    served = pipeline.serve(network, splits)
    splits = pipeline.load_hold_out(served)
    assert isinstance(splits, HoldOut)
    hold_out = dataclasses.replace(splits, calibration_steps=1)
    scored = pipeline.predict(served.model, hold_out, "test")[:8]
    direct = served.model.predict(hold_out.inputs(hold_out.starts["test"][:8]), verbose=0)
    assert scored[..., 0] == pytest.approx(direct["mean"], rel=1e-4)
    assert scored[..., 1:] == pytest.approx(direct["quantiles"], rel=1e-3)


# ----------------------------------------------------------------------- answers that can be joined


def test_answers_join_with_the_history_and_its_future(
    served: ServingModel, history: pd.DataFrame
) -> None:
    table = answers(served, history)
    assert list(table.columns[:3]) == ["Store", "Day", "mean"]
    joined = history.merge(table, on=["Store", "Day"], how="inner")
    assert len(joined) == len(table) == len(STORES) * HORIZON
    assert joined["Sales"].isna().all()
    assert set(table["Store"]) == set(STORES)


def test_whole_numbers_of_a_table_in_memory_stay_whole_numbers(
    served: ServingModel, history: pd.DataFrame
) -> None:
    numbered = history[history["Store"] == "00456"].assign(Store=7)
    assert answers(served, numbered)["Store"].tolist() == [7] * HORIZON


def test_a_column_called_mean_is_not_overwritten(
    served: ServingModel, history: pd.DataFrame
) -> None:
    table = answers(served, history.rename(columns={"Store": "mean"}), id_column="mean")
    assert list(table.columns[:3]) == ["mean", "Day", "predicted_mean"]


def test_forecasts_have_seven_digits() -> None:
    values = np.array([123.456789, -0.000123456789, 1234567891.0, 0.0, 5.0], np.float64)
    expected = [123.4568, -0.0001234568, 1234568000.0, 0.0, 5.0]
    assert significant(values).tolist() == expected
    assert str(significant(np.array([94.47347], np.float32))[0]) == "94.47347"


# ----------------------------------------------------------------- some series, and not all of them


def test_a_short_series_does_not_refuse_the_others(
    served: ServingModel, history: pd.DataFrame
) -> None:
    is_short = (history["Store"] == "c$1") & (history["Day"] < "2024-06-05")
    notes: list[str] = []
    table = answers(served, history[~is_short], notes)
    assert set(table["Store"]) == {"00456", "市场"}
    assert "table: 1 series gets no forecast, with fewer than the 14 rows that the model" in (
        "\n".join(notes)
    )
    assert any("'c$1' (4 rows)" in note for note in notes)
    with_reason = answers(served, history[~is_short], skip_unreadable=True)
    (reason,) = with_reason.loc[with_reason["Store"] == "c$1", "error"]
    assert reason == "4 rows of history; expected 14 or more"
    assert with_reason["error"].tolist().count("") == 2 * HORIZON


def test_a_series_that_cannot_be_read_does_not_refuse_the_others(
    served: ServingModel, history: pd.DataFrame
) -> None:
    of_one = history["Store"] == "c$1"
    wrong = history.assign(Sales=history["Sales"].astype(object))
    wrong.loc[of_one & (history["Day"] == "2024-06-05"), "Sales"] = "broken"
    with pytest.raises(DataError, match="broken"):
        answers(served, wrong)
    notes: list[str] = []
    table = answers(served, wrong, notes, skip_unreadable=True)
    (reason,) = table.loc[table["Store"] == "c$1", "error"]
    assert "broken" in reason
    expected = answers(served, history[~of_one])
    answered = table[table["error"] == ""].drop(columns="error")
    pd.testing.assert_frame_equal(answered.reset_index(drop=True), expected)
    assert any("1 series left out, which cannot be read: c$1" in note for note in notes)


def test_a_gap_in_one_series_does_not_refuse_the_others(
    served: ServingModel, history: pd.DataFrame
) -> None:
    has_gap = history[(history["Store"] != "c$1") | (history["Day"] != "2024-06-05")]
    table = answers(served, has_gap, skip_unreadable=True)
    (reason,) = table.loc[table["Store"] == "c$1", "error"]
    assert "2024-06-0" in reason
    assert set(table.loc[table["error"] == "", "Store"]) == {"00456", "市场"}


def test_a_missing_future_of_one_series_does_not_refuse_the_others(
    served: ServingModel, history: pd.DataFrame
) -> None:
    of_one = history["Store"] == "c$1"
    is_late = history["Day"] > "2024-06-10"
    lacking = history.assign(promo=history["promo"].mask(of_one & is_late))
    with pytest.raises(DataError, match="of the other series alone: --skip-unreadable"):
        answers(served, lacking)
    notes: list[str] = []
    table = answers(served, lacking, notes, skip_unreadable=True)
    (reason,) = table.loc[table["Store"] == "c$1", "error"]
    assert reason == "future values of promo are missing: 3 of 5 rows from 2024-06-11 on"
    answered = table[table["error"] == ""].drop(columns="error")
    pd.testing.assert_frame_equal(
        answered.reset_index(drop=True), answers(served, history[~of_one])
    )
    assert any("whose future values of covariates are missing: c$1" in note for note in notes)
    all_lack = answers(served, history.dropna(subset="Sales"), skip_unreadable=True)
    assert all_lack["Store"].tolist() == list(STORES)


def test_a_series_without_any_value_is_counted(served: ServingModel, history: pd.DataFrame) -> None:
    empty = history["Sales"].mask(history["Store"] == "市场")
    notes: list[str] = []
    table = answers(served, history.assign(Sales=empty), notes)
    assert set(table["Store"]) == {"00456", "c$1"}
    assert any("'市场' (0 rows)" in note for note in notes)


def test_where_all_are_short_there_is_nothing_to_answer(
    served: ServingModel, history: pd.DataFrame
) -> None:
    short = history[history["Day"] > "2024-06-04"]
    with pytest.raises(DataError, match=r"series '00456' has 4 rows of history\. Expected 14"):
        answers(served, short)
    assert answers(served, short, skip_unreadable=True)["Store"].tolist() == list(STORES)


def test_a_series_that_was_not_trained_on_is_answered_and_noted(
    served: ServingModel, history: pd.DataFrame
) -> None:
    new = history[history["Store"] == "00456"].assign(Store="neu")
    notes: list[str] = []
    table = answers(served, pd.concat([history, new]), notes)
    assert set(table["Store"]) == {*STORES, "neu"}
    (note,) = [note for note in notes if "not in the training data" in note]
    assert note.endswith("scaled by the last 14 values before each forecast: neu.")


def test_a_series_that_lost_its_zeros_is_told_which_one_it_may_be(
    served: ServingModel, history: pd.DataFrame
) -> None:
    notes: list[str] = []
    answers(served, history[history["Store"] == "00456"].assign(Store=456), notes)
    assert notes[-1].endswith("each forecast: 456. Did you mean '00456'?")


def test_an_empty_table_is_refused(served: ServingModel, history: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="holds no rows"):
        answers(served, history.head(0))


def test_gaps_are_refused_or_filled_and_counted(
    served: ServingModel, history: pd.DataFrame
) -> None:
    gap = history[(history["Store"] != "00456") | (history["Day"] != "2024-05-20")]
    with pytest.raises(DataError, match="--fill ffill"):
        answers(served, gap)
    notes: list[str] = []
    assert len(answers(served, gap, notes, fill="ffill")) == len(STORES) * HORIZON
    assert any("1 missing step and 0 empty cells filled" in note for note in notes)


def test_a_missing_future_says_how_many_rows_and_which_columns(
    served: ServingModel, history: pd.DataFrame
) -> None:
    message = (
        r"future values of promo are missing: 5 of 5 rows from 2024-06-09 on of series '00456' "
        r"and of 2 more series.*add 5 rows behind the last value of each series, with promo filled"
    )
    with pytest.raises(DataError, match=message):
        answers(served, history.dropna(subset="Sales"))


def test_rows_of_the_future_are_not_said_to_be_left_out(
    served: ServingModel, history: pd.DataFrame
) -> None:
    notes: list[str] = []
    answers(served, history, notes)
    assert notes == ["table: columns: time=Day, series=Store, target=Sales, covariates=promo"]


def test_a_model_of_one_series_takes_an_array_for_it(tmp_path: Path) -> None:
    values = 10 + np.sin(np.arange(200) / 3)
    pd.DataFrame({"load": values}).to_csv(tmp_path / "load.csv", index=False)
    pipeline = ForecastPipeline(
        ForecastOptions(data=str(tmp_path / "load.csv"), horizon=3, lookback=12)
    )
    splits = pipeline.load()
    network = pipeline.build(pipeline.fit_defaults(SPEC, splits, set()), splits)
    served = pipeline.serve(network, splits)
    of_file = pipeline.predict_raw(served, tmp_path / "load.csv")
    of_array = pipeline.predict_raw(served, values)
    assert of_array["mean"].to_numpy() == pytest.approx(of_file["mean"].to_numpy(), rel=1e-6)
    assert of_array["unique_id"].unique().tolist() == ["load"]


# ---------------------------------------------------------------------------------------- a picture


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_a_picture_of_the_forecasts_is_drawn(
    suffix: str, served: ServingModel, history: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / f"forecast.{suffix}"
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the command line keeps them back
        answers(served, history, notes, plot=str(path))
    assert path.stat().st_size > 5_000
    assert f"the picture of the forecasts is in {path}" in notes


def test_other_kinds_of_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf\. Received: \.jpg"):
        ForecastPredictOptions(plot="forecast.jpg")
    with pytest.raises(UsageError, match="Received: no suffix"):
        ForecastPredictOptions(plot="forecast")


# ---------------------------------------------------------------------------------- all of new data


def new_data(options: ForecastOptions, table: pd.DataFrame, path: Path) -> ForecastPipeline:
    table.to_csv(path, index=False)
    return ForecastPipeline(dataclasses.replace(options, data=str(path)))


def test_every_window_of_new_data_is_scored_by_the_scales_of_the_training(
    served: ServingModel, options: ForecastOptions, tmp_path: Path
) -> None:
    table = days("2024-07-01", 60)
    pipeline = new_data(options, table, tmp_path / "later.csv")
    splits = pipeline.load_hold_out(served)
    count = 60 - LOOKBACK - HORIZON + 1
    assert splits.sizes() == {"train": 0, "val": 0, "test": len(STORES) * count}
    trained = ForecastPipeline(options).load()
    assert splits.mase_scale == pytest.approx(trained.mase_scale)
    network = pipeline.restore_network(served, splits)
    predictions = pipeline.predict(network, splits, "test")
    scores = pipeline.score(predictions, splits, "test")
    point = predictions[..., 1 + LEVELS.index(0.5)]
    scales = trained.mase_scale[splits.series[splits.starts["test"]]]
    assert scores["mase"] == pytest.approx(metrics.mase(splits.truth("test"), point, scales))
    assert scores["mase"] < 1.2
    first = answers(served, with_future(table[table["Day"] < "2024-07-15"]))
    by_store = predictions[::count, :, 0]
    assert by_store.ravel() == pytest.approx(first["mean"].to_numpy(), rel=1e-4)


def test_what_cannot_be_scored_is_counted_and_what_is_unknown_is_scored(
    served: ServingModel, options: ForecastOptions, tmp_path: Path
) -> None:
    table = days("2024-07-01", 60)
    new = table[table["Store"] == "00456"]
    table = pd.concat([table, new.assign(Store="neu"), new.assign(Store="kurz").head(18)])
    pipeline = new_data(options, table, tmp_path / "later.csv")
    splits = pipeline.load_hold_out(served)
    assert splits.names == ("00456", "c$1", "neu", "市场")
    notes = "\n".join(splits.notes)
    assert "1 series has fewer than 19 rows, one window of the model, and is not scored: kurz" in (
        notes
    )
    assert "1 series was not in the training data" in notes
    predictions = pipeline.predict(served.model, splits, "test")
    assert np.isfinite(pipeline.score(predictions, splits, "test")["mase"])


def test_windows_that_the_model_has_seen_are_counted(
    served: ServingModel, options: ForecastOptions
) -> None:
    splits = ForecastPipeline(options).load_hold_out(served)
    (note,) = [note for note in splits.notes if "flatter" in note]
    # 128 of 160 days are train and val; the first 14 begin no window.
    assert note.startswith("342 of 426 windows begin by 2024-05-07, the end of what the model was")


def test_new_data_must_have_the_covariates_and_the_windows_of_the_model(
    served: ServingModel, options: ForecastOptions, tmp_path: Path
) -> None:
    table = days("2024-07-01", 60)
    lacking = new_data(options, table.drop(columns="promo"), tmp_path / "lacking.csv")
    with pytest.raises(DataError, match="lacks columns that the model was trained with: promo"):
        lacking.load_hold_out(served)
    short = new_data(options, table[table["Day"] < "2024-07-10"], tmp_path / "short.csv")
    with pytest.raises(DataError, match="its longest series has 9 rows, too few for one window"):
        short.load_hold_out(served)
    other = ForecastPipeline(dataclasses.replace(options, horizon=7))
    with pytest.raises(UsageError, match="--horizon 7: the model was trained with 5"):
        other.load_hold_out(served)


def test_a_series_of_zeros_has_no_mase_and_says_so(
    served: ServingModel, options: ForecastOptions, tmp_path: Path
) -> None:
    table = days("2024-07-01", 60)
    zeros = table[table["Store"] == "00456"].assign(Store="none", Sales=0.0)
    pipeline = new_data(options, pd.concat([table, zeros]), tmp_path / "zeros.csv")
    splits = pipeline.load_hold_out(served)
    assert (
        splits.notes[-1] == "1 series is constant, or shorter than a season; MASE leaves out none"
    )
    predictions = pipeline.predict(served.model, splits, "test")
    assert np.isfinite(pipeline.score(predictions, splits, "test")["mase"])


def test_columns_may_be_called_otherwise_in_new_data(
    served: ServingModel, options: ForecastOptions, tmp_path: Path
) -> None:
    table = days("2024-07-01", 60)
    renamed = table.rename(columns={"Store": "shop", "Day": "when", "Sales": "turnover"})
    pipeline = new_data(options, renamed, tmp_path / "renamed.csv")
    options = dataclasses.replace(pipeline.options, id_column="shop", target="turnover")
    splits = ForecastPipeline(options).load_hold_out(served)
    assert len(splits.names) == 3
    predictions = pipeline.predict(served.model, splits, "test")
    table = pipeline.table(predictions, splits, "test")
    assert list(table.columns[:5]) == ["shop", "when", "turnover", "origin", "step"]


# ------------------------------------------------------------------------------------------- scores


def test_scores_are_in_the_datas_own_units_and_scaled_ones_are_called_so(
    options: ForecastOptions,
) -> None:
    pipeline = ForecastPipeline(options)
    splits = pipeline.load()
    truth = splits.truth("test")
    off_by_two = np.repeat(truth[..., None] + 2, 1 + len(LEVELS), axis=-1)
    scores = pipeline.score(off_by_two, splits, "test")
    assert scores["mae"] == pytest.approx(2)
    assert scores["rmse"] == pytest.approx(2)
    std = splits.raw_std[splits.series[splits.starts["test"]]]
    assert scores["scaled_mae"] == pytest.approx(np.mean(2 / std))
    assert scores["scaled_mse"] == pytest.approx(np.mean((2 / std) ** 2))


def test_what_cannot_be_divided_has_no_score_and_no_warning() -> None:
    zeros = np.zeros((2, 3))
    assert np.isnan(metrics.wape(zeros, zeros + 1))
    assert np.isnan(metrics.wql(zeros, zeros[..., None], [0.5]))
    assert np.isnan(metrics.mase(zeros, zeros, np.array([np.nan, np.nan])))
