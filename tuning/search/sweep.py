"""A search as a tree of runs: the sweep, its baselines, its trials, and the winner.

The winner is trained in full and tested once.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.config.files import run_params
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from pipelines.errors import ApplineError, ExternalFailure, ResultLost, SweepInterrupted
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.execution.in_process import InProcess
from tuning.execution.interface import Executor
from tuning.reports import significance
from tuning.reports.names import trial_name
from tuning.results.sweep import Effect, Selection, SweepResult, Trial, rule_of
from tuning.results.training import ScoredBaseline, TrainResult
from tuning.search import resume
from tuning.search.ask_tell import Searcher
from tuning.search.definition import Sweep, SweepDefinition
from tuning.search.early_stopping import Stopper, create_stopper
from tuning.search.progress import Progress
from tuning.search.refit import select_winner
from tuning.search.scheduler import Budget, SweepScheduler, best_trial, trial_seed, trial_spec
from tuning.search.sweep_run import record_further_trials, record_result, start_run
from tuning.search.sweep_tags import CHOSEN_BY, TRIALS, WINNER
from tuning.search.warm_start import WarmStart
from tuning.tracking.interface import Row, Run, Tracker
from tuning.training.baselines import record_baselines
from tuning.training.procedure import EarlierFit, Procedure, RunLabels
from tuning.training.record import finishing
from tuning.training.train import train


def run_sweep(
    pipeline: AnyPipeline,
    space: Space[Any],
    sweep: Sweep,
    tracker: Tracker,
    *,
    splits: Splits | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Search `space` on train and val, then train the winner in full and test it once.

    The baselines are tested beside it.

    Args:
        pipeline: whose networks they are.
        space: the hyperparameters that are searched, and the values of the others.
        sweep: how it is searched.
        tracker: where the runs are kept.
        splits: the data, where it is loaded already.
        executor: runs the trials: in this process when it is not given.
        progress: shows how the sweep goes.

    Raises:
        UsageError: nothing to search, or a resumed sweep whose definition has changed (the
            difference is shown).
        ApplineError: every trial failed; the first one's reason is given.
        SweepInterrupted: the sweep's run is KILLED and can be resumed.
        ExternalFailure: MLflow or the cluster failed, or the disk was full; the sweep can be
            resumed when that is fixed.
    """
    began = time.monotonic()
    if splits is None:
        splits = pipeline.load()
    definition = SweepDefinition(pipeline=pipeline, space=space, sweep=sweep, splits=splits)
    # Everything that can be refused is refused before anything is recorded.
    start = _prepare(definition, tracker)
    running = _RunningSweep(
        definition=definition,
        tracker=tracker,
        run=_open_run(definition, start, tracker),
        progress=progress or Progress(),
        began=began,
    )
    try:
        with finishing(running.run):
            result = running.finish(start, executor or InProcess())
        tracker.confirm(result.run_id)
        return result
    except KeyboardInterrupt:
        raise SweepInterrupted(running.run.id) from None
    except ResultLost:
        raise
    except ExternalFailure as error:
        error.sweep_id = running.run.id
        raise


@dataclass(frozen=True, kw_only=True)
class _Start:
    """What a sweep starts with."""

    earlier: Row | None  # the run of the sweep to resume, None for a new one
    first: Sequence[Mapping[str, Scalar]]  # points that are tried right after the defaults
    searcher: Searcher
    stopper: Stopper


def _prepare(definition: SweepDefinition, tracker: Tracker) -> _Start:
    definition.check()
    earlier = resume.find_sweep(definition, tracker)
    if earlier:
        first = resume.first_points(earlier)
    else:
        first = [*_preset_points(definition), *_warm_points(definition, tracker)]
    return _Start(
        earlier=earlier,
        first=first,
        searcher=definition.searcher(first),
        stopper=create_stopper(definition.sweep.stopping_rule, definition.sweep.objective),
    )


def _open_run(definition: SweepDefinition, start: _Start, tracker: Tracker) -> Run:
    """Start the sweep's run, or continue that of the sweep to resume."""
    if start.earlier:
        return tracker.resume(start.earlier.id)
    return start_run(definition, start.first, tracker)


