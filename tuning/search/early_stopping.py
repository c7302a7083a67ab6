"""Which running trials are clearly losing, judged from the epochs that they and the others have
reported.
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
STARTUP = 4  # other trials that have come as far, before the median rule judges


class Stopper(Protocol):
    """Hears every epoch of every trial, in any order."""

    def reported(self, number: int, epoch: int, score: float) -> str:
        """Return the reason to stop this trial now, or nothing. A trial's epochs come in order,
        from 1.
        """

    def forget(self, number: int) -> None:
        """Leave out a trial that has no score, or begins again: no other one is judged by it."""

    def expected_share(self, epochs: int) -> float:
        """Return the share of the epochs that is still run, about, each trial having `epochs`."""


class Never:
    """Every trial is run to its end."""

    def reported(self, number: int, epoch: int, score: float) -> str:
        return ""

    def forget(self, number: int) -> None:
        """Nothing is kept."""

    def expected_share(self, epochs: int) -> float:
        return 1.0


class Asha:
    """Asynchronous successive halving (Li et al. 2020), its stopping form: at epochs 2, 6, 18, ...
    the best third goes on.

    Trials are compared with those that came so far before them, so nobody waits for anybody.
    """

    def __init__(self, objective: Objective) -> None:
        self._sign = 1 if objective.direction == "max" else -1
        self._rungs: dict[int, dict[int, float]] = {}  # by epoch, then by trial
        self._best: dict[int, float] = {}

    def reported(self, number: int, epoch: int, score: float) -> str:
        best = self._best[number] = max(self._best.get(number, -np.inf), self._sign * score)
        if not _is_rung(epoch):
            return ""
        rung = self._rungs.setdefault(epoch, {})
        rung[number] = best
        kept = max(1, len(rung) // REDUCTION) if len(rung) >= REDUCTION else len(rung)
        if best >= sorted(rung.values(), reverse=True)[kept - 1]:
            return ""
        return f"stopped early: not among the best third of {len(rung)} trials at epoch {epoch}"

    def forget(self, number: int) -> None:
        for rung in (self._best, *self._rungs.values()):
            rung.pop(number, None)

    def expected_share(self, epochs: int) -> float:
        total, share, last = 0.0, 1.0, 0
        for epoch in range(1, epochs + 1):
            if _is_rung(epoch) and epoch < epochs:
                total, share, last = total + share * (epoch - last), share * ASHA_KEEPS, epoch
        return (total + share * (epochs - last)) / epochs


def _is_rung(epoch: int) -> bool:
    while epoch > FIRST_LOOK and epoch % REDUCTION == 0:
        epoch //= REDUCTION
    return epoch == FIRST_LOOK


class Median:
    """The median rule (Golovin et al. 2017): worse than the median of the others' means up to the
    same epoch.
    """

    def __init__(self, objective: Objective) -> None:
        self._sign = 1 if objective.direction == "max" else -1
        self._curves: dict[int, list[float]] = {}

    def reported(self, number: int, epoch: int, score: float) -> str:
        curve = self._curves.setdefault(number, [])
        curve.append(self._sign * score)
        others = [
            statistics.fmean(one[:epoch])
            for other, one in self._curves.items()
            if other != number and len(one) >= epoch
        ]
        if epoch < FIRST_LOOK or len(others) < STARTUP or max(curve) >= statistics.median(others):
            return ""
        return f"stopped early: its best is worse than the median of {len(others)} trials at epoch {epoch}"

    def forget(self, number: int) -> None:
        self._curves.pop(number, None)

    def expected_share(self, epochs: int) -> float:
        return (
            (FIRST_LOOK + (epochs - FIRST_LOOK) * MEDIAN_KEEPS) / epochs
            if epochs > FIRST_LOOK
            else 1.0
        )


def stopper(name: str, objective: Objective) -> Stopper:
    """Return the rule called `name`.

    Raises:
        UsageError: there is none; the nearest name is given.
    """
    kinds: Mapping[str, type[Asha] | type[Median]] = {"asha": Asha, "median": Median}
    require("--early-stop", name, STOPPERS)
    return Never() if name == "none" else kinds[name](objective)
