"""Every architecture declares the hyperparameters that it reads; building its network checks it."""

import dataclasses
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import pytest

from pipelines import DOMAINS, create_pipeline, options_class
from pipelines.config.search_space import flatten, hyperparameters, replace
from pipelines.errors import DataError, ImpossibleSpec, UsageError
from pipelines.networks.registry import AUTO
from pipelines.pipeline import AnyPipeline
from tests.encoders import tiny_encoder
from tests.samples import small_log, small_series, small_texts

# Values with which a network has an optional part.
SWITCHED_ON: dict[str, object] = {
    "head.units": 8,
    "recurrent.layers": 2,
    "conv.stride": 2,
    "encoder.layers": 1,
    "conv.pooling": "max",
    "start_from": "none",
}


def architectures(domain: str) -> tuple[str, ...]:
    choices = hyperparameters(options_class(domain).spec_type)["architecture"].choices
    return tuple(map(str, choices))


CASES = [(domain, name) for domain in DOMAINS for name in architectures(domain) if name != AUTO]


class Recording:
    """A spec that records the dotted key of every scalar that is read of it."""

    def __init__(self, spec: Any, read: set[str], prefix: str = "") -> None:
        self._spec = spec
        self._read = read
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._spec, name)
        key = f"{self._prefix}{name}"
        if dataclasses.is_dataclass(value):
            return Recording(value, self._read, f"{key}.")
        self._read.add(key)
        return value


@pytest.fixture(scope="module")
def pipelines_by_domain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return each domain's pipeline and splits on little data."""
    folder = tmp_path_factory.mktemp("data")
    hourly = str(small_series(folder / "hourly.csv"))
    made = {
        "vision": create_pipeline("vision", limit=100),
        "text": create_pipeline("text", data=str(small_texts(folder / "opinions.csv"))),
        "forecast": create_pipeline("forecast", data=hourly, horizon=6, lookback=24),
        "recommend": create_pipeline("recommend", data=str(small_log(folder / "log.csv"))),
    }
    return {domain: (pipeline, pipeline.load()) for domain, pipeline in made.items()}


def read_keys(pipeline: AnyPipeline, splits: Any, spec: Any, read: set[str]) -> None:
    """Add the hyperparameters that are read to measure, build and train the network of `spec`."""
    recording: Any = Recording(spec, read)
    pipeline.cost(recording, splits)
    network = pipeline.build(recording, splits)
    for phase in pipeline.phases(recording, dataclasses.replace(spec.train, epochs=4)):
        pipeline.on_phase_start(phase, network, recording)
    pipeline.learning_rates(network, recording)


@pytest.mark.parametrize(("domain", "name"), CASES)
def test_an_entry_declares_exactly_what_its_network_reads(
    domain: str, name: str, pipelines_by_domain: dict[str, Any], tmp_path: Path
) -> None:
    pipeline, splits = pipelines_by_domain[domain]
    known = hyperparameters(pipeline.options.spec_type)
    base = replace(pipeline.options.spec_type(), {"architecture": name})
    read: set[str] = set()
    if name == "transfer":
        # Where the weights come from is read, and their file is missed.
        applications = {"transfer.backbone": "MobileNet", "transfer.weights": "missing.h5"}
        for missing in (base, replace(base, applications)):
            with suppress(DataError):
                read_keys(pipeline, splits, missing, read)
        base = replace(base, own_backbone(pipeline, splits, tmp_path))
    if name == "pretrained":
        base = replace(base, tiny_encoder_of(tmp_path))
    read_keys(pipeline, splits, base, read)
    for key, value in SWITCHED_ON.items():
        if key in known:
            with suppress(ImpossibleSpec):  # what was read before it was refused counts
                read_keys(pipeline, splits, replace(base, {key: value}), read)
    conditions = pipeline.options.conditions
    claimed_by_some = {key for key in conditions if "architecture" in conditions[key]}
    declared = {key for key in claimed_by_some if name in conditions[key]["architecture"]}
    assert read & claimed_by_some == declared


