"""Series on one regular grid, side by side in flat arrays."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from pipelines.forecast.columns import Columns
from pipelines.forecast.frequency import Frequency


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Series on one grid, rows sorted by series and time, no step missing inside a series.

    `series` `(rows,)` is each row's position in `names`, `number` `(rows,)` its step on the grid,
    `target` `(rows,)` its value and `covariates` `(rows, columns)` what else is known of it, in the
    order of `columns`; those in `known`, the last ones, are known in advance. `source` has the
    names of the columns they were read from, and `time_form` is how the table writes times, empty
    for ISO 8601.
    """

    names: tuple[str, ...]
    frequency: Frequency
    columns: tuple[str, ...]
    series: np.ndarray
    number: np.ndarray
    target: np.ndarray
    covariates: np.ndarray
    known: tuple[str, ...] = ()
    source: Columns = Columns()
    notes: tuple[str, ...] = ()
    time_form: str = ""

    @property
    def longest(self) -> int:
        """The steps of the longest series."""
        return int(np.bincount(self.series).max())

    def select(self, keep: np.ndarray) -> "Panel":
        """Return the series for which `keep` `(series,)` is true."""
        rows = keep[self.series]
        new_positions = np.cumsum(keep) - 1
        return dataclasses.replace(
            self,
            names=tuple(self.names[position] for position in np.flatnonzero(keep)),
            series=new_positions[self.series[rows]],
            number=self.number[rows],
            target=self.target[rows],
            covariates=self.covariates[rows],
        )
