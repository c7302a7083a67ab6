"""From a table to series on a regular grid: what cannot be used is refused by line, and what was mended is noted."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, cast

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.forecast.frequency import Step, infer, parse
from pipelines.sources import find_column

if TYPE_CHECKING:
    import pandas as pd

Fill: TypeAlias = Literal["none", "ffill", "interpolate", "zero"]
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
    covariates: tuple[str, ...] | None = None  # the further columns a saved model needs; None: all that hold numbers


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


def read_with_future(table: "pd.DataFrame", columns: Columns, where: str, first_line: int) -> tuple[Panel, Panel]:
    """Return what `read_panel` does, and the rows behind each series' last value: what is known in advance of the future."""
    notes: list[str] = []
    rows = _long(table, columns, where, first_line, notes)
    integer = _parse_times(rows, where)
    if not _sorted_within(rows):
        notes.append(f"{where}: rows were not in the order of time; they were sorted")
    rows = rows.sort_values(["_series", "_time"], kind="stable")
    step = parse(columns.freq, rows["_time"]) if columns.freq and not integer else infer(rows["_time"], rows["_series"])
    number, on_grid = step.numbers(rows["_time"])
    rows = rows.assign(_number=number)
    _refuse_off_grid(rows, on_grid, step, where)
    _refuse_duplicates(rows, where)
    covariates = tuple(name for name in rows.columns if not name.startswith("_"))
    _refuse_infinite(rows, ("_target", *covariates), where)
    rows, future = _without_empty_ends(rows, where, notes)
    rows = _fill(rows, ("_target", *covariates), step, columns.fill, where, notes)
    return _panel(rows, covariates, columns.known, step, notes), _panel(future, covariates, columns.known, step, [])


def _panel(rows: "pd.DataFrame", covariates: tuple[str, ...], known: tuple[str, ...], step: Step, notes: list[str]) -> Panel:
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
    return bool(rows.groupby("_series", sort=False)["_time"].apply(lambda times: times.is_monotonic_increasing).all())


def _refuse(where: str, lines: "pd.Series | Sequence[int]", what: str, expected: str) -> NoReturn:
    shown = [str(line) for line in list(lines)[:5]]
    more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
    raise DataError(f"{where}: line{'s' if len(lines) > 1 else ''} {', '.join(shown)}{more}: {what}. {expected}")


def _long(table: "pd.DataFrame", columns: Columns, where: str, first_line: int, notes: list[str]) -> "pd.DataFrame":
    """Return one row for each series and time: `_line`, `_series`, `_time`, `_target` and the covariates."""
    import pandas as pd

    time = find_column(table, columns.time, TIMES, role="time", flag="--time-column", where=where)
    identity = find_column(table, columns.id, IDS, role="series", flag="--id-column", where=where)
    targets = _targets(table, columns.target, [name for name in (time, identity) if name], where)
    others = _covariates(table, {*targets, time, identity}, columns, where, notes)
    base = pd.DataFrame({"_line": np.arange(first_line, first_line + len(table))}, index=table.index)
    base["_time"] = table[time] if time else np.arange(len(table))
    if time is None:
        notes.append(f"{where}: has no column of times, so its rows are taken as one step each. Name it: --time-column NAME")
    names = table[identity] if identity else pd.Series("", index=table.index)
    if identity and names.isna().any():
        _refuse(where, base.loc[names.isna(), "_line"], f"column {identity!r} is empty", "Expected the name of the series")
    parts = []
    for target in targets:
        label = f"{target}" if not identity else names.astype(str) + (f"/{target}" if len(targets) > 1 else "")
        values = _numeric(table[target], base["_line"], where)
        parts.append(base.assign(_series=label, _target=values, **{name: _numeric(table[name], base["_line"], where) for name in others}))
    return pd.concat(parts, ignore_index=True)


def _targets(table: "pd.DataFrame", given: str, taken: list[str], where: str) -> list[str]:
    import pandas as pd

    numeric = [str(name) for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and name not in taken]
    if given == "*":
        return numeric
    if given:
        return [cast(str, find_column(table, name.strip(), (), role="target", flag="--target", where=where)) for name in given.split(",")]
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


def _covariates(table: "pd.DataFrame", taken: set[str | None], columns: Columns, where: str, notes: list[str]) -> list[str]:
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
    texts = [name for name in rest if not pd.api.types.is_numeric_dtype(table[name]) and name not in known]
    if texts:
        notes.append(f"{where}: columns that hold no numbers are left out: {', '.join(texts)}")
    return [name for name in rest if name not in known and name not in texts] + list(known)


def _numeric(column: "pd.Series", lines: "pd.Series", where: str) -> "pd.Series":
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        value = column[wrong].iloc[0]
        _refuse(where, lines[wrong], f"column {column.name!r} holds no number. Received: {value!r}", "Mend it, or leave the cell empty")
    return numbers


