"""The columns of a table by the names that the table has for them."""

import dataclasses
from typing import TYPE_CHECKING

from pipelines.forecast.columns import SERIES_MARK, Columns, several_ids
from pipelines.forecast.long_rows import TARGETS, series_column, time_column
from pipelines.io.answers import join_answers
from pipelines.io.numbers import is_numeric
from pipelines.io.tables import Table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# What the columns of answers are called where the table has none.
SERIES, TIME, TARGET = "unique_id", "ds", "y"


def named(columns: Columns, table: Table) -> Columns:
    """Return `columns` with the table's names of the time, of the series and of the target.

    A name is empty where the table has no such column, or where it is not plain which one it is.
    """
    time = time_column(table, columns)
    identity = series_column(table, columns, time)
    target = columns.target or _usual_target(table, {time, identity})
    return dataclasses.replace(columns, time=time or "", id=identity or "", target=target)


def _usual_target(table: Table, taken: set[str | None]) -> str:
    usual = table.find_column("", TARGETS, role="target", flag="--target")
    if usual:
        return usual
    numeric = []
    for name in table.columns:
        if name not in taken and is_numeric(table.frame[name]):
            numeric.append(name)
    return numeric[0] if len(numeric) == 1 else ""


def as_written(times: "np.ndarray", form: str) -> "np.ndarray":
    """Return timestamps as texts in the form of a table (see `written_form`), if it has one."""
    import pandas as pd

    return pd.Series(times).dt.strftime(form).to_numpy() if form else times


def names_of_series(identity: str, series: "np.ndarray") -> "dict[str, np.ndarray]":
    """Return the column of the names of series, or the several that they were made of."""
    import numpy as np

    names = several_ids(identity)
    cells = [str(name).split(SERIES_MARK) for name in series]
    if not names or any(len(row) != len(names) for row in cells):
        return {identity or SERIES: series}
    columns = zip(names, zip(*cells, strict=True), strict=True)
    return {name: np.asarray(column, dtype=object) for name, column in columns}


def beside_history(
    columns: Columns,
    series: "np.ndarray",
    times: "np.ndarray",
    values: "pd.DataFrame",
    truth: "np.ndarray | None" = None,
) -> "pd.DataFrame":
    """Return `values` behind the series and the time of each row, and the truth where it is known.

    These columns are called as in the table they came from, so that the rows can be joined with it.
    """
    import pandas as pd

    keys = {**names_of_series(columns.id, series), columns.time or TIME: times}
    if truth is not None:
        is_one = bool(columns.target) and columns.target != "*" and "," not in columns.target
        keys[columns.target if is_one else TARGET] = truth
    return join_answers(pd.DataFrame(keys), values)
