"""A table as long rows: one for each series and time, whatever form the table has.

Long rows are a frame with `_row` (the row of the table, for messages), `_series`, `_time`,
`_target` and the covariates under their own names.
"""

import shlex
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of, shorten, suggest
from pipelines.forecast.columns import Columns
from pipelines.io.headers import normal_name
from pipelines.io.numbers import is_numeric, parse_numbers
from pipelines.io.tables import SHOWN_COLUMNS, Table, lines_text, raise_for_lines
from pipelines.io.times import EXPECTED, holds_times

TIMES = ("ds", "timestamp", "date", "datetime", "time", "month", "quarter", "week", "year", "index")
IDS = ("unique_id", "item_id", "series_id", "id", "series", "series_name")
TIME_WORDS = ("date", "time", "when", "month", "quarter", "week", "year", "period", "datum")
FEWEST_TIMES = 3  # rows of a series, on average, by which a column may tell series apart
YES = ("true", "yes")
YES_OR_NO = ({"true", "false"}, {"yes", "no"})
TARGETS = ("y", "target", "value", "demand", "sales")
EVENTS = ". If each row is an event, count them for each time first: one row a time, with a number"


def raise_for_long_rows(table: Table, rows: pd.DataFrame, what: str, expected: str) -> NoReturn:
    """Raise `DataError` for these long rows, named by their lines in the file, in their order."""
    raise_for_lines(table.where, table.lines[rows["_row"].to_numpy()], what, expected)


def long_rows(table: Table, columns: Columns, notes: list[str]) -> pd.DataFrame:
    """Return the long rows of a table; notes on what was made of it go to `notes`.

    The table is long (one row for each series and time) or wide (one column for each series, named
    by `columns.target`).

    Raises:
        DataError: a column is missing, or a cell cannot be used; the message names the line.
    """
    time = time_column(table, columns)
    identity = series_column(table, columns, time)
    not_targets = {time, identity, *_same_within(table, identity)}
    targets = _targets(table, columns.target, not_targets)
    covariates = _covariates(table, {*targets, time, identity}, columns, notes)
    roles = {"time": time, "series": identity, "target": targets, "covariates": covariates}
    notes.append(f"{table.where}: {table.describe_columns(roles)}")
    base = pd.DataFrame({"_row": np.arange(len(table.frame))}, index=table.frame.index)
    if time is None:
        _require_no_unread_times(table, {*targets, identity})
        base["_time"] = np.arange(len(base))
        notes.append(
            f"{table.where}: has no column of times, so its rows are taken as one step each. "
            "Name it: --time-column NAME"
        )
    else:
        base["_time"] = table.frame[time]
    names = _names(table, identity, may_lack=columns.drop_missing)
    numbers = {name: _numbers(table, name, columns, notes) for name in covariates}
    parts = []
    for target in targets:
        series: str | pd.Series = target
        if names is not None:
            series = names
        if names is not None and len(targets) > 1:
            series = names + f"/{target}"
        values = _numbers(table, target, columns, notes)
        parts.append(base.assign(_series=series, _target=values, **numbers))
    return pd.concat(parts, ignore_index=True)


def time_column(table: Table, columns: Columns) -> str | None:
    """Return the column of times: the given one, or one that holds times whatever its name.

    A usual name counts before another, and a name with `date` or `time` in it before others; a
    column of numbers is one of times by its usual name alone.
    """
    if columns.time:
        return table.find_column(columns.time, (), role="time", flag="--time-column")
    usual = []
    for name in TIMES:
        column = table.find_column("", (name,), role="time", flag="--time-column")
        if column is not None:
            usual.append(column)
    others = [name for name in table.columns if name not in usual]
    others.sort(key=lambda name: not any(word in name.lower() for word in ("date", "time")))
    for column in (*usual, *others):
        if holds_times(table.frame[column]):
            return column
    return usual[0] if usual else None


def series_column(table: Table, columns: Columns, time: str | None) -> str | None:
    """Return the column that tells series apart: the given one, a usual name, or the plain one.

    A column of a usual name that has another value in each row numbers the rows. Where times occur
    more than once, it is plain if there is one column of which each value has each time once, or
    several that tell the same series apart; one of words counts before those of numbers.
    """
    if columns.id:
        return table.find_column(columns.id, (), role="series", flag="--id-column")
    for name in IDS:
        named = table.find_column("", (name,), role="series", flag="--id-column")
        if named is not None and not _numbers_rows(table, named):
            return named
    if time is None or not table.frame[time].duplicated().any():
        return None
    given = {name.strip() for name in columns.target.split(",")}
    target = table.find_column("", TARGETS, role="target", flag="--target")
    taken = {time, target, *given, *columns.known}
    candidates = []
    for name in table.columns:
        if name in taken:
            continue
        has_several_times = table.frame[name].nunique() * FEWEST_TIMES <= len(table.frame)
        if has_several_times and not table.frame.duplicated([time, name]).any():
            candidates.append(name)
    words = [name for name in candidates if not is_numeric(table.frame[name])]
    plain = words or candidates
    if plain and all(_tell_the_same(table, plain[0], name) for name in plain[1:]):
        return min(plain, key=lambda name: table.frame[name].isna().any())
    return None


def _tell_the_same(table: Table, one: str, other: str) -> bool:
    """Return whether two columns tell the same series apart, as a country's name and its code."""
    numbers = table.frame[[one, other]].nunique(dropna=False)
    pairs = len(table.frame[[one, other]].drop_duplicates())
    return bool((numbers == pairs).all())


def _numbers_rows(table: Table, name: str) -> bool:
    """Return whether a column has another value in each of several rows."""
    return len(table.frame) >= FEWEST_TIMES and bool(table.frame[name].is_unique)


