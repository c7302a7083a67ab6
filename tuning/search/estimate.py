"""What a sweep would cost, measured before it is started: how many points there are, what corner
models cost, how long all of it takes.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from pipelines.config.search_space import Scalar, Space
from pipelines.errors import ImpossibleSpec
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.execution.interface import Executor
from tuning.execution.trial import Outcome, Task, Work
from tuning.search import constraints
from tuning.search.ask_tell import Searcher
from tuning.search.early_stopping import stopper
from tuning.search.sweep import Sweep, trial_epochs
from tuning.training.costs import LATENCY
from tuning.training.fit import num_epochs

LISTED = 20_000  # points that are gone through one by one; of more, so many are drawn
MEASURED = 4  # proposals beside the corners
EPOCHS = 2  # of a measured trial: the first one is mostly tracing
LONGEST = 120.0  # seconds after which no further trial is measured


@dataclass(frozen=True, kw_only=True)
class SpaceCounts:
    """What is in a space; of an endless or very large one (`drawn`), the counts are of so many
    points drawn at random.
    """

    total: int | None  # None: endless
    looked_at: int
    impossible: int
    over_limit: int
    equal: int
    drawn: bool
    possible: Sequence[Mapping[str, Scalar]] = field(repr=False, default=())


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One network: its size, and the seconds of one epoch and of all that a trial does beside its
    epochs.
    """

    name: str
    values: Mapping[str, Scalar]
    params: int
    macs: int | None
    epoch_s: float
    step_ms: float
    overhead_s: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a sweep would cost."""

    space: SpaceCounts
    measured: Sequence[Measured]
    trials: int
    epochs: int
    trial_s: float
    baselines_s: float
    final_s: float
    start_s: float
    workers: int
    early_stop: str
    share: float
    max_seconds: float

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the whole sweep, from the baselines to the tested winner."""
        return self.start_s + self.baselines_s + min(self.trials_s, self.max_seconds) + self.final_s

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        plain = asdict(self)
        del plain["space"]["possible"]
        return {**plain, "seconds": self.seconds}

    @property
    def trials_s(self) -> float:
        """Wall-clock seconds of the trials, if no budget of time ends them."""
        return max(self.trials / self.workers, min(1, self.trials)) * self.trial_s


