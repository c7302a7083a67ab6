"""Which running trials are clearly losing.

They are judged by the epochs that they and the others have reported.
"""

import statistics
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from pipelines.config.options import Objective
from tuning.search.tuners import STOPPERS, require

# One-epoch ranks agree with those of whole trials at Spearman .71, three-epoch ranks at .92
# (measured on Fashion-MNIST).
FIRST_LOOK = 2
REDUCTION = 3
# Shares of the trials that go on after a look, of 20 that tpe proposed on four data sets
# (benchmarks/searchers.py): more than the rules' own third and half, because what a searcher
# proposes later is better.
ASHA_KEEPS, MEDIAN_KEEPS = 0.5, 0.8
STARTUP = 4  # other trials that have reached the epoch, before the median rule judges


class Stopper(Protocol):
    """A rule of early stopping, which takes every epoch of every trial, in any order of trials."""

    def reported(self, number: int, epoch: int, score: float) -> str:
        """Return the reason to stop this trial now, or "".

        A trial's epochs come in order, from 1.
        """

    def forget(self, number: int) -> None:
        """Leave out a trial that has no score, or is run again: no other one is judged by it."""

    def expected_share(self, epochs: int) -> float:
        """Return about which share of the epochs is still run, each trial having `epochs`."""


class Never:
    """Every trial is run to its end."""

    def reported(self, number: int, epoch: int, score: float) -> str:
        return ""

    def forget(self, number: int) -> None:
        """Nothing is kept."""

    def expected_share(self, epochs: int) -> float:
        return 1.0


class Asha:
    """Asynchronous successive halving (Li et al. 2020) in its stopping form.

    At epochs 2, 6, 18, ... the best third goes on. A trial is compared with those that reached this
    epoch before it, so that none waits for another.
    """

    def __init__(self, objective: Objective) -> None:
        self._sign = _sign(objective)
        self._rungs: dict[int, dict[int, float]] = {}  # gain by epoch, then by trial
        self._best: dict[int, float] = {}  # gain by trial

    def reported(self, number: int, epoch: int, score: float) -> str:
        best = max(self._best.get(number, -np.inf), self._sign * score)
        self._best[number] = best
        if not _is_rung(epoch):
            return ""
        rung = self._rungs.setdefault(epoch, {})
        rung[number] = best
        num_kept = len(rung)
        if len(rung) >= REDUCTION:
            num_kept = max(1, len(rung) // REDUCTION)
        worst_kept = sorted(rung.values(), reverse=True)[num_kept - 1]
        if best >= worst_kept:
            return ""
        return f"stopped early: not among the best third of {len(rung)} trials at epoch {epoch}"

    def forget(self, number: int) -> None:
        self._best.pop(number, None)
        for rung in self._rungs.values():
            rung.pop(number, None)

    def expected_share(self, epochs: int) -> float:
        num_run = 0.0  # epochs that a trial runs on average
        share = 1.0  # of the trials that are still running
        last_rung = 0
        for epoch in range(1, epochs):
            if _is_rung(epoch):
                num_run += share * (epoch - last_rung)
                share *= ASHA_KEEPS
                last_rung = epoch
        return (num_run + share * (epochs - last_rung)) / epochs


def _is_rung(epoch: int) -> bool:
    while epoch > FIRST_LOOK and epoch % REDUCTION == 0:
        epoch //= REDUCTION
    return epoch == FIRST_LOOK


class Median:
    """The median rule (Golovin et al. 2017).

    A trial is stopped when its best score is worse than the median of the others' means up to the
    same epoch.
    """

    def __init__(self, objective: Objective) -> None:
        self._sign = _sign(objective)
        self._curves: dict[int, list[float]] = {}  # gains by epoch, by trial

    def reported(self, number: int, epoch: int, score: float) -> str:
        curve = self._curves.setdefault(number, [])
        curve.append(self._sign * score)
        means = []
        for other, gains in self._curves.items():
            if other != number and len(gains) >= epoch:
                means.append(statistics.fmean(gains[:epoch]))
        if epoch < FIRST_LOOK or len(means) < STARTUP or max(curve) >= statistics.median(means):
            return ""
        return (
            f"stopped early: its best is worse than the median of {len(means)} trials "
            f"at epoch {epoch}"
        )

    def forget(self, number: int) -> None:
        self._curves.pop(number, None)

    def expected_share(self, epochs: int) -> float:
        if epochs <= FIRST_LOOK:
            return 1.0
        return (FIRST_LOOK + (epochs - FIRST_LOOK) * MEDIAN_KEEPS) / epochs


def _sign(objective: Objective) -> int:
    """Return what a score is multiplied with, so that more is better."""
    return 1 if objective.direction == "max" else -1


def create_stopper(name: str, objective: Objective) -> Stopper:
    """Return the rule called `name`.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    require("--early-stop", name, STOPPERS)
    if name == "none":
        return Never()
    rules: Mapping[str, type[Asha] | type[Median]] = {"asha": Asha, "median": Median}
    return rules[name](objective)
