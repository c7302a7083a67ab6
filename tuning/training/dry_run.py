"""What a training would cost, before it is begun: by arithmetic, or measured on a few steps."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

from pipelines.config.search_space import flatten, replace
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.training.costs import BYTES_PER_WEIGHT, most_epoch_seconds
from tuning.training.fit import num_epochs
from tuning.training.schedule import optimizer

MEASURED_STEPS = 5
MEASURED_SECONDS = 2.0
LONG_EPOCH = 1800.0  # seconds, of which a person is warned
WITH_GREAT_COST = ("conv.kernel_size", "conv.filters")  # what is made smaller
# Numbers kept for each weight: itself, its gradient, and two of the optimizer.
NUMBERS_PER_WEIGHT = 4


@dataclass(frozen=True, kw_only=True)
class LayerSize:
    """A layer of the network: its output for one example, and its weights."""

    name: str
    kind: str
    shape: str
    params: int


@dataclass(frozen=True)
class LongEpoch:
    """An epoch that takes long: how many seconds, and a flag with which it takes `shorter` ones."""

    seconds: float
    flag: str = ""  # none where no single value is to blame
    shorter: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """The size of a network and the time that it takes, measured on a few steps."""

    layers: Sequence[LayerSize]
    params: int
    macs: int | None  # of one example, forward; None where arithmetic cannot tell
    memory_mb: float  # weights, gradients, optimizer, and the activations of one batch
    step_ms: float
    epoch_s: float  # of training, without validation
    epochs: int
    sees: str = ""  # what a feature sees of an example, "" where it is not known

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def measure(pipeline: AnyPipeline, spec: Any, splits: Splits) -> DryRun:
    """Build the network of `spec` and time a few training steps; nothing is kept."""
    network = pipeline.build(spec, splits)
    model = pipeline.training_model(network, spec, splits)
    cost = pipeline.cost(spec, splits)
    macs = cost.macs if cost else None
    field = pipeline.receptive_field(spec, splits)
    batches = pipeline.training_batches(splits, "train", spec)
    steps = max(1, int(batches.cardinality()))
    model.compile(
        optimizer=optimizer(spec.train, steps, spec.train.learning_rate),
        **pipeline.compile_arguments(spec, splits),
    )
    step_s = _step_seconds(model, batches, spec.train.batch_size)
    layers = [_size(layer) for layer in network.layers]
    return DryRun(
        layers=layers,
        params=network.count_params(),
        macs=macs,
        memory_mb=_memory(network, spec.train.batch_size) / 2**20,
        step_ms=1000 * step_s,
        epoch_s=steps * step_s,
        epochs=num_epochs(spec.train, splits.sizes()["train"]),
        sees=field.describe() if field else "",
    )


def _step_seconds(model: keras.Model, batches: tf.data.Dataset, batch_size: int) -> float:
    """Return the seconds of one step; of a slow network, those of part of a batch, scaled."""
    batch = next(iter(batches))
    _timed(model, batch, 1)  # traces the network
    one = _timed(model, batch, 1)
    count = max(1, min(batch_size, int(MEASURED_SECONDS / one)))
    if count == 1:
        return one * batch_size
    began = time.monotonic()
    _timed(model, batch, count)
    seconds: list[float] = []
    while len(seconds) < MEASURED_STEPS:
        seconds.append(_timed(model, batch, count))
        if time.monotonic() - began > MEASURED_SECONDS:
            break
    return min(seconds) * batch_size / count


def _timed(model: keras.Model, batch: Any, count: int) -> float:
    part = tf.nest.map_structure(lambda values: values[:count], batch)
    began = time.monotonic()
    model.train_on_batch(*part)
    return time.monotonic() - began


def long_epoch(pipeline: AnyPipeline, spec: Any, splits: Splits) -> LongEpoch | None:
    """Return how long an epoch takes at worst where that is long, and what makes it shorter.

    By arithmetic, for a processor: it is None where there is a GPU, or arithmetic cannot tell.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    seconds = most_epoch_seconds(pipeline, spec, splits)
    if seconds <= LONG_EPOCH:
        return None
    values, defaults = flatten(spec), flatten(type(spec)())
    for key in WITH_GREAT_COST:
        value, default = values.get(key), defaults.get(key)
        while isinstance(value, int) and isinstance(default, int) and value > default:
            value = max(default, value // 2)
            shorter = most_epoch_seconds(pipeline, replace(spec, {key: value}), splits)
            if 0 < shorter <= LONG_EPOCH:
                return LongEpoch(seconds, f"--set {key}={value}", shorter)
    return LongEpoch(seconds)


def _size(layer: keras.layers.Layer) -> LayerSize:
    shape = getattr(layer.output, "shape", ())
    shown = " x ".join(str(extent) for extent in shape[1:])
    return LayerSize(
        name=layer.name, kind=type(layer).__name__, shape=shown, params=layer.count_params()
    )


def _memory(network: keras.Model, batch_size: int) -> float:
    """Return about how many bytes a training step holds: each activation, and its gradient."""
    numbers = 0.0
    for layer in network.layers:
        for output in tf.nest.flatten(layer.output):
            extents = [extent or 1 for extent in output.shape[1:]]
            numbers += math.prod(extents)
    weights = NUMBERS_PER_WEIGHT * int(network.count_params())
    return BYTES_PER_WEIGHT * (weights + 2 * batch_size * numbers)
