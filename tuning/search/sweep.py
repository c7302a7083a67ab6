"""A search as a tree of runs: the sweep, its baselines, its trials, and the winner trained in full
and tested once.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.config.files import run_params, write_config
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar, Space
from pipelines.errors import ApplineError, ExternalFailure, SweepInterrupted, UsageError
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.execution.in_process import InProcess
from tuning.execution.interface import Executor
from tuning.execution.trial import Work
from tuning.reports import plots, significance
from tuning.reports.run_card import sweep_card
from tuning.results import SweepResult, Trial
from tuning.search import constraints, warm_start
from tuning.search.ask_tell import Searcher
from tuning.search.early_stopping import stopper
from tuning.search.progress import Progress
from tuning.search.scheduler import Budget, SweepScheduler, best_of
from tuning.search.tuners import require
from tuning.tracking.interface import Row, Run, Tracker
from tuning.tracking.provenance import PROCESS, alive
from tuning.tracking.saved_views import SweepCharts
from tuning.training.costs import COST_METRICS, LATENCY
from tuning.training.fit import num_epochs
from tuning.training.train import (
    RunLabels,
    finishing,
    record_baselines,
    train,
)

# A search looks at a schedule this much shorter than the training that follows: ranks of short fits
# agree with those of long ones (Spearman .92 at a third of the epochs on Fashion-MNIST).
TRIAL_SHARE = 3
MOST_TRIALS = 100_000  # of a sweep that is taken up again


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """How a search is run. The first objective decides who wins; with several, all on the Pareto
    front are kept in sight.
    """

    objectives: tuple[Objective, ...]
    trials: int = 20
    tuner: str = "tpe"
    trial_epochs: int = 0  # 0: a third of the epochs of the training that follows
    early_stop: str = "auto"
    max_seconds: float = math.inf
    max_epochs: float = math.inf  # of all trials together
    limits: Mapping[str, float] = field(default_factory=dict)
    warm_from: str = ""
    name: str = ""
    resume: str = ""  # the id of the sweep's run

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"--trials: expected at least 1. Received: {self.trials}")
        if self.warm_from and self.tuner == "grid":
            raise UsageError(
                "--warm-from: grid goes through the space in order. Choose another --tuner"
            )
        if len(self.objectives) > 1 and self.early_stop not in ("auto", "none"):
            raise UsageError(
                f"--early-stop {self.early_stop}: losing is judged by one objective. Received: {len(self.objectives)}"
            )

    @property
    def objective(self) -> Objective:
        return self.objectives[0]

    @property
    def stopper(self) -> str:
        """The rule of early stopping: none where the tuner has its own, wants every score, or
        several objectives count.
        """
        if self.early_stop != "auto":
            return self.early_stop
        return "median" if self.tuner in ("tpe", "random") and len(self.objectives) == 1 else "none"


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
    """Search `space` on train and val, then train the winner in full and test it once beside the
    baselines.

    `executor` runs the trials: in this process when it is not given.

    Raises:
        UsageError: nothing to search, or a resumed sweep whose definition has changed (the
            difference is shown).
        ApplineError: every trial failed; the first one's reason is given.
        SweepInterrupted: the sweep's run is KILLED and can be resumed.
        ExternalFailure: MLflow or the cluster failed, the disk was full; the sweep can be resumed
            when that is mended.
    """
    # --- what is searched, checked before anything is recorded
    began = time.monotonic()
    executor, progress = executor or InProcess(), progress or Progress()
    splits = splits if splits is not None else pipeline.load()
    if space.base.train.refit:  # refused here where the domain has none, not after the search
        pipeline.merge_train_val(splits)
    if "train.epochs" in space.dimensions:
        raise UsageError(
            "--search train.epochs: all trials have the same. Expected: --trial-epochs for them, --epochs for the winner"
        )
    search = _Search(pipeline, space, sweep, splits, tracker)
    earlier = search.earlier()
    first = search.first(earlier)
    searcher = search.searcher(first)
    rule = stopper(sweep.stopper, sweep.objective)

    run = search.open(earlier, first)
    progress.begun(run.id, sweep.trials)
    try:
        with finishing(run):
            # --- simple baselines, once for all trials
            baselines = record_baselines(
                pipeline, splits, tracker, parent=run.id, tags={"sweep": run.id}
            )

            # --- trials
            work = Work(
                pipeline=pipeline,
                splits=splits,
                objective=sweep.objective,
                latency=LATENCY in {one.name for one in sweep.objectives},
            )
            conductor = SweepScheduler(
                work=work,
                space=space,
                objectives=sweep.objectives,
                searcher=searcher,
                stopper=rule,
                budget=Budget(
                    trials=sweep.trials, deadline=began + sweep.max_seconds, epochs=sweep.max_epochs
                ),
                epochs=search.epochs,
                tracker=tracker,
                run=run,
                progress=progress,
            )
            if earlier:
                conductor.replay(*search.recorded(earlier))
            executor.run(work, conductor)
            trials = conductor.trials
            best = best_of(trials, sweep.objective)
            if best is None:
                raise ApplineError(_no_winner(trials))
            progress.searched()

            # --- the winner in full, tested once
            final = train(
                pipeline,
                _winner(space, best),
                tracker,
                objective=sweep.objective,
                splits=splits,
                baselines=baselines,
                labels=RunLabels(
                    role="final",
                    parent=run.id,
                    name=f"final, as trial {best.number}",
                    tags={"sweep": run.id},
                ),
                on_epoch=progress.final_epoch,
            )
            scored = [(trial.values, trial.score) for trial in trials if trial.score is not None]
            swept = SweepResult(
                run_id=run.id,
                url=tracker.url(run.id),
                trials=trials,
                best=best,
                front=front(trials, sweep.objectives),
                objectives=sweep.objectives,
                effects=significance.effects(scored, space.dimensions, sweep.objective),
                final=final,
                seconds=time.monotonic() - began,
                exhausted=conductor.exhausted,
            )
            search.record(swept, run)
    except KeyboardInterrupt:
        raise SweepInterrupted(run.id) from None
    except ExternalFailure as error:
        error.sweep_id = run.id
        raise
    return swept


def front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Return the trials that no other one beats in every objective, the best in the first objective
    first.
    """
    scored = [trial for trial in trials if trial.scores]
    signs = [1 if one.direction == "max" else -1 for one in objectives]
    gains = {
        trial.number: tuple(sign * score for sign, score in zip(signs, trial.scores, strict=True))
        for trial in scored
    }

    def beaten(trial: Trial) -> bool:
        mine = gains[trial.number]
        return any(
            its != mine and all(a >= b for a, b in zip(its, mine, strict=True))
            for its in gains.values()
        )

    return sorted(
        (trial for trial in scored if not beaten(trial)),
        key=lambda trial: gains[trial.number],
        reverse=True,
    )