def _says_nothing(column: pd.Series) -> bool:
    """Return whether a column of numbers counts the rows, or is the same in all of them."""
    if column.nunique() <= 1:
        return True
    numbers = pd.to_numeric(column, errors="coerce")
    return len(numbers) >= FEWEST_TIMES and bool((numbers.diff().iloc[1:] == 1).all())


def _same_within(table: Table, identity: str | None) -> set[str]:
    """Return the columns that have one value for each series, as the city of a shop."""
    if identity is None:
        return set()
    num_values = table.frame.groupby(identity).nunique(dropna=False).max()
    if table.frame[identity].nunique() == 1:
        return set()
    return set(num_values.index[num_values <= 1])


def _require_no_unread_times(table: Table, taken: set[str | None]) -> None:
    """Refuse a table whose rows would be numbered although a column is called as one of times."""
    for name in table.columns:
        is_called_so = any(word in normal_name(name) for word in TIME_WORDS)
        if name in taken or not is_called_so or is_numeric(table.frame[name]):
            continue
        cells = table.frame[name].dropna().astype(str)
        if len(cells) and cells.str.contains(r"\d", regex=True).all():
            raise DataError(
                f"{table.where}: column {name!r} holds no times that I can read, such as "
                f"{cells.iloc[0]!r}. {EXPECTED}; or say how they are written: "
                f"--time-column {shlex.quote(name)} --time-format %d.%m.%Y"
            )


def _names(table: Table, identity: str | None, *, may_lack: bool) -> "pd.Series | None":
    """Return the name of each row's series, None where the table has no such column."""
    if identity is None:
        return None
    names = pd.Series(table.identifiers(identity), index=table.frame.index)
    is_empty = names.str.strip() == ""
    if is_empty.any() and not may_lack:
        table.raise_for_rows(
            is_empty, f"column {identity!r} is empty", "Expected the name of the series"
        )
    return names


def _targets(table: Table, given: str, not_targets: set[str | None]) -> list[str]:
    if given and given != "*":
        targets = []
        for name in given.split(","):
            column = table.find_column(name.strip(), (), role="target", flag="--target")
            assert column is not None  # a name that was given is there, or was refused
            targets.append(column)
        return targets
    usual = table.find_column("", TARGETS, role="target", flag="--target")
    if usual and not given:
        return [usual]
    numeric = []
    for name in table.columns:
        if name not in not_targets and is_numeric(table.frame[name]):
            numeric.append(name)
    if given or len(numeric) == 1:
        return numeric
    raise DataError(
        f"{table.where}: which column is to be forecast? Expected one called "
        f"{', '.join(TARGETS)}, or --target NAME (several with commas, '*' for all). "
        f"Columns of numbers: {shorten(numeric, SHOWN_COLUMNS) or 'none'}"
        f"{'' if numeric else EVENTS}"
    )


def _covariates(
    table: Table, taken: set[str | None], columns: Columns, notes: list[str]
) -> list[str]:
    """Return the further columns of numbers, those known in advance last.

    Those that say nothing are left out, unless they are known in advance.
    """
    further = [name for name in table.columns if name not in taken]
    if columns.covariates is not None:
        _require_covariates(table, further, columns.covariates)
        return list(columns.covariates)
    for name in columns.known:
        if name not in further:
            raise DataError(
                f"{table.where}: has no covariate {name!r} to be known in advance."
                f"{suggest(name, further)} Its covariates: {', '.join(further) or 'none'}. "
                "Choose: --known-future NAME[,NAME]"
            )
    unknown = [name for name in further if name not in columns.known]
    told = []
    for name in unknown:
        column = table.frame[name]
        if _is_yes_or_no(column) or (is_numeric(column) and not _says_nothing(column)):
            told.append(name)
    return told + list(columns.known)


def _is_yes_or_no(column: pd.Series) -> bool:
    """Return whether a column says True or False, or yes or no, as one of holidays does."""
    if column.dtype != bool and is_numeric(column):
        return False
    words = set(column.dropna().astype(str).str.strip().str.lower().unique())
    return words in YES_OR_NO


def _require_covariates(table: Table, further: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in further]
    if missing:
        raise DataError(
            f"{table.where}: lacks columns that the model was trained with: {', '.join(missing)}. "
            f"Its columns: {', '.join(table.columns)}"
        )


def _numbers(table: Table, name: str, columns: Columns, notes: list[str]) -> pd.Series:
    column = table.frame[name]
    if _is_yes_or_no(column):
        words = column.astype(str).str.strip().str.lower()
        notes.append(f"{table.where}: column {name!r}: yes is read as 1, no as 0")
        return words.isin(YES).astype("float64").where(column.notna())
    read = parse_numbers(column, decimal=columns.decimal, delimiter=table.delimiter)
    if read.ambiguous:
        example = column.dropna().iloc[0]
        raise DataError(
            f"{table.where}: column {name!r}: the mark in {example!r} may stand before decimals or "
            "between thousands. Say which one stands before decimals: --decimal . or --decimal ,"
        )
    if read.wrong.any() and columns.drop_missing:
        lines = lines_text(table.lines[read.wrong.to_numpy()])
        notes.append(
            f"{table.where}: column {name!r}: {count_of(int(read.wrong.sum()), 'cell')} that "
            f"cannot be read as numbers are taken for missing ({lines})"
        )
    elif read.wrong.any():
        value = column[read.wrong].iloc[0]
        table.raise_for_rows(
            read.wrong,
            f"column {name!r} is not a number. Received: {value!r}",
            "Fix it, leave the cell empty, or take such cells for missing: --drop-missing",
        )
    if read.note:
        notes.append(f"{table.where}: column {name!r}: {read.note}")
    return read.values
