"""Files of the Monash forecasting archive, .tsf: attributes, then a series on each line.

@attribute series_name string
@attribute start_timestamp date
@frequency monthly
@data
T1:1979-01-01 00-00-00:25092.2,24271.5,?
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.io.tables import Table
from pipelines.io.text_files import plain_suffix, read_lines

SUFFIX = ".tsf"
MISSING = "?"
NAME, TARGET, FREQUENCY = "series_name", "target", "frequency"
SHOWN_CHARACTERS = 60  # of a line that is quoted in a message
# What the archive calls steps, as pandas does. Several months are said as such: a quarter may begin
# in any month.
STEPS = {
    "secondly": "s",
    "seconds": "s",
    "minutely": "min",
    "minutes": "min",
    "half_hourly": "30min",
    "hourly": "h",
    "hours": "h",
    "daily": "D",
    "days": "D",
    "weekly": "7D",
    "monthly": "MS",
    "quarterly": "3MS",
    "yearly": "12MS",
}
OF_MONTHS = ("monthly", "quarterly", "yearly")


@dataclass(kw_only=True)
class _Head:
    """What stands above the series: the names of their attributes, and other facts by name."""

    attributes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def is_tsf(path: Path) -> bool:
    """Return whether a file is called as one of the archive."""
    return plain_suffix(path) == SUFFIX


def read_tsf(path: Path) -> Table:
    """Return a table with a row for each series, whose values are a list in the column `target`.

    Its other columns are the attributes, and `frequency` as pandas calls it.

    Raises:
        DataError: the file has another form; the message names the line.
    """
    lines = read_lines(path)
    head = _Head()
    begin = _read_head(path, lines, head)
    step = _step(path, head.facts.get(FREQUENCY, ""))
    rows, numbers = [], []
    for number, line in enumerate(lines[begin:], start=begin + 1):
        if line.strip() and not line.startswith("#"):
            rows.append(_row(path, number, line.strip(), head.attributes))
            numbers.append(number)
    if not rows:
        raise DataError(f"{path}: holds no series below @data")
    frame = pd.DataFrame(rows, columns=[*head.attributes, TARGET])
    if NAME not in frame:
        frame[NAME] = [f"T{place}" for place in range(1, 1 + len(frame))]
    if step:
        frame[FREQUENCY] = step
        is_of_months = head.facts[FREQUENCY].lower() in OF_MONTHS
        for name in head.attributes:
            if name.startswith("start"):
                frame[name] = frame[name].map(lambda text: _time(text, is_of_months=is_of_months))
    notes = []
    if head.facts.get("horizon", "").isdecimal():
        horizon = head.facts["horizon"]
        notes.append(f"{path.name}: names a horizon of {horizon} steps: --horizon {horizon}")
    return Table(frame, path, notes=tuple(notes), known_lines=np.asarray(numbers))


def _read_head(path: Path, lines: Sequence[str], head: _Head) -> int:
    """Read the lines above the series into `head`, and return how many these are."""
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        name = words[0].lower()
        if name == "@data":
            return number
        if not name.startswith("@"):
            raise DataError(
                f"{path}: line {number}: expected @attribute, @frequency and @data before the "
                f"series. Received: {line[:SHOWN_CHARACTERS]!r}"
            )
        if name == "@attribute" and len(words) > 1:
            head.attributes.append(words[1])
        elif len(words) > 1:
            head.facts[name.removeprefix("@")] = words[1]
    raise DataError(f"{path}: has no line @data, below which the series are expected")


def _step(path: Path, written: str) -> str:
    """Return a step such as `10_minutes` or `half_hourly` as pandas calls it, "" for none."""
    if not written:
        return ""
    if written.lower() in STEPS:
        return STEPS[written.lower()]
    count, _, unit = written.lower().partition("_")
    if count.isdecimal() and unit in STEPS:
        return f"{count}{STEPS[unit]}"
    raise DataError(
        f"{path}: @frequency {written} is unknown. Expected one of {', '.join(STEPS)}, or a number "
        "of them such as 10_minutes"
    )


def _row(path: Path, number: int, line: str, attributes: Sequence[str]) -> list[object]:
    """Return the attributes of a series and its values."""
    *cells, values = line.split(":")
    if len(cells) != len(attributes):
        expected = ":".join([*attributes, "values"])
        raise DataError(
            f"{path}: line {number}: expected {expected}, {len(attributes)} times a colon. "
            f"Received: {line[:SHOWN_CHARACTERS]!r}"
        )
    series = []
    for value in values.split(","):
        text = value.strip()
        try:
            series.append(np.nan if text == MISSING else float(text))
        except ValueError:
            raise DataError(
                f"{path}: line {number}: {text[:SHOWN_CHARACTERS]!r} is no number. Expected "
                f"numbers between commas, {MISSING} where one is missing"
            ) from None
    return [*cells, series]


def _time(written: str, *, is_of_months: bool) -> str:
    """Return `1979-01-01 00-00-00` as ISO 8601 has it; of months, quarters and years, the first."""
    date, _, clock = written.strip().partition(" ")
    if is_of_months and re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        return f"{date[:7]}-01"
    return f"{date} {clock.replace('-', ':')}".strip()
