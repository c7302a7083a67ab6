"""Figures of a sweep's trials: when and where they ran, how they learned, what counted most."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipelines.config.options import Objective
from tuning.reports.plots import SMALL_FONT, finish
from tuning.results.sweep import Effect, Trial

# By status: colours of Okabe and Ito, and hatches for those who see none.
STATUSES: Mapping[str, tuple[str, str]] = {
    "finished": ("#56b4e9", ""),
    "stopped early": ("#f0e442", "//"),
    "failed": ("#d55e00", "xx"),
}
INK = "#101010"  # on a coloured ground, in both themes
WINNER, OTHERS = "#0072b2", "0.5"
MOST_CURVES = 50  # the best ones
MOST_NUMBERS = 5  # beside one end
CLOSEST_ENDS = 0.04  # of the height of all curves
MOST_IMPORTANCES = 12
MOST_WORKERS = 40  # rows; further ones are left out, and counted
WIDTH = 8.4  # inches
NARROWEST_NUMBERED = 0.02  # of the axis: a narrower bar has no number
LONGEST_PAUSE = 0.1  # of the time in which trials ran; a longer one is cut out
# The largest unit of which the axis holds this many.
UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
FEWEST_UNITS = 3
UNKNOWN = "not known"


def timeline(trials: Sequence[Trial], winner: int) -> Figure:
    """Return a Gantt chart of the trials: a row for each worker, a bar for each trial.

    Pauses, such as those before a sweep was resumed, are cut out and marked. `winner` is the number
    of the trial that has won.
    """
    timed = sorted(
        (trial for trial in trials if trial.start_time), key=lambda trial: trial.start_time
    )
    axis = _TimeAxis(timed)
    workers = _number_workers(timed)
    shown = dict(list(workers.items())[:MOST_WORKERS])
    figure = Figure(figsize=(WIDTH, 0.34 * len(shown) + 1.6), layout="constrained")
    axes = figure.subplots()
    found = set()
    for trial in timed:
        if trial.worker in shown:
            found.add(_draw_bar(axes, trial, list(shown).index(trial.worker), axis, winner))
    for pause in axis.pauses:
        axes.axvline(pause, color="black", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(shown)), list(shown.values()), fontsize=SMALL_FONT)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, axis.length * 1.01)
    handles = []
    for status, (color, hatch) in STATUSES.items():
        if status in found:
            handles.append(Patch(facecolor=color, hatch=hatch, edgecolor=INK, label=status))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(STATUSES),
        frameon=False,
        fontsize=SMALL_FONT,
    )
    title = "Trials by worker; bold: the winner"
    if len(workers) > len(shown):
        title += f"; {len(workers) - len(shown)} further workers are left out"
    note = f" (dotted: {len(axis.pauses)} pauses are cut out)" if axis.pauses else ""
    finish(axes, title=title, x=f"{axis.unit} since the first trial began{note}")
    return figure


class _TimeAxis:
    """Where moments lie on an axis without pauses, in a unit that suits its length."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        spans = _merged([(trial.start_time, trial.start_time + trial.seconds) for trial in trials])
        busy = sum(end - start for start, end in spans)
        self._starts = [spans[0][0]] if spans else [0.0]
        self._cut = [0.0]  # seconds that are left out before each start
        pauses = []
        for (_, end), (start, _) in itertools.pairwise(spans):
            if start - end > LONGEST_PAUSE * busy:
                self._starts.append(start)
                self._cut.append(self._cut[-1] + start - end)
                pauses.append(start)
        seconds = spans[-1][1] - self._starts[0] - self._cut[-1] if spans else 0.0
        self.unit, self._scale = "seconds", 1.0
        for unit, scale in UNITS.items():
            if seconds >= FEWEST_UNITS * scale:
                self.unit, self._scale = unit, scale
                break
        self.length = max(seconds, 1e-9) / self._scale
        self.pauses = [self.place(start) for start in pauses]

    def place(self, moment: float) -> float:
        """Return the place of a moment in which a trial ran."""
        stretch = int(np.searchsorted(self._starts, moment, side="right")) - 1
        return (moment - self._starts[0] - self._cut[stretch]) / self._scale


