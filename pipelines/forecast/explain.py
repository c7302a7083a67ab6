"""What a forecast is made of: level, calendar, the history's shape, each covariate.

The network is asked again about less and less: without one covariate after the other, then without
the shape of the history. Each part is a difference of two of these forecasts, so that they add up
to the forecast itself.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.plots import MUTED, TRUTH, new_figure, show_dates
from pipelines.io.picture_files import DPI, MOST_PICTURES, new_files, note_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.forecast.histories import History

TARGET_CHANNEL = 0
LEVEL, CALENDAR, SHAPE = "by_level", "by_calendar", "by_shape"
MOST_PARTS = 6  # of a picture, beside the level
# Okabe and Ito, for all kinds of colour vision.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
Forecast = Callable[[dict[str, np.ndarray]], np.ndarray]


def contributions(
    forecast: Forecast, inputs: Mapping[str, np.ndarray], facts: ForecastFacts
) -> dict[str, np.ndarray]:
    """Return the parts of the mean forecast `(series, horizon)` by name; their sum is the forecast.

    `by_<covariate>`: what it adds to its own mean over the history. `by_shape`: what season and
    trend of the history add to a flat one of the same mean. `by_level`: the forecast of the flat
    one, the same at each step. `by_calendar`: how the steps of that differ.
    """
    left = {name: np.array(values) for name, values in inputs.items()}
    now = forecast(left)[..., 0]
    parts: dict[str, np.ndarray] = {}
    for number, name in enumerate(facts.covariates, start=1):
        mean = left["history"][:, :, number].mean(axis=1, keepdims=True)
        left["history"][:, :, number] = mean
        if name in facts.known_future:
            left["future"][:, :, facts.known_future.index(name)] = mean
        before, now = now, forecast(left)[..., 0]
        parts[f"by_{name}"] = before - now
    target = left["history"][:, :, TARGET_CHANNEL]
    left["history"][:, :, TARGET_CHANNEL] = target.mean(axis=1, keepdims=True)
    flat = forecast(left)[..., 0]
    level = np.repeat(flat.mean(axis=1, keepdims=True), facts.horizon, axis=1)
    return {LEVEL: level, CALENDAR: flat - level, SHAPE: now - flat, **parts}


def draw_all(
    history: "History", parts: Mapping[str, np.ndarray], folder: Path, notes: list[str]
) -> np.ndarray:
    """Draw the first series; return the file of each `(series,)`, None for those without one."""
    names = history.panel.names
    files = np.full(len(names), None, dtype=object)
    drawn = min(len(names), MOST_PICTURES)
    ahead = history.panel.frequency.times(history.steps_ahead.ravel())
    times = np.asarray(ahead).reshape(history.steps_ahead.shape)
    for row, path in enumerate(new_files(folder, names[:drawn])):
        own = {name: values[row] for name, values in parts.items()}
        drawing = figure(names[row], times[row], own)
        if history.panel.frequency.kind != "integer":
            show_dates(drawing.axes[0])
        drawing.savefig(path, dpi=DPI)
        files[row] = str(path)
    notes.append(note_of(folder, drawn, len(names), "series"))
    return files


def figure(name: str, times: np.ndarray, parts: Mapping[str, np.ndarray]) -> "Figure":
    """Return the parts `(horizon,)` of a forecast, stacked from its level on, by step."""
    drawing, (axis,) = new_figure(f"{name}: what the forecast is made of")
    level, mean = parts[LEVEL], np.sum(list(parts.values()), axis=0)
    above, below = level.copy(), level.copy()
    stacked = _largest({name: values for name, values in parts.items() if name != LEVEL})
    width = 0.8 * (times[1] - times[0]) if len(times) > 1 else 0.8
    for (part, values), color in zip(stacked.items(), COLORS, strict=False):
        base = np.where(values > 0, above, below)
        axis.bar(times, values, width, base, color=color, label=part)
        above += values.clip(min=0)
        below += values.clip(max=0)
    axis.plot(times, level, color=MUTED, linestyle="--", label=LEVEL)
    axis.plot(times, mean, color=TRUTH, marker="o", markersize=3, label="mean: their sum")
    axis.set_xlabel("step to forecast")
    axis.set_ylabel("in the units of the target")
    drawing.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return drawing


def _largest(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parts that count most; smaller ones are added up."""
    order = sorted(parts, key=lambda name: -float(np.abs(parts[name]).mean()))
    kept = [name for name in parts if name in order[:MOST_PARTS]]
    rest = [name for name in parts if name not in kept]
    largest = {name: parts[name] for name in kept}
    if rest:
        largest[f"{len(rest)} others"] = np.sum([parts[name] for name in rest], axis=0)
    return largest
