"""KerasTuner's oracles behind ask and tell, with its traps handled here and nowhere else.

KerasTuner stays the search's language: its `HyperParameters`, its `Objective`, its random, Bayesian and Hyperband
oracles. Its `Tuner` loop is not used: it swallows exceptions, needs tensorboard, copies callbacks, writes a checkpoint
at every improvement and trusts stale state (see tests/test_search.py, a test a trap).
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import keras_tuner as kt
import numpy as np

from pipelines.errors import UsageError, suggest
from pipelines.pipeline import Objective
from pipelines.space import Choice, Scalar, Space

TunerName: TypeAlias = Literal["random", "bayesian", "hyperband", "grid"]
TUNERS: tuple[TunerName, ...] = ("random", "bayesian", "hyperband", "grid")
# Random draws before what is left of a small space is listed, and the largest space that is.
DRAWS = 200
LISTED = 50_000
HYPERBAND_FACTOR = 3

Feasible: TypeAlias = Callable[[Mapping[str, Scalar]], bool]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One trial to run: its number from 1, its values by dotted key, and the epochs it gets (0: the sweep's own)."""

    number: int
    values: Mapping[str, Scalar]
    epochs: int = 0


class Searcher:
    """Asks an oracle for points that can be built and were not tried, and tells it how they did.

    The same seed and the same answers give the same questions: that is what makes a sweep resumable by replay.
    """

    def __init__(self, space: Space[Any], *, tuner: str, objective: Objective, seed: int, epochs: int, feasible: Feasible) -> None:
        """`feasible` says by arithmetic whether a point can be built; `epochs` is the most that Hyperband gives a trial.

        Raises:
            UsageError: there is no such tuner, or nothing to search.
        """
        if tuner not in TUNERS:
            raise UsageError(f"--tuner {tuner}: unknown.{suggest(tuner, TUNERS)} Known: {', '.join(TUNERS)}")
        if not space.domains:
            raise UsageError("There is nothing to search: every hyperparameter is fixed. Add --search conv.kernel_size=3,5,7, or use train")
        self._keys = list(space.domains)
        self._oracle = _oracle(space, tuner, objective, seed, epochs, feasible)
        self._oracle.verbose = 0  # in a script it would take itself for a notebook and clear the screen
        self._objective = objective
        self._open: dict[int, kt.engine.trial.Trial] = {}
        self._asked = 0

    def ask(self) -> Proposal | None:
        """Return the next point, or None when the space (or Hyperband's schedule) is exhausted."""
        trial = self._oracle.create_trial(f"trial-{self._asked + 1}")
        if trial.status != kt.engine.trial.TrialStatus.RUNNING:
            return None
        self._asked += 1
        self._open[self._asked] = trial
        values = trial.hyperparameters.values
        return Proposal(number=self._asked, values={key: values[key] for key in self._keys}, epochs=int(values.get("tuner/epochs", 0)))

    def tell(self, number: int, score: float | None) -> None:
        """Report a trial's best score, or None for a trial that failed."""
        trial = self._open.pop(number)
        if score is None or not np.isfinite(score):
            trial.status = kt.engine.trial.TrialStatus.FAILED
        else:
            self._oracle.update_trial(trial.trial_id, {self._objective.name: float(score)})
            trial.status = kt.engine.trial.TrialStatus.COMPLETED
        self._oracle.end_trial(trial)


def hyperparameters(space: Space[Any]) -> kt.HyperParameters:
    """Return the space in KerasTuner's terms, flat and declared as data: nothing is discovered by building models."""
    flat = kt.HyperParameters()
    for key, domain in space.domains.items():
        default = _default(space, key)
        if isinstance(domain, Choice):
            if all(isinstance(value, bool) for value in domain.values):
                flat.Boolean(key, default=bool(default))  # Choice would give 1 and 0 back
            else:
                flat.Choice(key, list(domain.values), default=default, ordered=False if isinstance(default, str) else None)
        elif domain.whole:
            flat.Int(key, int(domain.low), int(domain.high), default=int(default), sampling="log" if domain.log else "linear")
        else:
            flat.Float(key, domain.low, domain.high, default=float(default), sampling="log" if domain.log else "linear")
    return flat