@dataclass(frozen=True, kw_only=True)
class _RunningSweep:
    """A sweep whose run is open."""

    definition: SweepDefinition
    tracker: Tracker
    run: Run
    progress: Progress
    began: float  # time.monotonic()

    def finish(self, start: _Start, executor: Executor) -> SweepResult:
        """Compute the baselines, run the trials, train the winner, and record what was found."""
        definition, sweep = self.definition, self.definition.sweep
        self.progress.begun(self.run.id, sweep.trials)
        recorded = self.tracker.rows(role="baseline", sweep=self.run.id) if start.earlier else []
        baselines = []
        if sweep.baselines:
            baselines = record_baselines(
                definition.pipeline,
                definition.splits,
                self.tracker,
                parent=self.run.id,
                tags={"sweep": self.run.id},
                recorded=[row.params["architecture"] for row in recorded],
            )
        scheduler = self._scheduler(start)
        num_before = len(scheduler.trials)
        definition.pipeline.prepare(definition.space.base, definition.splits)
        executor.run(scheduler.work, scheduler)
        if start.earlier and len(scheduler.trials) == num_before:
            self._refuse_finished(start.earlier, num_before)
        best = _require_best(scheduler.trials, sweep.objective)
        selection = select_winner(
            scheduler.trials, definition, executor, self.tracker, self.run.id, self.progress
        )
        if selection:
            best = next(trial for trial in scheduler.trials if trial.number == selection.winner)
        # It had come to its end before, where its run says how many trials it had.
        if start.earlier and TRIALS in start.earlier.metrics and self._has_final(best):
            self._refuse_same_winner(best, scheduler)
        self.progress.searched()
        final = self._train_winner(best, baselines, selection)
        result = SweepResult(
            run_id=self.run.id,
            url=self.tracker.url(self.run.id),
            trials=scheduler.trials,
            best=best,
            front=pareto_front(scheduler.trials, sweep.objectives),
            objectives=sweep.objectives,
            effects=trial_effects(scheduler.trials, definition.space, sweep.objective),
            final=final,
            seconds=time.monotonic() - self.began,
            exhausted=scheduler.exhausted,
            selection=selection,
        )
        record_result(result, definition, self.run, self.tracker)
        return result

    def _scheduler(self, start: _Start) -> SweepScheduler:
        """Return the scheduler, which knows the results of the sweep to resume."""
        sweep = self.definition.sweep
        scheduler = SweepScheduler(
            work=self.definition.work(),
            space=self.definition.space,
            objectives=sweep.objectives,
            searcher=start.searcher,
            stopper=start.stopper,
            budget=Budget(
                trials=sweep.trials,
                deadline=self.began + sweep.max_seconds,
                epochs=sweep.max_epochs,
            ),
            epochs=self.definition.trial_epochs,
            tracker=self.tracker,
            run=self.run,
            progress=self.progress,
        )
        if start.earlier:
            recorded = resume.recorded_trials(start.earlier, self.tracker)
            resume.Replay(scheduler, recorded, self.tracker, self.run.id).run()
        return scheduler

    def _refuse_finished(self, earlier: Row, trials: int) -> None:
        """Refuse to train the winner of a finished sweep again, when no trial was added to it."""
        if earlier.status == "FINISHED":
            self.run.finish()
            raise resume.SweepFinished(earlier.id, trials)

    def _has_final(self, best: Trial) -> bool:
        """Return whether the best trial was trained in full before."""
        for row in self.tracker.rows(role="final", sweep=self.run.id, status="FINISHED"):
            if row.tags.get(WINNER) == str(best.number):
                return True
        return False

    def _refuse_same_winner(self, best: Trial, scheduler: SweepScheduler) -> None:
        """Record the further trials, and refuse to train the same winner once more."""
        record_further_trials(scheduler.trials, self.definition, self.run, scheduler.exhausted)
        self.run.finish()
        self.tracker.confirm(self.run.id)
        raise resume.SameWinner(self.run.id, len(scheduler.trials), best.number)

    def _train_winner(
        self, best: Trial, baselines: Sequence[ScoredBaseline], selection: Selection | None
    ) -> TrainResult:
        """Train the network of the best trial in full, and test it once.

        Where that is worse on validation than the trial was, the trial's weights are kept.
        """
        of_trial = trial_spec(self.definition, best)
        epochs = self.definition.space.base.train.epochs
        spec = replace(of_trial, train=replace(of_trial.train, epochs=epochs))
        pipeline = self.definition.pipeline
        params = run_params(pipeline.options, spec)
        return train(
            pipeline,
            spec,
            self.tracker,
            objective=self.definition.sweep.objective,
            splits=self.definition.splits,
            baselines=baselines,
            labels=RunLabels(
                role="final",
                parent=self.run.id,
                name=f"final {trial_name(best.number, pipeline.domain, params, list(best.values))}",
                tags={
                    "sweep": self.run.id,
                    WINNER: str(best.number),
                    CHOSEN_BY: rule_of(selection, best),
                },
            ),
            procedure=Procedure(
                earlier=EarlierFit(
                    name=f"trial {best.number}",
                    score=best.scores[0],
                    spec=of_trial,
                    seed=trial_seed(pipeline.options.seed, best.number),
                ),
                final_fit=self.definition.sweep.final_fit,
            ),
            on_epoch=self.progress.final_epoch,
        )


