"""The contract, kept by every pipeline: a new domain is tested by its line in `DOMAINS`."""

import dataclasses
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from apps.click_options import options_flags, spec_flags
from apps.resolve import resolve
from pipelines import DOMAINS, create_pipeline
from pipelines.config.files import write_config
from pipelines.config.search_space import (
    Choice,
    Dimension,
    Space,
    flatten,
    hyperparameters,
    replace,
)
from pipelines.errors import ImpossibleSpec, UsageError
from pipelines.model_file import facts_as_json, read_model, write_model
from pipelines.pipeline import AnyPipeline
from pipelines.splits import PARTS, SCORED_PARTS
from tests.encoders import tiny_encoder
from tests.samples import small_log, small_series, small_texts
from tuning.reports import significance
from tuning.tracking.interface import NullTracker
from tuning.training.fit import fit
from tuning.training.monitor import Watch
from tuning.training.train import train

ROOT = Path(__file__).parent.parent
FIFTH = "line"  # the tiny domain of the tests
# What is searched here beside a domain's own space, where the domain has it.
WIDER: dict[str, Dimension] = {
    "start_from": Choice(("none",)),
    "conv.stride": Choice((1, 2)),
    "conv.padding": Choice(("same", "causal")),
    "recurrent.layers": Choice((1, 2)),
    "recurrent.bidirectional": Choice((True, False)),
    "attention.layers": Choice((1, 2)),
    "attention.heads": Choice((1, 2)),
    "head.units": Choice((0, 8)),
    "embedding.ngrams": Choice((1, 3)),
}
# Hyperparameters of a network that is fitted in seconds.
SHORT: dict[str, dict[str, object]] = {
    "vision": {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 2},
    "text": {"conv.filters": 8, "embedding.width": 8, "train.epochs": 2},
    "forecast": {"conv.filters": 8, "train.epochs": 2},
    "recommend": {"conv.filters": 8, "embedding.width": 8, "history": 8, "train.epochs": 2},
    FIFTH: {"train.epochs": 2},
}


