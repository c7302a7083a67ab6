"""Serving: a model over raw histories in their own units, and answers to tables of history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from pipelines import sources
from pipelines.errors import DataError
from pipelines.forecast import calibration, windows
from pipelines.forecast.calendar import cycle_features
from pipelines.forecast.frequency import Step
from pipelines.forecast.readers import Columns, Panel, read_with_future
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.layers import Calibrated, SeriesScaler
from pipelines.pipeline import Served

BATCH = 256


def serve(model: keras.Model, splits: ForecastSplits) -> Served:
    """Return `model` with scaling before and calibration after it.

    Inputs: `history` (batch, lookback, channels) as `facts["channels"]` names them, `future` (batch, horizon, known)
    where anything is known in advance, `series` (batch,): 1 + position in `facts["series"]`, 0 for any other series.
    Answer: {"mean": (batch, horizon), "quantiles": (batch, horizon, levels)}.
    """
    history = keras.Input((splits.lookback, splits.num_channels), name="history")
    series = keras.Input((), dtype="int32", name="series")
    scaler = SeriesScaler(len(splits.names), splits.num_channels, splits.log1p, name="scaler")
    scaled, facts = scaler(history, series)
    inputs, seen = {"history": history, "series": series}, {"history": scaled}
    shift, divide = _covariate_scales(splits)
    if known := splits.num_future:
        inputs["future"] = keras.Input((splits.horizon, known), name="future")
        normal = keras.layers.Normalization(mean=shift[-known:], variance=divide[-known:] ** 2, name="future_scaler")
        seen["future"] = normal(inputs["future"])
    calibrated = Calibrated(splits.log1p, name="calibrated")
    bare = keras.Model(model.input, model.output, name="network")  # without its loss, which no one who loads it needs
    answer = calibrated(bare(seen), facts)
    scaler.set_weights([np.vstack([[0, 1], np.stack([splits.mean, splits.std], axis=1)]), shift, divide])
    val, test = windows.predict(model, splits, "val"), windows.predict(model, splits, "test")
    calibrated.set_weights([calibration.latest(val, test, splits)])
    return Served(model=keras.Model(inputs, answer, name="forecast"), facts=_facts(splits))


def _covariate_scales(splits: ForecastSplits) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std of every channel but the target; calendar features are used as they are."""
    rest = len(splits.calendar)
    return np.append(splits.covariate_mean, np.zeros(rest)), np.append(splits.covariate_std, np.ones(rest))


def _facts(splits: ForecastSplits) -> dict[str, Any]:
    return {
        "domain": "forecast",
        "horizon": splits.horizon,
        "lookback": splits.lookback,
        "season": splits.season,
        "freq": splits.step.label,
        "step": splits.step.describe(),
        "levels": list(LEVELS),
        "channels": ["target", *splits.columns, *splits.calendar],
        "covariates": list(splits.columns),
        "known_future": list(splits.known),
        "calendar": list(splits.calendar),
        "source": {"target": splits.source.target, "id": splits.source.id, "time": splits.source.time, "fill": splits.source.fill},
        "series": list(splits.names),
        "log1p": splits.log1p,
    }


def recall(served: Served, splits: ForecastSplits) -> keras.Model:
    """Return the network inside, which takes scaled windows.

    Raises:
        DataError: these splits have windows of another length, or other covariates.
    """
    facts = served.facts
    channels = ["target", *splits.columns, *splits.calendar]
    for name, trained, here in (
        ("steps of history (--lookback)", facts["lookback"], splits.lookback),
        ("steps to forecast (--horizon)", facts["horizon"], splits.horizon),
        ("covariates (--known-future, --calendar)", facts["channels"], channels),
        ("covariates known in advance (--known-future)", facts["known_future"], list(splits.known)),
    ):
        if trained != here:
            raise DataError(f"{splits.dataset}: other {name} than the model was trained with. Expected {trained}. Received: {here}")
    return served.model.get_layer("network")


def answer(served: Served, source: "str | Path | pd.DataFrame | np.ndarray") -> pd.DataFrame:
    """Return `unique_id, ds, mean, q0.025 ... q0.975` for the steps after each series' last value.

    Covariates known in advance stand in rows behind that value, their target left empty.

    Raises:
        DataError: a column is missing, a history is too short, or the future of a covariate is not told.
    """
    facts = served.facts
    table, where, first_line = _table(source)
    panel, future = read_with_future(table, _columns(facts, table), where, first_line)
    inputs = _inputs(panel, future, facts, where)
    outputs = served.model.predict(inputs, batch_size=BATCH, verbose=0)
    horizon = facts["horizon"]
    last = panel.number[np.append(np.flatnonzero(np.diff(panel.series)), len(panel.series) - 1)]
    times = panel.step.times((last[:, None] + 1 + np.arange(horizon)).ravel())
    named = {f"q{level:g}": outputs["quantiles"][..., position].ravel() for position, level in enumerate(facts["levels"])}
    return pd.DataFrame({"unique_id": np.repeat(panel.names, horizon), "ds": times, "mean": outputs["mean"].ravel(), **named})


