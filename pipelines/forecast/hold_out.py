"""Data that a model was not trained on, whole: every window of it is scored, nothing is fitted.

The served model answers, so that a series is scaled as `predict` scales it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines.errors import DataError, UsageError, shorten
from pipelines.forecast.calendar import cycle_features, cycles_of
from pipelines.forecast.columns import Columns
from pipelines.forecast.data import ForecastSplits, table_named
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.intervals import calibrate_rolling, scale_intervals
from pipelines.forecast.predict_options import ForecastPredictOptions
from pipelines.forecast.quantiles import LEVELS
from pipelines.forecast.read_history import (
    as_the_only_series,
    columns_of,
    require_times,
    unknown_note,
)
from pipelines.forecast.readers import read_panel
from pipelines.forecast.samples import SAMPLES
from pipelines.forecast.scaling import mean_and_std, seasonal_error
from pipelines.forecast.serve import UncalibratedNetwork
from pipelines.io.digest import data_digest
from pipelines.io.tables import Table

if TYPE_CHECKING:
    from pipelines.forecast.options import ForecastOptions
    from pipelines.forecast.panel import Panel

SHOWN_SERIES = 5
WINDOWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class HoldOut(ForecastSplits):
    """Series in their own units, all windows of which are the test part.

    `rows` `(rows, channels)` are the served model's `history`: nothing is scaled. `positions`
    `(series,)` are what the model calls the series: 0 for one that it does not know. `raw_std` and
    `mase_scale` are those of the training, and of this data for series that the model does not
    know. `calibration_steps` is how long what came true counts for intervals.
    """

    positions: np.ndarray
    calibration_steps: int

    def describe(self) -> dict[str, str]:
        facts = super().describe()
        for part in ("train", "val"):
            del facts[part]
        return facts

    @property
    def val_steps(self) -> int:
        return self.calibration_steps

    def inputs(self, starts: np.ndarray) -> dict[str, np.ndarray]:
        """Return the inputs of the served model for the windows at `starts`."""
        inputs = {
            "history": self.windows(self.rows, starts, -self.lookback, 0),
            "series": self.positions[self.series[starts]],
        }
        if self.num_future:
            coming = self.windows(self.rows, starts, 0, self.horizon)
            inputs["future"] = coming[..., -self.num_future :]
        return inputs


def load(options: "ForecastOptions", facts: ForecastFacts) -> HoldOut:
    """Return the table that the options name, as windows of the model with these facts.

    Raises:
        DataError: the table cannot be read, lacks a covariate of the model, or has no window.
    """
    table = table_named(options.data, drop_long=options.drop_missing)
    panel = read_panel(table, _columns(options, facts, table))
    require_times(facts, panel, table.where)
    notes = list(panel.notes)
    panel = as_the_only_series(panel, facts, table.where, notes)
    panel = _with_windows(panel, facts, table.where, notes)
    unknown = facts.unknown(panel.names)
    if unknown:
        notes.append(unknown_note(table.where, unknown, facts))
    dataset = options.data if options.data in SAMPLES else Path(options.data).stem
    return _hold_out(panel, facts, dataset, options.limit, notes)


def _columns(options: "ForecastOptions", facts: ForecastFacts, table: Table) -> Columns:
    """Return the columns of the model, or those that a person named otherwise.

    Raises:
        UsageError: a person asked for other windows than the model's.
    """
    for name in ("horizon", "lookback", "season"):
        asked, of_model = getattr(options, name), getattr(facts, name)
        if asked not in (None, of_model):
            raise UsageError(
                f"--{name} {asked}: the model was trained with {of_model} and is scored with that. "
                f"Leave the flag out, or train another model: --{name} {asked}"
            )
    source = facts.source
    fill = source.fill if options.fill == "none" else options.fill
    asked = ForecastPredictOptions(
        target="" if options.target == source.target else options.target,
        id_column="" if options.id_column == source.id else options.id_column,
        time_column="" if options.time_column == source.time else options.time_column,
        time_format=options.time_format,
        day_first=options.day_first,
        decimal=options.decimal,
        drop_missing=options.drop_missing,
        fill=fill,
        fill_limit=options.fill_limit,
    )
    return columns_of(facts, table, asked)


def _with_windows(panel: "Panel", facts: ForecastFacts, where: str, notes: list[str]) -> "Panel":
    """Return the series that have a window; the others are counted in `notes`.

    Raises:
        DataError: none has.
    """
    fewest = facts.lookback + facts.horizon
    lengths = np.bincount(panel.series)
    is_long = lengths >= fewest
    if not is_long.any():
        raise DataError(
            f"{where}: its longest series has {int(lengths.max()):,} rows, too few for one window "
            f"of the model: {facts.lookback:,} steps of history and {facts.horizon:,} to forecast. "
            f"Expected {fewest:,} rows or more"
        )
    if not is_long.all():
        short = [panel.names[position] for position in np.flatnonzero(~is_long)]
        word = "series have" if len(short) > 1 else "series has"
        notes.append(
            f"{where}: {len(short):,} {word} fewer than {fewest:,} rows, one window of the model, "
            f"and {'are' if len(short) > 1 else 'is'} not scored: {shorten(short, SHOWN_SERIES)}"
        )
    return panel.select(is_long)


def _starts(panel: "Panel", facts: ForecastFacts) -> np.ndarray:
    """Return the rows at which windows begin to forecast, in order of series and time."""
    position = np.arange(len(panel.series))
    first = np.searchsorted(panel.series, panel.series, side="left")
    last = np.searchsorted(panel.series, panel.series, side="right")
    has_history = position - first >= facts.lookback
    has_future = last - position >= facts.horizon
    return np.asarray(position[has_history & has_future])


def _limited(starts: np.ndarray, limit: int) -> np.ndarray:
    if not limit or len(starts) <= limit:
        return starts
    return np.asarray(starts[np.linspace(0, len(starts) - 1, limit).astype(int)])


def _note_known_times(
    panel: "Panel", positions: np.ndarray, facts: ForecastFacts, starts: np.ndarray
) -> list[str]:
    """Return a sentence where windows lie in times whose values the model has seen."""
    times = np.asarray(panel.frequency.times(panel.number[starts])).astype(np.int64)
    is_known = (times <= facts.learned_until) & (positions[panel.series[starts]] > 0)
    if not is_known.any():
        return []
    until = np.datetime64(facts.learned_until, "ns") if panel.frequency.kind != "integer" else ""
    day = str(until)[:16].replace("T", " ").removesuffix(" 00:00") or facts.learned_until
    return [
        f"{is_known.sum():,} of {len(starts):,} windows begin by {day}, the end of what the model "
        "was trained and validated on: their scores flatter it"
    ]


def _hold_out(
    panel: "Panel",
    facts: ForecastFacts,
    dataset: str,
    limit: int,
    notes: list[str],
) -> HoldOut:
    starts = _limited(_starts(panel, facts), limit)
    positions = facts.positions(panel.names)
    if panel.source.time:
        notes += _note_known_times(panel, positions, facts, starts)
    calendar = cycle_features(panel.frequency, panel.number, cycles_of(facts.calendar))
    rows = np.hstack([panel.target[:, None], panel.covariates, calendar]).astype(np.float32)
    std, mase = _scales(panel, positions, facts)
    if np.isnan(mase).any():
        flat = [panel.names[series] for series in np.flatnonzero(np.isnan(mase))]
        word = "series are" if len(flat) > 1 else "series is"
        notes.append(
            f"{len(flat):,} {word} constant, or shorter than a season; MASE leaves out "
            f"{shorten(flat, SHOWN_SERIES)}"
        )
    count, width = len(panel.names), len(facts.covariates)
    none = np.empty(0, dtype=int)
    first, end = int(panel.number.min()), int(panel.number.max()) + 1
    return HoldOut(
        dataset=dataset,
        digest=data_digest(rows, panel.target, panel.number, starts),
        notes=tuple(notes),
        names=panel.names,
        frequency=panel.frequency,
        columns=panel.columns,
        known=panel.known,
        calendar=tuple(facts.calendar),
        raw=panel.target,
        rows=rows,
        series=panel.series,
        number=panel.number,
        mean=np.zeros(count),
        std=np.ones(count),
        raw_std=std,
        covariate_mean=np.zeros(width),
        covariate_std=np.ones(width),
        mase_scale=mase,
        starts={"train": none, "val": none, "test": starts},
        borders=(first, first, first, end),
        horizon=facts.horizon,
        lookback=facts.lookback,
        season=facts.season,
        log1p=facts.log1p,
        source=panel.source,
        time_form=panel.time_form,
        positions=positions,
        calibration_steps=facts.calibration_steps,
    )


def _scales(
    panel: "Panel", positions: np.ndarray, facts: ForecastFacts
) -> tuple[np.ndarray, np.ndarray]:
    """Return the standard deviation and the MASE scale of each series, both `(series,)`.

    They are those of the training where the model knows the series, and else of this data.
    """
    everywhere = np.ones(len(panel.series), dtype=bool)
    std = mean_and_std(panel.target, panel, everywhere)[1]
    mase = np.full(len(panel.names), np.nan)
    for series, position in enumerate(positions):
        if position:
            std[series] = facts.scales.std[position - 1]
            mase[series] = facts.scales.mase[position - 1] or np.nan
        else:
            mase[series] = seasonal_error(panel.target[panel.series == series], facts.season)
    return std, mase


def served_inputs(splits: HoldOut, count: int) -> dict[str, np.ndarray]:
    """Return the inputs of the served model for the first windows of a hold-out."""
    inputs = splits.inputs(splits.starts["test"][:count])
    return {**inputs, "history": inputs["history"].astype("float32")}


def predict(model: keras.Model, splits: HoldOut) -> np.ndarray:
    """Return forecasts `(windows, horizon, 1 + levels)` in the target's own units.

    Intervals are scaled by what had come true by then, and until enough has by the factors that the
    model is served with.
    """
    network = UncalibratedNetwork(model, log1p=splits.log1p)
    starts = splits.starts["test"]
    forecasts = np.empty((len(starts), splits.horizon, 1 + len(LEVELS)), np.float32)
    for begin in range(0, len(starts), WINDOWS_AT_ONCE):
        some = starts[begin : begin + WINDOWS_AT_ONCE]
        forecasts[begin : begin + WINDOWS_AT_ONCE] = network.forecast(splits.inputs(some))
    served = scale_intervals(forecasts, network.factors)
    return calibrate_rolling(forecasts, splits, "test", until_then=served)
