"""Published image sets with the defaults, one command each, beside their published rows.

    python -m benchmarks.vision            # digits, and Fashion-MNIST where Debian's package is
    python -m benchmarks.vision FOLDER     # with optdigits/optdigits.npz, pneumoniamnist/...
    python -m benchmarks.vision --sets fashion-mnist

Each line is `appline vision train --data ... --no-tracking --json`, in a process of its own.
"""

import json
import subprocess
import sys
import time

from benchmarks.arguments import chosen, of_sets

PUBLISHED = {
    "digits": "3-NN 98.6-98.8, RBF SVC 98.9-99.4 (measured, the same split by another seed)",
    "fashion-mnist": "MLP 88.3, two convolutions 92.5, VGG16 93.5, ResNet18 with augmentation 94.9",
    "optdigits": "1-NN 98.00 (optdigits.names)",
    "pneumoniamnist": "AUC/accuracy: ResNet-50 .948/.854, AutoKeras .947/.878, "
    "Google AutoML .991/.946 (MedMNIST v2)",
}


def main() -> None:
    """Run every set that is there, and print scores, time and the published rows."""
    wanted = of_sets(__doc__, tuple(PUBLISHED))
    asked = wanted.parse_args()
    files = ("optdigits", "pneumoniamnist")
    for name in chosen(wanted, asked, ("digits", "fashion-mnist"), files):
        data = str(asked.folder / name / f"{name}.npz") if name in files else name
        began = time.perf_counter()
        command = [sys.executable, "-m", "apps.cli", "vision", "train", "--data", data]
        command += ["--no-tracking", "--json", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip()}", flush=True)
            continue
        result = json.loads(done.stdout)
        minutes = (time.perf_counter() - began) / 60
        print(f"{name}: {_scores(result['test'])}, {minutes:.1f} min", flush=True)
        for baseline, scores in result["baselines"].items():
            print(f"    {baseline}: {_scores(scores)}")
        lift = result["lift"]
        interval = f"[{lift['low']:+.4f}, {lift['high']:+.4f}]"
        print(f"    {lift['verdict']} {lift['over']}: {lift['mean']:+.4f} {interval}")
        print(f"    published: {PUBLISHED[name]}", flush=True)


def _scores(scores: dict[str, float]) -> str:
    auc = scores.get("auc", float("nan"))
    return f"accuracy {scores['accuracy']:.4f}, AUC {auc:.4f}"


if __name__ == "__main__":
    main()
