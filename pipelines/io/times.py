"""Columns of times as people write them: stamps, numbers or texts, read as one form each."""

import datetime
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io.number_times import of_numbers, whole_numbers
from pipelines.io.parsed_times import (
    IN_UTC,
    LOCAL_DAYS,
    ParsedTimes,
    TimeFormat,
    nanoseconds,
    parsed,
    without_zone,
)
from pipelines.io.text_times import of_texts

if TYPE_CHECKING:
    import pandas as pd

# 18.30 is a decimal number, 18.30.00 is none.
CLOCK_ALONE = r"\d{1,2}(:\d{2}(:\d{2}(\.\d+)?)?(\s*[AaPp][Mm])?|\.\d{2}\.\d{2})"
LOOKED_AT = 200  # cells from which it is told whether a column holds times
EXPECTED = (
    "Expected e.g. 2024-01-31 or 2024-01-31 18:30:00, the same form on all lines, "
    "in the years 1678 to 2261"
)


def parse_times(cells: "pd.Series", told: TimeFormat | None = None) -> ParsedTimes:
    """Return a column as times; a gap is wrong, as every row needs a time."""
    import pandas as pd

    told = told or TimeFormat()
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _of_stamps(cells)
    if isinstance(cells.dtype, pd.PeriodDtype):
        return parsed(cells.dt.to_timestamp())
    if told.format:
        return _by_format(cells, told.format)
    numbers = whole_numbers(cells)
    if numbers is not None:
        return of_numbers(numbers)
    # Texts repeat in tables of many series: each is read once.
    codes, distinct = pd.factorize(cells)
    texts = pd.Series([_text(value) for value in distinct], dtype=object)
    read = of_texts(texts, told, codes)
    return ParsedTimes(
        values=_spread(read.values, codes, cells),
        wrong=_spread(read.wrong, codes, cells).fillna(True).astype(bool),
        is_numbered=read.is_numbered,
        note=read.note,
        problem=read.problem,
    )


def holds_times(cells: "pd.Series") -> bool:
    """Return whether a column holds times with a calendar, not numbers that may be anything."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(cells) or isinstance(cells.dtype, pd.PeriodDtype):
        return True
    some = cells.dropna()
    if some.empty:
        return False
    some = some.iloc[np.linspace(0, len(some) - 1, min(len(some), LOOKED_AT)).astype(int)]
    if whole_numbers(some) is not None:
        read = parse_times(some)
        return not read.is_numbered and not read.wrong.any() and bool(read.note)
    read = parse_times(some)
    return not read.is_numbered and bool(read.wrong.mean() < 0.05)


def is_clock(cells: "pd.Series") -> bool:
    """Return whether a column holds the time of day alone, as 18:30 or 6:30 PM."""
    given = cells.dropna()
    # The first cells rule out nearly all columns, so that large ones are not read for it.
    return len(given) > 0 and _are_clocks(given.head(LOOKED_AT)) and _are_clocks(given)


def _are_clocks(cells: "pd.Series") -> bool:
    return bool(cells.astype(str).str.strip().str.fullmatch(CLOCK_ALONE).all())


def _text(value: object) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value).strip()


def _spread(distinct: "pd.Series", codes: np.ndarray, cells: "pd.Series") -> "pd.Series":
    """Return the values of distinct cells for every cell; a gap, with code -1, has none."""
    import pandas as pd

    spread = distinct.reindex(codes)
    return pd.Series(spread.to_numpy(), index=cells.index)


def _of_stamps(cells: "pd.Series") -> ParsedTimes:
    """Read timestamps as UTC; midnights of a time zone are its days."""
    if cells.dt.tz is None:
        return parsed(nanoseconds(cells))
    local = cells.dt.tz_localize(None)
    if bool((local == local.dt.normalize()).all()):
        return parsed(nanoseconds(local), LOCAL_DAYS)
    return parsed(without_zone(cells), IN_UTC)


def _by_format(cells: "pd.Series", time_format: str) -> ParsedTimes:
    import pandas as pd

    texts = cells.map(_text, na_action="ignore")
    try:
        read = pd.to_datetime(texts, format=time_format, errors="coerce", utc="%z" in time_format)
    except ValueError:
        problem = f"--time-format {time_format}: is no format of strptime such as %d.%m.%Y %H:%M"
        return parsed(pd.Series(pd.NaT, index=cells.index), problem=problem)
    return parsed(without_zone(read))
