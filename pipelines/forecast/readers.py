"""From a table to series on a regular grid: what cannot be used is refused by line, and what was mended is noted."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.forecast.frequency import Step, infer, parse
from pipelines.forecast.grid import (
    Fill,
    complete,
    refuse_duplicates,
    refuse_infinite,
    refuse_off_grid,
    without_empty_ends,
)
from pipelines.io.tables import find_column, raise_for_lines

if TYPE_CHECKING:
    import pandas as pd

TIMES = ("ds", "timestamp", "date", "datetime", "time", "month", "index")
IDS = ("unique_id", "item_id", "series_id", "id", "series")
TARGETS = ("y", "target", "value", "demand", "sales")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the user said about a table; empty texts mean that its columns tell by their names."""

    target: str = ""
    id: str = ""
    time: str = ""
    known: tuple[str, ...] = ()
    freq: str = ""
    fill: Fill = "none"
    covariates: tuple[str, ...] | None = (
        None  # the further columns a saved model needs; None: all that hold numbers
    )


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series on one grid, rows sorted by series and time, no step missing inside a series.

    `series` (rows,) is each row's position in `names`, `number` (rows,) its step on the grid, `target` (rows,) its
    value and `covariates` (rows, columns) what else is known of it, in the order of `columns`; those in `known`, the
    last ones, are known in advance.
    """

    names: tuple[str, ...]
    step: Step
    columns: tuple[str, ...]
    series: np.ndarray
    number: np.ndarray
    target: np.ndarray
    covariates: np.ndarray
    known: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def select(self, keep: np.ndarray) -> "Panel":
        """Return the series for which `keep` (series,) is true."""
        rows = keep[self.series]
        return dataclasses.replace(
            self,
            names=tuple(name for name, kept in zip(self.names, keep, strict=True) if kept),
            series=(np.cumsum(keep) - 1)[self.series[rows]],
            number=self.number[rows],
            target=self.target[rows],
            covariates=self.covariates[rows],
        )


def read_panel(table: "pd.DataFrame", columns: Columns, where: str, first_line: int) -> Panel:
    """Return the series that `table` holds.

    Args:
        table: long (one row for each series and time) or wide (one column for each series, named by `columns.target`).
        columns: which columns mean what.
        where: the file's name, for messages.
        first_line: the line of the file that the table's first row stands on.

    Raises:
        DataError: a column is missing, or a row cannot be used; the message names the line.
    """
    return read_with_future(table, columns, where, first_line)[0]


def read_with_future(
    table: "pd.DataFrame", columns: Columns, where: str, first_line: int
) -> tuple[Panel, Panel]:
    """Return what `read_panel` does, and the rows behind each series' last value: what is known in advance of the future."""
    notes: list[str] = []
    rows = _long(table, columns, where, first_line, notes)
    integer = _parse_times(rows, where)
    if not _sorted_within(rows):
        notes.append(f"{where}: rows were not in the order of time; they were sorted")
    rows = rows.sort_values(["_series", "_time"], kind="stable")
    step = (
        parse(columns.freq, rows["_time"])
        if columns.freq and not integer
        else infer(rows["_time"], rows["_series"])
    )
    number, on_grid = step.numbers(rows["_time"])
    rows = rows.assign(_number=number)
    refuse_off_grid(rows, on_grid, step, where)
    refuse_duplicates(rows, where)
    covariates = tuple(name for name in rows.columns if not name.startswith("_"))
    refuse_infinite(rows, ("_target", *covariates), where)
    rows, future = without_empty_ends(rows, where, notes)
    rows = complete(rows, ("_target", *covariates), step, columns.fill, where, notes)
    return _panel(rows, covariates, columns.known, step, notes), _panel(
        future, covariates, columns.known, step, []
    )


def _panel(
    rows: "pd.DataFrame",
    covariates: tuple[str, ...],
    known: tuple[str, ...],
    step: Step,
    notes: list[str],
) -> Panel:
    names, series = np.unique(rows["_series"].to_numpy(dtype=str), return_inverse=True)
    return Panel(
        names=tuple(map(str, names)),
        step=step,
        columns=covariates,
        series=series,
        number=rows["_number"].to_numpy(dtype=np.int64),
        target=rows["_target"].to_numpy(dtype=np.float64),
        covariates=rows[list(covariates)].to_numpy(dtype=np.float64),
        known=known,
        notes=tuple(notes),
    )


def _sorted_within(rows: "pd.DataFrame") -> bool:
    return bool(
        rows.groupby("_series", sort=False)["_time"]
        .apply(lambda times: times.is_monotonic_increasing)
        .all()
    )


