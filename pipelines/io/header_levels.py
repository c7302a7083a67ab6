"""Headers of several rows, as pandas writes columns of several levels, such as those of yfinance.

Price,Close,High
Ticker,AAPL,AAPL
Date,,
2020-01-02,75.1,75.2
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_LEVELS = 4
DIGIT = re.compile(r"\d")


@dataclass(frozen=True, kw_only=True)
class JoinedHeader:
    """One name for each column, and how many rows of the table belong to the header."""

    names: list[str]
    num_rows: int


def joined_header(frame: "pd.DataFrame") -> JoinedHeader | None:
    """Return the names of a table whose first rows are names too, None where they are data.

    They end in a row that holds the name of the first column alone.
    """
    for row in range(1, min(MOST_LEVELS, len(frame) - 1)):
        if not _names_first_column(frame, row):
            continue
        written = list(map(str, frame.columns))
        levels = [[_without_count(name, written) for name in written]]
        for above in range(row):
            levels.append(frame.iloc[above].astype(str).tolist())
        # A level that is the same in all columns, as the only ticker, tells nothing apart.
        telling = [level for level in levels if len(set(level[1:])) > 1] or levels[:1]
        names = [" ".join(parts) for parts in zip(*telling, strict=True)]
        return JoinedHeader(names=[str(frame.iloc[row, 0]), *names[1:]], num_rows=row + 1)
    return None


def _names_first_column(frame: "pd.DataFrame", row: int) -> bool:
    """Return whether a row holds but the name of the first column, and times or numbers follow."""
    first = [str(cell) for cell in frame.iloc[: row + 2, 0]]
    others = frame.iloc[row, 1:]
    if frame.iloc[: row + 1, 0].isna().any() or not len(others) or others.notna().any():
        return False
    return not any(map(DIGIT.search, first[:-1])) and bool(DIGIT.search(first[-1]))


def _without_count(name: str, names: Iterable[str]) -> str:
    """Return a name as it is written: pandas counts those that occur again."""
    written = re.sub(r"\.\d+$", "", name)
    return written if written in names else name
