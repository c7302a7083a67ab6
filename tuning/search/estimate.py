"""What a sweep would cost, measured before it is started.

It says how many points there are, what the smallest and the largest network cost, and how long
everything takes.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipelines.config.search_space import Scalar, Space
from pipelines.io.progress import Work, working
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.execution.interface import Executor
from tuning.execution.trial import Outcome, Task
from tuning.search import constraints
from tuning.search.definition import REFIT_SEEDS, Sweep, SweepDefinition
from tuning.search.early_stopping import create_stopper
from tuning.search.space_counts import SpaceCounts, count_points
from tuning.tracking.interface import Tracker
from tuning.training import kept_baselines

PROPOSALS = 5  # that are measured, the defaults among them
EPOCHS = 2  # of a measured trial: the first one is mostly tracing
MOST_SECONDS = 60.0  # after which no further trial is measured
SHARE = 0.25  # of the seconds that the sweep would take, by the networks measured so far


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measurements of one network: its size, and the seconds of an epoch and of all else."""

    name: str
    values: Mapping[str, Scalar]
    params: int
    macs: int | None
    epoch_s: float
    step_ms: float
    overhead_s: float
    reason: str = ""  # why it could not be measured


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a sweep would cost. All `_s` are wall-clock seconds."""

    space: SpaceCounts
    measured: Sequence[Measured]
    trials: int
    epochs: int  # of a trial
    trial_s: float
    baselines_s: float
    baselines_from: str  # the run that has computed them; empty where the sweep computes them
    final_s: float  # of the winner's training in full
    start_s: float  # until the first trial runs
    workers: int
    early_stop: str
    share: float  # of the epochs that early stopping leaves
    num_refits: int  # fits of the best trials again, before one of them wins
    refit_s: float
    max_seconds: float

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of the whole sweep, from the baselines to the tested winner."""
        trials_s = min(self.trials_s, self.max_seconds)
        return self.start_s + self.baselines_s + trials_s + self.refits_s + self.final_s

    @property
    def refits_s(self) -> float:
        """Wall-clock seconds of the best trials' refits, which no rule stops early."""
        return self.num_refits / min(self.workers, max(1, self.num_refits)) * self.refit_s

    @property
    def trials_s(self) -> float:
        """Wall-clock seconds of the trials, if no budget of time ends them."""
        return max(self.trials / self.workers, min(1, self.trials)) * self.trial_s

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        plain = asdict(self)
        del plain["space"]["possible"]
        return {**plain, "seconds": self.seconds}


def estimate(
    pipeline: AnyPipeline,
    space: Space[Any],
    sweep: Sweep,
    splits: Splits,
    executor: Executor,
    tracker: Tracker,
) -> Estimate:
    """Fit a few networks for two epochs each where the sweep would, and add up.

    Measured are the defaults, the first networks that the searcher would propose, the smallest and
    the largest one. Baselines that the store behind `tracker` has are read, as the sweep does.
    """
    definition = SweepDefinition(pipeline=pipeline, space=space, sweep=sweep, splits=splits)
    counts = count_points(pipeline, space, splits, sweep.limits, pipeline.options.seed)
    candidates = [*_proposed(definition), *_corners(definition, counts.possible)]
    scheduler = _MeasuringScheduler(
        candidates,
        space,
        epochs=definition.trial_epochs,
        trials=_num_trials(definition, counts),
        slots=executor.slots,
        max_seconds=sweep.max_seconds,
    )
    began = time.monotonic()
    baselines_from = _go_through_baselines(pipeline, splits, tracker) if sweep.baselines else ""
    baselines_s = time.monotonic() - began
    began = time.monotonic()
    pipeline.prepare(space.base, splits)
    with working("networks measured", len(candidates)) as scheduler.work:
        executor.run(definition.work(), scheduler)
    start_s = max(0.0, scheduler.first_trial_began - began)
    measured = [
        _measured(definition, candidate, timing)
        for candidate, timing in zip(candidates, scheduler.timings(), strict=False)
    ]
    rule = create_stopper(sweep.stopping_rule, sweep.objective)
    share = rule.expected_share(definition.trial_epochs)
    trial_s, final_s = _mean_seconds(definition, candidates, measured, share)
    return Estimate(
        space=counts,
        measured=measured,
        trials=_num_trials(definition, counts),
        epochs=definition.trial_epochs,
        trial_s=trial_s,
        baselines_s=baselines_s,
        baselines_from=baselines_from,
        final_s=final_s,
        start_s=start_s,
        workers=executor.slots,
        early_stop=sweep.stopping_rule,
        share=share,
        num_refits=REFIT_SEEDS * sweep.num_refitted(_num_trials(definition, counts)),
        refit_s=trial_s / share,
        max_seconds=sweep.max_seconds,
    )


