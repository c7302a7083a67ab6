"""Figures of verdicts: what a model beats, and what the best trials of a sweep come to again."""

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.config.options import Objective
from tuning.reports.plots import SMALL_FONT, finish
from tuning.results.sweep import Selection
from tuning.results.training import ScoredBaseline
from tuning.verdicts import Lift, Verdict

# Told apart by shape too; colours of Okabe and Ito, for all kinds of colour vision.
MARKS: Mapping[Verdict, tuple[str, str]] = {
    "beats": ("o", "#0072b2"),
    "ties": ("s", "0.5"),
    "loses to": ("D", "#d55e00"),
}
WINNER, CANDIDATE, BASELINE = "#0072b2", "0.5", "#d55e00"
BASELINE_STYLES = ("-", "--", ":")  # of the best ones; more cannot be told apart
FARTHEST = 2.5  # medians of how far intervals reach from 0: what lies beyond is cut off
AXIS_ROOM = 0.05  # of the axis, at each end
ARROW = 0.09  # of the axis
ROW_HEIGHT = 0.34  # inches
WIDTH = 7.4


def lifts(lifts: Sequence[Lift], headline: Objective) -> dict[str, Figure]:
    """Return a forest plot by name: the lift over each baseline with its interval; {} without any.

    `lifts` begin with the decisive one; the lowest is drawn at the bottom. One far beyond the
    others would press them together: it is an arrow at the end of the axis.
    """
    if not lifts:
        return {}
    drawn = sorted(lifts, key=lambda lift: lift.mean)
    near = _near(drawn)
    figure, axes = _forest(len(drawn))
    lowest = min(0.0, *(lift.low for lift in near))
    highest = max(0.0, *(lift.high for lift in near))
    room = AXIS_ROOM * (highest - lowest) or 1.0
    axes.set_xlim(lowest - room, highest + room)
    axes.axvline(0, color="black", linewidth=1)
    for row, lift in enumerate(drawn):
        marker, color = MARKS[lift.verdict]
        error = [[lift.mean - lift.low], [lift.high - lift.mean]]
        axes.errorbar(
            lift.mean, row, xerr=error, fmt=marker, color=color, capsize=3, label=lift.verdict
        )
        if lift not in near:
            _point_outwards(axes, row, rightwards=lift.mean > 0, color=color)
        _write_beside(axes, row, f"{lift.mean:+.2g} ({lift.low:+.2g} to {lift.high:+.2g})")
    names = [f"{lift.baseline} (decides)" if lift is lifts[0] else lift.baseline for lift in drawn]
    _name_rows(axes, names)
    by_label = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    shown = {verdict: by_label[verdict] for verdict in MARKS if verdict in by_label}
    figure.legend(
        shown.values(),
        shown.keys(),
        loc="outside lower center",
        ncols=len(shown),
        frameon=False,
        fontsize=SMALL_FONT,
    )
    arrows = "; arrow: beyond the axis" if len(near) < len(drawn) else ""
    finish(
        axes,
        title=f"Lift over each baseline: test {headline.name}, 95 % intervals",
        x=f"how much better than the baseline (right of 0 is better{arrows})",
    )
    return {"lifts": figure}


def _near(lifts: Sequence[Lift]) -> Sequence[Lift]:
    """Return the lifts that the axis is made for: all but those far beyond most."""
    median = statistics.median_low(map(_reach, lifts))
    if median == 0:
        return lifts
    return [lift for lift in lifts if _reach(lift) <= FARTHEST * median]


def _reach(lift: Lift) -> float:
    return max(abs(lift.low), abs(lift.high))


def _point_outwards(axes: Axes, row: int, *, rightwards: bool, color: str) -> None:
    """Draw an arrow at an end of the axis, for what lies beyond it."""
    end, begin = (1.0, 1 - ARROW) if rightwards else (0.0, ARROW)
    axes.annotate(
        "",
        (end, row),
        (begin, row),
        xycoords=("axes fraction", "data"),
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2},
    )


def refits(
    selection: Selection, baselines: Sequence[ScoredBaseline], headline: Objective
) -> dict[str, Figure]:
    """Return a figure by name of the best trials that were fitted again, with fresh seeds each.

    A dot is a seed; the error bars are one standard error, pooled over the trials. Where trials are
    compared in the `headline` metric, the baselines that are best in it are lines.
    """
    candidates = sorted(selection.candidates, key=lambda candidate: candidate.mean)
    if selection.objective == f"val_{headline.name}" and headline.direction == "min":
        candidates.reverse()
    figure, axes = _forest(len(candidates))
    names = []
    for row, candidate in enumerate(candidates):
        is_winner = candidate.number == selection.winner
        color = WINNER if is_winner else CANDIDATE
        axes.scatter(candidate.scores, [row] * len(candidate.scores), s=14, color=color, alpha=0.5)
        axes.errorbar(
            candidate.mean,
            row,
            xerr=selection.standard_error,
            fmt="D" if is_winner else "o",
            color=color,
            capsize=3,
        )
        _write_beside(axes, row, f"{candidate.mean:.4g}, {candidate.weights:,.0f} weights")
        names.append(f"trial {candidate.number}{' (winner)' if is_winner else ''}")
    _name_rows(axes, names)
    if selection.objective == f"val_{headline.name}":
        _draw_baselines(axes, baselines, headline)
    finish(
        axes,
        title="The best trials, each fitted again with fresh seeds: mean ± 1 standard error",
        x=f"{selection.objective} (a dot is a seed)",
    )
    return {"refits": figure}


def _draw_baselines(axes: Axes, baselines: Sequence[ScoredBaseline], headline: Objective) -> None:
    """Draw the strongest baselines as lines with their names."""
    scores = {baseline.name: baseline.val[headline.name] for baseline in baselines}
    finite = [entry for entry in scores.items() if math.isfinite(entry[1])]
    ordered = sorted(finite, key=lambda entry: entry[1], reverse=headline.direction == "max")
    for (name, score), style in zip(ordered, BASELINE_STYLES, strict=False):
        axes.axvline(score, color=BASELINE, linestyle=style, linewidth=1.2, label=name)
    if ordered:
        axes.figure.legend(
            loc="outside lower center",
            ncols=len(BASELINE_STYLES),
            frameon=False,
            fontsize=SMALL_FONT,
        )


def _forest(rows: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, ROW_HEIGHT * rows + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.set_ylim(-0.6, rows - 0.4)
    return figure, axes


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), list(names), fontsize=SMALL_FONT, parse_math=False)
    axes.tick_params(axis="y", length=0)


def _write_beside(axes: Axes, row: int, text: str) -> None:
    """Write the numbers of a row at the right of the axes."""
    axes.annotate(
        text,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL_FONT,
    )
