"""Time as whole steps: a timestamp and its number on a regular grid, in both directions.

Steps are fixed spans (30 minutes), months (so quarters and years), business days, or plain
integers.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from pipelines.errors import UsageError

Kind: TypeAlias = Literal["fixed", "months", "business", "integer"]
DAY = 86_400 * 10**9  # nanoseconds
# Names of pandas for steps of months, with how many months they have. S: stamps are first days of
# months, E: last days.
MONTHS = {"MS": 1, "ME": 1, "BME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}
# How many days months, quarters and years have.
DAYS_OF_MONTHS = ((1, 28, 31), (3, 90, 92), (12, 365, 366))
FEWEST_DAYS = 10  # rows without a weekend after which days count as business days
EXAMPLES = "Expected e.g. 15min, h, D, B, W, MS, ME, QS, YS"
WORDS = {
    "min": "every minute",
    "h": "hourly",
    "D": "daily",
    "7D": "weekly",
    "B": "business days",
    "MS": "monthly",
    "ME": "monthly",
    "BME": "last business days of months",
    "QS": "quarterly",
    "QE": "quarterly",
    "YS": "yearly",
    "YE": "yearly",
}


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """The distance between two rows, counted from `anchor`.

    It is `size` nanoseconds, months, business days or integers. `anchor` is a timestamp in
    nanoseconds since 1970, or an integer. `month_end`: timestamps are last days of months, with
    `business_end` the last business days.
    """

    kind: Kind
    size: int = 1
    anchor: int = 0
    month_end: bool = False
    business_end: bool = False

    @property
    def label(self) -> str:
        """The step as pandas writes it: 30min, h, D, MS; "1" for integers."""
        if self.kind == "integer":
            return str(self.size)
        if self.kind == "months":
            return self._months_label()
        if self.kind == "business":
            return "B"
        if self.size == DAY:
            return "D"
        if self.size % DAY == 0:
            return f"{self.size // DAY}D"
        return str(pd.tseries.frequencies.to_offset(pd.Timedelta(self.size, unit="ns")).freqstr)

    def _months_label(self) -> str:
        ending = "E" if self.month_end else "S"
        if self.business_end and self.size == 1:
            return "BME"
        for letter, months in (("Y", 12), ("Q", 3), ("M", 1)):
            if self.size == months:
                return f"{letter}{ending}"
            if self.size % months == 0:
                return f"{self.size // months}{letter}{ending}"
        raise AssertionError(self.size)  # every number of months is a multiple of one

    @property
    def words(self) -> str:
        """The step for people: `monthly (MS)`, `every 30min`, `numbered steps`."""
        if self.kind == "integer":
            return "numbered steps"
        if self.label in WORDS:
            return f"{WORDS[self.label]} ({self.label})"
        return f"every {self.label}"

    @property
    def season(self) -> int:
        """The usual season of such data; 1 when none is usual.

        It is a day of hours, a week of days, or a year of weeks or months.
        """
        if self.kind == "months":
            return max(12 // self.size, 1)
        if self.kind == "business":
            return 5
        if self.kind == "integer":
            return 1
        if self.size < DAY:
            return DAY // self.size if DAY % self.size == 0 else 1
        return {DAY: 7, 7 * DAY: 52}.get(self.size, 1)

    def numbers(self, times: "pd.Series") -> tuple[np.ndarray, np.ndarray]:
        """Return each time's number on the grid, and whether it lies on the grid at all."""
        if self.kind == "integer":
            steps = times.to_numpy(dtype="int64") - self.anchor
            return steps // self.size, steps % self.size == 0
        stamps = times.to_numpy(dtype="datetime64[ns]")
        if self.kind == "fixed":
            steps = stamps.astype("int64") - self.anchor
            return steps // self.size, steps % self.size == 0
        anchor = np.datetime64(self.anchor, "ns")
        if self.kind == "business":
            days = stamps.astype("datetime64[D]")
            return np.busday_count(anchor.astype("datetime64[D]"), days), np.is_busday(days)
        first = anchor.astype("datetime64[M]").astype("int64")
        months = stamps.astype("datetime64[M]").astype("int64") - first
        return months // self.size, months % self.size == 0

    def times(self, numbers: np.ndarray) -> np.ndarray:
        """Return the timestamps (or integers) of grid numbers: what `numbers` undoes."""
        if self.kind == "integer":
            return np.asarray(self.anchor + numbers * self.size)
        if self.kind == "fixed":
            return np.asarray(self.anchor + numbers * self.size).astype("datetime64[ns]")
        anchor = np.datetime64(self.anchor, "ns")
        if self.kind == "business":
            first_day = anchor.astype("datetime64[D]")
            days = np.busday_offset(first_day, numbers, roll="forward").astype("datetime64[ns]")
            return np.asarray(days + (anchor - first_day))
        first = anchor.astype("datetime64[M]")
        months = first + numbers * self.size
        if self.month_end:
            last_days = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
            if self.business_end:
                last_days = np.busday_offset(last_days, 0, roll="backward")
            return np.asarray(last_days).astype("datetime64[ns]")
        first_days = months.astype("datetime64[D]").astype("datetime64[ns]")
        return np.asarray(first_days + (anchor - first.astype("datetime64[ns]")))

    def text(self, number: int) -> str:
        """Return the time of one grid number as messages write it: no seconds, no midnight."""
        stamp = str(self.times(np.array([number]))[0])
        return stamp[:16].replace("T", " ").removesuffix(" 00:00")


