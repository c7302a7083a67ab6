"""A search behind ask and tell: untried points that can be built, from any of the oracles.

KerasTuner's `Tuner` loop is not used: it swallows exceptions, needs tensorboard, copies callbacks,
writes a checkpoint at every improvement and trusts stale state.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from pipelines.errors import UsageError
from tuning.search.constraints import Feasible
from tuning.search.tuners import ENDLESS, TUNERS, require
from tuning.search.untried_points import TrialResult, TrialStatus, as_hyperparameters

HYPERBAND_EPOCHS = "tuner/epochs"  # KerasTuner's key for the epochs that Hyperband gives a trial


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One trial to run: its number from 1, its values by dotted key, and its epochs.

    With 0 `epochs` it gets the sweep's own. `results_known` is how many results the searcher had
    when it proposed this: a resumed sweep asks again with as many.
    """

    number: int
    values: Mapping[str, Scalar]
    epochs: int = 0
    results_known: int = 0


class Searcher:
    """Asks an oracle for points and reports their scores to it.

    The same seed and the same results in the same order give the same proposals: that is what makes
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
        """Begin a search.

        The defaults are tried first, then the points of `first`; by a grid, all points in order.

        Args:
            space: what is searched.
            tuner: one of `TUNERS`.
            objectives: what is optimised; the first one decides.
            seed: of everything random.
            epochs: the most that Hyperband gives a trial.
            feasible: whether a point can be built, by arithmetic.
            first: points that are tried early.

        Raises:
            UsageError: there is no such tuner, it takes one objective only, or there is nothing to
                search.
        """
        _require_searchable(space, tuner, objectives)
        self._space = space
        self._objectives = tuple(objectives)
        self._oracle = _create_oracle(
            space,
            tuner,
            objectives,
            seed=seed,
            epochs=epochs,
            feasible=feasible,
            first=[space.defaults(), *first],
        )
        self._running: dict[int, kt.engine.trial.Trial] = {}
        self._num_proposed = 0
        self._num_results = 0
        self.exhausted = False

    def ask(self) -> Proposal | None:
        """Return the next point, or None when there is none until further trials have ended.

        It is also None when there is none at all (`exhausted`).
        """
        trial = self._oracle.create_trial(f"trial-{self._num_proposed + 1}")
        if trial.status != TrialStatus.RUNNING:
            self.exhausted = trial.status == TrialStatus.STOPPED
            return None
        self._num_proposed += 1
        self._running[self._num_proposed] = trial
        values = trial.hyperparameters.values
        return Proposal(
            number=self._num_proposed,
            values={key: values[key] for key in self._space.dimensions},
            epochs=int(values.get(HYPERBAND_EPOCHS, 0)),
            results_known=self._num_results,
        )

    def tell(self, number: int, scores: Sequence[float] | None, stopped_at: int = 0) -> None:
        """Report a trial's scores, one for each objective, or None for a trial that failed.

        A trial with a score that is not finite counts as failed. `stopped_at` is the epoch at which
        it was stopped early, 0 when it was not.
        """
        trial = self._running.pop(number)
        self._num_results += 1
        finite: tuple[float, ...] = ()
        if scores is not None and np.isfinite(scores).all():
            finite = tuple(map(float, scores))
        self._oracle.record_result(trial.trial_id, TrialResult(finite, stopped_at))
        if finite:
            self._oracle.update_trial(trial.trial_id, {self._objectives[0].name: finite[0]})
            trial.status = TrialStatus.COMPLETED
        else:
            trial.status = TrialStatus.FAILED
        self._oracle.end_trial(trial)


def _require_searchable(space: Space[Any], tuner: str, objectives: Sequence[Objective]) -> None:
    require("--tuner", tuner, TUNERS)
    if len(objectives) > 1 and not TUNERS[tuner].several_objectives:
        alternatives = " or ".join(
            name for name, entry in TUNERS.items() if entry.several_objectives
        )
        raise UsageError(
            f"--tuner {tuner}: takes one objective, not {len(objectives)}. "
            f"For several: --tuner {alternatives}"
        )
    if not space.dimensions:
        raise UsageError(
            "There is nothing to search: every hyperparameter is fixed. "
            "Add --search conv.kernel_size=3,5,7, or use train"
        )


def _create_oracle(
    space: Space[Any],
    tuner: str,
    objectives: Sequence[Objective],
    *,
    seed: int,
    epochs: int,
    feasible: Feasible,
    first: Iterable[Mapping[str, Scalar]],
) -> Any:
    """Return KerasTuner's oracle for `tuner`.

    It proposes the points of `first` before others, except for grid search.
    """
    # The direction is given, never guessed: KerasTuner takes val_f1_score and others for costs.
    objective = kt.Objective(objectives[0].name, objectives[0].direction)
    oracle = TUNERS[tuner].create(
        epochs,
        objective=objective,
        hyperparameters=as_hyperparameters(space),
        allow_new_entries=False,
        tune_new_entries=False,
        seed=seed + 1,  # 0 would mean a random one
        max_consecutive_failed_trials=ENDLESS,
    )
    oracle.verbose = 0  # in a script it would take itself for a notebook and clear the screen
    oracle.prepare(space, objectives, feasible, first)
    return oracle
