"""Figures of trainings and sweeps, whatever the domain."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from pipelines.config.options import Objective
from tuning.results.sweep import Effect, SweepResult, Trial
from tuning.results.training import GRADIENT_NORM

MOST_EFFECTS = 9  # in one figure
EFFECTS_PER_ROW = 3
MOST_MARKED_EPOCHS = 30  # a longer curve is a plain line
SMALL_FONT = 9  # points
TITLE_FONT = 10
# Of lines that belong together: colours of Okabe and Ito, for all kinds of colour vision.
LINE_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
LINE_STYLES = ("-", "--", ":", "-.")
# Axes of counts: there is no epoch 1.25.
WHOLE_NUMBERS = ("epoch", "trial")


def curves(history: Mapping[str, Sequence[float]], objective: Objective, best_epoch: int) -> Figure:
    """Return a plot of loss and objective by epoch, on train and validation.

    The epoch whose weights were kept is marked.
    """
    names = list(dict.fromkeys(["loss", objective.name.removeprefix("val_")]))
    figure = Figure(figsize=(4.6 * len(names), 3.4), layout="constrained")
    cells = figure.subplots(1, len(names), squeeze=False).ravel()
    for axes, name in zip(cells, names, strict=True):
        _draw_curve(axes, history, name, label="train")
        _draw_curve(axes, history, f"val_{name}", label="validation")
        axes.axvline(best_epoch, color="0.75", linestyle=":", label=f"kept: epoch {best_epoch}")
        finish(axes, title=name, x="epoch")
        axes.legend(frameon=False, fontsize=SMALL_FONT)
    return figure


def _draw_curve(
    axes: Axes, history: Mapping[str, Sequence[float]], name: str, *, label: str
) -> None:
    if name not in history:
        return
    values = history[name]
    marker = "." if len(values) < MOST_MARKED_EPOCHS else None
    axes.plot(range(1, len(values) + 1), values, label=label, marker=marker)


def gradients(history: Mapping[str, Sequence[float]]) -> Figure:
    """Return a plot of the gradient's norm by epoch for each group of layers.

    A group that falls far below the others has stopped learning.
    """
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    groups = {name: values for name, values in history.items() if name.startswith(GRADIENT_NORM)}
    for (name, values), (color, style) in zip(groups.items(), _looks(), strict=False):
        label = name.removeprefix(GRADIENT_NORM)
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, label=label, color=color, linestyle=style)
    axes.set_yscale("log")
    # Plain numbers, also where all lie within one power of ten.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_ylabel("norm of the gradient")
    finish(axes, title="Gradient norm by group of layers (one fixed batch)", x="epoch")
    axes.legend(frameon=False, fontsize=SMALL_FONT)
    return figure


def _looks() -> Iterator[tuple[str, str]]:
    """Return endless pairs of a colour and a line style: 24 that differ, then the same again."""
    looks = [(color, style) for style in LINE_STYLES for color in LINE_COLORS]
    return itertools.cycle(looks)


def progress(trials: Sequence[Trial], objective: Objective) -> Figure:
    """Return each trial's score by its number, and the best one so far."""
    scored = sorted((trial.number, trial.scores[0]) for trial in trials if trial.scores)
    numbers = [number for number, _ in scored]
    scores = [score for _, score in scored]
    best: list[float] = []
    for score in scores:
        is_better = not best or objective.better(score, best[-1])
        best.append(score if is_better else best[-1])
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.scatter(numbers, scores, s=22, color="C0", label="trial")
    axes.step(numbers, best, where="post", color="C1", label="best so far")
    axes.set_ylabel(objective.name)
    finish(axes, title="Score of each trial, by its number", x="trial")
    axes.legend(frameon=False)
    return figure


def pareto(result: SweepResult) -> Figure:
    """Return a plot of the trials by two objectives, with a line along the Pareto front.

    They are the first two objectives.
    """
    first, second = result.objectives[:2]
    scored = [trial for trial in result.trials if trial.scores]
    front = sorted(result.front, key=lambda trial: trial.scores[1])
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    x, y = _coordinates(scored)
    axes.scatter(x, y, s=22, color="0.7", label="trial")
    x, y = _coordinates(front)
    axes.plot(x, y, marker="o", color="C1", label="Pareto front")
    for trial in front:
        axes.annotate(
            str(trial.number),
            (trial.scores[1], trial.scores[0]),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=SMALL_FONT,
        )
    axes.set_ylabel(first.name)
    finish(axes, title="What no other trial beats in every objective", x=second.name)
    axes.legend(frameon=False)
    return figure


def _coordinates(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    """Return the second objective of each trial as x, the first one as y."""
    x = [trial.scores[1] for trial in trials]
    y = [trial.scores[0] for trial in trials]
    return x, y


def effects(effects: Sequence[Effect], objective: Objective, most: int = MOST_EFFECTS) -> Figure:
    """Return a plot of mean score and standard error by value of each searched hyperparameter.

    `effects` begin with the clearest one; the first `most` are drawn.
    """
    drawn = effects[:most]
    columns = min(EFFECTS_PER_ROW, max(1, len(drawn)))
    rows = max(1, math.ceil(len(drawn) / columns))
    figure = Figure(figsize=(3.6 * columns, 2.7 * rows + 0.5), layout="constrained")
    figure.suptitle(
        f"Mean {objective.name} by value ± 1 standard error; small dots: trials, and their number",
        fontsize=TITLE_FONT,
    )
    cells = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in cells[len(drawn) :]:
        axes.axis("off")
    for axes, effect in zip(cells, drawn, strict=False):
        _draw_effect(axes, effect)
    return figure


def _draw_effect(axes: Axes, effect: Effect) -> None:
    for x, (label, level) in enumerate(effect.levels.items()):
        # A single trial has no standard error.
        error = None if math.isnan(level.standard_error) else level.standard_error
        # One trial with a value is luck as likely as not: it does not win.
        color = "C1" if label == effect.best and level.count > 1 else "C0"
        axes.scatter([x] * len(level.scores), level.scores, s=10, color=color, alpha=0.35)
        axes.errorbar(x, level.mean, yerr=error, fmt="o", color=color, capsize=3)
        axes.annotate(
            f"{level.count}",
            (x, level.mean),
            textcoords="offset points",
            xytext=(6, 3),
            fontsize=SMALL_FONT,
            color="0.4",
        )
    axes.set_xticks(range(len(effect.levels)), list(effect.levels), fontsize=SMALL_FONT)
    axes.margins(x=0.25)
    title = effect.key
    if effect.together:
        # Their names would not fit; the report and the card list them.
        others = (
            effect.together[0] if len(effect.together) == 1 else f"{len(effect.together)} others"
        )
        title += f"\nchanged together with {others}"
    finish(axes, title=title, x="")


def finish(axes: Axes, *, title: str, x: str) -> None:
    """Give a figure's axes their title, the label of x, and a faint grid."""
    if x in WHOLE_NUMBERS:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_title(title, fontsize=TITLE_FONT)
    axes.set_xlabel(x)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