def _table(source: "str | Path | pd.DataFrame | np.ndarray") -> tuple[pd.DataFrame, str, int]:
    if isinstance(source, pd.DataFrame):
        return source, "table", 1
    if isinstance(source, np.ndarray):
        if source.ndim != 1:
            raise DataError(f"An array of history has one dimension, its values. Received: shape {source.shape}. Give a table for more")
        return pd.DataFrame({"y": source}), "array", 1
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path}: no such file. Expected a table of history: CSV, TSV, JSONL or Parquet")
    return sources.read_table(path), path.name, 1 if path.suffix in (".parquet", ".jsonl") else 2


def _columns(facts: Mapping[str, Any], table: pd.DataFrame) -> Columns:
    """Return the columns that the model was trained with; a name that this table lacks is guessed anew."""
    source = facts["source"]
    named = {role: source[role] if source[role] in table.columns else "" for role in ("id", "time")}
    one = "," not in source["target"] and source["target"] != "*"
    return Columns(
        target="" if one and source["target"] not in table.columns else source["target"],
        known=tuple(facts["known_future"]),
        freq="" if facts["step"]["kind"] == "integer" else facts["freq"],
        fill=source["fill"],
        covariates=tuple(facts["covariates"]),
        **named,
    )


def _inputs(panel: Panel, future: Panel, facts: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    """Return the last window of each series, and what is known of the steps after it."""
    lookback, horizon = facts["lookback"], facts["horizon"]
    ends = np.append(np.flatnonzero(np.diff(panel.series)), len(panel.series) - 1)
    lengths = np.bincount(panel.series)
    if (lengths < lookback).any():
        short = int(np.argmax(lengths < lookback))
        raise DataError(
            f"{where}: series {panel.names[short]!r} has {lengths[short]:,} rows of history. "
            f"Expected {lookback:,} or more: so far the model looks back (--lookback when it was trained)"
        )
    if facts["calendar"] and panel.step.kind == "integer":
        raise DataError(f"{where}: has no timestamps. The model was trained with the calendar (--calendar): expected a column of times")
    rows = ends[:, None] + np.arange(1 - lookback, 1)
    ahead = panel.number[ends][:, None] + 1 + np.arange(horizon)
    history = [panel.target[rows][..., None], panel.covariates[rows], _calendar(panel.step, panel.number[rows], facts)]
    position = {name: place for place, name in enumerate(facts["series"], start=1)}
    inputs = {
        "history": np.concatenate(history, axis=-1).astype(np.float32),
        "series": np.array([position.get(name, 0) for name in panel.names], np.int32),
    }
    if facts["known_future"] or facts["calendar"]:
        coming = [_known(panel, future, ahead, facts, where), _calendar(panel.step, ahead, facts)]
        inputs["future"] = np.concatenate(coming, axis=-1).astype(np.float32)
    return inputs


def _calendar(step: Step, number: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    cycles = list(dict.fromkeys(name.split("_")[0] for name in facts["calendar"]))
    features = cycle_features(step, number.ravel(), cycles)
    return features.reshape(*number.shape, -1)


def _known(panel: Panel, future: Panel, ahead: np.ndarray, facts: Mapping[str, Any], where: str) -> np.ndarray:
    """Return the covariates known in advance (series, horizon, known) from the rows behind each series."""
    known = facts["known_future"]
    if not known:
        return np.zeros((*ahead.shape, 0))
    channels = [panel.columns.index(name) for name in known]
    told = {
        (future.names[series], int(number)): values
        for series, number, values in zip(future.series, future.number, future.covariates[:, channels], strict=True)
    }
    empty = np.full(len(known), np.nan)
    found = np.array([[told.get((name, int(number)), empty) for number in row] for name, row in zip(panel.names, ahead, strict=True)])
    if np.isnan(found).any():
        series, step, column = np.argwhere(np.isnan(found))[0]
        raise DataError(
            f"{where}: {known[column]} of {panel.names[series]!r} is not told for {panel.step.times(ahead[series, step : step + 1])[0]}. "
            f"Expected {ahead.shape[1]} rows behind the last value with {', '.join(known)} filled in and the target left empty"
        )
    return found