def _go_through_baselines(pipeline: AnyPipeline, splits: Splits, tracker: Tracker) -> str:
    """Do with the baselines what the sweep will do; return the run that they were read from."""
    kept = kept_baselines.read(kept_baselines.set_of(pipeline, splits), splits, tracker)
    if kept:
        return kept[0].read_from
    with working("baselines"):
        for _ in pipeline.baselines(splits):
            pass
    return ""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A network to measure. `epochs` are those of its trial, 0 for a corner, which is no trial."""

    name: str
    values: Mapping[str, Scalar]
    epochs: int = 0


def _proposed(definition: SweepDefinition) -> list[_Candidate]:
    """Return the first networks that the searcher would propose."""
    searcher = definition.searcher()
    candidates: list[_Candidate] = []
    for _ in range(PROPOSALS):
        proposal = searcher.ask()
        if proposal is None:
            break
        number = len(candidates) + 1
        candidates.append(
            _Candidate(
                name="defaults" if number == 1 else f"proposal {number}",
                values=proposal.values,
                epochs=proposal.epochs or definition.trial_epochs,
            )
        )
    return candidates


def _corners(
    definition: SweepDefinition, possible: Sequence[Mapping[str, Scalar]]
) -> list[_Candidate]:
    """Return the smallest and the largest network, by arithmetic.

    There are none where a domain has no arithmetic of costs.
    """
    sizes = []
    for position, values in enumerate(possible):
        cost = definition.pipeline.cost(definition.space.spec(values), definition.splits)
        if cost:
            sizes.append((cost.params, position))
    if not sizes:
        return []
    _, smallest = min(sizes)
    _, largest = max(sizes)
    return [
        _Candidate(name="smallest", values=possible[smallest]),
        _Candidate(name="largest", values=possible[largest]),
    ]


@dataclass(frozen=True, kw_only=True)
class _Timing:
    """Seconds of one trial's epoch, and of what it did beside its epochs."""

    epoch_s: float = 0.0
    overhead_s: float = 0.0
    reason: str = ""  # why there are none


