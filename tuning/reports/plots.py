"""Figures of trainings and sweeps, whatever the domain."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.config.options import Objective
from tuning.results import GRADIENT_NORM, Effect, SweepResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(
    history: Mapping[str, Sequence[float]], objective: Objective, best_epoch: int
) -> "Figure":
    """Return loss and objective by epoch, train beside validation, with the epoch whose weights
    were kept.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(["loss", objective.name.removeprefix("val_")]))
    figure = Figure(figsize=(4.6 * len(names), 3.4), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, len(names), squeeze=False).ravel(), names, strict=True
    ):
        for key, label in ((name, "train"), (f"val_{name}", "validation")):
            if key in history:
                axes.plot(
                    range(1, len(history[key]) + 1),
                    history[key],
                    label=label,
                    marker="." if len(history[key]) < 30 else None,
                )
        axes.axvline(best_epoch, color="0.75", linestyle=":", label=f"kept: epoch {best_epoch}")
        _finish(axes, title=name, x="epoch")
        axes.legend(frameon=False, fontsize=8)
    return figure


def gradients(history: Mapping[str, Sequence[float]]) -> "Figure":
    """Return the gradient's norm by epoch for each group of layers: one that falls far below the
    others has stopped learning.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in history.items():
        if name.startswith(GRADIENT_NORM):
            axes.plot(range(1, len(values) + 1), values, label=name.removeprefix(GRADIENT_NORM))
    axes.set_yscale("log")
    _finish(axes, title="Gradient norm by group of layers (one fixed batch)", x="epoch")
    axes.legend(frameon=False, fontsize=8)
    return figure


def progress(scores: Sequence[float], objective: Objective) -> "Figure":
    """Return each trial's score and the best one so far."""
    from matplotlib.figure import Figure

    best: list[float] = []
    for score in scores:
        best.append(score if not best or objective.better(score, best[-1]) else best[-1])
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    numbers = range(1, len(scores) + 1)
    axes.scatter(numbers, scores, s=22, color="C0", label="trial")
    axes.step(numbers, best, where="post", color="C1", label="best so far")
    _finish(axes, title=f"{objective.name} of finished trials", x="trial")
    axes.legend(frameon=False)
    return figure


def pareto(swept: SweepResult) -> "Figure":
    """Return the trials by their first two objectives, those on the Pareto front joined by a
    line.
    """
    from matplotlib.figure import Figure

    first, second = swept.objectives[:2]
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    scored = [trial for trial in swept.trials if trial.scores]
    axes.scatter(
        [trial.scores[1] for trial in scored],
        [trial.scores[0] for trial in scored],
        s=22,
        color="0.7",
        label="trial",
    )
    best = sorted(swept.front, key=lambda trial: trial.scores[1])
    axes.plot(
        [trial.scores[1] for trial in best],
        [trial.scores[0] for trial in best],
        marker="o",
        color="C1",
        label="Pareto front",
    )
    for trial in best:
        axes.annotate(
            str(trial.number),
            (trial.scores[1], trial.scores[0]),
            textcoords="offset points",
            xytext=(5, 4),
            fontsize=8,
        )
    axes.set_ylabel(first.name)
    _finish(axes, title="What no other trial beats in every objective", x=second.name)
    axes.legend(frameon=False)
    return figure


def effects(found: Sequence[Effect], objective: Objective, most: int = 9) -> "Figure":
    """Return mean score and standard error by value of each searched hyperparameter, the clearest
    first.
    """
    from matplotlib.figure import Figure

    shown = list(found)[:most]
    columns = min(3, max(1, len(shown)))
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(3.6 * columns, 2.7 * rows + 0.5), layout="constrained")
    figure.suptitle(
        f"Mean {objective.name} by value, with standard errors and the number of trials",
        fontsize=10,
    )
    cells = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for cell in cells[len(shown) :]:
        cell.axis("off")
    for cell, effect in zip(cells, shown, strict=False):
        for place, (label, level) in enumerate(effect.levels.items()):
            color = "C1" if label == effect.best else "C0"
            cell.errorbar(
                place,
                level.mean,
                yerr=None if math.isnan(level.standard_error) else level.standard_error,
                fmt="o",
                color=color,
                capsize=3,
            )
            cell.annotate(
                f"{level.count}",
                (place, level.mean),
                textcoords="offset points",
                xytext=(6, 3),
                fontsize=7,
                color="0.4",
            )
        cell.set_xticks(range(len(effect.levels)), list(effect.levels), fontsize=8)
        cell.margins(x=0.25)
        _finish(cell, title=effect.key, x="")
    return figure


def _finish(axes: "Axes", *, title: str, x: str) -> None:
    from matplotlib.ticker import MaxNLocator

    if x in ("epoch", "trial"):  # there is no epoch 1.25
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
