"""What a column of times is told to be, and becomes: timestamps without zone, or numbered steps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LOCAL_DAYS = "days are those of local time"
IN_UTC = "times are converted to UTC"


@dataclass(frozen=True, kw_only=True)
class TimeFormat:
    """What a person said of the form of times: a format of strptime, or whether days come first."""

    format: str = ""
    day_first: bool = False


@dataclass(frozen=True, kw_only=True)
class ParsedTimes:
    """A column that was read as times.

    `values` are timestamps without time zone, or whole numbers where `is_numbered`: steps that have
    no calendar. `wrong` is true where a cell is no time of the form that reads most cells.
    `problem` says why the column as a whole cannot be read, and what to type. `note` says how times
    were read where that is not plain.
    """

    values: "pd.Series"
    wrong: "pd.Series"
    is_numbered: bool = False
    note: str = ""
    problem: str = ""


def parsed(values: "pd.Series", note: str = "", problem: str = "") -> ParsedTimes:
    """Return timestamps, of which those that are missing are wrong."""
    return ParsedTimes(values=values, wrong=values.isna(), note=note, problem=problem)


def without_zone(times: "pd.Series") -> "pd.Series":
    """Return timestamps in UTC, with no more said of it."""
    if times.dt.tz is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    return nanoseconds(times)


def nanoseconds(times: "pd.Series") -> "pd.Series":
    """Return timestamps in the unit of all others; missing where they are beyond its years."""
    import pandas as pd

    within = times.between(pd.Timestamp.min.ceil("s"), pd.Timestamp.max.floor("s"))
    return times.where(within).astype("datetime64[ns]")
