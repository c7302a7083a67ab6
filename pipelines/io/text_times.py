"""Times that are texts: one form for a column, never a guess for one cell.

The form is the one that reads all cells. Where both day-first and month-first do, the one decides
under which times follow each other regularly; where neither is more regular, `day_first` or
`time_format` must say.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipelines.io.month_names import month_number
from pipelines.io.parsed_times import (
    IN_UTC,
    LOCAL_DAYS,
    ParsedTimes,
    TimeFormat,
    nanoseconds,
    parsed,
    without_zone,
)

if TYPE_CHECKING:
    import pandas as pd

    Parse: TypeAlias = Callable[["pd.Series"], "pd.Series"]

CENTURY_BORDER = 69  # of years of two digits, as strptime has it: 69 is 1969, 68 is 2068
# How much more regular one reading of dates must be than the other: a share of the steps.
CLEARLY = 0.2
LEAP_YEAR = 2000  # has all days that are written without their year
CLOCK = (
    r"(?:[ T,]+(?P<hour>\d{1,2})(?:[:.h])(?P<minute>\d{2})(?:[:.](?P<second>\d{2}(?:\.\d+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)
# Zones by the names that mean one zone alone: CST and IST have several.
ZONES = {
    **{"UTC": "+00:00", "GMT": "+00:00", "WET": "+00:00", "WEST": "+01:00", "BST": "+01:00"},
    **{"CET": "+01:00", "CEST": "+02:00", "EET": "+02:00", "EEST": "+03:00", "JST": "+09:00"},
    **{"EST": "-05:00", "EDT": "-04:00", "MST": "-07:00", "MDT": "-06:00", "PST": "-08:00"},
    **{"PDT": "-07:00"},
}
YEAR = r"(?P<year>\d{4}|\d{2})"
WEEK_WORDS = "[Ww]|[KC]W|[Ww]eek|[Ss]emaine"
LETTERS = r"[^\W\d_]{3,10}"
WEEKDAY = rf"(?:{LETTERS}\.?,?\s+)?"
# 18:30 31.01.2024, and 2024-01-01/2024-01-07 as pandas writes weeks.
CLOCK_FIRST = r"(\d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?)[ ,]+(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})"
# Tue Apr 03 18:00:09 +0000 2012, as Twitter and the programs of Unix write it.
CLOCK_BEFORE_YEAR = (
    r"(\w{3} \w{3} +\d{1,2}) (\d{2}:\d{2}:\d{2})((?: (?:[A-Z]{3,4}|[+-]\d{4}))?) (\d{4})"
)
DAYS = (r"\d{4}-\d{2}-\d{2}", r"\d{1,2}[./]\d{1,2}[./]\d{2,4}")
SPANS = tuple(rf"({day})\s*(?:/|-|\u2013|to|bis)\s*{day}" for day in DAYS)


def of_texts(texts: "pd.Series", told: TimeFormat, codes: np.ndarray) -> ParsedTimes:
    """Read distinct texts by the first form that reads all of them, else by the one that does most.

    `codes` say which of them stands in each row, in order.
    """
    for span in SPANS:
        if texts.str.fullmatch(span).all():
            read = of_texts(texts.str.extract(span)[0], told, codes)
            return replace(read, note="of each span of days the first is its time")
    best: ParsedTimes | None = None
    for read in _readings(texts, told, codes):
        if read.problem or not read.wrong.any():
            return read
        if best is None or read.wrong.sum() < best.wrong.sum():
            best = read
    assert best is not None
    return best


def _readings(texts: "pd.Series", told: TimeFormat, codes: np.ndarray) -> "list[ParsedTimes]":
    texts = _as_usual(texts)
    readings = [_iso(texts)]
    if not readings[0].wrong.any():
        return readings
    for parse, note in FORMS.items():
        readings.append(parsed(parse(texts), note))
    readings.append(_months_by_name(texts, codes))
    readings.append(_days_and_months(texts, told, codes))
    readings.append(_short_months(texts, codes))
    return readings


def _as_usual(texts: "pd.Series") -> "pd.Series":
    """Return times with their zone as an offset, and ISO 8601 with its usual marks.

    18:30:00,5 becomes 18:30:00.5, and 2024-01-31-18.30.00 becomes 2024-01-31 18:30:00.
    """
    texts = texts.str.replace(rf"^{CLOCK_BEFORE_YEAR}$", r"\1 \4 \2\3", regex=True)
    zone = texts.str.extract(r"\d ?([A-Z]{3,4})$")[0]
    if zone.notna().all() and zone.isin(list(ZONES)).all():
        texts = texts.str.replace(r" ?[A-Z]{3,4}$", "", regex=True) + zone.map(ZONES)
    texts = texts.str.replace(rf"^{CLOCK_FIRST}$", r"\2 \1", regex=True)
    texts = texts.str.replace(r"(?<=\d:\d{2}:\d{2}),(?=\d+$)", ".", regex=True)
    dotted = r"^(\d{4}-\d{2}-\d{2})[- T](\d{2})\.(\d{2})\.(\d{2})"
    return texts.str.replace(dotted, r"\1 \2:\3:\4", regex=True)


def _iso(texts: "pd.Series") -> ParsedTimes:
    """Read ISO 8601, with offsets or without; midnights stay days under changing offsets."""
    import pandas as pd

    offset = texts.str.extract(r"\d(Z|[+-]\d{2}:?\d{2})$")[0]
    if offset.nunique() > 1:
        local = texts.str.replace(r"(?<=\d)(Z|[+-]\d{2}:?\d{2})$", "", regex=True)
        read = pd.to_datetime(local, format="ISO8601", errors="coerce")
        if read.notna().all() and bool((read == read.dt.normalize()).all()):
            return parsed(nanoseconds(read), LOCAL_DAYS)
    read = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    has_offset = offset.notna()
    note = IN_UTC if has_offset.any() else ""
    if has_offset.any() and not has_offset.all():
        problem = "some of its times have an offset from UTC and others have none"
        return parsed(without_zone(read), problem=problem)
    return parsed(without_zone(read), note)


def _fields(texts: "pd.Series", pattern: str) -> "pd.DataFrame":
    return texts.str.extract(rf"^\s*{pattern}\s*$")


def _stamps(year: "pd.Series", month: "pd.Series", day: "pd.Series") -> "pd.Series":
    """Return the days of these fields, missing where there is no such day."""
    import pandas as pd

    fields = pd.DataFrame({"year": year, "month": month, "day": day}).astype("float64")
    short = fields["year"] < 100
    century = np.where(fields["year"] < CENTURY_BORDER, 2000, 1900)
    fields["year"] = fields["year"].where(~short, fields["year"] + century)
    return nanoseconds(pd.to_datetime(fields, errors="coerce"))


def _clock(fields: "pd.DataFrame") -> "pd.Series":
    """Return the time of day in `fields` as a span, minus its offset from UTC."""
    import pandas as pd

    hour = pd.to_numeric(fields["hour"]).fillna(0)
    half = fields["half"].str.lower().str[0]
    hour = hour.where(half.isna(), hour % 12).add(np.where(half == "p", 12, 0))
    seconds = hour * 3600 + pd.to_numeric(fields["minute"]).fillna(0) * 60
    seconds = seconds + pd.to_numeric(fields["second"]).fillna(0)
    sign = fields["offset"].str.extract(r"([+-])(\d{2}):?(\d{2})")
    shift = pd.to_numeric(sign[1]) * 3600 + pd.to_numeric(sign[2]) * 60
    shift = shift.where(sign[0] != "-", -shift).fillna(0)
    seconds = (seconds - shift).where(hour <= 24)
    return pd.to_timedelta((seconds * 1e9).round(), unit="ns")


def _month_number(names: "pd.Series") -> "pd.Series":
    return names.map(month_number).astype("float64")


def _day_name_year(texts: "pd.Series") -> "pd.Series":
    """Read 13 January 2020, 13-Jan-20, Wed, 01 Jan 2020 00:00."""
    day = rf"{WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?"
    pattern = rf"{day}[ \-./]+(?:de +)?(?P<month>{LETTERS})\.?,?"
    fields = _fields(texts, rf"{pattern}[ \-./]+(?:de +)?(?P<year>\d{{4}}|\d{{2}}){CLOCK}")
    return _stamps(fields["year"], _month_number(fields["month"]), fields["day"]) + _clock(fields)


def _name_day_year(texts: "pd.Series") -> "pd.Series":
    """Read January 13, 2020 and Wed Dec 31 2008."""
    pattern = rf"{WEEKDAY}(?P<month>{LETTERS})\.?[ \-]+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?"
    fields = _fields(texts, rf"{pattern}[ \-]+(?P<year>\d{{4}}){CLOCK}")
    return _stamps(fields["year"], _month_number(fields["month"]), fields["day"]) + _clock(fields)


def _quarters(texts: "pd.Series") -> "pd.Series":
    """Read Q1 1980, 1970 Q1, 1980Q1, 1980-Q1, 1Q80 and 1Q 1980."""
    before = _fields(texts, r"[Qq](?P<quarter>[1-4])[ \-/']*(?P<year>\d{4}|\d{2})")
    behind = _fields(texts, r"(?P<year>\d{4})[ \-/:]*[Qq](?P<quarter>[1-4])")
    counted = _fields(texts, r"(?P<quarter>[1-4])[Qq][ \-/']*(?P<year>\d{4}|\d{2})")
    fields = before.fillna(behind).fillna(counted).astype("float64")
    return _stamps(fields["year"], fields["quarter"] * 3 - 2, fields["quarter"] * 0 + 1)


def _weeks(texts: "pd.Series") -> "pd.Series":
    """Read weeks of ISO 8601, 2020-W05, 2020-W05-3 and KW 5/2020, as their Mondays or days."""
    import pandas as pd

    fields = _fields(texts, r"(?P<year>\d{4})-?W(?P<week>\d{2})(?:-?(?P<day>[1-7]))?")
    named = rf"(?:{WEEK_WORDS})\.? ?(?P<week>\d{{1,2}})[ /\-,]+(?P<year>\d{{4}})"
    behind = rf"(?P<year>\d{{4}})[ /\-]*(?:{WEEK_WORDS})\.? ?(?P<week>\d{{1,2}})"
    fields = fields.fillna(_fields(texts, named)).fillna(_fields(texts, behind))
    week, day = fields["week"].str.zfill(2), fields["day"].fillna("1")
    joined = fields["year"] + "-" + week + "-" + day
    return nanoseconds(pd.to_datetime(joined, format="%G-%V-%u", errors="coerce"))


def _named_months(texts: "pd.Series") -> "pd.Series":
    """Read January 2020, Jan-08, 2020-Jan and Jan 2020 as first days of months."""
    before = _fields(texts, rf"(?P<month>{LETTERS})\.?[ \-/']*(?:de +)?{YEAR}")
    # 08-Jan is a day without its year, as Excel shows days.
    behind = _fields(texts, rf"(?P<year>\d{{4}})[ \-/]*(?P<month>{LETTERS})\.?")
    fields = before.fillna(behind)
    month = _month_number(fields["month"])
    return _stamps(fields["year"], month, month * 0 + 1)


def _numeric_months(texts: "pd.Series") -> "pd.Series":
    """Read 01/2020, 2020/1, 2020M01 and 2020-1 as first days of months."""
    before = _fields(texts, r"(?P<month>\d{1,2})[/.\-](?P<year>\d{4})")
    behind = _fields(texts, r"(?P<year>\d{4})[/.\-Mm](?P<month>\d{1,2})")
    fields = before.fillna(behind).astype("float64")
    return _stamps(fields["year"], fields["month"], fields["month"] * 0 + 1)


# Forms that have one reading, and how it is called where it is not plain.
FORMS: "Mapping[Parse, str]" = {
    _day_name_year: "",
    _name_day_year: "",
    _quarters: "times are read as quarters",
    _weeks: "times are read as weeks of ISO 8601",
    _numeric_months: "times are read as months",
}


def _short_months(texts: "pd.Series", codes: np.ndarray) -> ParsedTimes:
    """Read 1-01 to 3-12, a year's number and a month, as numbered steps, and 01-19 as months."""
    fields = _fields(texts, r"(?P<year>\d{1,2})-(?P<month>0[1-9]|1[0-2])").astype("float64")
    steps = fields["year"] * 12 + fields["month"]
    numbered = ParsedTimes(
        values=steps,
        wrong=steps.isna(),
        is_numbered=True,
        note="times are read as numbered years and months, without a calendar (--season 12)",
    )
    fields = _fields(texts, r"(?P<month>0[1-9]|1[0-2])[\-/](?P<year>\d{2})").astype("float64")
    months = _stamps(fields["year"], fields["month"], fields["month"] * 0 + 1)
    if months.isna().any():
        return numbered
    read = parsed(months, "times are read as months")
    if numbered.wrong.any():
        return read
    as_steps = _share_on_grid(steps.reindex(codes).reset_index(drop=True))
    as_months = _regularity(months, codes)
    if as_steps > as_months + CLEARLY:
        return numbered
    if as_months > as_steps + CLEARLY:
        return read
    problem = f"{texts.iloc[0]!r} can be read as a month and a year, and the other way round"
    return replace(read, problem=f"its times such as {problem}: --time-format %m-%y or %y-%m")


