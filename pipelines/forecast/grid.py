"""Rows on a regular grid: what is off it, there twice, missing or endless is refused by line, or filled on demand.

Rows are a table with `_line`, `_series`, `_time`, `_number` (its step on the grid), `_target` and covariates, sorted
by series and time.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from pipelines.errors import DataError
from pipelines.forecast.frequency import Step
from pipelines.io.tables import raise_for_lines

if TYPE_CHECKING:
    import pandas as pd

Fill: TypeAlias = Literal["none", "ffill", "interpolate", "zero"]


def refuse_off_grid(rows: "pd.DataFrame", on_grid: np.ndarray, step: Step, where: str) -> None:
    if not on_grid.all():
        off = rows[~on_grid]
        raise_for_lines(
            where,
            off["_line"],
            f"{off['_time'].iloc[0]} is not a whole number of steps of {step.label} after {step.times(np.array([0]))[0]}",
            "Expected regular times: put them on a grid first, or name the step: --freq 15min",
        )


def _of_series(rows: "pd.DataFrame", row: "pd.Series") -> str:
    return f" of series {row['_series']!r}" if rows["_series"].nunique() > 1 else ""


def refuse_duplicates(rows: "pd.DataFrame", where: str) -> None:
    twice = rows.duplicated(["_series", "_number"], keep=False)
    if twice.any():
        first = rows[twice].iloc[0]
        name = _of_series(rows, first)
        hint = "Expected one row for each time; sum or average them first, or name the column that tells series apart: --id-column NAME"
        raise_for_lines(
            where, rows.loc[twice, "_line"], f"the same time {first['_time']}{name} again", hint
        )


def without_empty_ends(
    rows: "pd.DataFrame", where: str, notes: list[str]
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return rows from each series' first value to its last, and those after it; wide panels are full of empty ends."""
    given = rows["_target"].notna().astype(int)
    begun = given.groupby(rows["_series"]).cummax().astype(bool)
    going = given[::-1].groupby(rows["_series"]).cummax()[::-1].astype(bool)
    kept = rows[begun & going]
    if kept.empty:
        raise DataError(f"{where}: the target has no values")
    if len(kept) < len(rows):
        notes.append(
            f"{where}: {len(rows) - len(kept):,} rows without a target before a series begins or after it ends are left out"
        )
    return kept, rows[~going]


def refuse_infinite(rows: "pd.DataFrame", names: tuple[str, ...], where: str) -> None:
    for name in names:
        endless = np.isinf(rows[name].to_numpy())
        if endless.any():
            raise_for_lines(
                where,
                rows.loc[endless, "_line"],
                f"column {_called(name)} is infinite",
                "Expected a finite number, or an empty cell",
            )


def _called(name: str) -> str:
    return "of the target" if name == "_target" else repr(name)


def complete(
    rows: "pd.DataFrame",
    names: tuple[str, ...],
    step: Step,
    fill: Fill,
    where: str,
    notes: list[str],
) -> "pd.DataFrame":
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
    notes.append(
        f"{where}: {missing:,} missing steps and {cells:,} empty cells were filled (--fill {fill})"
    )
    return _filled(rows, list(names), fill)


_REMEDY = "Expected every step once: --fill ffill, --fill interpolate or --fill zero says what stands for it"


def _refuse_gaps(rows: "pd.DataFrame", gaps: np.ndarray, step: Step, where: str) -> None:
    if gaps.any():
        first = rows[gaps > 0].iloc[0]
        name = _of_series(rows, first)
        steps = f"{int(gaps[gaps > 0][0])} steps of {step.label} are missing before {first['_time']}{name}"
        raise_for_lines(where, rows.loc[gaps > 0, "_line"], steps, _REMEDY)


def _refuse_empty(rows: "pd.DataFrame", empty: "pd.DataFrame", where: str) -> None:
    for name in empty.columns[empty.any()]:
        raise_for_lines(
            where, rows.loc[empty[name], "_line"], f"column {_called(name)} is empty", _REMEDY
        )


def _filled(rows: "pd.DataFrame", names: list[str], fill: Fill) -> "pd.DataFrame":
    import pandas as pd

    covariates = names[1:]
    parts = []
    for series, part in rows.groupby("_series"):
        whole: Any = part.set_index("_number").reindex(
            range(part["_number"].iloc[0], part["_number"].iloc[-1] + 1)
        )
        whole["_series"] = series
        whole[covariates] = whole[covariates].ffill().bfill()
        if fill == "zero":
            whole["_target"] = whole["_target"].fillna(0.0)
        else:
            whole["_target"] = (
                whole["_target"].ffill() if fill == "ffill" else whole["_target"].interpolate()
            )
        parts.append(whole.rename_axis("_number").reset_index())
    filled: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return filled
