"""Raw histories for a served model: read, checked, and gathered into windows of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.forecast.calendar import cycle_features, cycles_of
from pipelines.forecast.columns import Columns
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.panel import Panel

MOST_RECENT = 1_000  # windows of the given history are enough to calibrate on
SHOWN_SERIES = 5
MOST_COMPARED = 1_000  # series among which a similar name is looked for


@dataclass(frozen=True, kw_only=True)
class History:
    """Series that end where a forecast begins, and what is known in advance of the steps after.

    A window is named by its start, the row of `panel` at which its forecast begins; the start of
    the forecast that was asked for is the row behind the last one of its series. `columns` are
    called as in the table. `left_out` are series without a forecast, each with the reason.
    `cells` are the names of series as a table in memory holds them, such as whole numbers.
    """

    facts: ForecastFacts
    panel: Panel
    future: Panel
    where: str
    columns: Columns
    left_out: Mapping[str, str] = field(default_factory=dict)
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
        return self.facts.unknown(self.panel.names)

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
        known = self._known_ahead()
        if np.isnan(known).any():
            self._raise_for_future()
        return self._inputs(self.ends + 1, self.steps_ahead, known)

    def missing_ahead(self) -> dict[str, str]:
        """Return the series of which covariates known in advance are missing, each with which."""
        is_missing = np.isnan(self._known_ahead())
        names = self.facts.known_future
        missing = {}
        for series in np.flatnonzero(is_missing.any(axis=(1, 2))):
            lacking = [names[column] for column in np.flatnonzero(is_missing[series].any(axis=0))]
            steps = np.flatnonzero(is_missing[series].any(axis=1))
            begin = self.panel.frequency.text(int(self.steps_ahead[series, steps[0]]))
            missing[self.panel.names[series]] = (
                f"future values of {shorten(lacking, SHOWN_SERIES)} are missing: "
                f"{len(steps):,} of {self.facts.horizon:,} rows from {begin} on"
            )
        return missing

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
            "series": self.facts.positions(self.panel.names)[self.panel.series[starts - 1]],
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
        """Return the covariates known in advance: `(series, horizon, known)`, NaN where missing.

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
        return values

    def _raise_for_future(self) -> NoReturn:
        """Raise `DataError` for covariates that are missing where they are known in advance."""
        missing = self.missing_ahead()
        first = next(iter(missing))
        others, skipping = "", ""
        if len(missing) > 1:
            others = f" and of {len(missing) - 1:,} more series"
        if len(missing) < len(self.panel.names):
            skipping = ", or have forecasts of the other series alone: --skip-unreadable"
        raise DataError(
            f"{self.where}: {missing[first]} of series {first!r}{others}. "
            "The model was trained with them as known in advance: "
            f"add {self.facts.horizon:,} rows behind the last value of each series, with "
            f"{', '.join(self.facts.known_future)} filled in and the target left empty, and give "
            f"the file again{skipping}"
        )