def _merged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches of time that the spans cover, in order; spans begin in order."""
    merged: list[tuple[float, float]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _number_workers(trials: Sequence[Trial]) -> dict[str, str]:
    """Return a short name for each worker in the order in which they began.

    The machine is named where there are several.
    """
    workers = list(dict.fromkeys(trial.worker for trial in trials))
    machines = {worker.rpartition(" ")[0] for worker in workers if worker}
    names: dict[str, str] = {}
    for worker in workers:
        machine = f" on {worker.rpartition(' ')[0]}" if len(machines) > 1 else ""
        names[worker] = f"worker {len(names) + 1}{machine}" if worker else UNKNOWN
    return names


def _status(trial: Trial) -> str:
    if not trial.scores:
        return "failed"
    return "stopped early" if trial.stopped_early else "finished"


def _draw_bar(axes: Axes, trial: Trial, row: int, axis: _TimeAxis, winner: int) -> str:
    """Draw a trial with its number where there is room; return its status."""
    status = _status(trial)
    color, hatch = STATUSES[status]
    begin = axis.place(trial.start_time)
    length = axis.place(trial.start_time + trial.seconds) - begin
    is_winner = trial.number == winner
    axes.barh(
        row,
        length,
        left=begin,
        height=0.7,
        color=color,
        hatch=hatch,
        edgecolor=INK,
        linewidth=2 if is_winner else 0.5,
    )
    if length > NARROWEST_NUMBERED * axis.length or is_winner:
        axes.text(
            begin + length / 2,
            row,
            str(trial.number),
            ha="center",
            va="center",
            color=INK,
            fontsize=SMALL_FONT,
            fontweight="bold" if is_winner else "normal",
        )
    return status


def curves(curves: Mapping[int, Sequence[float]], objective: Objective, winner: int) -> Figure:
    """Return the learning curves of trials by their numbers: the objective by epoch.

    A dot is the end of a trial; ends that lie close together share their numbers' place.
    """
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, values in curves.items():
        is_winner = number == winner
        color = WINNER if is_winner else OTHERS
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=color,
            linewidth=2.2 if is_winner else 0.9,
            alpha=1 if is_winner else 0.6,
            marker="o",
            markevery=[len(values) - 1],
            markersize=4,
            zorder=3 if is_winner else 2,
        )
    for numbers in _close_ends(curves):
        more = ", ..." if len(numbers) > MOST_NUMBERS else ""
        axes.annotate(
            ", ".join(map(str, numbers[:MOST_NUMBERS])) + more,
            (len(curves[numbers[0]]), curves[numbers[0]][-1]),
            textcoords="offset points",
            xytext=(6, 0),
            va="center",
            fontsize=SMALL_FONT,
            color=WINNER if winner in numbers else OTHERS,
        )
    axes.set_ylabel(objective.name)
    finish(axes, title=f"Learning curves of trials; bold: the winner, trial {winner}", x="epoch")
    return figure


def _close_ends(curves: Mapping[int, Sequence[float]]) -> list[list[int]]:
    """Return the numbers of curves in groups whose ends lie too close to write beside each."""
    height = np.ptp(np.concatenate([np.asarray(values) for values in curves.values()]))
    groups: list[list[int]] = []
    # By epoch of the end, then from above, as a group is read.
    for number in sorted(curves, key=lambda number: (len(curves[number]), -curves[number][-1])):
        values = curves[number]
        above = curves[groups[-1][0]] if groups else ()
        if len(above) == len(values) and above[-1] - values[-1] < CLOSEST_ENDS * height:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def importance(effects: Sequence[Effect], objective: Objective) -> dict[str, Figure]:
    """Return a figure by name of how much of the scores' variance each hyperparameter explains.

    It is epsilon squared (Kelley 1935): the share that is between the values of a hyperparameter,
    less what chance would give. There is none where each value was tried once.
    """
    shares = {}
    for effect in effects:
        share = explained_share([level.scores for level in effect.levels.values()])
        if share is not None:
            shares[effect.key] = share
    if not shares:
        return {}
    drawn = sorted(shares.items(), key=lambda entry: entry[1])[-MOST_IMPORTANCES:]
    figure = Figure(figsize=(WIDTH, 0.3 * len(drawn) + 1.2), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([key for key, _ in drawn], [100 * share for _, share in drawn], color=WINNER)
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=SMALL_FONT)
    axes.tick_params(axis="y", length=0, labelsize=SMALL_FONT)
    axes.set_xlim(0, 105)
    finish(
        axes,
        title=f"What explains the differences in {objective.name} among trials, each by itself",
        x="per cent of the variance that its values explain (epsilon squared)",
    )
    return {"importance": figure}


def explained_share(groups: Sequence[Sequence[float]]) -> float | None:
    """Return epsilon squared of groups of scores, from 0 to 1; None where it is not defined."""
    scores = np.concatenate([np.asarray(group, dtype=np.float64) for group in groups])
    freedom = len(scores) - len(groups)
    total = float(((scores - scores.mean()) ** 2).sum())
    if len(groups) < 2 or freedom < 1 or total == 0:
        return None
    within = sum(float(((np.asarray(group) - np.mean(group)) ** 2).sum()) for group in groups)
    by_chance = (len(groups) - 1) * within / freedom
    return max(0.0, (total - within - by_chance) / total)