def _default(space: Space[Any], key: str) -> Any:
    """Return the base's own value where the domain holds it, else the domain's first."""
    from pipelines.space import flatten

    value, domain = flatten(space.base)[key], space.domains[key]
    if isinstance(domain, Choice):
        return value if value in domain.values else domain.values[0]
    return value if isinstance(value, int | float) and domain.low <= value <= domain.high else domain.low


class _Careful:
    """Mixed into an oracle: only points that can be built and were not tried; the defaults first."""

    appline_space: Space[Any]
    appline_feasible: Feasible

    def prepare(self, space: Space[Any], feasible: Feasible) -> None:
        self.appline_space, self.appline_feasible = space, feasible
        self._seen: set[tuple[tuple[str, Scalar], ...]] = set()

    def save(self) -> None:
        """Write nothing: KerasTuner's state files are neither atomic nor checked; a sweep's state is its runs in MLflow."""

    def _save_trial(self, trial: Any) -> None:
        """Write nothing."""

    def fresh(self, values: Mapping[str, Scalar]) -> bool:
        """Whether this point is new and can be built; it counts as seen from now on."""
        identity = self.appline_space.identity(values)
        if identity in self._seen or not self.appline_feasible(values):
            return False
        self._seen.add(identity)
        return True

    def _random_values(self) -> dict[str, Scalar] | None:
        """Return untried values; KerasTuner gives up after 20 draws that it had before, long before a space is exhausted."""
        oracle: Any = self
        if not self._seen:
            defaults = {hp.name: hp.default for hp in oracle.hyperparameters.space}
            if self.fresh(defaults):
                return defaults
        for _ in range(DRAWS):
            values = {}
            for hp in oracle.hyperparameters.space:
                values[hp.name] = hp.random_sample(oracle._seed_state)
                oracle._seed_state += 1
            if self.fresh(values):
                return values
        count = self.appline_space.count()
        if count is None or count > LISTED:
            return None
        left = list(self.appline_space.grid())
        np.random.default_rng(oracle._seed_state).shuffle(left)
        return next((values for values in left if self.fresh(values)), None)


class _Random(_Careful, kt.oracles.RandomSearchOracle):
    """Random search."""


class _Hyperband(_Careful, kt.oracles.HyperbandOracle):
    """Hyperband (Li et al. 2018). Promoted trials begin anew with more epochs: a schedule that ends there, no checkpoints."""


class _Bayesian(_Careful, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process with upper confidence bounds; where it repeats itself, which it does not notice, a random new point."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        before = len(self._seen)
        response: dict[str, Any] = super().populate_space(trial_id)
        values = response.get("values")
        if len(self._seen) > before or values is None or self.fresh(values):  # drawn by _random_values, or new
            return response
        values = self._random_values()
        status = kt.engine.trial.TrialStatus.STOPPED if values is None else kt.engine.trial.TrialStatus.RUNNING
        return {"status": status, "values": values}


class _Grid(_Careful, kt.Oracle):
    """Every point in order. KerasTuner's own grid cannot resume or be extended, and does not pass over points."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = next((values for values in self.appline_space.grid() if self.fresh(values)), None)
        status = kt.engine.trial.TrialStatus.STOPPED if values is None else kt.engine.trial.TrialStatus.RUNNING
        return {"status": status, "values": values}


def _oracle(space: Space[Any], tuner: str, objective: Objective, seed: int, epochs: int, feasible: Feasible) -> Any:
    common: dict[str, Any] = {
        # The direction is given, never guessed: KerasTuner takes val_f1_score and others for costs.
        "objective": kt.Objective(objective.name, objective.direction),
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "seed": seed + 1,  # 0 would mean a random one
        "max_consecutive_failed_trials": sys.maxsize,
    }
    match tuner:
        case "random":
            oracle: Any = _Random(max_trials=None, **common)
        case "bayesian":
            oracle = _Bayesian(max_trials=sys.maxsize, **common)
        case "hyperband":
            oracle = _Hyperband(max_epochs=max(2, epochs), factor=HYPERBAND_FACTOR, hyperband_iterations=sys.maxsize, **common)
        case _:
            oracle = _Grid(max_trials=None, **common)
    oracle.prepare(space, feasible)
    return oracle
