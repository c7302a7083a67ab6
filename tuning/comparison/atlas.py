"""What kernel size, stride and filters did in every sweep of a store, in one table and figure."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines import DOMAINS, options_class
from pipelines.config.options import Objective
from tuning.tracking.interface import Row

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

HYPERPARAMETERS = ("conv.kernel_size", "conv.stride", "conv.filters")
COLUMNS = ["experiment", "sweep", "hyperparameter", "value", "trials", "metric", "score", "rank"]
FEWEST_TRIALS = 3  # of a sweep whose trials are ranked
SWEEP = ["experiment", "sweep"]
PANEL = (4.2, 3.6)  # inches
SMALL_FONT = 9  # points


def atlas(trials: Sequence[Row]) -> "pd.DataFrame":
    """Return one row for each sweep and each value that it tried of the three hyperparameters.

    `score` is the mean of the validation metric that the sweep improved. `rank` is the mean rank of
    the trials among those of their sweep, from 0 for the worst to 1 for the best: it can be
    compared across metrics and applications. A hyperparameter that a sweep did not vary is left
    out. Other hyperparameters vary as well, so this is what was found together, and no proof.
    """
    import pandas as pd

    scored = []
    for trial in trials:
        objective = _objective(trial)
        if objective is None:
            continue
        score = trial.metrics[f"best/{objective.name}"]
        scored.append(
            {
                "experiment": trial.experiment,
                "sweep": trial.tags.get("sweep", "")[:8],
                "metric": objective.name,
                "score": score,
                "gain": score if objective.direction == "max" else -score,
                **{key: trial.params.get(key) for key in HYPERPARAMETERS},
            }
        )
    if not scored:
        return pd.DataFrame(columns=COLUMNS)
    frame = pd.DataFrame(scored).dropna(subset=["score"])
    in_sweep = frame.groupby(SWEEP)["gain"]
    count = in_sweep.transform("size")
    frame["rank"] = (in_sweep.rank() - 1) / (count - 1).clip(lower=1)
    frame = frame[count >= FEWEST_TRIALS]
    parts = [_of_hyperparameter(frame, key) for key in HYPERPARAMETERS]
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _objective(trial: Row) -> Objective | None:
    """Return the first objective of its domain that a trial has a score for; None without one."""
    if trial.domain not in DOMAINS:
        return None
    for objective in options_class(trial.domain).objectives:
        if f"best/{objective.name}" in trial.metrics:
            return objective
    return None


def _of_hyperparameter(frame: "pd.DataFrame", key: str) -> "pd.DataFrame":
    import pandas as pd

    tried = frame.assign(value=pd.to_numeric(frame[key], errors="coerce"))
    tried = tried.dropna(subset=["value"])
    tried = tried[tried.groupby(SWEEP)["value"].transform("nunique") > 1]
    by_value = tried.groupby([*SWEEP, "metric", "value"])
    means = by_value[["score", "rank"]].mean()
    means.insert(0, "trials", by_value.size())
    return means.reset_index().assign(hyperparameter=key)


def draw(table: "pd.DataFrame") -> "Figure":
    """Return a figure of the mean ranks by value, a panel each and a line for each sweep."""
    from matplotlib.figure import Figure

    from tuning.reports.plots import LINE_COLORS

    width, height = PANEL
    figure = Figure(figsize=(width * len(HYPERPARAMETERS), height), layout="constrained")
    panels = figure.subplots(1, len(HYPERPARAMETERS), sharey=True)
    shown: dict[str, Line2D] = {}
    sweeps = dict.fromkeys(table[SWEEP].itertuples(index=False, name=None))
    colours = dict(zip(sweeps, itertools.cycle(LINE_COLORS), strict=False))
    for axes, key in zip(panels, HYPERPARAMETERS, strict=True):
        of_key = table[table["hyperparameter"] == key]
        values = sorted(of_key["value"].unique())
        place = {value: position for position, value in enumerate(values)}
        for (experiment, sweep), line in of_key.groupby(SWEEP):
            at = line["value"].map(place)
            name = f"{experiment} {sweep}"
            colour = colours[experiment, sweep]
            (drawn,) = axes.plot(at, line["rank"], color=colour, label=name)
            axes.scatter(at, line["rank"], s=12 * line["trials"], color=colour)
            shown.setdefault(name, drawn)
        axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        axes.set_xlabel(key)
        if not values:
            axes.text(0.5, 0.5, "no sweep varied it", ha="center", transform=axes.transAxes)
        axes.set_ylim(-0.05, 1.05)
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("mean rank in the sweep (1: best)")
    if shown:
        figure.legend(
            handles=list(shown.values()),
            title="a larger dot: more trials",
            loc="outside lower center",
            ncols=len(HYPERPARAMETERS),
            frameon=False,
            fontsize=SMALL_FONT,
            title_fontsize=SMALL_FONT,
        )
    return figure