def _winner(space: Space[Any], best: Trial) -> Any:
    """Return the winner's spec, with the batch that its trial had: a larger one may not fit into
    memory.
    """
    spec = space.spec(best.values)
    return replace(
        spec, train=replace(spec.train, batch_size=best.batch_size or spec.train.batch_size)
    )


def _no_winner(trials: Sequence[Trial]) -> str:
    if not trials:
        return (
            "No trial was run: no point of the space can be built, the time was up, or --max-epochs-total is less than one trial. "
            "Widen the space (--search) or the budget"
        )
    return f"All {len(trials)} trials failed. The first one's reason: {trials[0].reason}"


@dataclass(frozen=True)
class _Search:
    """What a sweep is, before and after its trials: its definition, its run, what it writes at the
    end.
    """

    pipeline: AnyPipeline
    space: Space[Any]
    sweep: Sweep
    splits: Splits
    tracker: Tracker

    @property
    def epochs(self) -> int:
        """The epochs of a trial: as asked for, or a third of those of the training that follows."""
        return trial_epochs(self.space, self.sweep, self.splits)

    @property
    def tags(self) -> dict[str, str]:
        return {"dataset": self.splits.dataset, "data_digest": self.splits.digest}

    def searcher(self, first: Sequence[Mapping[str, Scalar]]) -> Searcher:
        return Searcher(
            self.space,
            tuner=self.sweep.tuner,
            objectives=self.sweep.objectives,
            seed=self.pipeline.options.seed,
            epochs=self.epochs,
            feasible=constraints.feasible(
                self.pipeline, self.space, self.splits, self.sweep.limits
            ),
            first=first,
        )

    def definition(self) -> dict[str, Any]:
        """Return everything that decides what a sweep's trials are, as plain data; budgets and
        `--warm-from` are no part of it.
        """
        return {
            "options": self.pipeline.options.as_params(),
            "space": self.space.describe(),
            "data_digest": self.splits.digest,
            "objective": ", ".join(one.name for one in self.sweep.objectives),
            "limits": dict(self.sweep.limits),
            "tuner": self.sweep.tuner,
            "early_stop": self.sweep.stopper,
            "trial_epochs": self.epochs,
        }

    def earlier(self) -> Row | None:
        """Return the run of the sweep to take up again, None for a new one.

        Raises:
            UsageError: there is no such sweep, or it was defined otherwise.
        """
        if not self.sweep.resume:
            return None
        found = self.tracker.rows(run_id=self.sweep.resume)
        if not found or found[0].tags.get("role") != "sweep":
            raise UsageError(
                f"--resume {self.sweep.resume}: no sweep has this id. See: appline runs"
            )
        if found[0].status == "RUNNING" and alive(found[0].tags):
            raise UsageError(
                f"--resume {self.sweep.resume}: this sweep is still running, in process {found[0].tags[PROCESS]}"
            )
        before = json.loads(found[0].tags["definition"])
        before.pop("first", None)
        # What the version that started it did not know yet was then as it is by default now.
        before["options"] = {
            **type(self.pipeline.options)().as_params(),
            **before.get("options", {}),
        }
        _require_same(before, self.definition(), self.sweep.resume)
        return found[0]

    def first(self, earlier: Row | None) -> list[dict[str, Scalar]]:
        """Return the points that are tried right after the defaults: presets, and what earlier
        sweeps found.
        """
        if earlier:
            found: list[dict[str, Scalar]] = json.loads(earlier.tags["definition"]).get("first", [])
            return found
        defaults = self.space.defaults()
        presets = [
            preset
            for preset in self.pipeline.options.presets
            if all(self.space.holds(key, value) for key, value in preset.items())
        ]
        return [
            *({**defaults, **preset} for preset in presets),
            *warm_start.points(self.space, self.sweep, self.splits, self.tracker),
        ]

    def open(self, earlier: Row | None, first: Sequence[Mapping[str, Scalar]]) -> Run:
        """Start the sweep's run, or take up the one to resume."""
        if earlier:
            return self.tracker.resume(earlier.id)
        run = self.tracker.start(
            self.sweep.name or f"{self.sweep.tuner} sweep on {self.splits.dataset}",
            role="sweep",
            tags={
                **self.tags,
                "definition": json.dumps({**self.definition(), "first": list(first)}),
            },
            params={
                **run_params(self.pipeline.options, self.space.base),
                **{key: str(domain) for key, domain in self.space.dimensions.items()},
                "tuner": self.sweep.tuner,
                "early_stop": self.sweep.stopper,
                "trials": self.sweep.trials,
                "trial_epochs": self.epochs,
            },
        )
        run.tags({"sweep": run.id})
        run.dataset(self.splits)
        run.text(
            write_config(self.pipeline.options, self.space.base, self.space.dimensions),
            "config.yaml",
        )
        return run

    def recorded(self, earlier: Row) -> tuple[list[Row], dict[int, int]]:
        """Return the runs of the trials that have ended, and those that had not, with what was
        known when they were proposed.

        A trial whose process died between its last number and the word that it is over is over.
        """
        rows = self.tracker.rows(role="trial", sweep=earlier.id, limit=MOST_TRIALS)
        ended: dict[str, Row] = {}
        for row in rows:
            if row.status in (
                "KILLED",
                "RUNNING",
            ):  # RUNNING: of another host, which may not be there any more
                over = "epochs" in row.metrics
                self.tracker.resume(row.id).finish("FINISHED" if over else "KILLED")
                row = self.tracker.rows(run_id=row.id)[0]
            if row.status in ("FINISHED", "FAILED"):
                ended[row.tags["trial"]] = row
        running = json.loads(earlier.tags.get("running", "{}"))
        return list(ended.values()), {int(number): known for number, known in running.items()}

    def record(self, swept: SweepResult, run: Run) -> None:
        """Write what the sweep found: the winner's scores, figures, a card and the views of its
        page.
        """
        objective, headline = self.sweep.objective, self.pipeline.headline_metric(self.splits)
        final, lift = swept.final, swept.final.lift
        best = dict(
            zip((one.name for one in self.sweep.objectives), swept.best.scores, strict=True)
        )
        run.metrics(
            {
                **{
                    f"best/{name}": score
                    for name, score in best.items()
                    if name not in COST_METRICS
                },
                "best/trial": swept.best.number,
                **{f"test/{name}": value for name, value in final.test.items()},
                **(
                    {
                        f"lift/{headline.name}": lift.mean,
                        "lift/low": lift.low,
                        "lift/high": lift.high,
                    }
                    if lift
                    else {}
                ),
                "cost/sweep_s": swept.seconds,
                "cost/trials": len(swept.trials),
                "cost/saved_s": swept.saved,
            }
        )
        run.tags({"running": "{}"})
        if len(self.sweep.objectives) > 1:
            ahead = {trial.number for trial in swept.front}
            for (
                trial
            ) in swept.trials:  # all: an extended sweep may have beaten what was ahead before
                self.tracker.tag(trial.run_id, {"pareto": str(trial.number in ahead).lower()})
            run.figure(plots.pareto(swept), "plots/pareto.png")
        scores = [trial.score for trial in swept.trials if trial.score is not None]
        run.figure(plots.progress(scores, objective), "plots/progress.png")
        run.figure(plots.effects(swept.effects, objective), "plots/effects.png")
        run.describe(sweep_card(swept))
        self.tracker.sweep_view(
            SweepCharts(
                sweep=run.id,
                name=f"Sweep {run.id[:8]}",
                objective=objective.name,
                direction=objective.direction,
                searched=list(self.space.dimensions),
                test=[f"test/{name}" for name in final.test],
            )
        )


