"""KerasTuner's oracles with their traps handled, and one of our own, backed by Optuna.

KerasTuner stays the search's language: its `HyperParameters`, its `Objective`, its random, Bayesian
and Hyperband oracles (see tests/test_search.py, a test a trap).
"""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras_tuner as kt
import numpy as np

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Scalar, Space

# The largest space of which what is left is listed after so many random draws; a larger one is
# drawn from for longer, because a limit may leave little of it.
LISTED, DRAWS = 50_000, 200
PATIENT_DRAWS = 5_000
HYPERBAND_FACTOR = 3
STARTUP = 5  # scored trials before the Parzen estimator has something to say
SUGGESTIONS = 10  # of the estimator, before a random new point is taken instead

Feasible: TypeAlias = Callable[[Mapping[str, Scalar]], bool]


@dataclass(frozen=True)
class TrialResult:
    """How a trial did: its score for each objective, none when it failed; `stopped_at` is the epoch
    where it was stopped early, else 0.
    """

    scores: tuple[float, ...] = ()
    stopped_at: int = 0


def hyperparameters(space: Space[Any]) -> kt.HyperParameters:
    """Return the space in KerasTuner's terms, flat and declared as data: nothing is discovered by
    building models.
    """
    flat, defaults = kt.HyperParameters(), space.defaults()
    for key, domain in space.dimensions.items():
        default: Any = defaults[key]
        if isinstance(domain, Choice):
            if all(isinstance(value, bool) for value in domain.values):
                flat.Boolean(key, default=bool(default))  # Choice would give 1 and 0 back
            else:
                flat.Choice(
                    key,
                    list(domain.values),
                    default=default,
                    ordered=False if isinstance(default, str) else None,
                )
        elif domain.whole:
            flat.Int(
                key,
                int(domain.low),
                int(domain.high),
                default=int(default),
                sampling="log" if domain.log else "linear",
            )
        else:
            flat.Float(
                key,
                domain.low,
                domain.high,
                default=float(default),
                sampling="log" if domain.log else "linear",
            )
    return flat


class _Careful:
    """Mixed into an oracle: only points that can be built and were not tried."""

    appline_space: Space[Any]
    appline_feasible: Feasible
    appline_objectives: Sequence[Objective]

    def prepare(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        feasible: Feasible,
        first: Sequence[Mapping[str, Scalar]],
    ) -> None:
        self.appline_space, self.appline_objectives, self.appline_feasible = (
            space,
            objectives,
            feasible,
        )
        self._first = [dict(values) for values in first]
        self._seen: set[tuple[tuple[str, Scalar], ...]] = set()
        self._refused: set[tuple[tuple[str, Scalar], ...]] = (
            set()
        )  # what cannot be built: to find it out may take a second

    def save(self) -> None:
        """Write nothing: KerasTuner's state files are neither atomic nor checked; a sweep's state
        is its runs in MLflow.
        """

    def _save_trial(self, trial: Any) -> None:
        """Write nothing."""

    def fresh(self, values: Mapping[str, Scalar]) -> bool:
        """Whether this point is new and can be built; it counts as seen from now on."""
        identity = self.appline_space.identity(values)
        if identity in self._seen or identity in self._refused:
            return False
        feasible = self.appline_feasible(values)
        (self._seen if feasible else self._refused).add(identity)
        return feasible

    def record_result(self, trial_id: str, told: TrialResult) -> None:
        """Take all that is known of a trial: KerasTuner itself keeps the first objective's score
        alone.
        """

    def _first_values(self) -> dict[str, Scalar] | None:
        """Return the next of the points that are tried before any other, None when they are used
        up.
        """
        while self._first:
            values = self._first.pop(0)
            if self.fresh(values):
                return values
        return None

    def _random_values(self) -> dict[str, Scalar] | None:
        """Return untried values; KerasTuner gives up after 20 draws that it had before, long before
        a space is exhausted.
        """
        oracle: Any = self
        if (values := self._first_values()) is not None:
            return values
        count = self.appline_space.count()
        listed = count is not None and count <= LISTED
        for _ in range(DRAWS if listed else PATIENT_DRAWS):
            values = {}
            for hp in oracle.hyperparameters.space:
                values[hp.name] = hp.random_sample(oracle._seed_state)
                oracle._seed_state += 1
            if self.fresh(values):
                return values
        if not listed:
            return None
        left = list(self.appline_space.grid())
        np.random.default_rng(oracle._seed_state).shuffle(left)
        return next((values for values in left if self.fresh(values)), None)


class _Random(_Careful, kt.oracles.RandomSearchOracle):
    """Random search."""


class _Hyperband(_Careful, kt.oracles.HyperbandOracle):
    """Hyperband (Li et al. 2018). Promoted trials begin anew with more epochs: a schedule that ends
    there, no checkpoints.
    """


