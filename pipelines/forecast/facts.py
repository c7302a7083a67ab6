"""What answering about series needs to know beside the network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.drift import Seen, seen_in
from pipelines.forecast.columns import Fill
from pipelines.forecast.frequency import Frequency
from pipelines.forecast.quantiles import LEVELS
from pipelines.io.numbers import Decimal
from pipelines.pipeline import ServingFacts

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits


@dataclass(frozen=True, kw_only=True)
class SourceColumns:
    """The columns of the training table and how they are written; an empty text: found out."""

    target: str
    id: str
    time: str
    fill: Fill
    fill_limit: float
    time_format: str
    day_first: bool
    decimal: Decimal


@dataclass(frozen=True, kw_only=True)
class SeriesScales:
    """By what the scores of each series are scaled, in order of the facts' `series`.

    `std` is the standard deviation of the target on train, in its own units. `mase` is the error of
    the seasonal naive forecast on train, None where there is none.
    """

    std: list[float]
    mase: list[float | None]


@dataclass(frozen=True, kw_only=True)
class ForecastFacts(ServingFacts):
    """What answering about series needs to know.

    Lengths are steps. `channels` are those of `history` in order, `covariates` the columns among
    them, `known_future` those that are known in advance, `calendar` the features of the calendar.
    A history that is longer than `lookback` by `calibration_steps` calibrates intervals anew.
    `learned_until` is the time of the last step of val, up to which the model has seen values: in
    nanoseconds since 1970, or a number of steps.
    """

    horizon: int
    lookback: int
    season: int
    freq: str
    frequency: Frequency
    levels: list[float]
    calibration_steps: int
    channels: list[str]
    covariates: list[str]
    known_future: list[str]
    calendar: list[str]
    source: SourceColumns
    series: list[str]
    scales: SeriesScales
    learned_until: int
    log1p: bool
    # Of the values of each series until then; models that were saved before it was kept have none.
    seen: list[Seen] = field(default_factory=list)

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are no series of the training."""
        known = set(self.series)
        return [name for name in names if name not in known]

    def positions(self, names: Sequence[str]) -> np.ndarray:
        """Return what the model calls each series `(series,)`: 1 + its position, 0 if unknown."""
        known = {name: number for number, name in enumerate(self.series, start=1)}
        return np.array([known.get(name, 0) for name in names], np.int32)


def facts_of(splits: "ForecastSplits") -> ForecastFacts:
    """Return the facts of a network that was fitted to these splits."""
    source = splits.source
    return ForecastFacts(
        domain="forecast",
        horizon=splits.horizon,
        lookback=splits.lookback,
        season=splits.season,
        freq=splits.frequency.label,
        frequency=splits.frequency,
        levels=list(LEVELS),
        calibration_steps=splits.val_steps,
        channels=list(splits.channels),
        covariates=list(splits.columns),
        known_future=list(splits.known),
        calendar=list(splits.calendar),
        source=SourceColumns(
            target=source.target,
            id=source.id,
            time=source.time,
            fill=source.fill,
            fill_limit=source.fill_limit,
            time_format=source.time_format,
            day_first=source.day_first,
            decimal=source.decimal,
        ),
        series=list(splits.names),
        scales=_scales(splits),
        learned_until=int(splits.frequency.times(np.array([splits.borders[2] - 1])).astype(int)[0]),
        log1p=splits.log1p,
        seen=_seen(splits),
    )


def _seen(splits: "ForecastSplits") -> list[Seen]:
    known = splits.number < splits.borders[2]
    return [
        seen_in(splits.raw[known & (splits.series == position)])
        for position in range(len(splits.names))
    ]


def _scales(splits: "ForecastSplits") -> SeriesScales:
    mase: list[float | None] = []
    for scale in splits.mase_scale.tolist():
        mase.append(None if math.isnan(scale) else scale)
    return SeriesScales(std=splits.raw_std.tolist(), mase=mase)