def _days_and_months(texts: "pd.Series", told: TimeFormat, codes: np.ndarray) -> ParsedTimes:
    """Read dates of three numbers: year first, day first or month first."""
    pattern = r"(?P<a>\d{1,4})(?P<mark>[./\- ])(?P<b>\d{1,2})[./\- ](?P<c>\d{4}|\d{1,2})"
    fields = _fields(texts, f"{pattern}{CLOCK}")
    numbers = fields[["a", "b", "c"]].astype("float64")
    clock = _clock(fields)
    year_first = _stamps(numbers["a"], numbers["b"], numbers["c"]).where(numbers["a"] > 31) + clock
    day_first = _stamps(numbers["c"], numbers["b"], numbers["a"]) + clock
    month_first = _stamps(numbers["c"], numbers["a"], numbers["b"]) + clock
    if year_first.notna().all():
        return parsed(year_first)
    days_note, months_note = "dates are read day first", "dates are read month first"
    if told.day_first:
        return parsed(day_first)
    num_days, num_months = int(day_first.notna().sum()), int(month_first.notna().sum())
    if num_days != num_months or not num_days or bool((day_first == month_first).all()):
        if num_days >= num_months:
            return parsed(day_first, days_note)
        return parsed(month_first, months_note)
    return _more_regular(day_first, month_first, codes, texts)


