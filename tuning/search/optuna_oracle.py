"""Optuna's samplers as a KerasTuner oracle."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner as kt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar, Space
from tuning.search.constraints import Feasible
from tuning.search.untried_points import TrialResult, UntriedPoints, response

STARTUP = 5  # scored trials before a sampler has enough to learn from
SUGGESTIONS = 10  # of the sampler, before a random new point is taken instead
# Spreads seeds of neighbouring sweeps apart: their trials are all numbered from 1.
SEED_STEP = 1_000_003


class OptunaOracle(UntriedPoints, kt.Oracle):
    """A sampler of Optuna.

    The study is made anew from the oracle's trials for every proposal, its sampler seeded by the
    trial's number: a proposal depends on the results so far, on nothing that a restart would lose.
    """

    def __init__(
        self, create_sampler: Callable[[int], optuna.samplers.BaseSampler], **arguments: Any
    ) -> None:
        """Make the oracle.

        Args:
            create_sampler: returns the sampler for a seed.
            arguments: those of every oracle of KerasTuner.
        """
        super().__init__(max_trials=None, **arguments)
        self._create_sampler = create_sampler

    def prepare(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        feasible: Feasible,
        first: Iterable[Mapping[str, Scalar]],
    ) -> None:
        super().prepare(space, objectives, feasible, first)
        self._scales = {key: _scale(dimension) for key, dimension in space.dimensions.items()}
        self._distributions: dict[str, BaseDistribution] = {}
        for key, scale in self._scales.items():
            self._distributions[key] = scale.distribution
        self._results: dict[str, TrialResult] = {}  # by KerasTuner's id of the trial

    def record_result(self, trial_id: str, result: TrialResult) -> None:
        self._results[trial_id] = result

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the next point in KerasTuner's form."""
        values = self.next_first_values()
        if values is None:
            values = self._suggested_values()
        if values is None:
            values = self._random_values()
        return response(values)

    def _suggested_values(self) -> dict[str, Scalar] | None:
        num_scored = sum(bool(result.scores) for result in self._results.values())
        if num_scored < STARTUP:
            return None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = self._study()
            for _ in range(SUGGESTIONS):
                suggestion = study.ask(self._distributions)
                values = {}
                for key, scale in self._scales.items():
                    values[key] = scale.from_optuna(suggestion.params[key])
                if self.accept(values):
                    return values
                study.tell(suggestion, state=TrialState.FAIL)
        return None

    def _study(self) -> optuna.Study:
        sampler = self._create_sampler((self.seed * SEED_STEP + len(self.trials)) % 2**32)
        directions = []
        for objective in self.appline_objectives:
            if objective.direction == "max":
                directions.append(StudyDirection.MAXIMIZE)
            else:
                directions.append(StudyDirection.MINIMIZE)
        study = optuna.create_study(directions=directions, sampler=sampler)
        for trial in self.trials.values():
            study.add_trial(self._as_optuna(trial))
        return study

    def _as_optuna(self, trial: Any) -> optuna.trial.FrozenTrial:
        result = self._results.get(trial.trial_id)
        values: list[float] | None = None
        scores_by_epoch: dict[int, float] = {}
        if result is None:
            state = TrialState.RUNNING
        elif not result.scores:
            state = TrialState.FAIL
        elif result.stopped_at:
            state = TrialState.PRUNED
            scores_by_epoch = {result.stopped_at: result.scores[0]}
        else:
            state = TrialState.COMPLETE
            values = list(result.scores)
        params = {}
        for key, scale in self._scales.items():
            params[key] = scale.to_optuna(trial.hyperparameters.values[key])
        return optuna.trial.create_trial(
            state=state,
            values=values,
            intermediate_values=scores_by_epoch,
            params=params,
            distributions=self._distributions,
        )


@dataclass(frozen=True)
class _Scale:
    """A hyperparameter as Optuna sees it.

    `values` are those of a choice: Optuna deals in their positions, so that numbers which are near
    in order are near to it too.
    """

    distribution: BaseDistribution
    values: tuple[Scalar, ...] = ()

    def to_optuna(self, value: Scalar) -> Any:
        return self.values.index(value) if self.values else value

    def from_optuna(self, value: Any) -> Scalar:
        scalar: Scalar = self.values[value] if self.values else value
        return scalar


def _scale(dimension: Dimension) -> _Scale:
    if isinstance(dimension, Choice):
        if all(_is_number(value) for value in dimension.values):
            ordered = tuple(sorted(dimension.values))
            return _Scale(IntDistribution(0, len(ordered) - 1), ordered)
        positions = tuple(range(len(dimension.values)))
        return _Scale(CategoricalDistribution(positions), dimension.values)
    if dimension.whole:
        low, high = int(dimension.low), int(dimension.high)
        return _Scale(IntDistribution(low, high, log=dimension.log))
    return _Scale(FloatDistribution(dimension.low, dimension.high, log=dimension.log))


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
