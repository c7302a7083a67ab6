"""Small data that tests write for themselves."""

from pathlib import Path

import numpy as np
import pandas as pd


def small_series(path: Path, rows: int = 400) -> Path:
    """Write an hourly series with a daily season and a little noise, and return its path."""
    steps = np.arange(rows)
    noise = np.random.default_rng(0).normal(scale=0.1, size=rows)
    when = pd.date_range("2024-01-01", periods=rows, freq="h")
    pd.DataFrame({"ds": when, "y": 10 + np.sin(2 * np.pi * steps / 24) + noise}).to_csv(path, index=False)
    return path
