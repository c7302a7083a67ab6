"""A picture of forecasts that nobody can score yet: the end of each history, and what comes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.forecast.plots import MODEL, TRUTH, draw_intervals, new_figure, show_dates
from pipelines.forecast.quantiles import MEDIAN
from pipelines.io.whole_files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipelines.forecast.histories import History

MOST_SERIES = 12
COLUMNS = 3  # of panels, where there are several
PANEL_SIZE = (4.2, 2.6)  # inches
ALONE_SIZE = (8.0, 4.5)


def draw(history: "History", forecasts: np.ndarray, path: Path, notes: list[str]) -> None:
    """Write the picture of the first series into the file `path`.

    `forecasts` are `(series, horizon, 1 + levels)`.
    """
    count = len(history.panel.names)
    if not count:
        notes.append(f"--plot {path}: no series has a forecast, so nothing is drawn")
        return
    shown = min(count, MOST_SERIES)
    if shown < count:
        notes.append(f"{path}: shows the first {shown} of {count:,} series")
    with written_whole(path) as unfinished:
        figure(history, forecasts, shown).savefig(unfinished)
    notes.append(f"the picture of the forecasts is in {path}")


def figure(history: "History", forecasts: np.ndarray, shown: int) -> "Figure":
    """Return a panel for each of the first series: its last values, forecast and intervals."""
    columns = min(shown, COLUMNS)
    rows = -(-shown // columns)
    size = ALONE_SIZE
    if shown > 1:
        size = (PANEL_SIZE[0] * columns, PANEL_SIZE[1] * rows + 1)
    title = f"{Path(history.where).stem}: the next {history.facts.horizon:,} steps"
    drawn, axes = new_figure(title, rows, columns, size)
    for series in range(shown):
        _panel(axes[series], history, forecasts[series], series)
    for unused in axes[shown:]:
        unused.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    drawn.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False
    )
    return drawn


def _panel(axis: "Axes", history: "History", forecast: np.ndarray, series: int) -> None:
    facts, panel = history.facts, history.panel
    end = int(history.ends[series])
    first = end + 1 - int(np.sum(panel.series == series))
    begin = max(first, end + 1 - max(2 * facts.season, 2 * facts.horizon))
    # From the last value on, so that a single step ahead is a line, too.
    numbers = np.append(panel.number[end], history.steps_ahead[series])
    joined = np.vstack([np.full(forecast.shape[1], panel.target[end]), forecast])
    ahead = panel.frequency.times(numbers)
    draw_intervals(axis, ahead, joined[:, 1:])
    past = slice(begin, end + 1)
    axis.plot(
        panel.frequency.times(panel.number[past]),
        panel.target[past],
        color=TRUTH,
        lw=1.1,
        label="history",
    )
    axis.plot(ahead, joined[:, 1 + MEDIAN], color=MODEL, lw=1.6, label="forecast (median)")
    axis.set_title(panel.names[series], fontsize=9, loc="left", parse_math=False)
    if panel.frequency.kind != "integer":
        show_dates(axis)