def _preset_points(definition: SweepDefinition) -> list[dict[str, Scalar]]:
    """Return the domain's presets that lie in the space."""
    space = definition.space
    points = []
    for preset in definition.pipeline.options.presets:
        if all(space.holds(key, value) for key, value in preset.items()):
            points.append({**space.defaults(), **preset})
    return points


def _warm_points(definition: SweepDefinition, tracker: Tracker) -> list[dict[str, Scalar]]:
    """Return what earlier sweeps have found, where `--warm-from` asks for it."""
    if not definition.sweep.warm_from:
        return []
    warm_start = WarmStart(
        source=definition.sweep.warm_from,
        space=definition.space,
        objective=definition.sweep.objective,
        splits=definition.splits,
        tracker=tracker,
    )
    return warm_start.points()


def _require_best(trials: Sequence[Trial], objective: Objective) -> Trial:
    best = best_trial(trials, objective)
    if best is not None:
        return best
    if trials:
        reason = trials[0].reason
        raise ApplineError(f"All {len(trials)} trials failed. The first one's reason: {reason}")
    raise ApplineError(
        "No trial was run: no point of the space can be built, the time was up, or "
        "--max-epochs-total is less than one trial. Widen the space (--search) or the budget"
    )


def pareto_front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Return the trials that no other one beats in every objective.

    They are sorted by the first objective, best first.
    """
    gains: dict[int, tuple[float, ...]] = {}  # scores with signs, so that more is better
    for trial in trials:
        if trial.scores:
            gains[trial.number] = _gains(trial, objectives)
    front = []
    for trial in trials:
        if trial.scores and not _is_dominated(gains[trial.number], gains.values()):
            front.append(trial)
    return sorted(front, key=lambda trial: gains[trial.number], reverse=True)


def _gains(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    gains = []
    for objective, score in zip(objectives, trial.scores, strict=True):
        gains.append(score if objective.direction == "max" else -score)
    return tuple(gains)


def _is_dominated(gains: tuple[float, ...], others: Iterable[tuple[float, ...]]) -> bool:
    """Whether another trial is as good in every objective, and better in one."""
    for other in others:
        if other != gains and all(a >= b for a, b in zip(other, gains, strict=True)):
            return True
    return False


def trial_effects(trials: Sequence[Trial], space: Space[Any], objective: Objective) -> list[Effect]:
    """Return what the trials say about each searched hyperparameter, the clearest first.

    A trial counts only for the hyperparameters that mattered in it: a kernel size says nothing
    about a network without convolutions.
    """
    scored = []
    for trial in trials:
        if trial.score is not None:
            scored.append((dict(space.identity(trial.values)), trial.score))
    return significance.effects(scored, space.dimensions, objective)
