"""The contract, kept by every pipeline: a new domain is tested by its line in `PIPELINES`."""

import dataclasses
import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import pandas as pd
import pytest

from apps import click_options
from pipelines import DOMAINS, pipeline_class
from pipelines.config import files as config_files
from pipelines.config.search_space import (
    Choice,
    Dimension,
    Space,
    flatten,
    hyperparameters,
    replace,
)
from pipelines.errors import ImpossibleSpec
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import Pipeline
from pipelines.splits import PARTS
from tests.line_domain.pipeline import LinePipeline
from tests.samples import small_log, small_series, small_texts
from tuning.reports import significance
from tuning.tracking.interface import NullTracker
from tuning.training.fit import Watch, fit
from tuning.training.train import train

AnyPipeline = Pipeline[Any, Any]
WIDER: dict[str, Dimension] = {
    "start_from": Choice(("none",)),
    "conv.stride": Choice((1, 2)),
    "conv.padding": Choice(("same", "causal")),
    "recurrent.layers": Choice((1, 2)),
    "recurrent.bidirectional": Choice((True, False)),
    "head.units": Choice((0, 8)),
    "heads": Choice((1, 2)),
    "embedding.ngrams": Choice((1, 3)),
}
SHORT: dict[str, dict[str, object]] = {
    "vision": {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 2},
    "text": {"conv.filters": 8, "embedding.width": 8, "train.epochs": 2},
    "forecast": {"conv.filters": 8, "train.epochs": 2},
    "recommend": {"conv.filters": 8, "history": 8, "train.epochs": 2},
    "line": {"train.epochs": 2},
}