def own_backbone(pipeline: AnyPipeline, splits: Any, folder: Path) -> dict[str, object]:
    """Return what makes a network of appline's own the backbone: others would need a download."""
    from pipelines.model_file import write_model

    spec = replace(pipeline.options.spec_type(), {"conv.filters": 8})
    path = folder / "backbone.keras"
    write_model(pipeline.serve(pipeline.build(spec, splits), splits), path)
    return {"transfer.backbone": str(path)}


def tiny_encoder_of(folder: Path) -> dict[str, object]:
    return {"encoder.name": str(tiny_encoder(folder / "encoder")), "encoder.length": 9}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_architecture_reads_only_hyperparameters_that_exist(domain: str) -> None:
    options = options_class(domain)
    assert set(options.conditions) <= set(hyperparameters(options.spec_type))


@pytest.mark.parametrize("domain", DOMAINS)
def test_an_unknown_architecture_is_refused_with_the_nearest_name(domain: str) -> None:
    name = architectures(domain)[0]
    with pytest.raises(UsageError, match=f"Did you mean '{name}'"):
        replace(options_class(domain).spec_type(), {"architecture": f"{name}x"})


@pytest.mark.parametrize("domain", DOMAINS)
def test_points_that_differ_in_what_their_network_does_not_read_are_equal(domain: str) -> None:
    """So a search does not train the same network twice."""
    options = options_class(domain)
    spec_type = options.spec_type
    space = options().space(spec_type(), options.search)
    flat = {key: value for key, value in flatten(spec_type()).items() if key in space.dimensions}
    for name in space.dimensions["architecture"].values:  # type: ignore[union-attr]
        point = {**flat, "architecture": name}
        for key, dimension in space.dimensions.items():
            other = {**point, key: dimension.values[-1]} if hasattr(dimension, "values") else point
            if not space.matters(key, point) and key != "architecture":
                assert space.identity(other) == space.identity(point)


def signature(pipeline: AnyPipeline, splits: Any, spec: Any) -> str:
    """Return the layers of a network and of its training, as text."""
    keras.utils.clear_session()  # else layers without a name are counted on
    keras.utils.set_random_seed(0)
    network = pipeline.build(spec, splits)
    model = pipeline.training_model(network, spec, splits)
    shown = []
    for layer in model._flatten_layers():
        try:
            config: Any = layer.get_config()
        except NotImplementedError:  # of a layer that is not saved
            config = {name: str(value) for name, value in vars(layer).items()}
        shown.append(f"{type(layer).__name__} {config}")
    return re.sub(r"0x[0-9a-f]+", "", "\n".join(shown))


@pytest.mark.slow
@pytest.mark.parametrize(("domain", "name"), CASES)
def test_what_a_sweep_searches_changes_the_network_or_is_said_not_to_matter(
    domain: str, name: str, pipelines_by_domain: dict[str, Any], tmp_path: Path
) -> None:
    """Kernel sizes were searched for a network without convolutions."""
    pipeline, splits = pipelines_by_domain[domain]
    options = pipeline.options
    base = replace(options.spec_type(), {"architecture": name, "train.batch_size": 4})
    if name == "transfer":
        base = replace(base, own_backbone(pipeline, splits, tmp_path))
    if name == "pretrained":
        base = replace(base, tiny_encoder_of(tmp_path))
    before, cost = signature(pipeline, splits, base), pipeline.cost(base, splits)
    assert signature(pipeline, splits, base) == before
    space = options.space(base, {})
    idle: dict[str, tuple[object, ...]] = {}
    for key, dimension in options.search.items():
        if key == "architecture" or key.startswith("train."):
            continue
        values = [value for value in dimension.values if value != flatten(base)[key]]
        if not space.matters(key, {}):
            idle[key] = tuple(values)
            continue
        changed = []
        for value in values:
            other = replace(base, {key: value})
            with suppress(ImpossibleSpec):
                differs = pipeline.cost(other, splits) != cost
                changed.append(differs or signature(pipeline, splits, other) != before)
            if any(changed):
                break
        assert not changed or any(changed), key
    # What is not read can be changed together.
    for number in range(max(map(len, idle.values()), default=0)):
        chosen = {key: values[number % len(values)] for key, values in idle.items() if values}
        other = replace(base, chosen)
        assert pipeline.cost(other, splits) == cost, chosen
        assert signature(pipeline, splits, other) == before, chosen