def count_points(
    pipeline: AnyPipeline, space: Space[Any], splits: Splits, most: Mapping[str, float], seed: int
) -> SpaceCounts:
    """Count what is in a space, by arithmetic."""
    total = space.count()
    drawn = total is None or total > LISTED
    rng = np.random.default_rng(seed)
    some = [space.draw(rng) for _ in range(LISTED // 10)] if drawn else list(space.grid())
    impossible = over = equal = 0
    seen = set()
    possible = []
    for values in some:
        spec = space.spec(values)
        try:
            pipeline.check(spec, splits)
        except ImpossibleSpec:
            impossible += 1
            continue
        if most and not constraints.within(constraints.num_params(pipeline, spec, splits), most):
            over += 1
            continue
        identity = space.identity(values)
        equal += identity in seen
        if identity not in seen:
            possible.append(values)
        seen.add(identity)
    return SpaceCounts(
        total=total,
        looked_at=len(some),
        impossible=impossible,
        over_limit=over,
        equal=equal,
        drawn=drawn,
        possible=possible,
    )


def estimate(
    pipeline: AnyPipeline, space: Space[Any], sweep: Sweep, splits: Splits, executor: Executor
) -> Estimate:
    """Fit a few networks for two epochs each where the sweep would, and add up.

    Measured are the defaults, the smallest and the largest network, and the first that the searcher
    would propose.
    """
    found = count_points(pipeline, space, splits, sweep.limits, pipeline.options.seed)
    epochs = trial_epochs(space, sweep, splits)
    searcher = Searcher(
        space,
        tuner=sweep.tuner,
        objectives=sweep.objectives,
        seed=pipeline.options.seed,
        epochs=epochs,
        feasible=constraints.feasible(pipeline, space, splits, sweep.limits),
    )
    proposals = [proposal for _ in range(1 + MEASURED) if (proposal := searcher.ask())]
    proposed = [proposal.values for proposal in proposals]
    corners = _corners(pipeline, space, splits, found.possible)
    scheduler = _Measuring(space, epochs, [*proposed, *corners.values()])
    begun = time.monotonic()
    sum(1 for _ in pipeline.baselines(splits))
    baselines_s = time.monotonic() - begun
    begun = time.monotonic()
    latency = LATENCY in {one.name for one in sweep.objectives}
    executor.run(
        Work(pipeline=pipeline, splits=splits, objective=sweep.objective, latency=latency),
        scheduler,
    )
    start_s = max(0.0, scheduler.first_word - begun)

    batch = space.base.train.batch_size
    measured = []
    for name, values, (beside, epoch, reason) in zip(
        ["defaults", *[f"proposal {n}" for n in range(2, len(proposed) + 1)], *corners],
        [*proposed, *corners.values()],
        scheduler.timings(),
        strict=False,
    ):
        spec = space.spec(values)
        cost = pipeline.cost(spec, splits)
        steps = max(1, -(-splits.sizes()["train"] // getattr(spec.train, "batch_size", batch)))
        measured.append(
            Measured(
                name=name,
                values=values,
                params=constraints.num_params(pipeline, spec, splits),
                macs=cost.macs if cost else None,
                epoch_s=epoch,
                step_ms=1000 * epoch / steps,
                overhead_s=beside,
                reason=reason,
            )
        )
    good = [
        (one, proposal.epochs or epochs)
        for one, proposal in zip(measured, proposals, strict=False)
        if not one.reason
    ]
    share = stopper(sweep.stopper, sweep.objective).expected_share(epochs)
    full = num_epochs(space.base.train, splits.sizes()["train"])
    count = min(sweep.trials, len(found.possible)) if not found.drawn else sweep.trials
    count = min(count, int(sweep.max_epochs // epochs)) if sweep.max_epochs < math.inf else count
    trial_s = (
        float(np.mean([one.overhead_s + share * its * one.epoch_s for one, its in good]))
        if good
        else 0.0
    )
    # Who wins is not known: the mean of those that may.
    passes = full * (2 if space.base.train.refit else 1)
    final = (
        float(np.mean([one.overhead_s + passes * one.epoch_s for one, _ in good])) if good else 0.0
    )
    return Estimate(
        space=found,
        measured=measured,
        trials=count,
        epochs=epochs,
        trial_s=trial_s,
        baselines_s=baselines_s,
        final_s=final,
        start_s=start_s,
        workers=executor.slots,
        early_stop=sweep.stopper,
        share=share,
        max_seconds=sweep.max_seconds,
    )


def _corners(
    pipeline: AnyPipeline,
    space: Space[Any],
    splits: Splits,
    possible: Sequence[Mapping[str, Scalar]],
) -> dict[str, Mapping[str, Scalar]]:
    """Return the smallest and the largest network, by arithmetic; none where a domain has no
    arithmetic of costs.
    """
    costs = [
        (cost.params, at)
        for at, values in enumerate(possible)
        if (cost := pipeline.cost(space.spec(values), splits))
    ]
    return (
        {"smallest": possible[min(costs)[1]], "largest": possible[max(costs)[1]]} if costs else {}
    )


class _Measuring:
    """A scheduler that stops every trial after two epochs and keeps the times."""

    def __init__(
        self, space: Space[Any], epochs: int, values: Sequence[Mapping[str, Scalar]]
    ) -> None:
        self.first_word = 0.0
        self._began = time.monotonic()
        self._tasks = [
            self._task(space.spec(one), number, epochs) for number, one in enumerate(values)
        ]
        self._ends: dict[int, list[float]] = {number: [] for number in range(len(values))}
        self._outcomes: dict[int, Outcome] = {}
        self._left = list(self._tasks)

    def _task(self, spec: Any, number: int, epochs: int) -> Task:
        return Task(
            number=number,
            spec=replace(spec, train=replace(spec.train, epochs=max(EPOCHS, epochs))),
            seed=0,
        )

    def next_task(self) -> Task | None:
        if not self._left or (self._outcomes and time.monotonic() - self._began > LONGEST):
            return None
        return self._left.pop(0)

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        self._ends[task.number].append(time.time())
        return "measured" if epoch >= EPOCHS else ""

    def ended(self, task: Task, outcome: Outcome) -> None:
        self.first_word = self.first_word or time.monotonic() - (
            outcome.end_time - outcome.start_time
        )
        self._outcomes[task.number] = outcome

    def timings(self) -> list[tuple[float, float, str]]:
        """Return (seconds beside the epochs, seconds of an epoch, reason of failure) of the trials
        that were measured, in order.
        """
        found = []
        for number in sorted(self._outcomes):
            outcome, ends = self._outcomes[number], self._ends[number]
            if len(ends) < EPOCHS:
                found.append((0.0, 0.0, outcome.reason or "it ended before it was measured"))
                continue
            epoch = ends[-1] - ends[-2]
            found.append(
                (max(0.0, outcome.end_time - outcome.start_time - EPOCHS * epoch), epoch, "")
            )
        return found