def trial_epochs(space: Space[Any], sweep: Sweep, splits: Splits) -> int:
    """Return the epochs of a trial: as asked for, or a third of those of the training that
    follows.
    """
    full = num_epochs(space.base.train, splits.sizes()["train"])
    return sweep.trial_epochs or max(2, math.ceil(full / TRIAL_SHARE))


def sweep_objectives(
    pipeline: AnyPipeline, splits: Splits, names: Sequence[str]
) -> tuple[Objective, ...]:
    """Return what `--objective` names: validation metrics and costs, the default one when nothing
    is named.

    Raises:
        UsageError: the first is no validation metric, or there is none of this name.
    """
    found = []
    for name in names or [""]:
        if name in COST_METRICS:
            found.append(Objective(name=name, direction="min"))
        elif name.startswith("cost/"):
            require("--objective", name, tuple(COST_METRICS))
        else:
            found.append(pipeline.objective_for(splits, name))
    if found[0].name in COST_METRICS:
        raise UsageError(
            f"--objective {names[0]}: the first one is a validation metric, such as {pipeline.objective_for(splits).name}"
        )
    return tuple(dict.fromkeys(found))


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], sweep: str) -> None:
    """Refuse to resume a sweep that was defined otherwise: its finished trials would answer another
    question.
    """
    then, here = _flat(before), _flat(now)
    changed = [key for key in dict.fromkeys([*then, *here]) if then.get(key) != here.get(key)]
    if changed:
        listed = "; ".join(
            f"{key}: {then.get(key, 'absent')} then, {here.get(key, 'absent')} now"
            for key in changed[:8]
        )
        raise UsageError(
            f"--resume {sweep}: this is another sweep. {listed}. Resume it with the options it was started with"
        )


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat
