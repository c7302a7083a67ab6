"""The tuners by name: a new one is an entry of `TUNERS` and the function that makes its oracle.

Every command reads the names, so nothing heavy is imported before an oracle is made.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipelines.errors import UsageError, suggest

# KerasTuner wants a number of trials; the sweep's own budget ends the search.
ENDLESS = sys.maxsize
HYPERBAND_FACTOR = 3

STOPPERS = ("none", "asha", "median")


@dataclass(frozen=True, kw_only=True)
class Tuner:
    """A way to choose the next trial.

    Attributes:
        create: returns the oracle. It is called with the epochs of a full trial, and with the
            arguments that every oracle of KerasTuner takes.
        several_objectives: whether it can search for more than one.
        early_stop: the rule that `--early-stop auto` stands for when there is one objective.
        takes_first_points: whether points can be tried before those that it proposes.
    """

    create: Callable[..., Any]
    several_objectives: bool = False
    early_stop: str = "none"
    takes_first_points: bool = True


def _tpe(epochs: int, **arguments: Any) -> Any:
    import optuna

    from tuning.search.optuna_oracle import OptunaOracle

    def create_sampler(seed: int) -> optuna.samplers.BaseSampler:
        # The multivariate estimator (Bergstra et al. 2011, Falkner et al. 2018). Running trials
        # count as bad ones, so that parallel workers do not crowd together.
        return optuna.samplers.TPESampler(
            multivariate=True, constant_liar=True, n_startup_trials=0, seed=seed
        )

    return OptunaOracle(create_sampler=create_sampler, **arguments)


def _random(epochs: int, **arguments: Any) -> Any:
    from tuning.search.oracles import RandomOracle

    return RandomOracle(max_trials=None, **arguments)


def _bayesian(epochs: int, **arguments: Any) -> Any:
    from tuning.search.oracles import BayesianOracle

    return BayesianOracle(max_trials=ENDLESS, **arguments)


def _hyperband(epochs: int, **arguments: Any) -> Any:
    from tuning.search.oracles import HyperbandOracle

    return HyperbandOracle(
        max_epochs=max(2, epochs),
        factor=HYPERBAND_FACTOR,
        hyperband_iterations=ENDLESS,
        **arguments,
    )


def _grid(epochs: int, **arguments: Any) -> Any:
    from tuning.search.oracles import GridOracle

    return GridOracle(max_trials=None, **arguments)


TUNERS: dict[str, Tuner] = {
    "tpe": Tuner(create=_tpe, several_objectives=True, early_stop="median"),
    "random": Tuner(create=_random, several_objectives=True, early_stop="median"),
    "bayesian": Tuner(create=_bayesian),
    "hyperband": Tuner(create=_hyperband),  # stops trials itself
    # A grid is for a whole table of scores: no trial is stopped.
    "grid": Tuner(create=_grid, several_objectives=True, takes_first_points=False),
}


def require(flag: str, name: str, names: Iterable[str]) -> None:
    """Raise `UsageError` for a name that is none of `names`; the nearest one is given."""
    known = tuple(names)
    if name not in known:
        raise UsageError(f"{flag} {name}: unknown.{suggest(name, known)} Known: {', '.join(known)}")
