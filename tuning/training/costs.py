"""What a model costs: weights, megabytes, seconds.

Imports nothing heavy, so that a wrong name is refused before anything is loaded.
"""

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits

if TYPE_CHECKING:
    import keras

LATENCY = "cost/latency_ms_p50"
# What trials are measured by beside their scores; each can be an objective (less is better).
COST_METRICS: Mapping[str, str] = {
    "cost/params": "weights",
    "cost/mb": "megabytes of weights",
    "cost/train_s": "seconds of the fit",
    "cost/train_cpu_s": "CPU seconds of the fit",
    LATENCY: "milliseconds of one example through the network",
}
BYTES_PER_WEIGHT = 4  # float32
LATENCY_CALLS = 30


def megabytes(params: int) -> float:
    """Return the size of `params` weights in megabytes."""
    return params * BYTES_PER_WEIGHT / 2**20


def latency_ms(
    pipeline: AnyPipeline,
    spec: Any,
    splits: Splits,
    model: "keras.Model",
    calls: int = LATENCY_CALLS,
) -> float:
    """Return the median time of one example's answer, in milliseconds."""
    import numpy as np
    import tensorflow as tf

    inputs, _ = next(iter(pipeline.batches(splits, "val", spec, training=False)))
    example = tf.nest.map_structure(lambda values: values[:1], inputs)
    call = tf.function(lambda values: pipeline.serving_call(model, values))
    # The first call traces the network; it is not timed.
    call(example)
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        call(example)
        times.append(time.perf_counter() - began)
    if not times:
        return math.nan
    return 1000 * float(np.median(times))
