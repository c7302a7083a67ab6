"""Forecasts for people: a table beside the truth, and figures of what the model does and where it errs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from pipelines.forecast import scoring
from pipelines.forecast.calibration import interval
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.splits import Part

TABLE_ROWS = 5_000
SHOWN_LEVELS = (0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975)
TRUTH, MODEL, MUTED = "#1a1a1a", "#0b6aa2", "#8a8f98"


def table(predictions: np.ndarray, splits: ForecastSplits, part: Part) -> pd.DataFrame:
    """Return forecasts that do not overlap, one row a step: series, origin, step, ds, y, mean, quantiles; the latest rows if many."""
    number = splits.number[splits.starts[part]]
    chosen = np.flatnonzero((number.max() - number) % splits.horizon == 0)
    chosen = np.sort(
        chosen[np.argsort(-number[chosen], kind="stable")][: max(TABLE_ROWS // splits.horizon, 1)]
    )
    starts, horizon = splits.starts[part][chosen], splits.horizon
    ahead = splits.number[starts][:, None] + np.arange(horizon)
    levels = {
        f"q{level:g}": predictions[chosen, :, 1 + LEVELS.index(level)].ravel()
        for level in SHOWN_LEVELS
    }
    return pd.DataFrame(
        {
            "series": np.repeat(np.array(splits.names)[splits.series[starts]], horizon),
            "origin": np.repeat(splits.step.times(splits.number[starts] - 1), horizon),
            "step": np.tile(np.arange(1, horizon + 1), len(starts)),
            "ds": splits.step.times(ahead.ravel()),
            "y": splits.windows(splits.raw, starts, 0, horizon).ravel(),
            "mean": predictions[chosen, :, 0].ravel(),
            **levels,
        }
    )


def plots(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str
) -> Iterator[tuple[str, Figure]]:
    """Yield the figures: forecasts, error by step, error by origin, calibration."""
    yield "forecasts", forecasts(predictions, splits, part, point)
    yield "error_by_step", error_by_step(predictions, splits, part, point)
    yield "error_by_origin", error_by_origin(predictions, splits, part, point)
    yield "calibration", calibration(predictions, splits, part)


def _figure(
    title: str, rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 4.5)
) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left", fontweight="bold")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e6e8eb", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8)
        axis.xaxis.label.set_size(9)
        axis.yaxis.label.set_size(9)
    return figure, axes


def forecasts(predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str) -> Figure:
    """Show an easy, a typical, a hard and the worst window, each with the end of its history and its quantiles."""
    each = scoring.window_mase(predictions, splits, part, point)
    order = np.argsort(np.nan_to_num(each, nan=np.nanmedian(each)))
    ranks = {
        "easy (10th percentile)": 0.1,
        "typical (median)": 0.5,
        "hard (90th percentile)": 0.9,
        "worst": 1.0,
    }
    figure, axes = _figure(
        f"{splits.dataset}: forecasts of {splits.horizon} steps ({part})", 2, 2, (11, 6.5)
    )
    for axis, (label, rank) in zip(axes, ranks.items(), strict=True):
        window = order[round(rank * (len(order) - 1))]
        _fan(axis, predictions[window], splits, int(splits.starts[part][window]), point)
        name = splits.names[splits.series[splits.starts[part][window]]]
        axis.set_title(f"{label}: {name}, MASE {each[window]:.2f}", fontsize=9, loc="left")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False
    )
    return figure


def _fan(
    axis: Axes, prediction: np.ndarray, splits: ForecastSplits, start: int, point: str
) -> None:
    past = min(splits.lookback, max(2 * splits.season, splits.horizon))
    times = splits.step.times(
        np.arange(splits.number[start] - past, splits.number[start] + splits.horizon)
    )
    ahead = times[past:]
    for cover, shade in ((95, 0.15), (80, 0.25)):
        low, high = interval(cover)
        axis.fill_between(
            ahead,
            prediction[:, 1 + low],
            prediction[:, 1 + high],
            color=MODEL,
            alpha=shade,
            lw=0,
            label=f"{cover} % interval",
        )
    axis.plot(
        times, splits.raw[start - past : start + splits.horizon], color=TRUTH, lw=1.1, label="truth"
    )
    axis.plot(
        ahead, scoring.point_of(prediction, point), color=MODEL, lw=1.6, label=f"forecast ({point})"
    )
    axis.axvline(ahead[0], color=MUTED, lw=0.8, ls=":")
    if splits.step.kind != "integer":
        locator: Any = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def error_by_step(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str
) -> Figure:
    """Show how the scaled error grows with the distance of the step, and whether its interval still holds."""
    truth = splits.truth(part)
    scale = splits.mase_scale[splits.series[splits.starts[part]]][:, None]
    errors = np.nanmean(np.abs(truth - scoring.point_of(predictions, point)) / scale, axis=0)
    low, high = interval(90)
    inside = np.mean(
        (predictions[..., 1 + low] <= truth) & (truth <= predictions[..., 1 + high]), axis=0
    )
    steps = np.arange(1, splits.horizon + 1)
    figure, (top, bottom) = _figure(
        f"{splits.dataset}: error and coverage by step ahead ({part})", 2, 1, (8, 5.5)
    )
    top.plot(steps, errors, color=MODEL, marker="o" if splits.horizon <= 60 else None, ms=3, lw=1.5)
    top.set_ylim(bottom=0)
    top.set_ylabel(f"scaled error of the {point}\n(1 = seasonal naive on train)")
    bottom.plot(
        steps, 100 * inside, color=MODEL, marker="o" if splits.horizon <= 60 else None, ms=3, lw=1.5
    )
    bottom.axhline(90, color=MUTED, lw=1, ls="--")
    bottom.annotate(
        "promised",
        (steps[-1], 90),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=MUTED,
    )
    bottom.set_ylim(min(60, 100 * inside.min() - 5), 101)
    bottom.set_ylabel("inside the 90 % interval (%)")
    bottom.set_xlabel("step ahead")
    return figure


def error_by_origin(
    predictions: np.ndarray, splits: ForecastSplits, part: Part, point: str
) -> Figure:
    """Show the scaled error of consecutive stretches of origins: the rolling-origin view, with one standard error."""
    number = splits.number[splits.starts[part]]
    folds = int(np.clip((np.ptp(number) + 1) // splits.horizon, 1, 12))
    rows = scoring.backtest(predictions, splits, part, point, folds)
    figure, (axis,) = _figure(f"{splits.dataset}: error by time of the forecast ({part})")
    middle = rows["first"] + (rows["last"] - rows["first"]) / 2
    axis.errorbar(
        middle, rows["mase"], yerr=rows["se"].fillna(0), fmt="o", color=MODEL, ms=4, lw=1, capsize=2
    )
    whole = float(np.nanmean(scoring.window_mase(predictions, splits, part, point)))
    axis.axhline(whole, color=MUTED, lw=1, ls="--")
    axis.annotate(
        f"all: {whole:.3f}",
        (1, whole),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=MUTED,
    )
    axis.set_ylim(bottom=0)
    axis.set_ylabel("MASE of a stretch of origins, ± 1 standard error")
    axis.set_xlabel("first step forecast")
    return figure


def calibration(predictions: np.ndarray, splits: ForecastSplits, part: Part) -> Figure:
    """Show how often the truth stays below each quantile, beside how often it should."""
    truth = splits.truth(part)
    below = [
        100 * float(np.mean(truth <= predictions[..., 1 + position]))
        for position in range(len(LEVELS))
    ]
    figure, (axis,) = _figure(f"{splits.dataset}: do the quantiles hold? ({part})", size=(5.5, 5.5))
    axis.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--", label="promised")
    axis.plot(100 * np.array(LEVELS), below, color=MODEL, marker="o", ms=4, lw=1.5, label="model")
    axis.set_xlabel("quantile (%)")
    axis.set_ylabel("truth below it (%)")
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 100)
    axis.set_aspect("equal")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