@dataclass
class _MeasuringScheduler:
    """A scheduler that stops every trial after two epochs and keeps the times.

    Trials are numbered by the position of their candidate.
    """

    candidates: Sequence[_Candidate]
    space: Space[Any]
    epochs: int  # of the schedule, of which only the first two are run
    trials: int  # of the sweep
    slots: int  # trials that it runs side by side
    max_seconds: float  # after which it begins no further trial
    work: Work = field(default_factory=lambda: Work("networks measured"))
    first_trial_began: float = 0.0  # time.monotonic()
    _began: float = field(default_factory=time.monotonic)
    _num_started: int = 0
    _epoch_ends: dict[int, list[float]] = field(default_factory=dict)
    _outcomes: dict[int, Outcome] = field(default_factory=dict)

    def next_task(self) -> Task | None:
        if self._num_started == len(self.candidates) or self._is_late():
            return None
        number = self._num_started
        self._num_started += 1
        spec = self.space.spec(self.candidates[number].values)
        spec = replace(spec, train=replace(spec.train, epochs=max(EPOCHS, self.epochs)))
        return Task(number=number, spec=spec, seed=0)

    def _is_late(self) -> bool:
        """Whether a further trial would be measured for longer than the sweep is worth.

        A trial is measured for two epochs and its beginning; the sweep runs them all.
        """
        if not self._outcomes:
            return False
        spent = time.monotonic() - self._began
        seconds = [timing.overhead_s + self.epochs * timing.epoch_s for timing in self.timings()]
        whole = min(self.trials * statistics.fmean(seconds) / self.slots, self.max_seconds)
        measured = spent / len(self._outcomes)
        return spent + measured > min(MOST_SECONDS, SHARE * whole)

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        self._epoch_ends.setdefault(task.number, []).append(time.monotonic())
        return "measured" if epoch >= EPOCHS else ""

    def ended(self, task: Task, outcome: Outcome) -> None:
        if not self._outcomes:
            seconds = outcome.end_time - outcome.start_time
            self.first_trial_began = time.monotonic() - seconds
        self._outcomes[task.number] = outcome
        self.work.done += 1

    def timings(self) -> list[_Timing]:
        """Return the times of the trials that were measured, in order."""
        return [self._timing(number) for number in sorted(self._outcomes)]

    def _timing(self, number: int) -> _Timing:
        outcome = self._outcomes[number]
        epoch_ends = self._epoch_ends.get(number, [])
        if len(epoch_ends) < EPOCHS:
            return _Timing(reason=outcome.reason or "it ended before it was measured")
        epoch_s = epoch_ends[-1] - epoch_ends[-2]
        seconds = outcome.end_time - outcome.start_time
        return _Timing(epoch_s=epoch_s, overhead_s=max(0.0, seconds - EPOCHS * epoch_s))


def _measured(definition: SweepDefinition, candidate: _Candidate, timing: _Timing) -> Measured:
    spec = definition.space.spec(candidate.values)
    cost = definition.pipeline.cost(spec, definition.splits)
    num_examples = definition.splits.sizes()["train"]
    steps = max(1, math.ceil(num_examples / spec.train.batch_size))
    return Measured(
        name=candidate.name,
        values=candidate.values,
        params=constraints.num_params(definition.pipeline, spec, definition.splits),
        macs=cost.macs if cost else None,
        epoch_s=timing.epoch_s,
        step_ms=1000 * timing.epoch_s / steps,
        overhead_s=timing.overhead_s,
        reason=timing.reason,
    )


def _mean_seconds(
    definition: SweepDefinition,
    candidates: Sequence[_Candidate],
    measured: Sequence[Measured],
    share: float,
) -> tuple[float, float]:
    """Return the mean seconds of a trial and of the winner's training.

    Early stopping runs `share` of a trial's epochs. Which trial wins is not known, so the second is
    the mean over those that may.
    """
    final_epochs = definition.full_epochs
    if definition.space.base.train.refit:
        final_epochs *= 2
    trial_seconds, final_seconds = [], []
    for candidate, network in zip(candidates, measured, strict=False):
        if not candidate.epochs or network.reason:
            continue
        epochs = share * candidate.epochs
        trial_seconds.append(network.overhead_s + epochs * network.epoch_s)
        final_seconds.append(network.overhead_s + final_epochs * network.epoch_s)
    if not trial_seconds:
        return 0.0, 0.0
    return statistics.fmean(trial_seconds), statistics.fmean(final_seconds)


def _num_trials(definition: SweepDefinition, counts: SpaceCounts) -> int:
    """Return how many trials the space and the budget of epochs leave."""
    sweep = definition.sweep
    num_trials = sweep.trials
    if not counts.drawn:
        num_trials = min(num_trials, len(counts.possible))
    if sweep.max_epochs < math.inf:
        num_trials = min(num_trials, int(sweep.max_epochs // definition.trial_epochs))
    return num_trials
