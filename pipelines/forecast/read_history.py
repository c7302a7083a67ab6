"""From what a person has to a history: a table's path, a frame, or an array of one series."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError, count_of, shorten, suggest
from pipelines.forecast.column_names import TIME
from pipelines.forecast.columns import FILL_LIMIT, Columns, several_ids
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.histories import SHOWN_SERIES, History
from pipelines.forecast.panel import Panel
from pipelines.forecast.predict_options import ForecastPredictOptions
from pipelines.forecast.readers import read_file, read_with_future, table_in_memory
from pipelines.forecast.series_folders import SERIES, named_by_its_file
from pipelines.io.headers import normal_name
from pipelines.io.tables import Table, take_rows
from pipelines.pipeline import RawInput

MOST_COMPARED = 1_000  # series among which a similar name is looked for


def read_history(
    source: RawInput,
    facts: ForecastFacts,
    options: ForecastPredictOptions | None = None,
    notes: list[str] | None = None,
) -> History:
    """Return the series in `source`: a table's path, a frame, or an array of one series' values.

    Series that are too short for the model are left out, and counted in `notes`; with
    `--skip-unreadable` so are those that cannot be read, or lack what is known in advance.

    Raises:
        DataError: it cannot be read, lacks a column, or has no time although the model needs one.
    """
    options = options or ForecastPredictOptions()
    notes = notes if notes is not None else []
    table = _table(source, drop_long=options.drop_missing)
    if facts.source.id == SERIES:
        table = named_by_its_file(table, facts.series)
    asked = columns_of(facts, table, options)
    unreadable: dict[str, str] = {}
    try:
        panel, future = read_with_future(table, asked)
    except DataError:
        if not options.skip_unreadable or asked.id not in table.columns:
            raise
        unreadable = _unreadable_series(table, asked)
        is_readable = ~np.isin(table.identifiers(asked.id), list(unreadable))
        if not unreadable or not is_readable.any():
            raise
        panel, future = read_with_future(take_rows(table, np.flatnonzero(is_readable)), asked)
        notes.append(
            f"{table.where}: {len(unreadable):,} series left out, which cannot be read: "
            f"{shorten(list(unreadable), SHOWN_SERIES)}"
        )
    columns = panel.source
    notes += panel.notes
    only = as_the_only_series(panel, facts, table.where, notes)
    if only is not panel and future.names:
        future = dataclasses.replace(future, names=only.names)
    history = History(
        facts=facts,
        panel=only,
        future=future,
        where=table.where,
        columns=columns,
        left_out=unreadable,
        cells=_cells_of_series(source, table, columns),
    )
    require_times(facts, panel, table.where)
    history = _without_short_series(history, notes, options.skip_unreadable)
    if options.skip_unreadable:
        history = _without_missing_future(history, notes)
    if history.unknown:
        notes.append(unknown_note(history.where, history.unknown, facts))
    return history


def _unreadable_series(table: Table, columns: Columns) -> dict[str, str]:
    """Return the series that cannot be read even by themselves, each with the reason."""
    names = pd.Series(table.identifiers(columns.id))
    reasons = {}
    for name, rows in names.groupby(names, sort=False).indices.items():
        try:
            read_with_future(take_rows(table, np.asarray(rows)), columns)
        except DataError as error:
            reasons[str(name)] = str(error)
    return reasons


def _table(source: RawInput, *, drop_long: bool) -> Table:
    if isinstance(source, pd.DataFrame):
        if source.empty:
            raise DataError("The table holds no rows. Expected a history of each series")
        return table_in_memory(_with_times_of_index(source), "table")
    if isinstance(source, np.ndarray):
        if source.ndim != 1:
            raise DataError(
                "An array of history has one dimension, its values. "
                f"Received: shape {source.shape}. Give a table for more"
            )
        return table_in_memory(pd.DataFrame({"y": source}), "array")
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"{path}: no such file. Expected a table of history: CSV, TSV, JSONL or Parquet"
        )
    return read_file(path, drop_long=drop_long)


def _with_times_of_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose index of times or of series is among its columns."""
    index = frame.index
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
        return frame.reset_index(names=str(index.name or TIME))
    if any(name is not None for name in index.names):
        return frame.reset_index()
    return frame


