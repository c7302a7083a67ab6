"""Times that are numbers: days as 20240131, months, years, seconds since 1970, or steps."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.io.parsed_times import ParsedTimes, nanoseconds, parsed

if TYPE_CHECKING:
    import pandas as pd

# Whole numbers between these are read as days, 20240131 as the last of January 2024.
FIRST_DAY, LAST_DAY = 19_000_101, 21_001_231
FIRST_MONTH, LAST_MONTH = 190_001, 210_012
FIRST_YEAR, LAST_YEAR = 1800, 2200
# Seconds since 1970 from 1973 to 2100, and how many of each unit make a second.
EPOCH_SECONDS = (10**8, 4_102_444_800)
EPOCH_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
LARGEST = 2.0**62  # numbers beyond do not fit into 64 bits
MOSTLY_TEXTS = 0.5  # where more of a column than this is no number, it is read as texts
# Days as Excel counts them, from 1954 to 2064.
EXCEL_DAYS = (20_000, 60_000)
# Parts of a year that decimals stand for, how far from them these may be, and how many of the rows
# have to follow each other, as prices do not.
MONTHS_OF_YEAR = 12
ROUNDED = 0.02
RISING = 0.9


def whole_numbers(cells: "pd.Series") -> "pd.Series | None":
    """Return a column as numbers where most of its cells are some, None where it holds texts."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(cells):
        return None
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    numbers = pd.to_numeric(cells, errors="coerce")
    is_text = numbers.isna() & cells.notna()
    if numbers.notna().any() and is_text.mean() <= MOSTLY_TEXTS:
        return numbers
    return None


def of_numbers(numbers: "pd.Series") -> ParsedTimes:
    """Read numbers as days, months, years, seconds since 1970 and so on, or as steps."""
    import pandas as pd

    wrong = numbers.isna() | (numbers % 1 != 0) | (numbers.abs() > LARGEST)
    if wrong.any():
        parts = _decimal_years(numbers)
        if parts is not None:
            return parts
        return ParsedTimes(values=numbers, wrong=wrong, is_numbered=True)
    whole = numbers.astype("int64")
    digits = whole.astype(str)
    for lowest, highest, form, words in (
        (FIRST_DAY, LAST_DAY, "%Y%m%d", "YYYYMMDD"),
        (FIRST_DAY * 10**6, LAST_DAY * 10**6 + 235_959, "%Y%m%d%H%M%S", "YYYYMMDDhhmmss"),
        (FIRST_DAY * 10**4, LAST_DAY * 10**4 + 2_359, "%Y%m%d%H%M", "YYYYMMDDhhmm"),
        (FIRST_DAY * 10**2, LAST_DAY * 10**2 + 23, "%Y%m%d%H", "YYYYMMDDhh"),
        (FIRST_MONTH, LAST_MONTH, "%Y%m", "YYYYMM"),
    ):
        if whole.between(lowest, highest).all():
            read = pd.to_datetime(digits, format=form, errors="coerce")
            if read.notna().all():
                return parsed(nanoseconds(read), f"times are read as {words}")
            if form == "%Y%m":
                weeks = pd.to_datetime(digits + "1", format="%G%V%u", errors="coerce")
                if weeks.notna().all():
                    return parsed(nanoseconds(weeks), "times are read as YYYYWW, ISO's weeks")
    # A single number is no row of years.
    if whole.between(FIRST_YEAR, LAST_YEAR).all() and whole.nunique() > 1:
        read = pd.to_datetime(digits + "-01-01", format="%Y-%m-%d")
        return parsed(nanoseconds(read), "times are read as years")
    return _of_epoch(whole)


def _share_rising(numbers: "pd.Series") -> float:
    steps = numbers.diff().dropna()
    return float((steps > 0).mean()) if len(steps) else 0.0


def _decimal_years(numbers: "pd.Series") -> ParsedTimes | None:
    """Read 1949.083 and 1949.25, as R writes months and quarters; None where they are none."""
    import pandas as pd

    if not numbers.between(FIRST_YEAR, LAST_YEAR).all() or _share_rising(numbers) < RISING:
        return None
    months = numbers * MONTHS_OF_YEAR
    # The middle of a month stands for it, too.
    begins = (months - months.round()).abs()
    middles = (months - 0.5 - (months - 0.5).round()).abs()
    for distance, shift in ((begins, 0.0), (middles, 0.5)):
        if (distance <= ROUNDED * MONTHS_OF_YEAR / 2).all():
            whole = (months - shift).round().astype("int64")
            if whole.duplicated().any():
                return None
            fields = {"year": whole // MONTHS_OF_YEAR, "month": whole % MONTHS_OF_YEAR + 1}
            read = pd.to_datetime(pd.DataFrame({**fields, "day": 1}), errors="coerce")
            return parsed(nanoseconds(read), "decimals of years are read as months")
    return None


def _of_epoch(whole: "pd.Series") -> ParsedTimes:
    import pandas as pd

    lowest, highest = EPOCH_SECONDS
    units = []
    for unit, per_second in EPOCH_UNITS.items():
        within = whole.between(lowest * per_second, highest * per_second)
        if within.all():
            read = pd.to_datetime(whole * (10**9 // per_second), unit="ns")
            return parsed(nanoseconds(read), f"times are {unit} since 1970")
        if within.any():
            units.append(unit)
    values = ParsedTimes(values=whole, wrong=whole.isna(), is_numbered=True)
    if len(units) > 1 and whole.min() > lowest:
        problem = f"its times are in several units: {' and '.join(units)} since 1970"
        return ParsedTimes(values=whole, wrong=values.wrong, is_numbered=True, problem=problem)
    if whole.between(*EXCEL_DAYS).all():
        note = (
            f"whole numbers are steps; if {whole.iloc[0]} is a day as Excel counts them, "
            "format the cells as dates"
        )
        return replace(values, note=note)
    return values
