"""Texts a second to ids and to TF-IDF features, against Keras' TextVectorization and scikit-learn's TfidfVectorizer, by turns.

    python -m benchmarks.vectorisation [--data reviews] [--repeat 4]

The vocabulary is there already (a sweep makes it once); what is timed is texts to ids, and texts to a matrix of weighted runs
of one and two words, the counting of them included. Splitting differs a little: ours keeps punctuation and other scripts.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.arguments import parser

ROUNDS = 3


def main() -> None:
    """Time all four by turns on the same texts and print the ratios of their medians."""
    wanted = parser(__doc__)
    wanted.add_argument(
        "--data",
        default="reviews",
        help="texts with labels, as `appline text train --data` takes them",
    )
    wanted.add_argument("--repeat", type=int, default=4, help="how often the texts are repeated")
    asked = wanted.parse_args()
    from tuning.training import runtime

    runtime.import_tensorflow()
    import keras
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    from pipelines.splits import PARTS
    from pipelines.text import closed, tokens
    from pipelines.text.pipeline import TextPipeline

    splits = TextPipeline(data=asked.data).load()
    texts = np.concatenate([splits.texts(part) for part in PARTS] * asked.repeat)
    ours = tokens.TokenIds(list(splits.vocabulary), splits.length, splits.unit, splits.lower)
    theirs = keras.layers.TextVectorization(
        output_sequence_length=splits.length, vocabulary=list(splits.vocabulary)
    )
    timed: dict[str, Callable[[], Any]] = {
        "ids, appline": lambda: tokens.in_batches(lambda batch: ours(batch).numpy(), texts),
        "ids, TextVectorization": lambda: tokens.in_batches(
            lambda batch: theirs(batch).numpy(), texts
        ),
        "TF-IDF, appline": lambda: closed.Features.fit(
            {"train": texts, "val": texts[:1], "test": texts[:1]}, splits.unit, splits.lower, False
        ),
        "TF-IDF, scikit-learn": lambda: TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=2
        ).fit_transform(texts),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(ROUNDS):
        for name, run in timed.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
        print(
            f"round {number + 1}: "
            + ", ".join(
                f"{name} {len(texts) / taken[-1]:,.0f} texts/s" for name, taken in seconds.items()
            ),
            flush=True,
        )
    median = {name: statistics.median(taken) for name, taken in seconds.items()}
    print(f"{len(texts):,} texts, {splits.length} tokens of each")
    for ours_is, theirs_is in (
        ("ids, appline", "ids, TextVectorization"),
        ("TF-IDF, appline", "TF-IDF, scikit-learn"),
    ):
        print(f"{ours_is} / {theirs_is}  {median[theirs_is] / median[ours_is]:.2f}")


if __name__ == "__main__":
    main()