def columns_of(facts: ForecastFacts, table: Table, options: ForecastPredictOptions) -> Columns:
    """Return what `options` say of the columns, and else the columns of the training.

    A name that this table lacks is guessed anew.
    """
    source = facts.source
    target = source.target
    if "," not in target and target != "*":
        target = _if_there(target, table)
    fill = source.fill if options.fill == "as-trained" else options.fill
    is_limit_given = options.fill_limit != FILL_LIMIT
    return Columns(
        target=options.target or target,
        id=options.id_column or _if_there(source.id, table),
        time=options.time_column or _if_there(source.time, table),
        known=tuple(facts.known_future),
        freq="" if facts.frequency.kind == "integer" else facts.freq,
        fill=fill,
        fill_limit=options.fill_limit if is_limit_given else source.fill_limit,
        time_format=options.time_format or source.time_format,
        day_first=options.day_first or source.day_first,
        decimal=options.decimal or source.decimal,
        drop_missing=options.drop_missing,
        covariates=tuple(facts.covariates),
    )


def _if_there(column: str, table: Table) -> str:
    names = {normal_name(name) for name in table.columns}
    wanted = {normal_name(name) for name in several_ids(column) or [column]}
    return column if wanted <= names else ""


def require_times(facts: ForecastFacts, panel: Panel, where: str) -> None:
    """Raise `DataError` where the model needs a calendar and the series have none."""
    if facts.calendar and panel.frequency.kind == "integer":
        raise DataError(
            f"{where}: has no timestamps. The model was trained with calendar features: "
            "expected a column of times, named by --time-column NAME "
            "(or a model that was trained with --no-calendar)"
        )


def _cells_of_series(source: RawInput, table: Table, columns: Columns) -> dict[str, object]:
    """Return the names of series as a table in memory holds them, by their text."""
    if not isinstance(source, pd.DataFrame) or columns.id not in table.columns:
        return {}
    texts = table.identifiers(columns.id)
    return dict(zip(texts, table.frame[columns.id], strict=True))


def as_the_only_series(panel: Panel, facts: ForecastFacts, where: str, notes: list[str]) -> Panel:
    """Return a panel of one series without a name as that of the one that the model knows."""
    is_sure = not panel.source.id and len(panel.names) == len(facts.series) == 1
    if not is_sure or panel.names[0] == facts.series[0]:
        return panel
    notes.append(
        f"{where}: its one series is taken for {facts.series[0]!r}, the one that the model was "
        "trained on"
    )
    return dataclasses.replace(panel, names=tuple(facts.series))


def _without_short_series(history: History, notes: list[str], may_be_all: bool) -> History:
    """Return the history without series that are shorter than the model looks back.

    Raises:
        DataError: all are, and that `may_be_all` is false.
    """
    facts, panel = history.facts, history.panel
    lengths = np.bincount(panel.series, minlength=len(panel.names))
    is_short = lengths < facts.lookback
    too_short = {panel.names[number]: int(lengths[number]) for number in np.flatnonzero(is_short)}
    for name in history.future.names:
        if name not in panel.names:
            too_short[name] = 0
    if not too_short:
        return history
    if is_short.all() and not may_be_all:
        longest = max(too_short, key=lambda name: too_short[name])
        raise DataError(
            f"{history.where}: series {longest!r} has {too_short[longest]:,} rows of history. "
            f"Expected {facts.lookback:,} or more: so many the model looks back at "
            "(--lookback when it was trained)"
        )
    listed = [f"{name!r} ({rows:,} rows)" for name, rows in too_short.items()]
    verb = "series get" if len(too_short) > 1 else "series gets"
    notes.append(
        f"{history.where}: {len(too_short):,} {verb} no forecast, with fewer than the "
        f"{facts.lookback:,} rows that the model looks back at: {shorten(listed, SHOWN_SERIES)}"
    )
    reasons = dict(history.left_out)
    for name, rows in too_short.items():
        reasons[name] = f"{count_of(rows, 'row')} of history; expected {facts.lookback:,} or more"
    return dataclasses.replace(history, panel=panel.select(~is_short), left_out=reasons)


def _without_missing_future(history: History, notes: list[str]) -> History:
    """Return the history without series of which covariates known in advance are missing."""
    missing = history.missing_ahead()
    if not missing:
        return history
    notes.append(
        f"{history.where}: {len(missing):,} series left out, whose future values of covariates are "
        f"missing: {shorten(list(missing), SHOWN_SERIES)}"
    )
    is_complete = ~np.isin(history.panel.names, list(missing))
    return dataclasses.replace(
        history,
        panel=history.panel.select(is_complete),
        left_out={**history.left_out, **missing},
    )


def unknown_note(where: str, unknown: Sequence[str], facts: ForecastFacts) -> str:
    """Return a sentence on series that the model was not trained on."""
    subject = "series were" if len(unknown) > 1 else "series was"
    known = [name for name in facts.series if name not in unknown][:MOST_COMPARED]
    return (
        f"{where}: {len(unknown):,} {subject} not in the training data and scaled by the last "
        f"{facts.lookback:,} values before each forecast: {shorten(unknown, SHOWN_SERIES)}."
        f"{suggest(unknown[0], known)}"
    )
