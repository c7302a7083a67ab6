"""Texts a second to ids and to TF-IDF features, against Keras and scikit-learn.

The contenders are Keras' TextVectorization and scikit-learn's TfidfVectorizer; they take turns.

    python -m benchmarks.vectorisation [--data reviews] [--repeat 4]

The vocabulary is there already (a sweep makes it once); what is timed is texts to ids, and texts to
a matrix of weighted runs of one and two words, the counting of them included. Splitting differs a
little: ours keeps punctuation and other scripts.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.arguments import parser

ROUNDS = 3
COMPARED = (
    ("ids, appline", "ids, TextVectorization"),
    ("TF-IDF, appline", "TF-IDF, scikit-learn"),
)


def main() -> None:
    """Time all four in turn on the same texts and print the ratios of their medians."""
    arguments = parser(__doc__)
    arguments.add_argument(
        "--data",
        default="reviews",
        help="texts with labels, as `appline text train --data` takes them",
    )
    arguments.add_argument("--repeat", type=int, default=4, help="how often the texts are repeated")
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    import numpy as np

    from pipelines import create_pipeline
    from pipelines.splits import PARTS

    splits: Any = create_pipeline("text", data=given.data).load()
    texts = np.concatenate([splits.texts(part) for part in PARTS] * given.repeat)
    seconds = _time_by_turns(_contestants(splits, texts), len(texts))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{len(texts):,} texts, {splits.length} tokens of each")
    for ours, theirs in COMPARED:
        print(f"{ours} / {theirs}  {medians[theirs] / medians[ours]:.2f}")


def _contestants(splits: Any, texts: Any) -> dict[str, Callable[[], Any]]:
    """Return what is timed, by name."""
    import keras
    from sklearn.feature_extraction.text import TfidfVectorizer

    from pipelines.text.layers import TokenIds
    from pipelines.text.tfidf_features import fit_features
    from pipelines.text.tokens import map_batches

    vocabulary = list(splits.vocabulary)
    unit, lower = splits.tokenization.unit, splits.tokenization.lower
    ours = TokenIds(vocabulary, splits.length, unit, lower)
    theirs = keras.layers.TextVectorization(
        output_sequence_length=splits.length, vocabulary=vocabulary
    )
    parts: Any = {"train": texts, "val": texts[:1], "test": texts[:1]}
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return {
        "ids, appline": lambda: map_batches(lambda batch: ours(batch).numpy(), texts),
        "ids, TextVectorization": lambda: map_batches(lambda batch: theirs(batch).numpy(), texts),
        "TF-IDF, appline": lambda: fit_features(parts, splits.tokenization, characters=False),
        "TF-IDF, scikit-learn": lambda: vectorizer.fit_transform(texts),
    }


def _time_by_turns(
    contestants: dict[str, Callable[[], Any]], num_texts: int
) -> dict[str, list[float]]:
    """Return the seconds of each round; each round is printed as it ends."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(1, ROUNDS + 1):
        rates = []
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
            rates.append(f"{name} {num_texts / seconds[name][-1]:,.0f} texts/s")
        print(f"round {number}: {', '.join(rates)}", flush=True)
    return seconds


if __name__ == "__main__":
    main()
