"""Defaults that nobody set fit any history; what a person has set stays as it is."""

import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import Choice, flatten, replace
from pipelines.errors import ImpossibleSpec
from pipelines.forecast.data import ForecastSplits
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.pipeline import ForecastPipeline
from pipelines.forecast.spec import ARCHITECTURES, ForecastSpec

LOOKBACKS = (1, 2, 3, 5, 8, 12)
USUAL = ForecastSpec()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("months") / "months.csv"
    rng = np.random.default_rng(0)
    times = pd.date_range("2010-01-01", periods=120, freq="MS")
    values = np.sin(np.arange(120) / 2) + rng.normal(0, 0.1, 120)
    pd.DataFrame({"ds": times, "y": values}).to_csv(path, index=False)
    return str(path)


def load(table: str, lookback: int, horizon: int = 1) -> tuple[ForecastPipeline, ForecastSplits]:
    options = ForecastOptions(data=table, lookback=lookback, horizon=horizon)
    pipeline = ForecastPipeline(options)
    return pipeline, pipeline.load()


@pytest.mark.parametrize("lookback", LOOKBACKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_can_be_built_from_defaults(
    architecture: str, lookback: int, table: str
) -> None:
    pipeline, splits = load(table, lookback, horizon=1 + lookback % 3)
    spec = replace(USUAL, {"architecture": architecture, "conv.filters": 4, "head.units": 4})
    spec = pipeline.fit_defaults(spec, splits, {"architecture"})
    cost = pipeline.cost(spec, splits)
    model = pipeline.build(spec, splits)
    assert model.output_shape[1] == splits.horizon
    assert cost.params == model.count_params()


def test_a_default_kernel_of_16_fits_12_steps(table: str) -> None:
    pipeline, splits = load(table, lookback=12)
    spec = pipeline.fit_defaults(USUAL, splits, set())
    assert (spec.conv.kernel_size, spec.conv.stride) == (12, 6)
    assert (spec.nhits.pool_size, spec.linear.trend_window) == (12, 12)


def test_a_long_history_changes_no_default(table: str) -> None:
    pipeline, splits = load(table, lookback=16)
    assert pipeline.fit_defaults(USUAL, splits, set()) == USUAL


def test_what_a_person_has_set_is_kept_and_refused(table: str) -> None:
    pipeline, splits = load(table, lookback=12)
    asked = replace(USUAL, {"conv.kernel_size": 16})
    spec = pipeline.fit_defaults(asked, splits, {"conv.kernel_size"})
    assert spec.conv.kernel_size == 16
    with pytest.raises(ImpossibleSpec, match=r"conv\.kernel_size=16 is longer than the history"):
        pipeline.check(spec, splits)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"conv.filters": 10}, {"attention.heads": 2}),
        ({"conv.filters": 7}, {"attention.heads": 1}),
        ({"attention.heads": 5}, {"conv.filters": 30}),
        ({"attention.heads": 64}, {"conv.filters": 64}),
    ],
)
def test_heads_share_the_channels_evenly(
    asked: dict[str, int], expected: dict[str, int], table: str
) -> None:
    pipeline, splits = load(table, lookback=12)
    spec = replace(USUAL, {"architecture": "patch_transformer", **asked})
    spec = pipeline.fit_defaults(spec, splits, set(asked))
    pipeline.check(spec, splits)
    assert {key: flatten(spec)[key] for key in expected} == expected


def test_pooling_that_a_person_asks_for_gets_as_many_blocks_as_the_patches_allow(
    table: str,
) -> None:
    pipeline, splits = load(table, lookback=3)
    asked = replace(USUAL, {"conv.pooling": "max", "conv.blocks": 4})
    spec = pipeline.fit_defaults(asked, splits, {"conv.pooling"})
    pipeline.check(spec, splits)
    assert spec.conv.blocks == 2  # three patches: one pooling over two
    kept = pipeline.fit_defaults(asked, splits, {"conv.pooling", "conv.blocks"})
    pipeline.check(kept, splits)
    assert (kept.conv.blocks, kept.conv.pool_size) == (4, 1)


@pytest.mark.parametrize("lookback", LOOKBACKS)
def test_every_point_of_the_search_can_be_built(lookback: int, table: str) -> None:
    pipeline, splits = load(table, lookback)
    spec = pipeline.fit_defaults(USUAL, splits, set())
    dimensions = pipeline.fit_search(pipeline.options.search, splits)
    space = pipeline.options.space(spec, dimensions)
    rng = np.random.default_rng(0)
    for _ in range(50):
        pipeline.check(space.spec(space.draw(rng)), splits)


def test_what_is_searched_on_demand_stays_and_the_rest_fits(table: str) -> None:
    pipeline, splits = load(table, lookback=12)
    usual = pipeline.options.search
    asked = {**usual, "conv.kernel_size": Choice((8, 16))}
    fitting = pipeline.fit_search(asked, splits)
    assert fitting["conv.kernel_size"] == Choice((8, 16))
    assert fitting["nhits.pool_size"] == Choice((6, 8, 12))
    assert fitting["conv.stride"] == Choice((4, 8, 12))
    assert fitting["head.units"] == usual["head.units"]
