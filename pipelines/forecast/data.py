"""What `load` does: read the table that `--data` names, calibrate the protocol, and split."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.errors import UsageError
from pipelines.forecast.frequency import DAY, Step
from pipelines.forecast.readers import Columns, read_panel
from pipelines.forecast.samples import SAMPLES, Sample
from pipelines.forecast.splits import ForecastSplits, Protocol, split
from pipelines.io.paths import require_path
from pipelines.io.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.forecast.pipeline import ForecastPipeline

SHARES = (0.7, 0.1, 0.2)


def load(pipeline: "ForecastPipeline") -> ForecastSplits:
    """Return the series that the options name, divided by time.

    Raises:
        DataError: the table cannot be read, or is too short for a window in each part.
        UsageError: `--split` is no division.
    """
    sample = SAMPLES.get(pipeline.data)
    table, where, first_line = _table(pipeline.data, sample)
    columns = _columns(pipeline, sample)
    panel = read_panel(table, columns, where, first_line)
    if panel.step.kind == "integer" and not (sample or pipeline.season):
        panel = replace(
            panel,
            notes=(
                *panel.notes,
                "Steps without a calendar have no known season; MASE is scaled by the last value. Set it: --season N",
            ),
        )
    dataset = pipeline.data if sample else Path(pipeline.data).stem
    return split(panel, protocol(pipeline, sample, panel.step), dataset, columns)


def _table(data: str, sample: Sample | None) -> tuple["pd.DataFrame", str, int]:
    """Return the table, its name, and the line that its first row stands on."""
    if sample:
        return sample.read(), data, 1
    path = require_path(data, {name: sample.help for name, sample in SAMPLES.items()}, "forecast")
    return read_table(path), path.name, 1 if path.suffix in (".parquet", ".jsonl") else 2


def _columns(pipeline: "ForecastPipeline", sample: Sample | None) -> Columns:
    named = sample.columns if sample else Columns()
    known = tuple(name.strip() for name in pipeline.known_future.split(",") if name.strip())
    return Columns(
        target=pipeline.target or named.target,
        id=pipeline.id_column or named.id,
        time=pipeline.time_column or named.time,
        known=known or named.known,
        freq=pipeline.freq,
        fill=pipeline.fill,
    )


class Usual(NamedTuple):
    """What is usually forecast at steps of this size, and from how much history."""

    horizon: int
    lookback: int


def usual(step: Step) -> Usual:
    """Return the default horizon and lookback: a day ahead within days, two weeks of days, a year of months."""
    if step.kind == "months":
        return Usual(horizon=max(12 // step.size, 2), lookback=max(36 // step.size, 6))
    if step.kind == "integer":
        return Usual(horizon=12, lookback=48)
    if step.kind == "business":
        return Usual(horizon=10, lookback=60)
    if step.size < DAY:
        day = max(DAY // step.size, 1)
        return Usual(
            horizon=min(day, 96), lookback=min(7 * day, 336) if day <= 48 else 4 * min(day, 96)
        )
    return Usual(horizon=14, lookback=56) if step.size == DAY else Usual(horizon=8, lookback=52)


def protocol(pipeline: "ForecastPipeline", sample: Sample | None, step: Step) -> Protocol:
    """Return how windows are cut: what the user said, else what the sample is judged by, else what is usual at this step."""
    default = usual(step)
    season = pipeline.season or (sample.season if sample else step.season)
    horizon = pipeline.horizon or (sample.horizon if sample else default.horizon)
    # A season that is longer than the history cannot be seen in it.
    lookback = pipeline.lookback or (
        sample.lookback if sample else max(default.lookback, 2 * season, horizon)
    )
    counts, shares = _division(pipeline.split)
    return Protocol(
        horizon=horizon,
        lookback=lookback,
        season=season,
        counts=counts or (sample.split if sample and not pipeline.split else None),
        shares=shares,
        log1p=pipeline.log1p,
        calendar=pipeline.calendar,
        limit=pipeline.limit,
    )


def _division(text: str) -> tuple[tuple[int, int, int] | None, tuple[float, float, float]]:
    """Read `--split`: three counts of steps, or three shares that make 1."""
    if not text:
        return None, SHARES
    try:
        train, val, test = (float(part) for part in text.split("/"))
    except ValueError:
        raise UsageError(
            f"--split is train/val/test, e.g. 8640/2880/2880 or 0.7/0.1/0.2. Received: {text!r}"
        ) from None
    if min(train, val, test) <= 0:
        raise UsageError(f"--split: every part needs steps. Received: {text!r}")
    if abs(train + val + test - 1) < 1e-6:
        return None, (train, val, test)
    if any(part != int(part) for part in (train, val, test)):
        raise UsageError(f"--split: shares make 1 in all, counts are whole. Received: {text!r}")
    return (int(train), int(val), int(test)), SHARES
