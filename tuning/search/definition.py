"""What a sweep is before any trial: its settings, and the definition that resuming must match."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from pipelines.errors import UsageError
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.execution.trial import Work
from tuning.search import constraints
from tuning.search.ask_tell import Searcher
from tuning.search.tuners import TUNERS, require
from tuning.training.costs import COST_METRICS, LATENCY
from tuning.training.fit import num_epochs
from tuning.training.procedure import FinalFit

# A search looks at a schedule this much shorter than the training that follows: ranks of short fits
# agree with those of long ones (Spearman .92 at a third of the epochs on Fashion-MNIST).
TRIAL_SHARE = 3
FEWEST_TRIAL_EPOCHS = 2
AUTO = "auto"
# How many of the best trials are fitted again unless said, and with how many fresh seeds each: the
# refits are at most a third of the trials.
MOST_REFITTED, REFIT_SEEDS = 3, 2
REFIT_SHARE = 3


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """How a search is run.

    The first objective decides which trial wins; with several, all trials on the Pareto front are
    shown.
    """

    objectives: tuple[Objective, ...]
    trials: int = 20
    tuner: str = "tpe"
    trial_epochs: int = 0  # 0: a third of the epochs of the training that follows
    baselines: bool = True  # whether the winner is compared with simple models
    early_stop: str = AUTO
    max_seconds: float = math.inf
    max_epochs: float = math.inf  # of all trials together
    limits: Mapping[str, float] = field(default_factory=dict)
    warm_from: str = ""
    name: str = ""
    resume: str = ""  # the id of the sweep's run
    final_fit: FinalFit = "tested"  # the model that is kept of the winner: see `train.Procedure`
    refit_top: str = AUTO  # how many of the best trials are fitted again: a number, or auto
    # With which it is resumed where nothing else is said: budgets and places.
    flags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"--trials: expected at least 1. Received: {self.trials}")
        require("--tuner", self.tuner, TUNERS)
        if self.refit_top != AUTO and not (self.refit_top.isdecimal() and self.refit_top != "1"):
            raise UsageError(
                f"--refit-top {self.refit_top}: expected auto, 0 for none, or 2 or more trials: "
                "one alone is compared with nothing"
            )
        if self.warm_from and not TUNERS[self.tuner].takes_first_points:
            raise UsageError(
                f"--warm-from: {self.tuner} goes through the space in order. Choose another --tuner"
            )
        if len(self.objectives) > 1 and self.early_stop not in (AUTO, "none"):
            raise UsageError(
                f"--early-stop {self.early_stop}: early stopping works with one objective; "
                f"got {len(self.objectives)}"
            )

    @property
    def objective(self) -> Objective:
        """The objective that decides which trial wins."""
        return self.objectives[0]

    def num_refitted(self, num_trials: int) -> int:
        """Return how many of so many trials with a score are fitted again, 0 or at least 2."""
        count = min(MOST_REFITTED, num_trials // (REFIT_SHARE * REFIT_SEEDS))
        if self.refit_top != AUTO:
            count = min(int(self.refit_top), num_trials)
        return count if count >= 2 else 0

    @property
    def stopping_rule(self) -> str:
        """The rule of early stopping.

        It is none where the tuner has its own, needs every score, or several objectives count.
        """
        if self.early_stop != AUTO:
            return self.early_stop
        return TUNERS[self.tuner].early_stop if len(self.objectives) == 1 else "none"


@dataclass(frozen=True, kw_only=True)
class SweepDefinition:
    """What is searched on which data, and how."""

    pipeline: AnyPipeline
    space: Space[Any]
    sweep: Sweep
    splits: Splits

    @property
    def trial_epochs(self) -> int:
        """The epochs of a trial: as asked for, or a third of those of the training that follows."""
        if self.sweep.trial_epochs:
            return self.sweep.trial_epochs
        return max(FEWEST_TRIAL_EPOCHS, math.ceil(self.full_epochs / TRIAL_SHARE))

    @property
    def full_epochs(self) -> int:
        """The epochs of the training that follows the trials."""
        return num_epochs(self.space.base.train, self.splits.sizes()["train"])

    @property
    def data_tags(self) -> dict[str, str]:
        """What every run of the sweep says of its data."""
        return {"dataset": self.splits.dataset, "data_digest": self.splits.digest}

    def check(self) -> None:
        """Raise `UsageError` for what would fail only after the trials, or change their meaning."""
        if self.space.base.train.refit:
            # Raises where the domain cannot train on train + validation.
            self.pipeline.merge_into_train(self.splits, ["val"])
        if self.sweep.final_fit == "all":
            self.pipeline.merge_into_train(self.splits, ["val", "test"])
        if "architecture" not in self.space.dimensions:
            spec = self.space.spec(self.space.defaults())
            if self.pipeline.cost(spec, self.splits) is None:
                # The weights of a backbone may be out of reach, for all trials alike.
                self.pipeline.build(spec, self.splits)
        constraints.require_searchable(self.space.dimensions)

    def work(self) -> Work:
        """Return what all trials share."""
        names = {objective.name for objective in self.sweep.objectives}
        return Work(
            pipeline=self.pipeline,
            splits=self.splits,
            objective=self.sweep.objective,
            # Tracing a network for them takes a trial longer than is worth it for a column.
            latency=any(name.startswith(LATENCY) for name in names),
        )

    def searcher(self, first: Sequence[Mapping[str, Scalar]] = ()) -> Searcher:
        """Return what proposes the trials; the points of `first` come right after the defaults."""
        return Searcher(
            self.space,
            tuner=self.sweep.tuner,
            objectives=self.sweep.objectives,
            seed=self.pipeline.options.seed,
            epochs=self.trial_epochs,
            feasible=constraints.feasible(
                self.pipeline, self.space, self.splits, self.sweep.limits
            ),
            first=first,
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything that decides what the trials are, as plain data.

        Budgets and `--warm-from` are no part of it: a resumed sweep may have others.
        """
        return {
            "options": self.pipeline.options.as_params(),
            "space": self.space.describe(),
            "data_digest": self.splits.digest,
            "objective": ", ".join(objective.name for objective in self.sweep.objectives),
            "limits": dict(self.sweep.limits),
            "tuner": self.sweep.tuner,
            "early_stop": self.sweep.stopping_rule,
            "trial_epochs": self.trial_epochs,
        }


def sweep_objectives(
    pipeline: AnyPipeline, splits: Splits, names: Sequence[str]
) -> tuple[Objective, ...]:
    """Return what `--objective` names: validation metrics and costs.

    Without a name it is the default one.

    Raises:
        UsageError: the first is no validation metric, or there is none of this name.
    """
    objectives = []
    for name in names or [""]:
        if name.startswith("cost/"):
            require("--objective", name, tuple(COST_METRICS))
            objectives.append(Objective(name=name, direction="min"))
        else:
            objectives.append(pipeline.objective_for(splits, name))
    if objectives[0].name in COST_METRICS:
        default = pipeline.objective_for(splits)
        raise UsageError(
            f"--objective {names[0]}: the first one must be a validation metric, "
            f"such as {default.name}"
        )
    return tuple(dict.fromkeys(objectives))
