"""Series from tables to `ForecastSplits`: read, divided by time, scaled by what train holds."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import UsageError
from pipelines.forecast.calendar import calendar_features, cycles_of
from pipelines.forecast.columns import Columns
from pipelines.forecast.division import (
    Borders,
    find_borders,
    note_unscored,
    window_starts,
    without_late_series,
)
from pipelines.forecast.frequency import Frequency
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.panel import Panel
from pipelines.forecast.protocol import WindowProtocol, fitted_to_length, window_protocol
from pipelines.forecast.readers import read_file, read_panel, table_in_memory
from pipelines.forecast.samples import SAMPLES, Sample
from pipelines.forecast.scaling import mase_scale, mean_and_std
from pipelines.io.digest import data_digest
from pipelines.io.paths import require_path
from pipelines.io.tables import Table
from pipelines.splits import PARTS, Part, Splits

WINDOWS_AT_ONCE = 4096
SHOWN_SERIES = 3


@dataclass(frozen=True, kw_only=True)
class ForecastSplits(Splits):
    """Series of one grid in flat arrays; a window is the index of its first row to forecast.

    `raw` `(rows,)` is the target in its own units. `rows` `(rows, channels)` is what the network
    sees, scaled: the target, covariates known only afterwards, covariates known in advance,
    calendar features; the last `num_future` channels are known in advance. `series` and `number`
    `(rows,)` are each row's series and its step on the grid. `mean`, `std` `(series,)` belong to
    the target after `log1p`, `raw_std` to the target itself. `mase_scale` `(series,)` is the error
    of the seasonal naive forecast on train, NaN where that is 0. `starts` are the windows of each
    part `(windows,)`, in order of series and time.
    """

    names: tuple[str, ...]
    frequency: Frequency
    columns: tuple[str, ...]
    known: tuple[str, ...]
    calendar: tuple[str, ...]
    raw: np.ndarray
    rows: np.ndarray
    series: np.ndarray
    number: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    raw_std: np.ndarray
    covariate_mean: np.ndarray
    covariate_std: np.ndarray
    mase_scale: np.ndarray
    starts: Mapping[Part, np.ndarray]
    borders: Borders
    horizon: int
    lookback: int
    season: int
    log1p: bool
    source: Columns
    time_form: str = ""

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.starts[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        facts = {
            "series": f"{len(self.names):,} ({', '.join(self.names[:SHOWN_SERIES])}"
            f"{', ...' if len(self.names) > SHOWN_SERIES else ''})",
            "rows": f"{len(self.raw):,}, {self.frequency.words}",
        }
        for index, part in enumerate(PARTS):
            first = self.frequency.text(self.borders[index])
            last = self.frequency.text(self.borders[index + 1] - 1)
            facts[part] = f"{len(self.starts[part]):,} windows, {first} to {last}"
        afterwards = self.columns[: len(self.columns) - len(self.known)]
        facts["protocol"] = (
            f"{self.horizon} steps ahead from {self.lookback} steps of history, "
            f"season {self.season}"
        )
        facts["known afterwards"] = ", ".join(afterwards) or "nothing else"
        facts["known in advance"] = ", ".join(self.known) or "nothing"
        facts["calendar features"] = ", ".join(cycles_of(self.calendar)) or "none"
        return facts

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels of `rows`."""
        return ("target", *self.columns, *self.calendar)

    @property
    def num_channels(self) -> int:
        """How many channels a step of history has."""
        return int(self.rows.shape[1])

    @property
    def num_future(self) -> int:
        """How many channels are known in advance."""
        return len(self.known) + len(self.calendar)

    @property
    def seasons_in_sight(self) -> tuple[int, ...]:
        """One season and seven, in steps, if the history holds them: a day and a week of hours."""
        seasons = (self.season, 7 * self.season)
        return tuple(season for season in seasons if 1 < season <= self.lookback)

    @property
    def val_steps(self) -> int:
        """The steps of the validation part: how long what came true counts for intervals."""
        return self.borders[2] - self.borders[1]

    def only(self, part: Part, keep: np.ndarray) -> "ForecastSplits":
        """Return these splits with the windows of `part` for which `keep` `(windows,)` is true."""
        return dataclasses.replace(self, starts={**self.starts, part: self.starts[part][keep]})

    def merge_into_train(self, parts: Sequence[Part]) -> "ForecastSplits":
        """Return these splits with the windows of `parts` in train.

        Values stay scaled by what train alone holds, so that a network may be compared with one
        that was fitted to it.
        """
        starts = np.concatenate([self.starts["train"], *(self.starts[part] for part in parts)])
        return dataclasses.replace(self, starts={**self.starts, "train": starts})

    def truth(self, part: Part) -> np.ndarray:
        """Return what is to be forecast, in its own units: `(windows, horizon)`."""
        return self.windows(self.raw, self.starts[part], 0, self.horizon)

    def scaled_truth(self, starts: np.ndarray) -> np.ndarray:
        """Return what is to be forecast after each start, scaled: `(windows, horizon)`."""
        return self.windows(self.rows[:, 0], starts, 0, self.horizon)

    def scaled_history(self, starts: np.ndarray) -> np.ndarray:
        """Return the target before each start, scaled: `(windows, lookback)`."""
        return self.windows(self.rows[:, 0], starts, -self.lookback, 0)

    def windows(self, values: np.ndarray, starts: np.ndarray, begin: int, end: int) -> np.ndarray:
        """Return `values` from `begin` to `end` steps after each start.

        The shape is `(windows, end - begin, ...)`.
        """
        return np.asarray(values[starts[:, None] + np.arange(begin, end)])

    def chunks(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (starts, scaled history, scaled truth) of a few thousand windows at a time."""
        for first in range(0, len(self.starts[part]), WINDOWS_AT_ONCE):
            starts = self.starts[part][first : first + WINDOWS_AT_ONCE]
            yield starts, self.scaled_history(starts), self.scaled_truth(starts)

    def unscale(self, scaled: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return scaled forecasts `(windows, ...)` of the target in its own units."""
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        series = self.series[starts]
        mean = self.mean[series].reshape(shape).astype(scaled.dtype)
        std = self.std[series].reshape(shape).astype(scaled.dtype)
        values = scaled * std + mean
        return np.asarray(np.expm1(values) if self.log1p else values)


def load(options: ForecastOptions) -> ForecastSplits:
    """Return the series that the options name, divided by time.

    Raises:
        DataError: the table cannot be read, or is too short for a window in each part.
        UsageError: `--split` is no division.
    """
    sample = SAMPLES.get(options.data)
    table = table_named(options.data, drop_long=options.drop_missing)
    panel = read_panel(table, _columns(options, sample))
    has_season = sample is not None or options.season is not None
    if panel.frequency.kind == "integer" and not has_season:
        note = (
            "Steps without a calendar have no known season; MASE is scaled by the last value. "
            "Set it: --season N"
        )
        panel = dataclasses.replace(panel, notes=(*panel.notes, note))
    dataset = options.data if sample else Path(options.data).stem
    protocol = window_protocol(options, sample, panel.frequency)
    if not sample:
        notes = list(panel.notes)
        protocol = fitted_to_length(protocol, options, panel.longest, notes)
        panel = dataclasses.replace(panel, notes=tuple(notes))
    return split(panel, protocol, dataset)


def table_named(data: str, *, drop_long: bool = False) -> Table:
    """Return the table of a sample, or of the file at this path (see `read_file`)."""
    if data in SAMPLES:
        return table_in_memory(SAMPLES[data].read(), data)
    return read_file(require_path(data, SAMPLES, "forecast"), drop_long=drop_long)


def _columns(options: ForecastOptions, sample: Sample | None) -> Columns:
    usual = sample.columns if sample else Columns()
    known = [name.strip() for name in options.known_future.split(",")]
    return Columns(
        target=options.target or usual.target,
        id=options.id_column or usual.id,
        time=options.time_column or usual.time,
        known=tuple(name for name in known if name) or usual.known,
        freq=options.freq,
        fill=options.fill,
        fill_limit=options.fill_limit,
        time_format=options.time_format,
        day_first=options.day_first,
        decimal=options.decimal,
        drop_missing=options.drop_missing,
    )


def split(panel: Panel, protocol: WindowProtocol, dataset: str) -> ForecastSplits:
    """Return `panel` divided by time and scaled by what train holds.

    Raises:
        DataError: a part is too short for one window.
        UsageError: `log1p` of values below -1.
    """
    notes = list(panel.notes)
    borders = find_borders(panel, protocol, notes)
    panel = without_late_series(panel, borders, notes)
    values = _log1p(panel.target) if protocol.log1p else panel.target
    is_train = panel.number < borders[1]
    mean, std = mean_and_std(values, panel, is_train)
    covariate_mean = panel.covariates[is_train].mean(axis=0)
    spread = panel.covariates[is_train].std(axis=0)
    covariate_std = np.where(spread > 0, spread, 1.0)
    train_steps = borders[1] - borders[0] if protocol.calendar else None
    calendar, features = calendar_features(panel.frequency, panel.number, train_steps)
    target = (values - mean[panel.series]) / std[panel.series]
    covariates = (panel.covariates - covariate_mean) / covariate_std
    rows = np.hstack([target[:, None], covariates, features]).astype(np.float32)
    scale = mase_scale(panel, is_train, protocol.season, notes)
    starts = window_starts(panel, protocol, borders)
    note_unscored(panel, starts["test"], notes)
    return ForecastSplits(
        dataset=dataset,
        digest=data_digest(rows, panel.target, panel.number, *starts.values()),
        notes=tuple(notes),
        names=panel.names,
        frequency=panel.frequency,
        columns=panel.columns,
        known=panel.known,
        calendar=calendar,
        raw=panel.target,
        rows=rows,
        series=panel.series,
        number=panel.number,
        mean=mean,
        std=std,
        raw_std=mean_and_std(panel.target, panel, is_train)[1],
        covariate_mean=covariate_mean,
        covariate_std=covariate_std,
        mase_scale=scale,
        starts=starts,
        borders=borders,
        horizon=protocol.horizon,
        lookback=protocol.lookback,
        season=protocol.season,
        log1p=protocol.log1p,
        source=panel.source,
        time_form=panel.time_form,
    )


def _log1p(target: np.ndarray) -> np.ndarray:
    if (target <= -1).any():
        raise UsageError(
            f"--log1p needs values above -1. The smallest is {target.min():g}. Leave the flag out"
        )
    return np.asarray(np.log1p(target))
