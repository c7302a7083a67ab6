"""Raw histories for a served model: read, checked, and gathered into windows of its inputs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.forecast.calendar import cycle_features, cycles_of
from pipelines.forecast.columns import Columns
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.panel import Panel
from pipelines.forecast.readers import read_with_future, table_in_memory
from pipelines.io.tables import Table, read_table
from pipelines.pipeline import RawInput

MOST_RECENT = 1_000  # windows of the given history are enough to calibrate on


@dataclass(frozen=True, kw_only=True)
class History:
    """Series that end where a forecast begins, and what is known in advance of the steps after.

    A window is named by its start, the row of `panel` at which its forecast begins; the start of
    the forecast that was asked for is the row behind the last one of its series.
    """

    facts: ForecastFacts
    panel: Panel
    future: Panel
    where: str

    @property
    def ends(self) -> np.ndarray:
        """The last row of each series `(series,)`."""
        series = self.panel.series
        return np.asarray(np.append(np.flatnonzero(np.diff(series)), len(series) - 1))

    @property
    def steps_ahead(self) -> np.ndarray:
        """The steps to forecast after each series' last value `(series, horizon)`."""
        after = self.panel.number[self.ends] + 1
        return np.asarray(after[:, None] + np.arange(self.facts.horizon))

    def recent_starts(self) -> np.ndarray:
        """Return the starts of the windows whose values all lie in the last `calibration_steps`.

        There are none where the history is shorter.
        """
        lookback, reach = self.facts.lookback, self.facts.calibration_steps
        ends = self.ends
        lengths = np.bincount(self.panel.series)
        if (lengths < lookback + reach).any():
            return np.empty(0, dtype=int)
        starts = []
        for end in ends:
            starts.append(np.arange(end + 1 - reach, end + 2 - self.facts.horizon))
        every = -(-sum(map(len, starts)) // MOST_RECENT)
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
        position = {name: number for number, name in enumerate(self.facts.series, start=1)}
        names = [self.panel.names[series] for series in self.panel.series[starts - 1]]
        inputs = {
            "history": np.concatenate(history, axis=-1).astype(np.float32),
            "series": np.array([position.get(name, 0) for name in names], np.int32),
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
        names = self.facts.known_future
        ahead = self.steps_ahead
        values = np.full((*ahead.shape, len(names)), np.nan)
        if not names:
            return values
        position = {name: number for number, name in enumerate(self.panel.names)}
        known = self.future.covariates[:, self._known_channels()]
        for row, number in enumerate(self.future.number):
            series = position.get(self.future.names[self.future.series[row]])
            if series is None:
                continue
            step = number - ahead[series, 0]
            if 0 <= step < self.facts.horizon:
                values[series, step] = known[row]
        missing = np.argwhere(np.isnan(values))
        if len(missing):
            series, step, column = missing[0]
            self._raise_for_future(series, int(ahead[series, step]), names[column])
        return values

    def _raise_for_future(self, series: int, number: int, column: str) -> None:
        listed = ", ".join(self.facts.known_future)
        raise DataError(
            f"{self.where}: future values of {column!r} of series {self.panel.names[series]!r} are "
            f"missing from {self.panel.frequency.text(number)} on; "
            f"add {self.facts.horizon} rows after the last value, with {listed} filled in and the "
            "target left empty"
        )


def read_history(source: RawInput, facts: ForecastFacts) -> History:
    """Return the series in `source`: a table's path, a frame, or an array of one series' values.

    Raises:
        DataError: it cannot be read, lacks a column, or a series is shorter than the model looks
            back.
    """
    table = _table(source)
    panel, future = read_with_future(table, _columns(facts, table))
    history = History(facts=facts, panel=panel, future=future, where=table.where)
    _require_history(history)
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
    return read_table(path)


def _columns(facts: ForecastFacts, table: Table) -> Columns:
    """Return the columns that the model was trained with.

    A name that this table lacks is guessed anew.
    """
    source = facts.source
    is_one_name = "," not in source.target and source.target != "*"
    return Columns(
        target=_if_there(source.target, table) if is_one_name else source.target,
        id=_if_there(source.id, table),
        time=_if_there(source.time, table),
        known=tuple(facts.known_future),
        freq="" if facts.frequency.kind == "integer" else facts.freq,
        fill=source.fill,
        covariates=tuple(facts.covariates),
    )


def _if_there(column: str, table: Table) -> str:
    return column if column in table.columns else ""


def _require_history(history: History) -> None:
    facts, panel = history.facts, history.panel
    lengths = np.bincount(panel.series)
    is_short = lengths < facts.lookback
    if is_short.any():
        short = int(np.argmax(is_short))
        raise DataError(
            f"{history.where}: series {panel.names[short]!r} has {lengths[short]:,} rows of "
            f"history. Expected {facts.lookback:,} or more: so many the model looks back at "
            "(--lookback when it was trained)"
        )
    if facts.calendar and panel.frequency.kind == "integer":
        raise DataError(
            f"{history.where}: has no timestamps. The model was trained with calendar features: "
            "expected a column of times (or a model that was trained with --no-calendar)"
        )