@pytest.fixture(scope="module", params=[*DOMAINS, "line"])
def pipeline(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AnyPipeline:
    """Each domain on little data; `line` is the fifth domain, rehearsed."""
    if request.param == "line":
        return LinePipeline()
    if request.param == "vision":
        return pipeline_class("vision")(limit=100)
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "text":
        return pipeline_class("text")(data=str(small_texts(folder / "opinions.csv")))
    if request.param == "recommend":
        return pipeline_class("recommend")(data=str(small_log(folder / "log.csv")))
    return pipeline_class(request.param)(
        data=str(small_series(folder / "hourly.csv")), horizon=6, lookback=24
    )  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def splits(pipeline: AnyPipeline) -> Any:
    return pipeline.load()


@pytest.fixture(scope="module")
def spec(pipeline: AnyPipeline) -> Any:
    return replace(pipeline.spec_type(), SHORT[pipeline.domain])


@pytest.fixture(scope="module")
def network(pipeline: AnyPipeline, splits: Any, spec: Any) -> Any:
    return fit(
        pipeline, spec, splits, seed=1, watch=Watch(objective=pipeline.objective_for(splits))
    ).model


def test_every_option_has_help_and_a_default(pipeline: AnyPipeline) -> None:
    assert all(field.metadata.get("help") for field in dataclasses.fields(pipeline))
    assert all(known.help for known in hyperparameters(pipeline.spec_type).values())


def test_the_default_spec_is_a_point_of_its_own_space(pipeline: AnyPipeline, splits: Any) -> None:
    pipeline.check(pipeline.spec_type(), splits)
    assert set(pipeline.search) <= set(hyperparameters(pipeline.spec_type))
    pipeline.space(pipeline.spec_type(), pipeline.search)


def test_arithmetic_counts_the_weights_that_keras_builds(
    pipeline: AnyPipeline, splits: Any
) -> None:
    """So a limit on size is kept before anything is built."""
    known, rng = hyperparameters(pipeline.spec_type), np.random.default_rng(0)
    dimensions = {
        **pipeline.search,
        **{key: domain for key, domain in WIDER.items() if key in known},
    }
    architectures = get_args(known["architecture"].type) if "architecture" in known else ()
    specs = [replace(pipeline.spec_type(), {"architecture": name}) for name in architectures]
    specs += [
        replace(
            pipeline.spec_type(), Space(base=pipeline.spec_type(), dimensions=dimensions).draw(rng)
        )
        for _ in range(10)
    ]
    counted = 0
    for spec in specs:
        with suppress(ImpossibleSpec):
            if cost := pipeline.cost(spec, splits):
                assert pipeline.build(spec, splits).count_params() == cost.params, flatten(spec)
                counted += 1
    assert counted >= 8


def test_the_same_options_load_the_same_splits(pipeline: AnyPipeline, splits: Any) -> None:
    assert pipeline.load().digest == splits.digest
    assert all(count > 0 for count in splits.sizes().values())
    assert splits.describe()


def test_a_config_file_written_is_read_back_to_the_same(
    pipeline: AnyPipeline, spec: Any, tmp_path: Path
) -> None:
    """By the way of a command, `--config FILE`: an option that was left automatic is null in the
    file.
    """
    (tmp_path / "config.yaml").write_text(config_files.write(pipeline, spec))
    command = click.Command(
        "train",
        params=[
            *click_options.of_fields(type(pipeline)),
            *click_options.of_spec(pipeline.spec_type, search=False),
        ],
    )
    found = click_options.resolve(
        command.make_context("train", ["--config", str(tmp_path / "config.yaml")]), type(pipeline)
    )
    assert found.pipeline == pipeline
    assert found.spec == spec
    assert flatten(spec).keys() <= found.origins.keys()


def test_validation_batches_hold_every_example_in_order(
    pipeline: AnyPipeline, splits: Any, spec: Any
) -> None:
    import tensorflow as tf

    def targets() -> Any:
        return [
            np.concatenate([np.asarray(t) for t in tf.nest.flatten(y)], axis=-1)
            for _, y in pipeline.batches(splits, "val", spec, training=False)
        ]

    once, again = np.concatenate(targets()), np.concatenate(targets())
    assert len(once) == splits.sizes()["val"]
    assert np.array_equal(once, again)


def test_losses_average_to_the_headline(pipeline: AnyPipeline, splits: Any, network: Any) -> None:
    predictions = pipeline.predict(network, splits, "test")
    judge = pipeline.headline_metric(splits)
    headline = pipeline.score(predictions, splits, "test")[judge.name]
    mean = pipeline.losses(predictions, splits, "test").mean()
    assert mean == pytest.approx(1 - headline if judge.direction == "max" else headline, rel=1e-3)


def test_baselines_are_scored_like_the_network(
    pipeline: AnyPipeline, splits: Any, network: Any
) -> None:
    baselines = [
        significance.score_baseline(pipeline, splits, baseline)
        for baseline in pipeline.baselines(splits)
    ]
    its = pipeline.score(pipeline.predict(network, splits, "test"), splits, "test")
    assert baselines
    # A baseline's name stands in the name of a metric, and MLflow allows nothing else there.
    assert all(
        re.fullmatch(r"[\w .:/-]+", f"{baseline.name}/{metric}")
        for baseline in baselines
        for metric in its
    )
    assert all(set(baseline.test) == set(its) for baseline in baselines)
    assert significance.strongest(baselines, pipeline.headline_metric(splits)) in baselines


def test_the_model_file_alone_recalls_the_network(
    pipeline: AnyPipeline, splits: Any, network: Any, tmp_path: Path
) -> None:
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    served = read_model(tmp_path / "model.keras")
    assert served.facts["domain"] == pipeline.domain
    assert json.loads(json.dumps(served.facts)) == served.facts
    again = pipeline.predict(pipeline.restore_network(served, splits), splits, "test")
    assert np.allclose(again, pipeline.predict(network, splits, "test"), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_model_file_is_read_by_a_process_that_has_trained_nothing(
    pipeline: AnyPipeline, splits: Any, network: Any, tmp_path: Path
) -> None:
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    program = "import sys; from pathlib import Path; from tuning.training.train import read_model; print(read_model(Path(sys.argv[1])).facts['domain'])"
    command = [sys.executable, "-c", program, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == pipeline.domain, done.stderr[-2000:]


def test_tables_and_plots_are_made(pipeline: AnyPipeline, splits: Any, network: Any) -> None:
    predictions = pipeline.predict(network, splits, "test")
    assert isinstance(pipeline.table(predictions, splits, "test"), pd.DataFrame)
    assert len({name for name, _ in pipeline.plots(predictions, splits, "test")}) == len(
        list(pipeline.plots(predictions, splits, "test"))
    )


def test_no_part_of_a_training_reads_test_data_before_the_end(
    pipeline: AnyPipeline, splits: Any, spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = type(pipeline).batches

    def spied(self: Any, splits: Any, part: str, spec: Any, *, training: bool) -> Any:
        asked.append(part)
        return original(self, splits, part, spec, training=training)  # type: ignore[arg-type]

    monkeypatch.setattr(type(pipeline), "batches", spied)
    fit(
        pipeline,
        spec,
        splits,
        seed=1,
        watch=Watch(objective=pipeline.objective_for(splits), gradients=True),
    )
    assert set(asked) <= set(PARTS) - {"test"}


def test_a_training_reports_scores_beside_its_baselines(
    pipeline: AnyPipeline, spec: Any, splits: Any
) -> None:
    report = train(pipeline, spec, NullTracker(), splits=splits)
    plain = json.loads(json.dumps(report.plain()))
    assert plain["lift"]["verdict"] in ("beats", "ties", "loses to")
    assert set(plain["baselines"]) == {baseline.name for baseline in report.baselines}
    assert plain["cost"]["params"] > 0
