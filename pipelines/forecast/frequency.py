"""Time as whole steps: a timestamp and its number on a regular grid, in both directions.

Steps are fixed spans (30 minutes), months (so quarters and years), business days, or plain integers.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from pipelines.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["fixed", "months", "business", "integer"]
DAY = 86_400 * 10**9  # nanoseconds
MONTHS = {"MS": 1, "ME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}


@dataclass(frozen=True, kw_only=True)
class Step:
    """The distance between two rows: `size` nanoseconds, months, business days or integers, counted from `anchor`.

    `anchor` is a timestamp in nanoseconds since 1970, or an integer. `month_end`: timestamps are last days of months.
    """

    kind: Kind
    size: int = 1
    anchor: int = 0
    month_end: bool = False

    @property
    def label(self) -> str:
        """The step as pandas writes it: 30min, h, D, MS; "1" for integers."""
        if self.kind == "integer":
            return str(self.size)
        if self.kind == "months":
            unit, months = next(
                (alias[0], months)
                for alias, months in reversed(MONTHS.items())
                if self.size % months == 0
            )
            count = "" if self.size == months else self.size // months
            return f"{count}{unit}{'E' if self.month_end else 'S'}"
        if self.kind == "business":
            return "B"
        if self.size % DAY == 0:
            return "D" if self.size == DAY else f"{self.size // DAY}D"
        import pandas as pd

        return str(pd.tseries.frequencies.to_offset(pd.Timedelta(self.size, unit="ns")).freqstr)

    @property
    def season(self) -> int:
        """The season that such data usually has: a day of hours, a week of days, a year of weeks or months; 1 when none is usual."""
        match self.kind:
            case "months":
                return max(12 // self.size, 1)
            case "business":
                return 5
            case "integer":
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
        if self.kind == "business":
            days, first = (
                stamps.astype("datetime64[D]"),
                np.datetime64(self.anchor, "ns").astype("datetime64[D]"),
            )
            return np.busday_count(first, days), np.is_busday(days)
        months = stamps.astype("datetime64[M]").astype("int64") - np.datetime64(
            self.anchor, "ns"
        ).astype("datetime64[M]").astype("int64")
        return months // self.size, months % self.size == 0

    def times(self, numbers: np.ndarray) -> np.ndarray:
        """Return the timestamps (or integers) of grid numbers: what `numbers` undoes."""
        if self.kind == "integer":
            return np.asarray(self.anchor + numbers * self.size)
        if self.kind == "fixed":
            return np.asarray(self.anchor + numbers * self.size).astype("datetime64[ns]")
        anchor = np.datetime64(self.anchor, "ns")
        if self.kind == "business":
            days = np.busday_offset(anchor.astype("datetime64[D]"), numbers, roll="forward").astype(
                "datetime64[ns]"
            )
            return np.asarray(days + (anchor - anchor.astype("datetime64[D]")))
        first = anchor.astype("datetime64[M]")
        months = first + numbers * self.size
        if self.month_end:
            return np.asarray((months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")).astype(
                "datetime64[ns]"
            )
        return np.asarray(
            months.astype("datetime64[D]").astype("datetime64[ns]")
            + (anchor - first.astype("datetime64[ns]"))
        )

    def describe(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def infer(times: "pd.Series", series: "pd.Series") -> Step:
    """Return the step that most neighbouring times of the same series have. Both arguments are sorted by series and time."""
    import pandas as pd

    same = series.eq(series.shift())
    integer = pd.api.types.is_integer_dtype(times)
    gaps = (times.diff()[same]).dropna()
    gaps = gaps[gaps > (0 if integer else pd.Timedelta(0))]
    if gaps.empty:
        return (
            Step(kind="integer", anchor=int(times.iloc[0]))
            if integer
            else Step(kind="fixed", size=DAY, anchor=_nanoseconds(times))
        )
    if integer:
        return Step(kind="integer", size=int(gaps.mode().iloc[0]), anchor=int(times.min()))
    size = int(gaps.mode().iloc[0] / pd.Timedelta(1, unit="ns"))
    months = next(
        (
            count
            for count, low, high in ((1, 28, 31), (3, 90, 92), (12, 365, 366))
            if low * DAY <= size <= high * DAY
        ),
        0,
    )
    if months and times.dt.day.nunique() > 3 and not times.dt.is_month_end.all():
        months = 0  # every 30 days, say
    if months:
        return Step(
            kind="months",
            size=months,
            anchor=_nanoseconds(times),
            month_end=bool(times.dt.is_month_end.all()),
        )
    if size == DAY and len(times) > 10 and times.dt.day_of_week.max() < 5:
        return Step(kind="business", anchor=_nanoseconds(times))
    return Step(kind="fixed", size=size, anchor=_nanoseconds(times))


def parse(text: str, times: "pd.Series") -> Step:
    """Return the step that `--freq` names, anchored at the first of `times`.

    Raises:
        UsageError: pandas knows no such frequency, or it is none of those above.
    """
    import pandas as pd

    try:
        offset: Any = pd.tseries.frequencies.to_offset(text)
    except ValueError:
        offset = None
    if offset is None:
        raise UsageError(
            f"--freq {text}: no such frequency. Expected e.g. 15min, h, D, B, W, MS, ME, QS, YS"
        )
    name = offset.rule_code.split("-")[0]
    if name in MONTHS:
        return Step(
            kind="months",
            size=MONTHS[name] * offset.n,
            anchor=_nanoseconds(times),
            month_end=name.endswith("E"),
        )
    if name == "B":
        return Step(kind="business", anchor=_nanoseconds(times))
    if name == "W":
        return Step(kind="fixed", size=7 * DAY * offset.n, anchor=_nanoseconds(times))
    try:
        return Step(kind="fixed", size=pd.Timedelta(offset).value, anchor=_nanoseconds(times))
    except ValueError:
        raise UsageError(
            f"--freq {text}: is not a step that forecasts support. Expected e.g. 15min, h, D, B, W, MS, ME, QS, YS"
        ) from None


def _nanoseconds(times: "pd.Series") -> int:
    return int(times.min().value)
