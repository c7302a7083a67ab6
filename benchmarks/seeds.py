"""The same command by several seeds: its JSON reports, and a mean with its standard error."""

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any


def reports(domain: str, flags: list[str], seeds: int) -> tuple[list[dict[str, Any]], float]:
    """Return the report of `appline DOMAIN train` for each seed, and the minutes that one took; end on the first error."""
    found = []
    began = time.perf_counter()
    for seed in range(42, 42 + seeds):
        command = [
            sys.executable,
            "-m",
            "apps.cli",
            domain,
            "train",
            *flags,
            "--seed",
            str(seed),
            "--no-tracking",
            "--json",
            "-q",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr.strip()}")
        found.append(json.loads(done.stdout))
    return found, (time.perf_counter() - began) / 60 / seeds


def show(reports: list[dict[str, Any]], network: str, metrics: tuple[str, ...]) -> None:
    """Print network and baselines with mean and standard error of each test metric, and the verdicts."""
    rows = {network: [one["test"] for one in reports]}
    rows |= {
        baseline: [one["baselines"][baseline] for one in reports]
        for baseline in reports[0]["baselines"]
    }
    for row, scores in rows.items():
        print(
            f"    {row:30} "
            + ", ".join(
                f"{metric} {_bar([one.get(metric, float('nan')) for one in scores])}"
                for metric in metrics
            )
        )
    verdicts = Counter(f"{one['lift']['verdict']} {one['lift']['over']}" for one in reports)
    print(
        f"    verdicts: {', '.join(f'{verdict} ({count})' for verdict, count in verdicts.items())}"
    )


def _bar(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.4f}"
    return (
        f"{mean} ± {statistics.stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else mean
    )