def _months_by_name(texts: "pd.Series", codes: np.ndarray) -> ParsedTimes:
    """Read months by their names, unless Jan-01, Jan-02 are days of January.

    A number that changes from row to row while the month stays is rather a day: unless these days
    follow each other clearly less regularly than the months do, a person is asked.
    """
    read = parsed(_named_months(texts), "times are read as months")
    if read.wrong.any():
        return read
    fields = _fields(texts, rf"(?P<month>{LETTERS})\.?[ \-/']*(?P<day>\d{{2}})")
    month, day = _month_number(fields["month"]), fields["day"].astype("float64")
    days = _stamps(day * 0 + LEAP_YEAR, month, day)
    if days.isna().any():
        return read
    month_changes = float((month.reindex(codes).diff().iloc[1:] != 0).mean())
    day_changes = float((day.reindex(codes).diff().iloc[1:] != 0).mean())
    is_clear = _regularity(read.values, codes) > _regularity(days, codes) + CLEARLY
    # Of a single row nothing changes.
    if is_clear or not day_changes > month_changes:
        return read
    example = texts.iloc[0]
    form = re.sub(r"[A-Za-z]+", "%b" if len(fields["month"].iloc[0]) == 3 else "%B", example)
    form = re.sub(r"\d+", "%y", form)
    problem = (
        f"its times can be read as months of years and as days without a year, such as {example!r}."
        f" Months: --time-format {shlex.quote(form)}. Days need their year: write 2024-01-31"
    )
    return parsed(read.values, problem=problem)