@pytest.fixture(scope="module", params=[*DOMAINS, FIFTH])
def pipeline(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnyPipeline]:
    """Each domain on little data; `line` is the fifth domain, rehearsed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DOMAINS, FIFTH, "tests.line_domain:Line")
        folder = tmp_path_factory.mktemp(request.param)
        yield create_pipeline(request.param, **_options(request.param, folder))


def _options(domain: str, folder: Path) -> dict[str, Any]:
    match domain:
        case "vision":
            return {"limit": 100}
        case "text":
            return {"data": str(small_texts(folder / "opinions.csv"))}
        case "forecast":
            data = small_series(folder / "hourly.csv")
            return {"data": str(data), "horizon": 6, "lookback": 24}
        case "recommend":
            return {"data": str(small_log(folder / "log.csv"))}
        case _:
            return {}


@pytest.fixture(scope="module")
def splits(pipeline: AnyPipeline) -> Any:
    return pipeline.load()


@pytest.fixture(scope="module")
def spec(pipeline: AnyPipeline) -> Any:
    return replace(pipeline.options.spec_type(), SHORT[pipeline.domain])


@pytest.fixture(scope="module")
def network(pipeline: AnyPipeline, splits: Any, spec: Any) -> Any:
    """A trained network as it is tested: calibrated on val."""
    watch = Watch(objective=pipeline.objective_for(splits))
    fitted = fit(pipeline, spec, splits, seed=1, watch=watch)
    pipeline.calibrate(fitted.model, splits)
    return fitted.model


def test_every_option_has_help_and_a_default(pipeline: AnyPipeline) -> None:
    assert all(field.metadata.get("help") for field in dataclasses.fields(pipeline.options))
    assert all(known.help for known in hyperparameters(pipeline.options.spec_type).values())


def test_the_default_spec_is_a_point_of_its_own_space(pipeline: AnyPipeline, splits: Any) -> None:
    options = pipeline.options
    pipeline.check(options.spec_type(), splits)
    assert set(options.search) <= set(hyperparameters(options.spec_type))
    options.space(options.spec_type(), options.search)


def test_presets_and_demo_lie_in_the_domains_own_space(pipeline: AnyPipeline) -> None:
    options = pipeline.options
    space = options.space(options.spec_type(), options.search)
    for preset in options.presets:
        assert all(space.holds(key, value) for key, value in preset.items())
    for demo in (options.demo, options.demo_here()):
        replace(options.spec_type(), demo.fixed)
        options.space(options.spec_type(), demo.searched)


def test_arithmetic_counts_the_weights_that_keras_builds(
    pipeline: AnyPipeline, splits: Any, tmp_path: Path
) -> None:
    """So a limit on size is kept before anything is built."""
    default = pipeline.options.spec_type()
    if "encoder.name" in hyperparameters(type(default)):
        default = replace(
            default, {"encoder.name": str(tiny_encoder(tmp_path)), "encoder.length": 9}
        )
    known, rng = hyperparameters(type(default)), np.random.default_rng(0)
    wider = {key: dimension for key, dimension in WIDER.items() if key in known}
    space = Space(base=default, dimensions={**pipeline.options.search, **wider})
    architectures = known["architecture"].choices if "architecture" in known else ()
    specs = [replace(default, {"architecture": name}) for name in architectures]
    specs += [replace(default, space.draw(rng)) for _ in range(10)]
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
    """As a command reads it, by `--config FILE`; an automatic option is null in the file."""
    path = tmp_path / "config.yaml"
    path.write_text(write_config(pipeline.options, spec))
    options_type = type(pipeline.options)
    flags = [*options_flags(options_type), *spec_flags(type(spec), search=False)]
    command = click.Command("train", params=list(flags))
    resolved = resolve(command.make_context("train", ["--config", str(path)]), options_type)
    assert resolved.options == pipeline.options
    assert resolved.spec == spec
    assert flatten(spec).keys() <= resolved.origins.keys()


def test_validation_batches_hold_every_example_in_order(
    pipeline: AnyPipeline, splits: Any, spec: Any
) -> None:
    def targets() -> np.ndarray:
        rows = []
        for _, target in pipeline.batches(splits, "val", spec, training=False):
            arrays = [np.asarray(tensor) for tensor in tf.nest.flatten(target)]
            rows.append(np.concatenate(arrays, axis=-1))
        return np.concatenate(rows)

    once, again = targets(), targets()
    assert len(once) == splits.sizes()["val"]
    assert np.array_equal(once, again)


@pytest.mark.parametrize("part", ["val", "test"])
def test_losses_average_to_the_headline(
    pipeline: AnyPipeline, splits: Any, network: Any, part: Any
) -> None:
    predictions = pipeline.predict(network, splits, part)
    metric = pipeline.headline_metric(splits)
    headline = pipeline.score(predictions, splits, part)[metric.name]
    mean = pipeline.losses(predictions, splits, part).mean()
    expected = 1 - headline if metric.direction == "max" else headline
    assert mean == pytest.approx(expected, rel=1e-3)


def test_baselines_are_scored_like_the_network(
    pipeline: AnyPipeline, splits: Any, network: Any
) -> None:
    baselines = []
    for baseline in pipeline.baselines(splits):
        baselines.append(significance.score_baseline(pipeline, splits, baseline))
    metrics = pipeline.score(pipeline.predict(network, splits, "test"), splits, "test")
    assert baselines
    for scored in baselines:
        assert set(scored.test) == set(metrics)
        # A baseline's name stands in the name of a metric, and MLflow allows nothing else there.
        names = [f"{scored.name}/{metric}" for metric in metrics]
        assert all(re.fullmatch(r"[\w .:/-]+", name) for name in names)
    assert significance.strongest(baselines, pipeline.headline_metric(splits)) in baselines


def test_what_answers_is_named_and_the_network_alone_predicts_without_changing_it(
    pipeline: AnyPipeline, splits: Any, network: Any
) -> None:
    blend = pipeline.blend(network)
    assert blend.weights.get("network", 0) >= 0
    assert sum(blend.shares.values()) == pytest.approx(1, abs=0.03)
    before = pipeline.predict(network, splits, "test")
    alone = pipeline.predict_alone(network, splits, "test")
    assert alone.shape == before.shape
    assert np.array_equal(pipeline.predict(network, splits, "test"), before)
    if blend.is_network_alone:
        assert np.allclose(alone, before, atol=0.02)
    else:
        assert not np.array_equal(alone, before)


def test_the_model_file_alone_restores_the_network(
    pipeline: AnyPipeline, splits: Any, network: Any, tmp_path: Path
) -> None:
    serving = pipeline.serve(network, splits)
    write_model(serving, tmp_path / "model.keras")
    read = read_model(tmp_path / "model.keras")
    assert read.facts == serving.facts
    assert read.facts.domain == pipeline.domain
    assert json.loads(json.dumps(facts_as_json(read))) == facts_as_json(read)
    restored = pipeline.restore_network(read, splits)
    # A whole model predicts with a baseline of its own, which has learned from val, too.
    learned_from_val = restored is read.model
    for part in ("test",) if learned_from_val else SCORED_PARTS:
        again = pipeline.predict(restored, splits, part)
        expected = pipeline.predict(network, splits, part)
        assert np.allclose(again, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_model_file_holds_weights_and_no_state_of_an_optimizer(
    pipeline: AnyPipeline, network: Any, splits: Any, tmp_path: Path
) -> None:
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        (tmp_path / "weights.h5").write_bytes(archive.read("model.weights.h5"))
    names: list[str] = []
    with h5py.File(tmp_path / "weights.h5") as weights:
        weights.visit(names.append)
    assert names
    assert not [name for name in names if "optimizer" in name]


READS_MODELS = f"""
import sys
from pathlib import Path
from pipelines import DOMAINS
DOMAINS["{FIFTH}"] = "tests.line_domain:Line"
from pipelines.model_file import read_model
for line in sys.stdin:
    domain = read_model(Path(line.strip())).facts.domain
    assert not any(name.startswith("tuning") for name in sys.modules)
    print(domain, flush=True)