def infer_frequency(times: "pd.Series", series: "pd.Series") -> Frequency:
    """Return the step that most neighbouring times of the same series have.

    Both arguments `(rows,)` are sorted by series and time.
    """
    is_same_series = series.eq(series.shift())
    gaps = times.diff()[is_same_series].dropna()
    if pd.api.types.is_integer_dtype(times):
        return _infer_integer(times, gaps[gaps > 0])
    gaps = gaps[gaps > pd.Timedelta(0)]
    anchor = _nanoseconds(times)
    if gaps.empty:
        return Frequency(kind="fixed", size=DAY, anchor=anchor)
    size = int(gaps.mode().iloc[0] / pd.Timedelta(1, unit="ns"))
    months = _infer_months(times, size)
    if months:
        business_end = not times.dt.is_month_end.all() and _are_last_business_days(times)
        return Frequency(
            kind="months",
            size=months,
            anchor=anchor,
            month_end=business_end or bool(times.dt.is_month_end.all()),
            business_end=business_end,
        )
    if size == DAY and len(times) > FEWEST_DAYS and times.dt.day_of_week.max() < 5:
        return Frequency(kind="business", anchor=anchor)
    return Frequency(kind="fixed", size=size, anchor=anchor)


def _infer_integer(times: "pd.Series", gaps: "pd.Series") -> Frequency:
    if gaps.empty:
        return Frequency(kind="integer", anchor=int(times.iloc[0]))
    return Frequency(kind="integer", size=int(gaps.mode().iloc[0]), anchor=int(times.min()))


def _infer_months(times: "pd.Series", size: int) -> int:
    """Return how many months a gap of `size` nanoseconds stands for, 0 for none."""
    for months, fewest, most in DAYS_OF_MONTHS:
        if not fewest * DAY <= size <= most * DAY:
            continue
        is_end = times.dt.is_month_end.all() or _are_last_business_days(times)
        if times.dt.day.nunique() <= 3 or is_end:
            return months
        return 0  # another day in each month: every 30 days, say
    return 0


def _are_last_business_days(times: "pd.Series") -> bool:
    """Return whether every time is the last business day of its month."""
    months = times.to_numpy(dtype="datetime64[M]")
    last_days = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    last_business_days = np.busday_offset(last_days, 0, roll="backward")
    return bool((times.to_numpy(dtype="datetime64[D]") == last_business_days).all())


def parse_frequency(text: str, times: "pd.Series") -> Frequency:
    """Return the step that `--freq` names, anchored at the first of `times`.

    Raises:
        UsageError: pandas knows no such frequency, or it is none of those above.
    """
    try:
        offset: Any = pd.tseries.frequencies.to_offset(text)
    except ValueError:
        offset = None
    if offset is None:
        raise UsageError(f"--freq {text}: there is no such frequency. {EXAMPLES}")
    name = offset.rule_code.split("-")[0]
    anchor = _nanoseconds(times)
    if name in MONTHS:
        size = MONTHS[name] * offset.n
        return Frequency(
            kind="months",
            size=size,
            anchor=anchor,
            month_end=name.endswith("E"),
            business_end=name.startswith("B"),
        )
    if name == "B":
        return Frequency(kind="business", anchor=anchor)
    if name == "W":
        return Frequency(kind="fixed", size=7 * DAY * offset.n, anchor=anchor)
    try:
        return Frequency(kind="fixed", size=pd.Timedelta(offset).value, anchor=anchor)
    except ValueError:
        raise UsageError(
            f"--freq {text}: forecasts do not support this frequency. {EXAMPLES}"
        ) from None


def _nanoseconds(times: "pd.Series") -> int:
    return int(times.min().value)
