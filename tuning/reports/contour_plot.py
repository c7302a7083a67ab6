"""A map of a sweep's scores over the two hyperparameters that count most."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar
from pipelines.errors import count_of
from tuning.reports.plots import SMALL_FONT, finish
from tuning.results.sweep import Trial

COLORS = "viridis"  # for all kinds of colour vision; yellow is best
INK, LIGHT_INK = "#101010", "#fafafa"  # on light and on dark colours, in both themes
LIGHT = 0.42  # luminance from which a colour carries dark letters
LEVELS = 12  # colours between trials
SIZE = (6.6, 4.4)  # inches
DOT, STAR = 50, 300  # areas, in square points: of a trial, of the winner
ROOM = 0.08  # of an axis, at each end

Pair = tuple[Scalar, Scalar]


def contour(
    trials: Sequence[Trial],
    searched: Mapping[str, Dimension],
    objective: Objective,
    winner: Trial,
) -> dict[str, Figure]:
    """Return a figure by name of the mean score by two hyperparameters, whose dimensions are given.

    Both are numbers. Two choices make a table of the pairs that were tried. Where one is a range, a
    dot is a trial, and colours between dots are interpolated; beyond them there are none. There is
    no figure where fewer than two pairs have scores.
    """
    scores = _scores_by_pair(trials, *searched)
    if len(scores) < 2:
        return {}
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    means = [float(np.mean(some)) for some in scores.values()]
    colors = ScalarMappable(cmap=COLORS if objective.direction == "max" else f"{COLORS}_r")
    colors.set_clim(min(means), max(means))
    if all(isinstance(dimension, Choice) for dimension in searched.values()):
        _draw_cells(axes, scores, searched, colors, winner)
    else:
        _draw_map(axes, scores, searched, colors, winner)
    for axis, dimension in zip((axes.xaxis, axes.yaxis), searched.values(), strict=True):
        _name_values(axis, dimension)
    better = "higher" if objective.direction == "max" else "lower"
    figure.colorbar(colors, ax=axes, label=f"mean {objective.name} ({better} is better)")
    first, second = searched
    axes.set_ylabel(second)
    finish(axes, title="Score by the two numbers with the clearest effects", x=first)
    return {"contour": figure}


def _scores_by_pair(trials: Sequence[Trial], first: str, second: str) -> dict[Pair, list[float]]:
    """Return the scores of the trials that have both hyperparameters, by their values."""
    scores: dict[Pair, list[float]] = {}
    for trial in trials:
        pair = _pair_of(trial, first, second)
        if trial.score is not None and pair:
            scores.setdefault(pair, []).append(trial.score)
    return scores


def _pair_of(trial: Trial, first: str, second: str) -> Pair | None:
    if first in trial.values and second in trial.values:
        return trial.values[first], trial.values[second]
    return None


def _draw_cells(
    axes: Axes,
    scores: Mapping[Pair, Sequence[float]],
    searched: Mapping[str, Dimension],
    colors: ScalarMappable,
    winner: Trial,
) -> None:
    """Draw a cell for each pair of values, with its mean and the number of its trials."""
    places = _places(scores, searched)
    for (pair, some), (x, y) in zip(scores.items(), places, strict=True):
        mean = float(np.mean(some))
        (color,) = colors.to_rgba(np.array([mean]))
        axes.bar(x, 1, width=1, bottom=y - 0.5, color=color, edgecolor=INK)
        is_winner = pair == _pair_of(winner, *searched)
        text = f"{mean:.4g}\n{count_of(len(some), 'trial')}"
        axes.text(
            x,
            y,
            f"{text}\nwith the winner" if is_winner else text,
            ha="center",
            va="center",
            fontsize=SMALL_FONT,
            fontweight="bold" if is_winner else "normal",
            color=INK if _is_light(color) else LIGHT_INK,
        )


def _is_light(color: np.ndarray) -> bool:
    red, green, blue = color[:3]
    return bool(0.299 * red + 0.587 * green + 0.114 * blue > LIGHT)


def _draw_map(
    axes: Axes,
    scores: Mapping[Pair, Sequence[float]],
    searched: Mapping[str, Dimension],
    colors: ScalarMappable,
    winner: Trial,
) -> None:
    """Draw a dot for each pair of values, and what lies between them in interpolated colours."""
    x, y = np.array(_places(scores, searched)).T
    means = np.array([np.mean(some) for some in scores.values()])
    if np.ptp(means) > 0 and _span_an_area(x, y):
        levels = np.linspace(means.min(), means.max(), LEVELS + 1)
        axes.tricontourf(x, y, means, levels=levels, cmap=colors.cmap, norm=colors.norm)
    won = np.array([pair == _pair_of(winner, *searched) for pair in scores])
    marks = {"o": ("tried", ~won, DOT), "*": (f"the winner, trial {winner.number}", won, STAR)}
    for marker, (label, which, area) in marks.items():
        axes.scatter(
            x[which],
            y[which],
            color=colors.to_rgba(means[which]),
            s=area,
            marker=marker,
            label=label,
            edgecolors=INK,
            zorder=3,
        )
    axes.figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL_FONT)
    axes.use_sticky_edges = False
    axes.margins(ROOM)


def _places(
    scores: Mapping[Pair, Sequence[float]], searched: Mapping[str, Dimension]
) -> list[tuple[float, float]]:
    across, upwards = searched.values()
    return [(_place(across, first), _place(upwards, second)) for first, second in scores]


def _place(dimension: Dimension, value: Scalar) -> float:
    """Return where a value lies: those of a choice are evenly apart."""
    if isinstance(dimension, Choice):
        return float(sorted(dimension.values, key=float).index(value))
    return math.log10(float(value)) if dimension.log else float(value)


def _span_an_area(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the points do not all lie on one line."""
    points = np.stack([x - x.mean(), y - y.mean()])
    spread = np.abs(points).max(axis=1, keepdims=True)
    return bool((spread > 0).all()) and int(np.linalg.matrix_rank(points / spread, tol=1e-6)) > 1


def _name_values(axis: Axis, dimension: Dimension) -> None:
    if isinstance(dimension, Choice):
        values = sorted(dimension.values, key=float)
        axis.set_ticks(range(len(values)), list(map(str, values)))
    elif dimension.log:
        steps = LogLocator(subs=(1, 2, 5)).tick_values(dimension.low, dimension.high)
        inside = [value for value in steps if dimension.low <= value <= dimension.high]
        axis.set_ticks(np.log10(inside), [f"{value:g}" for value in inside])