"""


@pytest.fixture(scope="module")
def reader() -> Iterator["subprocess.Popen[str]"]:
    """A process that reads models and knows `pipelines` alone.

    One for all domains: each costs an import of TensorFlow.
    """
    command = [sys.executable, "-c", READS_MODELS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield process


def test_the_model_file_is_read_by_a_process_that_knows_pipelines_alone(
    pipeline: AnyPipeline,
    splits: Any,
    network: Any,
    reader: "subprocess.Popen[str]",
    tmp_path: Path,
) -> None:
    """As a served model is: MLflow ships `pipelines` with it, and nothing else of the project."""
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    assert reader.stdin
    assert reader.stdout
    print(tmp_path / "model.keras", file=reader.stdin, flush=True)
    assert reader.stdout.readline().strip() == pipeline.domain


def test_tables_and_plots_are_made(pipeline: AnyPipeline, splits: Any, network: Any) -> None:
    predictions = pipeline.predict(network, splits, "test")
    assert isinstance(pipeline.table(predictions, splits, "test"), pd.DataFrame)
    names = [name for name, _ in pipeline.plots(predictions, splits, "test")]
    assert len(set(names)) == len(names)


def test_a_model_may_be_fitted_to_all_parts_once_it_is_tested(
    pipeline: AnyPipeline, splits: Any, spec: Any, network: Any
) -> None:
    if pipeline.domain == FIFTH:
        with pytest.raises(UsageError, match="fitted to train alone"):
            pipeline.merge_into_train(splits, ["val", "test"])
        return
    everything = pipeline.merge_into_train(splits, ["val", "test"])
    assert everything.digest == splits.digest
    assert everything.sizes()["train"] > splits.sizes()["train"]
    assert everything.sizes()["test"] == splits.sizes()["test"]
    watch = Watch(objective=pipeline.objective_for(splits))
    fitted = fit(pipeline, spec, everything, seed=1, watch=watch, until=1)
    pipeline.calibrate(fitted.model, splits, like=network)
    serving = pipeline.serve(fitted.model, everything)
    example = pipeline.example(serving.facts)
    assert len(pipeline.predict_raw(serving, example))


def test_no_part_of_a_training_reads_test_data_before_the_end(
    pipeline: AnyPipeline, splits: Any, spec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = type(pipeline).batches

    def spied(self: Any, splits: Any, part: Any, spec: Any, *, training: bool) -> Any:
        read.append(part)
        return original(self, splits, part, spec, training=training)

    monkeypatch.setattr(type(pipeline), "batches", spied)
    watch = Watch(objective=pipeline.objective_for(splits), gradients=True)
    fit(pipeline, spec, splits, seed=1, watch=watch)
    assert set(read) <= set(PARTS) - {"test"}


def test_a_training_reports_scores_beside_its_baselines(
    pipeline: AnyPipeline, spec: Any, splits: Any
) -> None:
    result = train(pipeline, spec, NullTracker(), splits=splits)
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["lift"]["verdict"] in ("beats", "ties", "loses to")
    assert set(plain["baselines"]) == {baseline.name for baseline in result.baselines}
    assert plain["cost"]["params"] > 0
    assert plain["verdict"] in ("beats", "ties", "loses to", "adds nothing")
    assert plain["network_alone"]["test"].keys() == plain["test"].keys()