def _parse_times(rows: "pd.DataFrame", where: str) -> bool:
    """Turn `_time` into timestamps without time zone, in place; return whether it holds integer steps instead."""
    import pandas as pd

    times = rows["_time"]
    if times.isna().any():
        _refuse(where, rows.loc[times.isna(), "_line"], "the time is empty", "Expected a timestamp on every line")
    if pd.api.types.is_integer_dtype(times):
        return True
    try:
        parsed = pd.to_datetime(times, errors="coerce", format="ISO8601")
        if parsed.isna().any():
            parsed = pd.to_datetime(times, errors="coerce")
    except ValueError as error:  # pandas 3: "Mixed timezones detected"
        raise DataError(f"{where}: its times are in several time zones. Expected one: write them in UTC ({error})") from error
    if parsed.isna().any():
        wrong = parsed.isna()
        _refuse(
            where,
            rows.loc[wrong, "_line"],
            f"is no time. Received: {times[wrong].iloc[0]!r}",
            "Expected e.g. 2024-01-31 or 2024-01-31 18:30:00, the same form on all lines",
        )
    rows["_time"] = parsed.dt.tz_convert("UTC").dt.tz_localize(None) if parsed.dt.tz is not None else parsed
    return False


def _refuse_off_grid(rows: "pd.DataFrame", on_grid: np.ndarray, step: Step, where: str) -> None:
    if not on_grid.all():
        off = rows[~on_grid]
        _refuse(
            where,
            off["_line"],
            f"{off['_time'].iloc[0]} is not a whole number of steps of {step.label} after {step.times(np.array([0]))[0]}",
            "Expected regular times: put them on a grid first, or name the step: --freq 15min",
        )


def _of_series(rows: "pd.DataFrame", row: "pd.Series") -> str:
    return f" of series {row['_series']!r}" if rows["_series"].nunique() > 1 else ""


def _refuse_duplicates(rows: "pd.DataFrame", where: str) -> None:
    twice = rows.duplicated(["_series", "_number"], keep=False)
    if twice.any():
        first = rows[twice].iloc[0]
        name = _of_series(rows, first)
        hint = "Expected one row for each time; sum or average them first, or name the column that tells series apart: --id-column NAME"
        _refuse(where, rows.loc[twice, "_line"], f"the same time {first['_time']}{name} again", hint)


def _without_empty_ends(rows: "pd.DataFrame", where: str, notes: list[str]) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return rows from each series' first value to its last, and those after it; wide panels are full of empty ends."""
    given = rows["_target"].notna().astype(int)
    begun = given.groupby(rows["_series"]).cummax().astype(bool)
    going = given[::-1].groupby(rows["_series"]).cummax()[::-1].astype(bool)
    kept = rows[begun & going]
    if kept.empty:
        raise DataError(f"{where}: the target has no values")
    if len(kept) < len(rows):
        notes.append(f"{where}: {len(rows) - len(kept):,} rows without a target before a series begins or after it ends are left out")
    return kept, rows[~going]


def _refuse_infinite(rows: "pd.DataFrame", names: tuple[str, ...], where: str) -> None:
    for name in names:
        endless = np.isinf(rows[name].to_numpy())
        if endless.any():
            _refuse(where, rows.loc[endless, "_line"], f"column {_called(name)} is infinite", "Expected a finite number, or an empty cell")


def _called(name: str) -> str:
    return "of the target" if name == "_target" else repr(name)


def _fill(rows: "pd.DataFrame", names: tuple[str, ...], step: Step, fill: Fill, where: str, notes: list[str]) -> "pd.DataFrame":
    """Refuse missing steps and empty cells, or fill them as `--fill` says."""
    gaps = rows.groupby("_series")["_number"].diff().fillna(1).to_numpy() - 1
    empty = rows[list(names)].isna()
    if fill == "none":
        _refuse_gaps(rows, gaps, step, where)
        _refuse_empty(rows, empty, where)
        return rows
    missing, cells = int(gaps.sum()), int(empty.to_numpy().sum())
    if not missing and not cells:
        return rows
    notes.append(f"{where}: {missing:,} missing steps and {cells:,} empty cells were filled (--fill {fill})")
    return _filled(rows, list(names), fill)


_REMEDY = "Expected every step once: --fill ffill, --fill interpolate or --fill zero says what stands for it"


def _refuse_gaps(rows: "pd.DataFrame", gaps: np.ndarray, step: Step, where: str) -> None:
    if gaps.any():
        first = rows[gaps > 0].iloc[0]
        name = _of_series(rows, first)
        steps = f"{int(gaps[gaps > 0][0])} steps of {step.label} are missing before {first['_time']}{name}"
        _refuse(where, rows.loc[gaps > 0, "_line"], steps, _REMEDY)


def _refuse_empty(rows: "pd.DataFrame", empty: "pd.DataFrame", where: str) -> None:
    for name in empty.columns[empty.any()]:
        _refuse(where, rows.loc[empty[name], "_line"], f"column {_called(name)} is empty", _REMEDY)


def _filled(rows: "pd.DataFrame", names: list[str], fill: Fill) -> "pd.DataFrame":
    import pandas as pd

    covariates = names[1:]
    parts = []
    for series, part in rows.groupby("_series"):
        whole: Any = part.set_index("_number").reindex(range(part["_number"].iloc[0], part["_number"].iloc[-1] + 1))
        whole["_series"] = series
        whole[covariates] = whole[covariates].ffill().bfill()
        if fill == "zero":
            whole["_target"] = whole["_target"].fillna(0.0)
        else:
            whole["_target"] = whole["_target"].ffill() if fill == "ffill" else whole["_target"].interpolate()
        parts.append(whole.rename_axis("_number").reset_index())
    filled: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return filled
