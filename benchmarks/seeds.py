"""The same command by several seeds: its JSON reports, and a mean with its standard error."""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

FIRST_SEED = 42


def reports(domain: str, flags: list[str], seeds: int) -> tuple[list[dict[str, Any]], float]:
    """Return the report of `appline DOMAIN train` for each seed, and the minutes of one run.

    The first error ends the benchmark.
    """
    found = []
    began = time.perf_counter()
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        train = [sys.executable, "-m", "apps.cli", domain, "train", *flags]
        command = [*train, "--seed", str(seed), "--no-tracking", "--json", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr.strip()}")
        found.append(json.loads(done.stdout))
    return found, (time.perf_counter() - began) / 60 / seeds


def show(reports: list[dict[str, Any]], network: str, metrics: tuple[str, ...]) -> None:
    """Print the mean and standard error of each test metric for all models, and the verdicts."""
    rows = {network: [report["test"] for report in reports]}
    for baseline in reports[0]["baselines"]:
        rows[baseline] = [report["baselines"][baseline] for report in reports]
    for name, scores in rows.items():
        columns = []
        for metric in metrics:
            values = [score.get(metric, float("nan")) for score in scores]
            columns.append(f"{metric} {_mean_and_error(values)}")
        print(f"    {name:30} {', '.join(columns)}")
    verdicts: Counter[str] = Counter()
    for report in reports:
        verdicts[f"{report['lift']['verdict']} {report['lift']['over']}"] += 1
    listed = ", ".join(f"{verdict} ({count})" for verdict, count in verdicts.items())
    print(f"    verdicts: {listed}")


def _mean_and_error(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.4f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values) / len(values) ** 0.5:.4f}"
