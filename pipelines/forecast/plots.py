"""Figures of forecasts: what the model does, and where it errs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from pipelines.forecast.quantiles import LEVELS, Point, interval_positions, point_forecasts
from pipelines.splits import Part

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

TRUTH, MODEL, MUTED = "black", "#0b6aa2", "#8a8f98"
GRID = "#e6e8eb"
# How hard a window was, as its rank among all.
RANKS = {
    "easy (10th percentile)": 0.1,
    "typical (median)": 0.5,
    "hard (90th percentile)": 0.9,
    "worst": 1.0,
}
MOST_BARS = 15  # series
LONGEST_NAME = 28  # of a series, in characters
MOST_MARKERS = 60  # steps ahead that are drawn as points, too
COVERAGE = 90  # per cent, of the interval whose coverage is drawn by step


@dataclass(frozen=True, kw_only=True)
class Forecasts:
    """What figures show: predictions `(windows, horizon, 1 + levels)` of one part."""

    predictions: np.ndarray
    splits: "ForecastSplits"
    part: Part
    point: Point

    @property
    def point_forecasts(self) -> np.ndarray:
        """The mean or median `(windows, horizon)`."""
        return point_forecasts(self.predictions, self.point)

    def title(self, what: str) -> str:
        """Return the title of a figure of `what`."""
        return f"{self.splits.dataset}: {what} ({self.part})"

    def quantile(self, position: int) -> np.ndarray:
        """Return the quantile `(windows, horizon)` at this position of `LEVELS`."""
        return np.asarray(self.predictions[..., 1 + position])


def new_figure(
    title: str, rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 4.5)
) -> tuple[Figure, list[Axes]]:
    """Return a figure with its panels, row by row."""
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left", fontweight="bold", parse_math=False)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel().tolist()
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color=GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8)
        axis.xaxis.label.set_size(9)
        axis.yaxis.label.set_size(9)
    return figure, axes


def forecasts(of_part: Forecasts, errors: np.ndarray) -> Figure:
    """Show an easy, a typical, a hard and the worst window.

    Each has the end of its history and its quantiles. `errors` `(windows,)` is the MASE of each
    window, NaN where there is none.
    """
    splits = of_part.splits
    order = np.argsort(np.nan_to_num(errors, nan=np.nanmedian(errors)))
    title = of_part.title(f"forecasts of {splits.horizon} steps")
    figure, axes = new_figure(title, 2, 2, (11, 6.5))
    for axis, (label, rank) in zip(axes, RANKS.items(), strict=True):
        window = int(order[round(rank * (len(order) - 1))])
        _fan(axis, of_part, window)
        name = splits.names[splits.series[splits.starts[of_part.part][window]]]
        axis.set_title(
            f"{label}: {name}, MASE {errors[window]:.2f}",
            fontsize=9,
            loc="left",
            parse_math=False,  # a $ in a name is a dollar
        )
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False
    )
    return figure


def _fan(axis: Axes, of_part: Forecasts, window: int) -> None:
    """Draw one window: the end of its history, the truth, and the forecast with two intervals."""
    splits = of_part.splits
    start = int(splits.starts[of_part.part][window])
    past = min(splits.lookback, max(2 * splits.season, splits.horizon))
    number = splits.number[start]
    times = splits.frequency.times(np.arange(number - past, number + splits.horizon))
    ahead = times[past:]
    draw_intervals(axis, ahead, of_part.predictions[window, :, 1:])
    truth = splits.raw[start - past : start + splits.horizon]
    axis.plot(times, truth, color=TRUTH, lw=1.1, label="truth")
    point = of_part.point_forecasts[window]
    axis.plot(ahead, point, color=MODEL, lw=1.6, label=f"forecast ({of_part.point})")
    axis.axvline(ahead[0], color=MUTED, lw=0.8, ls=":")
    if splits.frequency.kind != "integer":
        show_dates(axis)


def draw_intervals(axis: Axes, times: np.ndarray, quantiles: np.ndarray) -> None:
    """Draw two intervals of quantiles `(steps, levels)`."""
    for cover, shade in ((95, 0.15), (80, 0.25)):
        low, high = interval_positions(cover)
        axis.fill_between(
            times,
            quantiles[:, low],
            quantiles[:, high],
            color=MODEL,
            alpha=shade,
            lw=0,
            label=f"{cover} % interval",
        )


def show_dates(axis: Axes) -> None:
    """Label few dates, each as short as its neighbours allow."""
    locator: Any = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def error_by_step(of_part: Forecasts) -> Figure:
    """Show how the scaled error grows with the step, and whether the interval still holds."""
    splits = of_part.splits
    truth = splits.truth(of_part.part)
    scale = splits.mase_scale[splits.series[splits.starts[of_part.part]]][:, None]
    errors = np.nanmean(np.abs(truth - of_part.point_forecasts) / scale, axis=0)
    low, high = interval_positions(COVERAGE)
    is_inside = (of_part.quantile(low) <= truth) & (truth <= of_part.quantile(high))
    inside = 100 * np.mean(is_inside, axis=0)
    steps = np.arange(1, splits.horizon + 1)
    marker = "o" if splits.horizon <= MOST_MARKERS else None
    title = of_part.title("error and coverage by step ahead")
    figure, (top, bottom) = new_figure(title, 2, 1, (8, 5.5))
    top.plot(steps, errors, color=MODEL, marker=marker, ms=3, lw=1.5)
    top.set_ylim(bottom=0)
    top.set_ylabel(f"scaled error of the {of_part.point}\n(1 = seasonal naive on train)")
    bottom.plot(steps, inside, color=MODEL, marker=marker, ms=3, lw=1.5)
    bottom.axhline(COVERAGE, color=MUTED, lw=1, ls="--")
    bottom.annotate(
        "promised",
        (steps[-1], COVERAGE),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=MUTED,
    )
    bottom.set_ylim(min(60, inside.min() - 5), 101)
    bottom.set_ylabel(f"inside the {COVERAGE} % interval (%)")
    bottom.set_xlabel("step ahead")
    return figure


def error_in_units(of_part: Forecasts, by_step: pd.DataFrame, by_series: pd.DataFrame) -> Figure:
    """Show errors in the target's own units by step, and as shares of the truth by series.

    Series may have units of their own; the largest shares come first.
    """
    has_series = len(by_series) > 1
    title = of_part.title("error in the target's own units")
    panels = (1, 2) if has_series else (1, 1)
    figure, axes = new_figure(title, *panels, size=(11, 4.5) if has_series else (8, 4.5))
    marker = "o" if len(by_step) <= MOST_MARKERS else None
    for column, label, color in (("rmse", "RMSE", MUTED), ("mae", "MAE", MODEL)):
        axes[0].plot(
            by_step["step"], by_step[column], color=color, marker=marker, ms=3, lw=1.5, label=label
        )
    axes[0].set_ylim(bottom=0)
    axes[0].set_xlabel("step ahead")
    axes[0].set_ylabel("error, in the units of the target")
    axes[0].legend(fontsize=8, frameon=False)
    if has_series:
        _bars_of_series(axes[1], by_series)
    return figure


def _bars_of_series(axis: Axes, by_series: pd.DataFrame) -> None:
    worst = by_series.head(MOST_BARS)[::-1]
    positions = np.arange(len(worst))
    axis.barh(positions, 100 * worst["wape"], color=MODEL, height=0.7)
    labels = [str(name)[:LONGEST_NAME] for name in worst["series"]]
    axis.set_yticks(positions, labels, fontsize=8, parse_math=False)
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", color=GRID, linewidth=0.8)
    shown = f"the {len(worst)} largest of {len(by_series)} series"
    axis.set_title(shown if len(worst) < len(by_series) else "by series", fontsize=9, loc="left")
    axis.set_xlabel("absolute error, % of the truth (WAPE)")


def error_by_origin(of_part: Forecasts, by_time: pd.DataFrame, whole: float) -> Figure:
    """Show the scaled error of consecutive stretches of origins, with one standard error.

    This is the rolling-origin view. `by_time` is what `evaluate.backtest` returns, `whole` the MASE
    of all windows.
    """
    figure, (axis,) = new_figure(of_part.title("error by time of the forecast"))
    middle = by_time["first"] + (by_time["last"] - by_time["first"]) / 2
    axis.errorbar(
        middle,
        by_time["mase"],
        yerr=by_time["se"].fillna(0),
        fmt="o",
        color=MODEL,
        ms=4,
        lw=1,
        capsize=2,
    )
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


def calibration(of_part: Forecasts) -> Figure:
    """Show how often the truth stays below each quantile, beside how often it should."""
    truth = of_part.splits.truth(of_part.part)
    below = []
    for position in range(len(LEVELS)):
        below.append(100 * float(np.mean(truth <= of_part.quantile(position))))
    title = of_part.title("do the quantiles hold?")
    figure, (axis,) = new_figure(title, size=(5.5, 5.5))
    axis.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--", label="promised")
    axis.plot(100 * np.array(LEVELS), below, color=MODEL, marker="o", ms=4, lw=1.5, label="model")
    axis.set_xlabel("quantile (%)")
    axis.set_ylabel("truth below it (%)")
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 100)
    axis.set_aspect("equal")
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