class _Bayesian(_Careful, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process with upper confidence bounds; where it repeats itself, which it does not
    notice, a random new point.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        before = len(self._seen)
        response: dict[str, Any] = super().populate_space(trial_id)
        values = response.get("values")
        if (
            len(self._seen) > before or values is None or self.fresh(values)
        ):  # drawn by _random_values, or new
            return response
        values = self._random_values()
        status = (
            kt.engine.trial.TrialStatus.STOPPED
            if values is None
            else kt.engine.trial.TrialStatus.RUNNING
        )
        return {"status": status, "values": values}


class _Grid(_Careful, kt.Oracle):
    """Every point in order. KerasTuner's own grid cannot resume or be extended, and does not pass
    over points.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = next((values for values in self.appline_space.grid() if self.fresh(values)), None)
        status = (
            kt.engine.trial.TrialStatus.STOPPED
            if values is None
            else kt.engine.trial.TrialStatus.RUNNING
        )
        return {"status": status, "values": values}


class _Tpe(_Careful, kt.Oracle):
    """Optuna's multivariate tree-structured Parzen estimator (Bergstra et al. 2011, Falkner et al.
    2018) as a KerasTuner oracle.

    The study is made anew from the oracle's trials for every proposal, its sampler seeded by the
    trial's number: a proposal depends on what is known, on nothing that a restart would lose.
    Running trials count as bad ones, so that parallel workers do not crowd together.
    """

    def prepare(
        self,
        space: Space[Any],
        objectives: Sequence[Objective],
        feasible: Feasible,
        first: Sequence[Mapping[str, Scalar]],
    ) -> None:
        super().prepare(space, objectives, feasible, first)
        self._scales = {key: _Scale.of(domain) for key, domain in space.dimensions.items()}
        self._told: dict[str, TrialResult] = {}

    def record_result(self, trial_id: str, told: TrialResult) -> None:
        self._told[trial_id] = told

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = self._first_values() or self._suggested() or self._random_values()
        status = (
            kt.engine.trial.TrialStatus.STOPPED
            if values is None
            else kt.engine.trial.TrialStatus.RUNNING
        )
        return {"status": status, "values": values}

    def _suggested(self) -> dict[str, Scalar] | None:
        import optuna

        if sum(bool(told.scores) for told in self._told.values()) < STARTUP:
            return None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                multivariate=True,
                constant_liar=True,
                n_startup_trials=0,
                seed=(self.seed * 1_000_003 + len(self.trials)) % 2**32,
            )
            directions: Any = [
                "maximize" if one.direction == "max" else "minimize"
                for one in self.appline_objectives
            ]
            study = optuna.create_study(directions=directions, sampler=sampler)
            study.add_trials([self._known(trial) for trial in self.trials.values()])
            for _ in range(SUGGESTIONS):
                asked = study.ask({key: scale.distribution for key, scale in self._scales.items()})
                values = {
                    key: scale.value(asked.params[key]) for key, scale in self._scales.items()
                }
                if self.fresh(values):
                    return values
                study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return None

    def _known(self, trial: Any) -> Any:
        import optuna

        states = optuna.trial.TrialState
        told = self._told.get(trial.trial_id)
        values: list[float] | None = None
        steps: dict[int, float] = {}
        if told is None:
            state = states.RUNNING
        elif not told.scores:
            state = states.FAIL
        elif told.stopped_at:
            state, steps = states.PRUNED, {told.stopped_at: told.scores[0]}
        else:
            state, values = states.COMPLETE, list(told.scores)
        return optuna.trial.create_trial(
            state=state,
            values=values,
            intermediate_values=steps,
            params={
                key: scale.place(trial.hyperparameters.values[key])
                for key, scale in self._scales.items()
            },
            distributions={key: scale.distribution for key, scale in self._scales.items()},
        )


@dataclass(frozen=True)
class _Scale:
    """A hyperparameter as Optuna sees it: ordered numbers by their place, so that near ones are
    near.
    """

    domain: Dimension
    distribution: Any
    values: tuple[Scalar, ...] = ()

    @classmethod
    def of(cls, domain: Dimension) -> "_Scale":
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if isinstance(domain, Choice):
            ordered = all(
                isinstance(value, int | float) and not isinstance(value, bool)
                for value in domain.values
            )
            values = tuple(sorted(domain.values)) if ordered else domain.values
            places = range(len(values))
            return cls(
                domain,
                IntDistribution(0, len(values) - 1)
                if ordered
                else CategoricalDistribution(tuple(places)),
                values,
            )
        if domain.whole:
            return cls(domain, IntDistribution(int(domain.low), int(domain.high), log=domain.log))
        return cls(domain, FloatDistribution(domain.low, domain.high, log=domain.log))

    def place(self, value: Scalar) -> Any:
        return self.values.index(value) if self.values else value

    def value(self, place: Any) -> Scalar:
        found: Scalar = self.values[place] if self.values else place
        return found


def oracle(
    space: Space[Any],
    tuner: str,
    objectives: Sequence[Objective],
    *,
    seed: int,
    epochs: int,
    feasible: Feasible,
    first: Sequence[Mapping[str, Scalar]],
) -> Any:
    """Return KerasTuner's oracle for `tuner`; it proposes the points of `first` before others, Grid
    apart.
    """
    common: dict[str, Any] = {
        # The direction is given, never guessed: KerasTuner takes val_f1_score and others for costs.
        "objective": kt.Objective(objectives[0].name, objectives[0].direction),
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "seed": seed + 1,  # 0 would mean a random one
        "max_consecutive_failed_trials": sys.maxsize,
    }
    match tuner:
        case "tpe":
            made: Any = _Tpe(max_trials=None, **common)
        case "random":
            made = _Random(max_trials=None, **common)
        case "bayesian":
            made = _Bayesian(max_trials=sys.maxsize, **common)
        case "hyperband":
            made = _Hyperband(
                max_epochs=max(2, epochs),
                factor=HYPERBAND_FACTOR,
                hyperband_iterations=sys.maxsize,
                **common,
            )
        case _:
            made = _Grid(max_trials=None, **common)
    made.verbose = 0  # in a script it would take itself for a notebook and clear the screen
    made.prepare(space, objectives, feasible, first)
    return made
