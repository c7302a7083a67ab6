"""What a model costs: weights, operations, megabytes, seconds, milliseconds of an answer.

Imports nothing heavy, so that a wrong name is refused before anything is loaded.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.search_space import flatten
from pipelines.errors import ImpossibleSpec
from pipelines.pipeline import AnyPipeline
from pipelines.runtime import num_cores
from pipelines.splits import Splits

if TYPE_CHECKING:
    import keras

LATENCY = "cost/latency_ms"  # begins the names of all times of an answer
# What trials are measured by beside their scores; each can be an objective (less is better).
COST_METRICS: Mapping[str, str] = {
    "cost/params": "weights",
    "cost/macs": "multiply-accumulates of one example, where arithmetic can tell",
    "cost/mb": "megabytes of weights",
    "cost/train_s": "seconds of the fit",
    "cost/train_cpu_s": "CPU seconds of the fit",
    "cost/latency_ms_p50": "milliseconds of one example through the network, the median",
    "cost/latency_ms_p95": "milliseconds that 95 of 100 calls with one example stay below",
    "cost/latency_ms_b64_p50": "milliseconds of a batch of 64 examples, the median",
    "cost/latency_ms_b64_p95": "milliseconds that 95 of 100 batches of 64 stay below",
}
BYTES_PER_WEIGHT = 4  # float32
# Multiply-accumulates of one core in a second at worst (measured: 1.6e9 with kernels of 99 x 99,
# 2e10 and more with 3 x 3 and in encoders of texts); a training step is three forward passes.
FEWEST_MACS_PER_CORE_SECOND = 1e10
FEWEST_WITH_LARGE_KERNELS = 1.6e9
LARGE_KERNEL = 16
PASSES = 3


def megabytes(params: int) -> float:
    """Return the size of `params` weights in megabytes."""
    return params * BYTES_PER_WEIGHT / 2**20


def sizes(
    pipeline: AnyPipeline, spec: Any, splits: Splits, model: "keras.Model"
) -> dict[str, float]:
    """Return weights, operations, megabytes and the process's peak of memory, by name.

    Weights and operations are those of what is served, a frozen encoder among them.
    """
    params = model.count_params()
    arithmetic = pipeline.cost(spec, splits)
    frozen = pipeline.frozen_part(spec, splits)
    if frozen:
        params += frozen.cost.params
        arithmetic = arithmetic and frozen.cost.then(arithmetic)
    costs: dict[str, float] = {"params": params, "mb": megabytes(params)}
    if arithmetic:
        costs["macs"] = arithmetic.macs
    return costs | peak_memory()


def most_epoch_seconds(pipeline: AnyPipeline, spec: Any, splits: Splits) -> float:
    """Return the seconds of an epoch on a processor at worst, 0 where arithmetic cannot tell."""
    try:
        cost = pipeline.cost(spec, splits)
    except ImpossibleSpec:
        cost = None
    macs = PASSES * cost.macs * splits.sizes()["train"] if cost else 0
    speed = FEWEST_MACS_PER_CORE_SECOND
    kernel_size = flatten(spec).get("conv.kernel_size")
    if isinstance(kernel_size, int) and kernel_size > LARGE_KERNEL:
        speed = FEWEST_WITH_LARGE_KERNELS
    return macs / (speed * num_cores())


def peak_memory() -> dict[str, float]:
    """Return the most memory that this process has held so far, in megabytes.

    It holds everything: TensorFlow, the data, whatever was fitted before. Windows does not tell.
    """
    if sys.platform == "darwin":
        import resource

        return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    # Not getrusage: on Linux a process begins with the peak of the one that has started it.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return {"peak_mb": int(line.split()[1]) / 2**10}
    return {}


def network_latencies(
    pipeline: AnyPipeline, spec: Any, splits: Splits, model: "keras.Model"
) -> dict[str, float]:
    """Return the times of a network's answers to one example and to a batch, by name.

    Where a frozen encoder is served before it, its times are added.
    """
    import tensorflow as tf

    from pipelines.timing import BATCH_SIZES, first_rows, latencies

    inputs, _ = next(iter(pipeline.batches(splits, "val", spec, training=False)))

    def first(count: int) -> Any:
        return tf.nest.map_structure(
            lambda values: tf.gather(values, first_rows(count, len(values))), inputs
        )

    def shape(values: Any) -> Any:
        return tf.TensorSpec([None, *values.shape[1:]], values.dtype)

    examples = {size: first(size) for size in BATCH_SIZES}
    # Traced once for all sizes: that takes longer than the calls.
    call = tf.function(
        lambda values: pipeline.serving_call(model, values),
        input_signature=[tf.nest.map_structure(shape, inputs)],
    )
    times = latencies(lambda size: call(examples[size]))
    frozen = pipeline.frozen_part(spec, splits)
    if frozen is None:
        return times
    before = frozen.latencies()
    return {name: times[name] + before[name] for name in times if name in before}
