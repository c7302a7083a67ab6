"""Series cut into windows: parts divided by time first, then scalers fitted on train; windows gathered only when needed."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, UsageError
from pipelines.forecast.calendar import calendar_features
from pipelines.forecast.frequency import Step
from pipelines.forecast.readers import Columns, Panel
from pipelines.io.digest import data_digest
from pipelines.splits import PARTS, Part, Splits

if TYPE_CHECKING:
    from pipelines.forecast.baselines import Ridge

LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
MEDIAN = LEVELS.index(0.5)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How windows are cut: lengths in steps, and how many steps each part gets (train, val, test; None: by `shares`)."""

    horizon: int
    lookback: int
    season: int
    counts: tuple[int, int, int] | None = None
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    log1p: bool = False
    calendar: bool = True
    limit: int = 0


@dataclass(frozen=True, kw_only=True)
class ForecastSplits(Splits):
    """Series of one grid in flat arrays; a window is the index of its first row to forecast.

    `raw` (rows,) is the target in its own units. `rows` (rows, channels) is what the network sees, scaled: the target,
    covariates known only afterwards, covariates known in advance, calendar features; the last `num_future` channels
    are known in advance. `mean`, `std` (series,) belong to the target after `log1p`, `raw_std` to the
    target itself. `mase_scale` (series,) is the
    error of the seasonal naive forecast on train, NaN where that is 0.
    """

    names: tuple[str, ...]
    step: Step
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
    borders: tuple[int, int, int, int]
    horizon: int
    lookback: int
    season: int
    log1p: bool
    source: Columns

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.starts[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        times = {
            part: self.step.times(np.array([self.borders[i], self.borders[i + 1] - 1]))
            for i, part in enumerate(PARTS)
        }
        return {
            "series": f"{len(self.names):,} ({', '.join(self.names[:3])}{', ...' if len(self.names) > 3 else ''})",
            "rows": f"{len(self.raw):,}, one each {self.step.label}",
            **{
                part: f"{len(self.starts[part]):,} windows, {_time(span[0])} to {_time(span[1])}"
                for part, span in times.items()
            },
            "protocol": f"{self.horizon} steps ahead from {self.lookback} steps of history, season {self.season}",
            "known afterwards": ", ".join(self.columns[: len(self.columns) - len(self.known)])
            or "nothing else",
            "known in advance": ", ".join(
                (*self.known, *dict.fromkeys(name.split("_")[0] for name in self.calendar))
            )
            or "nothing",
        }

    @property
    def num_channels(self) -> int:
        return int(self.rows.shape[1])

    @property
    def num_future(self) -> int:
        return len(self.known) + len(self.calendar)

    @cached_property
    def ridge(self) -> "Ridge":
        """The closed form that is a baseline and where networks start: fitted once, on train, lambda chosen on val."""
        from pipelines.forecast.baselines import fit_ridge

        return fit_ridge(self)

    def only(self, part: Part, keep: np.ndarray) -> "ForecastSplits":
        """Return these splits with the windows of `part` for which `keep` (windows,) is true."""
        return dataclasses.replace(self, starts={**self.starts, part: self.starts[part][keep]})

    def truth(self, part: Part) -> np.ndarray:
        """Return what is to be forecast, in its own units: (windows, horizon)."""
        return self.windows(self.raw, self.starts[part], 0, self.horizon)

    def windows(self, values: np.ndarray, starts: np.ndarray, begin: int, end: int) -> np.ndarray:
        """Return `values` from `begin` to `end` steps after each start: (windows, end - begin, ...)."""
        return np.asarray(values[starts[:, None] + np.arange(begin, end)])

    def chunks(
        self, part: Part, size: int = 4096
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (starts, scaled history, scaled truth) of so many windows at a time."""
        for first in range(0, len(self.starts[part]), size):
            starts = self.starts[part][first : first + size]
            yield (
                starts,
                self.windows(self.rows[:, 0], starts, -self.lookback, 0),
                self.windows(self.rows[:, 0], starts, 0, self.horizon),
            )

    def unscale(self, scaled: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return scaled forecasts (windows, ...) of the target in its own units."""
        shape = (-1,) + (1,) * (scaled.ndim - 1)
        mean, std = (
            fact[self.series[starts]].reshape(shape).astype(scaled.dtype)
            for fact in (self.mean, self.std)
        )
        values = scaled * std + mean
        return np.asarray(np.expm1(values) if self.log1p else values)


def _time(value: "np.datetime64 | np.int64") -> str:
    return str(value)[:16].replace("T", " ").removesuffix(" 00:00")


def split(
    panel: Panel, protocol: Protocol, dataset: str, source: Columns | None = None
) -> ForecastSplits:
    """Return `panel` divided by time and scaled by what train holds.

    Raises:
        DataError: a part is too short for one window.
    """
    notes = list(panel.notes)
    borders = _borders(panel, protocol, notes)
    panel = _with_train_rows(panel, borders, notes)
    if protocol.log1p and (panel.target <= -1).any():
        raise UsageError(
            f"--log1p needs values above -1. The smallest is {panel.target.min():g}. Leave the flag out"
        )
    values = np.log1p(panel.target) if protocol.log1p else panel.target
    train = panel.number < borders[1]
    mean, std = _scaler(values, panel.series, train, len(panel.names))
    covariates = panel.covariates[train]
    covariate_mean = covariates.mean(axis=0)
    covariate_std = np.where((spread := covariates.std(axis=0)) > 0, spread, 1.0)
    calendar, features = calendar_features(
        panel.step, panel.number, borders[1] - borders[0] if protocol.calendar else None
    )
    scaled = [
        ((values - mean[panel.series]) / std[panel.series])[:, None],
        (panel.covariates - covariate_mean) / covariate_std,
    ]
    rows = np.hstack([*scaled, features]).astype(np.float32)
    mase_scale = _mase_scale(panel, train, protocol.season, notes)
    starts = {
        part: _starts(panel, protocol, borders[i], borders[i + 1], part)
        for i, part in enumerate(PARTS)
    }
    _note_unscored(panel, starts["test"], notes)
    return ForecastSplits(
        dataset=dataset,
        digest=data_digest(rows, panel.target, panel.number, *starts.values()),
        notes=tuple(notes),
        names=panel.names,
        step=panel.step,
        columns=panel.columns,
        known=panel.known,
        calendar=calendar,
        raw=panel.target,
        rows=rows,
        series=panel.series,
        number=panel.number,
        mean=mean,
        std=std,
        raw_std=_scaler(panel.target, panel.series, train, len(panel.names))[1],
        covariate_mean=covariate_mean,
        covariate_std=covariate_std,
        mase_scale=mase_scale,
        starts=starts,
        borders=borders,
        horizon=protocol.horizon,
        lookback=protocol.lookback,
        season=protocol.season,
        log1p=protocol.log1p,
        source=source or Columns(),
    )


def _borders(panel: Panel, protocol: Protocol, notes: list[str]) -> tuple[int, int, int, int]:
    """Return the steps at which train, val and test begin, and where test ends."""
    first, end = int(panel.number.min()), int(panel.number.max()) + 1
    total = end - first
    if protocol.counts is None:
        val, test = (round(share * total) for share in protocol.shares[1:])
        return first, end - test - val, end - test, end
    wanted = sum(protocol.counts)
    if wanted > total:
        raise DataError(
            f"--split {'/'.join(map(str, protocol.counts))} asks for {wanted:,} steps. The data has {total:,}"
        )
    if wanted < total:
        notes.append(
            f"The last {total - wanted:,} steps are not used: --split asks for {wanted:,} of {total:,}"
        )
    train, val, test = protocol.counts
    return first, first + train, first + train + val, first + wanted


def _with_train_rows(panel: Panel, borders: tuple[int, int, int, int], notes: list[str]) -> Panel:
    """Leave out series that begin only after train has ended: nothing about them may be learned."""
    train = panel.number < borders[1]
    counts = np.bincount(panel.series[train], minlength=len(panel.names))
    if (counts >= 2).all():
        return panel
    late = [name for name, count in zip(panel.names, counts, strict=True) if count < 2]
    if len(late) == len(panel.names):
        raise DataError(
            "No series has two rows in the training part. Give it more steps: --split TRAIN/VAL/TEST"
        )
    notes.append(
        f"{len(late)} series begin after the training part and are left out: {', '.join(late[:5])}"
    )
    return panel.select(counts >= 2)


def _scaler(
    values: np.ndarray, series: np.ndarray, train: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and population standard deviation of each series on train; a constant series gets 1."""
    size = np.bincount(series[train], minlength=count)
    mean = np.bincount(series[train], values[train], count) / size
    variance = np.bincount(series[train], (values[train] - mean[series[train]]) ** 2, count) / size
    std = np.sqrt(variance)
    return mean, np.where(std > 1e-8 * np.maximum(np.abs(mean), 1), std, 1.0)


def _mase_scale(panel: Panel, train: np.ndarray, season: int, notes: list[str]) -> np.ndarray:
    scale = np.full(len(panel.names), np.nan)
    for position in range(len(panel.names)):
        values = panel.target[train & (panel.series == position)]
        errors = np.abs(values[season:] - values[:-season])
        if len(errors) and errors.mean() > 0:
            scale[position] = errors.mean()
    if np.isnan(scale).all():
        raise DataError(
            f"No series changes from season to season (--season {season}) in the training part: nothing can be scored. "
            "Expected series longer than one season that are not constant"
        )
    if np.isnan(scale).any():
        flat = [name for name, value in zip(panel.names, scale, strict=True) if np.isnan(value)]
        notes.append(
            f"{len(flat)} series are constant, or shorter than a season, in train; MASE leaves them out: {', '.join(flat[:5])}"
        )
    return scale


def _starts(panel: Panel, protocol: Protocol, begin: int, end: int, part: Part) -> np.ndarray:
    """Return the windows whose rows to forecast lie inside [begin, end); they may look back over `begin`."""
    position = np.arange(len(panel.series))
    first = np.searchsorted(panel.series, panel.series, side="left")
    last = np.searchsorted(panel.series, panel.series, side="right")
    room = (position - first >= protocol.lookback) & (last - position >= protocol.horizon)
    starts = position[room & (panel.number >= begin) & (panel.number + protocol.horizon <= end)]
    if not len(starts):
        raise DataError(
            f"The {part} part has {end - begin:,} steps: too few for one window of --lookback {protocol.lookback} "
            f"and --horizon {protocol.horizon}{_longest(panel)}. Shorten them, or give the part more: --split TRAIN/VAL/TEST"
        )
    if protocol.limit and len(starts) > protocol.limit:
        latest = np.argsort(panel.number[starts], kind="stable")
        keep = (
            latest[-protocol.limit :]
            if part == "train"
            else latest[np.linspace(0, len(starts) - 1, protocol.limit).astype(int)]
        )
        starts = starts[np.sort(keep)]
    return starts


def _note_unscored(panel: Panel, starts: np.ndarray, notes: list[str]) -> None:
    unscored = np.setdiff1d(np.arange(len(panel.names)), panel.series[starts])
    if len(unscored):
        shown = ", ".join(panel.names[position] for position in unscored[:5])
        notes.append(
            f"{len(unscored)} series are too short for a window in the test part and are not scored: {shown}"
        )


def _longest(panel: Panel) -> str:
    return f" (the longest series has {int(np.bincount(panel.series).max()):,} rows)"
