"""Texts without what the audit has found, as a table with a column of parts."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import UsageError
from pipelines.io.whole_files import written_whole
from pipelines.splits import PARTS, Part
from pipelines.text.data import TextSplits

SUFFIXES = (".csv", ".parquet")
SEPARATOR = "|"


def write_clean(splits: TextSplits, left_out: Mapping[Part, Collection[int]], path: Path) -> None:
    """Write all texts but those at the positions `left_out`, with their labels and parts.

    Several labels of a text are separated by |.

    Raises:
        UsageError: the file is no table.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--fix {path}: expected a file that ends in {' or '.join(SUFFIXES)}")
    tables = []
    for part in PARTS:
        texts = splits.of_part(part)
        kept = np.setdiff1d(np.arange(len(texts.x)), list(left_out.get(part, ())))
        labels = [_as_cell(label) for label in texts.labels[kept]]
        tables.append(pd.DataFrame({"text": texts.x[kept], "label": labels, "split": part}))
    table = pd.concat(tables, ignore_index=True)
    with written_whole(path) as unfinished:
        if path.suffix.lower() == ".parquet":
            table.to_parquet(unfinished)
        else:
            table.to_csv(unfinished, index=False, quoting=csv.QUOTE_ALL)


def _as_cell(label: object) -> str:
    if isinstance(label, tuple):
        return SEPARATOR.join(label)
    return str(label)
