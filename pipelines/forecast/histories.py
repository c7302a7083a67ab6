"""Raw histories for a served model: read, checked, and gathered into windows of its inputs."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError, shorten
from pipelines.forecast.calendar import cycle_features, cycles_of
from pipelines.forecast.columns import FILL_LIMIT, Columns
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.panel import Panel
from pipelines.forecast.predict_options import ForecastPredictOptions
from pipelines.forecast.readers import read_with_future, table_in_memory
from pipelines.io.delimited import normal_name
from pipelines.io.tables import Table, read_table
from pipelines.pipeline import RawInput

MOST_RECENT = 1_000  # windows of the given history are enough to calibrate on
SHOWN_SERIES = 5


@dataclass(frozen=True, kw_only=True)
class History:
    """Series that end where a forecast begins, and what is known in advance of the steps after.

    A window is named by its start, the row of `panel` at which its forecast begins; the start of
    the forecast that was asked for is the row behind the last one of its series. `columns` are
    called as in the table. `too_short` says of series that are left out how many rows they have.
    `cells` are the names of series as a table in memory holds them, such as whole numbers.
    """

    facts: ForecastFacts
    panel: Panel
    future: Panel
    where: str
    columns: Columns
    too_short: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, object] = field(default_factory=dict)

    @property
    def ends(self) -> np.ndarray:
        """The last row of each series `(series,)`."""
        return np.cumsum(np.bincount(self.panel.series, minlength=len(self.panel.names))) - 1

    @property
    def steps_ahead(self) -> np.ndarray:
        """The steps to forecast after each series' last value `(series, horizon)`."""
        after = self.panel.number[self.ends] + 1
        return np.asarray(after[:, None] + np.arange(self.facts.horizon))

    @property
    def unknown(self) -> list[str]:
        """The series that the model was not trained on."""
        return unknown_series(self.panel.names, self.facts)

    def recent_starts(self) -> np.ndarray:
        """Return the starts of the windows whose values all lie in the last `calibration_steps`.

        Series that are shorter have none.
        """
        lookback, reach = self.facts.lookback, self.facts.calibration_steps
        lengths = np.bincount(self.panel.series, minlength=len(self.panel.names))
        starts = []
        for end in self.ends[lengths >= lookback + reach]:
            starts.append(np.arange(end + 1 - reach, end + 2 - self.facts.horizon))
        if not starts:
            return np.empty(0, dtype=int)
        every = max(-(-sum(map(len, starts)) // MOST_RECENT), 1)
        return np.asarray(np.concatenate(starts)[::every])

    def inputs_ahead(self) -> dict[str, np.ndarray]:
        """Return the inputs of the model for the forecasts that were asked for.

        Raises:
            DataError: the future of a covariate is missing.
        """
        return self._inputs(self.ends + 1, self.steps_ahead, self._known_ahead())

    def inputs_before(self, starts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs of the model for windows that have come true."""
        rows = starts[:, None] + np.arange(self.facts.horizon)
        known = self.panel.covariates[rows][..., self._known_channels()]
        return self._inputs(starts, self.panel.number[rows], known)

    def truth(self, starts: np.ndarray) -> np.ndarray:
        """Return what came true `(windows, horizon)`."""
        return self.panel.target[starts[:, None] + np.arange(self.facts.horizon)]

    def _inputs(
        self, starts: np.ndarray, ahead: np.ndarray, known: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the network's inputs for the windows at `starts`.

        `ahead` `(windows, horizon)` are the steps to forecast, and `known`
        `(windows, horizon, known)` the covariates known for them.
        """
        rows = starts[:, None] + np.arange(-self.facts.lookback, 0)
        history = [
            self.panel.target[rows][..., None],
            self.panel.covariates[rows],
            self._calendar(self.panel.number[rows]),
        ]
        inputs = {
            "history": np.concatenate(history, axis=-1).astype(np.float32),
            "series": positions_of(self.panel.names, self.facts)[self.panel.series[starts - 1]],
        }
        if self.facts.known_future or self.facts.calendar:
            future = np.concatenate([known, self._calendar(ahead)], axis=-1)
            inputs["future"] = future.astype(np.float32)
        return inputs

    def _calendar(self, number: np.ndarray) -> np.ndarray:
        cycles = cycles_of(self.facts.calendar)
        features = cycle_features(self.panel.frequency, number.ravel(), cycles)
        return features.reshape(*number.shape, -1)

    def _known_channels(self) -> list[int]:
        return [self.panel.columns.index(name) for name in self.facts.known_future]

    def _known_ahead(self) -> np.ndarray:
        """Return the covariates known in advance: `(series, horizon, known)`.

        They stand in the rows behind each series.
        """
        ahead = self.steps_ahead
        values = np.full((*ahead.shape, len(self.facts.known_future)), np.nan)
        position = {name: number for number, name in enumerate(self.panel.names)}
        known = self.future.covariates[:, self._known_channels()]
        for row, number in enumerate(self.future.number):
            series = position.get(self.future.names[self.future.series[row]])
            if series is None:
                continue
            step = number - ahead[series, 0]
            if 0 <= step < self.facts.horizon:
                values[series, step] = known[row]
        is_missing = np.isnan(values)
        if is_missing.any():
            self._raise_for_future(is_missing)
        return values

    def _raise_for_future(self, is_missing: np.ndarray) -> None:
        """Raise `DataError` for covariates that are missing where `(series, horizon, known)`."""
        names = self.facts.known_future
        lacking = [names[column] for column in np.flatnonzero(is_missing.any(axis=(0, 1)))]
        of_series = np.flatnonzero(is_missing.any(axis=(1, 2)))
        first = of_series[0]
        steps = np.flatnonzero(is_missing[first].any(axis=1))
        begin = self.panel.frequency.text(int(self.steps_ahead[first, steps[0]]))
        others = ""
        if len(of_series) > 1:
            others = f" and of {len(of_series) - 1:,} more series"
        raise DataError(
            f"{self.where}: future values of {shorten(lacking, SHOWN_SERIES)} are missing: "
            f"{len(steps):,} of {self.facts.horizon:,} rows from {begin} on of series "
            f"{self.panel.names[first]!r}{others}. The model was trained with them as known in "
            f"advance: add {self.facts.horizon:,} rows behind the last value of each series, with "
            f"{', '.join(names)} filled in and the target left empty, and give the file again"
        )


def read_history(
    source: RawInput,
    facts: ForecastFacts,
    options: ForecastPredictOptions | None = None,
    notes: list[str] | None = None,
) -> History:
    """Return the series in `source`: a table's path, a frame, or an array of one series' values.

    Series that are too short for the model are left out, and counted in `notes`.

    Raises:
        DataError: it cannot be read, lacks a column, or has no time although the model needs one.
    """
    options = options or ForecastPredictOptions()
    notes = notes if notes is not None else []
    table = _table(source)
    panel, future = read_with_future(table, columns_of(facts, table, options))
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
        cells=_cells_of_series(source, table, columns),
    )
    require_times(facts, panel, table.where)
    history = _without_short_series(history, notes, options.skip_unreadable)
    if history.unknown:
        notes.append(unknown_note(history.where, history.unknown, facts.lookback))
    return history


def _table(source: RawInput) -> Table:
    if isinstance(source, pd.DataFrame):
        return table_in_memory(source, "table")
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
    return read_table(path, as_text=True)


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
        covariates=tuple(facts.covariates),
    )


def _if_there(column: str, table: Table) -> str:
    names = {normal_name(name) for name in table.columns}
    return column if normal_name(column) in names else ""


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


def unknown_series(names: Sequence[str], facts: ForecastFacts) -> list[str]:
    """Return the series that the model was not trained on."""
    known = set(facts.series)
    return [name for name in names if name not in known]


def positions_of(names: Sequence[str], facts: ForecastFacts) -> np.ndarray:
    """Return what the model calls each series `(series,)`: 1 + its position, 0 if unknown."""
    known = {name: number for number, name in enumerate(facts.series, start=1)}
    return np.array([known.get(name, 0) for name in names], np.int32)


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
    return dataclasses.replace(history, panel=panel.select(~is_short), too_short=too_short)


def unknown_note(where: str, unknown: Sequence[str], lookback: int) -> str:
    """Return a sentence on series that the model was not trained on."""
    subject = "series were" if len(unknown) > 1 else "series was"
    return (
        f"{where}: {len(unknown):,} {subject} not in the training data and scaled by the last "
        f"{lookback:,} values before each forecast: {shorten(unknown, SHOWN_SERIES)}"
    )