def _more_regular(
    day_first: "pd.Series", month_first: "pd.Series", codes: np.ndarray, texts: "pd.Series"
) -> ParsedTimes:
    """Choose the reading under which the times follow each other in more regular steps."""
    regular_days, regular_months = _regularity(day_first, codes), _regularity(month_first, codes)
    if regular_days > regular_months + CLEARLY:
        note = "dates are read day first: so they follow each other regularly"
        return parsed(day_first, note)
    if regular_months > regular_days + CLEARLY:
        note = "dates are read month first: so they follow each other regularly"
        return parsed(month_first, note)
    example = texts[day_first != month_first].iloc[0]
    problem = (
        f"its dates can be read day first and month first, such as {example!r}. "
        "Say which: --day-first, or --time-format %m/%d/%Y"
    )
    return parsed(day_first, problem=problem)


def _regularity(times: "pd.Series", codes: np.ndarray) -> float:
    """Return how regular times are, from 0 to 1.

    It is the share of the most frequent step between rows, times the share of steps of that size
    from the first time to the last at which there is a row: the first days of months, read the
    wrong way, are twelve days in a row, and then nothing for a year. Rows in falling order count as
    well; a row of another series breaks few steps.
    """
    import pandas as pd

    rows = pd.Series(times.reindex(codes).to_numpy())
    # Whole seconds: equal steps are equal numbers.
    seconds = (rows - rows.min()) // pd.Timedelta(seconds=1)
    regular = _share_on_grid(seconds.astype("float64"))
    if rows.dropna().dt.normalize().nunique() == rows.nunique() and rows.dt.day.nunique() <= 1:
        months = (rows.dt.year * 12 + rows.dt.month).astype("float64")
        regular = max(regular, _share_on_grid(months))
    return regular


def _share_on_grid(numbers: "pd.Series") -> float:
    steps = numbers.diff().dropna().abs()
    steps = steps[steps > 0]
    if steps.empty:
        return 0.0
    counts = steps.value_counts(normalize=True)
    size, share = float(counts.index[0]), float(counts.iloc[0])
    on_grid = 1 + (numbers.max() - numbers.min()) / size
    return share * min(1.0, float(numbers.nunique() / on_grid))
