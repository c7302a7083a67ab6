"""Answers to tables of history: read, forecast, and intervals that follow what has lately come true."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.forecast import calibration
from pipelines.forecast.calendar import cycle_features
from pipelines.forecast.frequency import Step
from pipelines.forecast.readers import Columns, Panel, read_with_future
from pipelines.io.tables import read_table
from pipelines.pipeline import ServingModel

BATCH = 256
RECENT = 1_000  # windows of the given history are enough to calibrate on


def predict_raw(
    served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
) -> pd.DataFrame:
    """Return `unique_id, ds, mean, q0.025 ... q0.975` for the steps after each series' last value.

    Covariates known in advance stand in rows behind that value, their target left empty. A history that is longer than
    the model looks back, by as many steps as it was calibrated on, calibrates it anew.

    Raises:
        DataError: a column is missing, a history is too short, or the future of a covariate is not told.
    """
    facts = served.facts
    table, where, first_line = _table(source)
    panel, future = read_with_future(table, _columns(facts, table), where, first_line)
    _require_history(panel, facts, where)
    ends = np.append(np.flatnonzero(np.diff(panel.series)), len(panel.series) - 1)
    ahead = panel.number[ends][:, None] + 1 + np.arange(facts["horizon"])
    known = _told(panel, future, ahead, facts, where)
    output = _forecast(served, panel, ends + 1, panel.series[ends], known, ahead)
    if (recent := _recent(panel, ends, facts)) is not None:
        output = calibration.stretched(output, _recent_factors(served, panel, recent))
    return _rows(output, panel, ahead, facts)


def _rows(
    output: np.ndarray, panel: Panel, ahead: np.ndarray, facts: Mapping[str, Any]
) -> pd.DataFrame:
    named = {
        f"q{level:g}": output[..., 1 + position].ravel()
        for position, level in enumerate(facts["levels"])
    }
    times = panel.step.times(ahead.ravel())
    return pd.DataFrame(
        {
            "unique_id": np.repeat(panel.names, ahead.shape[1]),
            "ds": times,
            "mean": output[..., 0].ravel(),
            **named,
        }
    )


def _forecast(
    served: ServingModel,
    panel: Panel,
    starts: np.ndarray,
    series: np.ndarray,
    known: np.ndarray,
    ahead: np.ndarray,
) -> np.ndarray:
    """Return forecasts (windows, horizon, 1 + levels) after the rows before `starts`, given what is `known` of the steps `ahead`."""
    facts = served.facts
    rows = starts[:, None] + np.arange(-facts["lookback"], 0)
    history = [
        panel.target[rows][..., None],
        panel.covariates[rows],
        _calendar(panel.step, panel.number[rows], facts),
    ]
    position = {name: place for place, name in enumerate(facts["series"], start=1)}
    inputs = {
        "history": np.concatenate(history, axis=-1).astype(np.float32),
        "series": np.array([position.get(panel.names[index], 0) for index in series], np.int32),
    }
    if facts["known_future"] or facts["calendar"]:
        inputs["future"] = np.concatenate(
            [known, _calendar(panel.step, ahead, facts)], axis=-1
        ).astype(np.float32)
    outputs = served.model.predict(inputs, batch_size=BATCH, verbose=0)
    return np.concatenate([outputs["mean"][..., None], outputs["quantiles"]], axis=-1)


def _recent(panel: Panel, ends: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray | None:
    """Return the starts of the windows that have come true in the last `calibration_steps`; None where the history is shorter."""
    lookback, horizon, reach = facts["lookback"], facts["horizon"], facts["calibration_steps"]
    begins = np.append(0, ends[:-1] + 1)
    if (ends + 1 - begins < lookback + reach).any():
        return None
    starts = np.concatenate([np.arange(end + 1 - reach, end + 2 - horizon) for end in ends])
    return np.asarray(starts[:: -(-len(starts) // RECENT)])


def _recent_factors(served: ServingModel, panel: Panel, starts: np.ndarray) -> np.ndarray:
    facts = served.facts
    rows = starts[:, None] + np.arange(facts["horizon"])
    known = panel.covariates[rows][..., _known_channels(panel, facts)]
    output = _forecast(served, panel, starts, panel.series[starts], known, panel.number[rows])
    return calibration.factors(panel.target[rows], output)


def _known_channels(panel: Panel, facts: Mapping[str, Any]) -> list[int]:
    return [panel.columns.index(name) for name in facts["known_future"]]


def _require_history(panel: Panel, facts: Mapping[str, Any], where: str) -> None:
    lookback, lengths = facts["lookback"], np.bincount(panel.series)
    if (lengths < lookback).any():
        short = int(np.argmax(lengths < lookback))
        raise DataError(
            f"{where}: series {panel.names[short]!r} has {lengths[short]:,} rows of history. "
            f"Expected {lookback:,} or more: so far the model looks back (--lookback when it was trained)"
        )
    if facts["calendar"] and panel.step.kind == "integer":
        raise DataError(
            f"{where}: has no timestamps. The model was trained with the calendar: expected a column of times (or --no-calendar)"
        )


def _table(source: "str | Path | pd.DataFrame | np.ndarray") -> tuple[pd.DataFrame, str, int]:
    if isinstance(source, pd.DataFrame):
        return source, "table", 1
    if isinstance(source, np.ndarray):
        if source.ndim != 1:
            raise DataError(
                f"An array of history has one dimension, its values. Received: shape {source.shape}. Give a table for more"
            )
        return pd.DataFrame({"y": source}), "array", 1
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"{path}: no such file. Expected a table of history: CSV, TSV, JSONL or Parquet"
        )
    return read_table(path), path.name, 1 if path.suffix in (".parquet", ".jsonl") else 2


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


def _calendar(step: Step, number: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    cycles = list(dict.fromkeys(name.split("_")[0] for name in facts["calendar"]))
    features = cycle_features(step, number.ravel(), cycles)
    return features.reshape(*number.shape, -1)


def _told(
    panel: Panel, future: Panel, ahead: np.ndarray, facts: Mapping[str, Any], where: str
) -> np.ndarray:
    """Return the covariates known in advance (series, horizon, known) from the rows behind each series."""
    known = facts["known_future"]
    if not known:
        return np.zeros((*ahead.shape, 0))
    channels = _known_channels(panel, facts)
    told = {
        (future.names[series], int(number)): values
        for series, number, values in zip(
            future.series, future.number, future.covariates[:, channels], strict=True
        )
    }
    empty = np.full(len(known), np.nan)
    found = np.array(
        [
            [told.get((name, int(number)), empty) for number in row]
            for name, row in zip(panel.names, ahead, strict=True)
        ]
    )
    if np.isnan(found).any():
        series, step, column = np.argwhere(np.isnan(found))[0]
        raise DataError(
            f"{where}: {known[column]} of {panel.names[series]!r} is not told for {panel.step.times(ahead[series, step : step + 1])[0]}. "
            f"Expected {ahead.shape[1]} rows behind the last value with {', '.join(known)} filled in and the target left empty"
        )
    return found