def _long(
    table: "pd.DataFrame", columns: Columns, where: str, first_line: int, notes: list[str]
) -> "pd.DataFrame":
    """Return one row for each series and time: `_line`, `_series`, `_time`, `_target` and the covariates."""
    import pandas as pd

    time = find_column(table, columns.time, TIMES, role="time", flag="--time-column", where=where)
    identity = find_column(table, columns.id, IDS, role="series", flag="--id-column", where=where)
    targets = _targets(table, columns.target, [name for name in (time, identity) if name], where)
    others = _covariates(table, {*targets, time, identity}, columns, where, notes)
    base = pd.DataFrame(
        {"_line": np.arange(first_line, first_line + len(table))}, index=table.index
    )
    base["_time"] = table[time] if time else np.arange(len(table))
    if time is None:
        notes.append(
            f"{where}: has no column of times, so its rows are taken as one step each. Name it: --time-column NAME"
        )
    names = table[identity] if identity else pd.Series("", index=table.index)
    if identity and names.isna().any():
        raise_for_lines(
            where,
            base.loc[names.isna(), "_line"],
            f"column {identity!r} is empty",
            "Expected the name of the series",
        )
    parts = []
    for target in targets:
        label = (
            f"{target}"
            if not identity
            else names.astype(str) + (f"/{target}" if len(targets) > 1 else "")
        )
        values = _numeric(table[target], base["_line"], where)
        parts.append(
            base.assign(
                _series=label,
                _target=values,
                **{name: _numeric(table[name], base["_line"], where) for name in others},
            )
        )
    return pd.concat(parts, ignore_index=True)


def _targets(table: "pd.DataFrame", given: str, taken: list[str], where: str) -> list[str]:
    import pandas as pd

    numeric = [
        str(name)
        for name in table.columns
        if pd.api.types.is_numeric_dtype(table[name]) and name not in taken
    ]
    if given == "*":
        return numeric
    if given:
        return [
            cast(
                str,
                find_column(table, name.strip(), (), role="target", flag="--target", where=where),
            )
            for name in given.split(",")
        ]
    found = find_column(table, "", TARGETS, role="target", flag="--target", where=where)
    if found:
        return [found]
    if len(numeric) == 1:
        return numeric
    raise DataError(
        f"{where}: which column is forecast? Expected one called {', '.join(TARGETS)}, "
        "or --target NAME (several with commas, '*' for all). "
        f"Columns of numbers: {', '.join(numeric) or 'none'}"
    )


def _covariates(
    table: "pd.DataFrame", taken: set[str | None], columns: Columns, where: str, notes: list[str]
) -> list[str]:
    """Return the further columns of numbers, those not known in advance first."""
    import pandas as pd

    rest = [str(name) for name in table.columns if name not in taken]
    known = columns.known
    if columns.covariates is not None:
        missing = [name for name in columns.covariates if name not in rest]
        if missing:
            raise DataError(
                f"{where}: lacks what the model was trained with: {', '.join(missing)}. Its columns: {', '.join(table.columns)}"
            )
        return list(columns.covariates)
    for name in known:
        if name not in rest:
            raise DataError(
                f"{where}: has no covariate {name!r} to be known in the future.{suggest(name, rest)} "
                f"Its covariates: {', '.join(rest) or 'none'}. Choose: --known-future NAME[,NAME]"
            )
    texts = [
        name
        for name in rest
        if not pd.api.types.is_numeric_dtype(table[name]) and name not in known
    ]
    if texts:
        notes.append(f"{where}: columns that hold no numbers are left out: {', '.join(texts)}")
    return [name for name in rest if name not in known and name not in texts] + list(known)


def _numeric(column: "pd.Series", lines: "pd.Series", where: str) -> "pd.Series":
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        value = column[wrong].iloc[0]
        raise_for_lines(
            where,
            lines[wrong],
            f"column {column.name!r} holds no number. Received: {value!r}",
            "Mend it, or leave the cell empty",
        )
    return numbers


def _parse_times(rows: "pd.DataFrame", where: str) -> bool:
    """Turn `_time` into timestamps without time zone, in place; return whether it holds integer steps instead."""
    import pandas as pd

    times = rows["_time"]
    if times.isna().any():
        raise_for_lines(
            where,
            rows.loc[times.isna(), "_line"],
            "the time is empty",
            "Expected a timestamp on every line",
        )
    if pd.api.types.is_numeric_dtype(times):
        return _parse_numbers(rows, where)
    try:
        parsed = pd.to_datetime(times, errors="coerce", format="ISO8601")
        if parsed.isna().any():
            parsed = pd.to_datetime(times, errors="coerce")
    except ValueError as error:  # pandas 3: "Mixed timezones detected"
        raise DataError(
            f"{where}: its times are in several time zones. Expected one: write them in UTC ({error})"
        ) from error
    if parsed.isna().any():
        wrong = parsed.isna()
        raise_for_lines(
            where,
            rows.loc[wrong, "_line"],
            f"is no time. Received: {times[wrong].iloc[0]!r}",
            "Expected e.g. 2024-01-31 or 2024-01-31 18:30:00, the same form on all lines",
        )
    rows["_time"] = (
        parsed.dt.tz_convert("UTC").dt.tz_localize(None) if parsed.dt.tz is not None else parsed
    )
    return False


def _parse_numbers(rows: "pd.DataFrame", where: str) -> bool:
    """Do what `_parse_times` does for numbers: days such as 20240131 are timestamps, other whole numbers are steps."""
    import pandas as pd

    times = rows["_time"]
    if (broken := times % 1 != 0).any():
        raise_for_lines(
            where,
            rows.loc[broken, "_line"],
            f"is no time. Received: {times[broken].iloc[0]}",
            "Expected timestamps, or whole numbers of steps",
        )
    rows["_time"] = times.astype("int64")
    if times.between(19_000_101, 21_001_231).all():
        dates = pd.to_datetime(rows["_time"].astype(str), format="%Y%m%d", errors="coerce")
        if dates.notna().all():
            rows["_time"] = dates
            return False
    return True
