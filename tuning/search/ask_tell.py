"""A search behind ask and tell: points that can be built and were not tried, from any of the
oracles.

KerasTuner's `Tuner` loop is not used: it swallows exceptions, needs tensorboard, copies callbacks,
writes a checkpoint at every improvement and trusts stale state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from pipelines.errors import UsageError
from tuning.search.oracles import Feasible, TrialResult, oracle
from tuning.search.tuners import SEVERAL, TUNERS, require


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One trial to run: its number from 1, its values by dotted key, and the epochs it gets (0: the
    sweep's own).

    `known` is how many trials the searcher had been told of: with it a search is asked the same
    questions again.
    """

    number: int
    values: Mapping[str, Scalar]
    epochs: int = 0
    known: int = 0


class Searcher:
    """Asks an oracle for points and tells it how they did.

    The same seed and the same answers in the same order give the same questions: that is what makes
    a sweep resumable by replay.
    """

    def __init__(
        self,
        space: Space[Any],
        *,
        tuner: str,
        objectives: Sequence[Objective],
        seed: int,
        epochs: int,
        feasible: Feasible,
        first: Sequence[Mapping[str, Scalar]] = (),
    ) -> None:
        """`feasible` says by arithmetic whether a point can be built; `epochs` is the most that
        Hyperband gives a trial.

        The defaults are tried first, then the points of `first`; by a grid, all in order.

        Raises:
            UsageError: there is no such tuner, it takes one objective only, or there is nothing to
                search.
        """
        require("--tuner", tuner, TUNERS)
        if len(objectives) > 1 and tuner not in SEVERAL:
            raise UsageError(
                f"--tuner {tuner}: takes one objective, not {len(objectives)}. For several: --tuner {' or '.join(SEVERAL)}"
            )
        if not space.dimensions:
            raise UsageError(
                "There is nothing to search: every hyperparameter is fixed. Add --search conv.kernel_size=3,5,7, or use train"
            )
        self._keys = list(space.dimensions)
        self._oracle = oracle(
            space,
            tuner,
            objectives,
            seed=seed,
            epochs=epochs,
            feasible=feasible,
            first=[space.defaults(), *first],
        )
        self._objectives = tuple(objectives)
        self._open: dict[int, kt.engine.trial.Trial] = {}
        self._asked = 0
        self._told = 0
        self.exhausted = False

    def ask(self) -> Proposal | None:
        """Return the next point; None when there is none until further trials have ended, or none
        at all (`exhausted`).
        """
        trial = self._oracle.create_trial(f"trial-{self._asked + 1}")
        if trial.status != kt.engine.trial.TrialStatus.RUNNING:
            self.exhausted = trial.status == kt.engine.trial.TrialStatus.STOPPED
            return None
        self._asked += 1
        self._open[self._asked] = trial
        values = trial.hyperparameters.values
        return Proposal(
            number=self._asked,
            values={key: values[key] for key in self._keys},
            epochs=int(values.get("tuner/epochs", 0)),
            known=self._told,
        )

    def tell(self, number: int, scores: Sequence[float] | None, stopped_at: int = 0) -> None:
        """Report a trial's scores, one for each objective, or None for a trial that failed.

        `stopped_at` is the epoch where it was stopped early, 0 when it was not.
        """
        trial = self._open.pop(number)
        self._told += 1
        good = scores is not None and bool(np.isfinite(scores).all())
        self._oracle.record_result(
            trial.trial_id, TrialResult(tuple(map(float, scores or ())) if good else (), stopped_at)
        )
        if scores is None or not good:
            trial.status = kt.engine.trial.TrialStatus.FAILED
        else:
            self._oracle.update_trial(trial.trial_id, {self._objectives[0].name: float(scores[0])})
            trial.status = kt.engine.trial.TrialStatus.COMPLETED
        self._oracle.end_trial(trial)
