"""Images a second of appline's fit against a hand-written Keras loop of the same network.

They take turns on Fashion-MNIST.

    python -m benchmarks.throughput [--images 12800]
"""

import statistics
import time
from typing import Any

import numpy as np

from benchmarks.arguments import parser

ROUNDS = 3


def hand_written(pipeline: Any, splits: Any, spec: Any) -> float:
    """Return the seconds of one epoch as a person would write it: compile and fit on tf.data."""
    import keras
    import tensorflow as tf

    model = pipeline.training_model(pipeline.build(spec, splits), spec, splits)
    model.compile(keras.optimizers.AdamW(1e-3), **pipeline.compile_arguments(spec, splits))
    x, y = (
        splits.train.x.astype("float32"),
        keras.utils.to_categorical(splits.train.y, len(splits.classes)),
    )
    data = (
        tf.data.Dataset.from_tensor_slices((x, y))
        .shuffle(len(y))
        .batch(spec.train.batch_size)
        .prefetch(2)
    )
    model.fit(data.take(2), verbose=0, shuffle=False)  # traced
    began = time.perf_counter()
    model.fit(data, verbose=0, shuffle=False)
    return time.perf_counter() - began


def appline(pipeline: Any, splits: Any, spec: Any) -> float:
    """Return the seconds of the second epoch of appline's fit, its validation taken off."""
    from dataclasses import replace

    from tuning.training.fit import fit
    from tuning.training.monitor import Watch

    ends: list[float] = []
    watch = Watch(
        objective=pipeline.objective_for(splits),
        on_epoch=lambda epoch, values: ends.append(time.perf_counter()),
    )
    few = np.arange(len(splits.classes))
    small = replace(splits, val=splits.val.take(few))
    fit(pipeline, replace(spec, train=replace(spec.train, epochs=2)), small, seed=1, watch=watch)
    return ends[1] - ends[0]


def main() -> None:
    """Time both alternately and print the ratio of their medians."""
    wanted = parser(__doc__)
    wanted.add_argument("--images", type=int, default=12_800)
    images = wanted.parse_args().images
    from pipelines import runtime

    runtime.import_tensorflow()
    from pipelines import create_pipeline

    pipeline = create_pipeline("vision", data="fashion-mnist", limit=images)
    splits, spec = pipeline.load(), pipeline.options.spec_type()
    times: dict[str, list[float]] = {"hand-written": [], "appline": []}
    for number in range(1, ROUNDS + 1):
        times["hand-written"].append(hand_written(pipeline, splits, spec))
        times["appline"].append(appline(pipeline, splits, spec))
        speeds = [f"{name} {images / taken[-1]:.0f} images/s" for name, taken in times.items()]
        print(f"round {number}: {', '.join(speeds)}", flush=True)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    ratio = medians["hand-written"] / medians["appline"]
    print(f"appline / hand-written  {ratio:.2f}   (target >= 0.95)")


if __name__ == "__main__":
    main()
