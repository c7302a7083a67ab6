"""Tables with a whole series in a cell, as GluonTS has them: {"start": ..., "target": [...]}."""

from dataclasses import replace

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.forecast.columns import Columns
from pipelines.forecast.long_rows import IDS, TARGETS
from pipelines.io.tables import DerivedTable, Table, take_rows

STARTS = ("start", "start_time", "start_date", "start_timestamp")
STEP = "step"  # the column of places in a list, where nothing says when a series begins
TIME = "time"
SERIES = "series"  # the column of names, where the rows have none


def with_values_in_rows(table: Table, columns: Columns, notes: list[str]) -> tuple[Table, Columns]:
    """Return a row for each value where a column holds lists of them, other tables as they are.

    Further columns of lists, such as features, are left out.

    Raises:
        DataError: series begin at a time, and nothing says how far their values are apart.
    """
    lists = [name for name in table.columns if _holds_lists(table.frame[name])]
    if not lists:
        return table, columns
    target = table.find_column(columns.target, TARGETS, role="target", flag="--target")
    if target not in lists:
        others = table.frame.drop(columns=lists)
        notes.append(f"{table.where}: columns of lists are not used: {', '.join(lists)}")
        return replace(table, frame=others), columns
    lengths = table.frame[target].map(_length).to_numpy(dtype=int)
    long = take_rows(table, np.repeat(np.arange(len(lengths)), lengths))
    values = np.concatenate([np.asarray(cell, object) for cell in table.frame[target]])
    same_length = [name for name in lists if _lengths(table, name) == lengths.tolist()]
    times = table.find_column(columns.time, (TIME, "timestamp", "ds"), role="time", flag="")
    frame = long.frame.drop(columns=lists).assign(**{target: pd.to_numeric(values)})
    if times in same_length:
        frame[times] = np.concatenate([np.asarray(cell, object) for cell in table.frame[times]])
    else:
        times, written = _times(table, columns, lengths)
        frame[times] = written
    notes.append(f"{table.where}: column {target!r} holds lists; each value is read as a row")
    identity = table.find_column(columns.id, IDS, role="series", flag="--id-column")
    if identity is None and len(lengths) > 1:
        identity = SERIES
        frame[SERIES] = np.repeat([f"T{row}" for row in range(1, 1 + len(lengths))], lengths)
    new = replace(columns, time=times, target=target, id=identity or "")
    assert isinstance(long, DerivedTable)
    return replace(long, frame=frame), new


def _holds_lists(cells: pd.Series) -> bool:
    first = cells.dropna()
    return len(first) > 0 and isinstance(first.iloc[0], list | np.ndarray)


def _length(cell: object) -> int:
    return len(cell) if isinstance(cell, list | np.ndarray) else 0


def _lengths(table: Table, name: str) -> list[int]:
    return [_length(cell) for cell in table.frame[name]]


def _times(table: Table, columns: Columns, lengths: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the name and the values of a column of times: of steps without a start."""
    start = table.find_column("", STARTS, role="start", flag="")
    if start is None:
        return STEP, np.concatenate([np.arange(length) for length in lengths])
    given = table.find_column("", ("freq", "frequency"), role="step", flag="")
    step = columns.freq or (str(table.frame[given].iloc[0]) if given else "")
    if not step:
        raise DataError(
            f"{table.where}: column {start!r} says when each series begins. "
            "Say how far its values are apart: --freq D, --freq h or --freq MS"
        )
    times = []
    for row, (begin, length) in enumerate(zip(table.frame[start], lengths, strict=True)):
        try:
            times.append(pd.date_range(str(begin), periods=length, freq=step).to_numpy())
        except ValueError:
            raise DataError(
                f"{table.where}: line {table.lines[row]}: from {str(begin)!r} on in steps of "
                f"{step!r} are no times. Expected e.g. 2024-01-31 and --freq D"
            ) from None
    return TIME, np.concatenate(times)
