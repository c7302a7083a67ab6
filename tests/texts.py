"""Tables of texts that tests write, and the splits that are read from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.errors import DataError
from pipelines.splits import PARTS
from pipelines.text.data import TextSplits
from pipelines.text.options import TextOptions
from pipelines.text.pipeline import TextPipeline
from tests.samples import written

GOOD = ("good", "fine", "lovely", "warm", "bright")
BAD = ("bad", "dull", "awful", "cold", "grey")


def small(each: int = 10) -> pd.DataFrame:
    """Texts of two classes, no two of them the same."""
    rows = []
    for n in range(each):
        for label, words in (("pos", GOOD), ("neg", BAD)):
            rows.append((f"{words[n % 5]} {words[3 * n % 5]} film number {n}", label))
    return pd.DataFrame(rows, columns=["text", "label"])


def parted(**parts: Sequence[str]) -> pd.DataFrame:
    """Texts for each part, labelled a, b, a, b ..."""
    rows = []
    for part, texts in parts.items():
        rows += [(text, "ab"[n % 2], part) for n, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["text", "label", "split"])


def several(*labels: str, each: int = 5) -> pd.DataFrame:
    """Texts of each of these labels in turn."""
    rows = []
    for n in range(each):
        rows += [(f"text {n} of {label}", label) for label in labels]
    return pd.DataFrame(rows, columns=["text", "label"])


def write(table: pd.DataFrame | str | bytes, folder: Path, name: str = "texts.csv") -> Path:
    return written(table, folder / name)


def load(
    table: pd.DataFrame | str | bytes, folder: Path, name: str = "texts.csv", **options: Any
) -> TextSplits:
    return load_path(write(table, folder, name), **options)


def load_path(data: Path | str, **options: Any) -> TextSplits:
    return text_pipeline(data, **options).load()


def text_pipeline(data: Path | str, **options: Any) -> TextPipeline:
    return TextPipeline(TextOptions(data=str(data), **options))


def refused(data: Path | str, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load_path(data, **options)
    assert error.value.exit_code == 3
    return str(error.value)


def noted(splits: TextSplits, text: str) -> bool:
    return any(text in note for note in splits.notes)


def total(splits: TextSplits) -> int:
    return sum(splits.sizes().values())


def every(splits: TextSplits) -> dict[str, str]:
    """Each text's label."""
    labels = {}
    for part in PARTS:
        for text, y in zip(splits.texts(part), splits.labels(part), strict=True):
            labels[text] = splits.classes[y]
    return labels
