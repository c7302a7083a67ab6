"""Small data that tests write for themselves."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.io.progress import Work


def small_series(path: Path, rows: int = 400) -> Path:
    """Write an hourly series with a daily season and a little noise, and return its path."""
    steps = np.arange(rows)
    noise = np.random.default_rng(0).normal(scale=0.1, size=rows)
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    values = 10 + np.sin(2 * np.pi * steps / 24) + noise
    pd.DataFrame({"ds": times, "y": values}).to_csv(path, index=False)
    return path


def small_texts(path: Path) -> Path:
    """Write 120 short opinions, good and bad, whose words tell which.

    A few of the words appear in both.
    """
    rng = np.random.default_rng(0)
    words = {
        "good": ["lovely", "tasty", "fresh", "perfect", "great"],
        "bad": ["stale", "awful", "bland", "burnt", "broken"],
    }
    common = ["the", "tea", "soup", "was", "and", "very", "it", "box"]
    rows = ["text,label"]
    for number in range(120):
        label, other = ("good", "bad") if number % 2 else ("bad", "good")
        is_mixed = number % 7 == 0
        chosen = [
            *rng.choice(common, 6),
            *rng.choice(words[label], 2),
            *rng.choice(words[other], int(is_mixed)),
        ]
        rows.append(f"{' '.join(rng.permutation(chosen))},{label}")
    path.write_text("\n".join(rows) + "\n")
    return path


def small_log(path: Path, users: int = 40, items: int = 30) -> Path:
    """Write interactions: each user walks through the items by steps of one or two.

    Each starts at an item of their own.
    """
    rng = np.random.default_rng(0)
    rows = ["user,item,rating,timestamp"]
    for user in range(users):
        item = int(rng.integers(items))
        for step in range(12):
            rating = int(rng.integers(1, 6))
            time = 1_600_000_000 + 1000 * user + step
            rows.append(f"u{user},i{item % items},{rating},{time}")
            item += int(rng.integers(1, 3))
    path.write_text("\n".join(rows) + "\n")
    return path


def written(table: pd.DataFrame | str | bytes, path: Path) -> Path:
    """Write a table in the format that the suffix of `path` names, or a text as it is.

    Return the path.
    """
    if isinstance(table, str | bytes):
        path.write_bytes(table.encode() if isinstance(table, str) else table)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@dataclass
class SeenWork:
    """A listener that keeps all work that has begun."""

    works: list[Work] = field(default_factory=list)

    def begun(self, work: Work) -> None:
        self.works.append(work)

    def ended(self, work: Work) -> None:
        pass
