"""Which searcher finds more with the same CPU: every searcher on the same real fits, 30 seeds each.

    python -m benchmarks.searchers TABLES                    # TABLES: a folder, where the fits are kept between calls
    python -m benchmarks.searchers TABLES --sets reviews --tuners tpe random

For each data set all 72 points of a space of kernel size, stride, filters and learning rate are trained once (two workers, no
early stopping), with the curve and the CPU seconds of each. A searcher then gets its answers from that table at their
price, its own thinking counted, until a share of the table's CPU seconds is spent. Printed is the mean of the best
validation score found by then, with its standard error over seeds, as a share of the way from the mean trial (0) to the best
one (1): that makes data sets comparable. The last column is the median of the CPU seconds after which 95 % of the way are
done: what early stopping saves at an equal score is the difference of two rows.
"""

import contextlib
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.arguments import parser

SEEDS = 30
GOOD = 0.95
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
EARLY = (("tpe", "asha"), ("tpe", "median"), ("tpe", "none"), ("random", "asha"))
CONTENDERS = (*EARLY, ("random", "none"), ("bayesian", "none"), ("hyperband", "none"))
TUNERS = tuple(dict.fromkeys(tuner for tuner, _ in CONTENDERS))
COMMON = {"conv.stride": (1, 2), "train.learning_rate": (5e-4, 1.5e-3, 5e-3, 1.5e-2)}
SETS: dict[str, dict[str, Any]] = {
    "digits": {
        "domain": "vision",
        "options": {"data": "digits"},
        "fixed": {"conv.blocks": 1},
        "space": {"conv.kernel_size": (2, 3, 5), "conv.filters": (8, 16, 32), **COMMON},
        "epochs": 9,
    },
    "fashion-mnist": {
        "domain": "vision",
        "options": {"data": "fashion-mnist", "limit": 10_000},
        "fixed": {"conv.blocks": 2},
        "space": {"conv.kernel_size": (2, 3, 5), "conv.filters": (8, 16, 32), **COMMON},
        "epochs": 6,
    },
    "reviews": {
        "domain": "text",
        "options": {"data": "reviews"},
        "fixed": {"start_from": "none", "embedding.width": 32},
        "space": {"conv.kernel_size": (2, 3, 5), "conv.filters": (16, 32, 64), **COMMON},
        "epochs": 6,
    },
    "us_employment": {
        "domain": "forecast",
        "options": {"data": "us_employment"},
        "fixed": {},
        "space": {"conv.kernel_size": (3, 6, 12), "conv.filters": (8, 16, 32), **COMMON},
        "epochs": 6,
    },
}


@dataclass
class Fit:
    """One real trial: its curve and its price."""

    scores: list[float]
    beside: float
    epoch: float


def table(name: str, folder: Path) -> tuple[Any, Any, Any, dict[str, Fit]]:
    """Return pipeline, splits, space and the fits of all points; computed once, then read from `folder`."""
    from pipelines import pipeline_class
    from pipelines.config.search_space import Choice, replace
    from tuning.execution.local_workers import LocalWorkers
    from tuning.execution.trial import Work
    from tuning.search.sweep import Sweep, sweep_objectives

    what = SETS[name]
    pipeline: Any = pipeline_class(what["domain"])(**what["options"])
    space = pipeline.space(
        replace(pipeline.spec_type(), what["fixed"]),
        {key: Choice(values) for key, values in what["space"].items()},
    )
    splits = pipeline.load()
    path = folder / f"{name}.json"
    if not path.exists():
        objective = pipeline.objective_for(splits)
        sweep = Sweep(
            objectives=sweep_objectives(pipeline, splits, ()),
            trials=10_000,
            tuner="grid",
            trial_epochs=what["epochs"],
            early_stop="none",
        )
        workers = LocalWorkers(2)
        list(
            pipeline.baselines(splits)
        )  # what a network may start from is computed here, not in each worker
        conductor = conducted(pipeline, space, splits, sweep, seed=0)
        workers.run(Work(pipeline=pipeline, splits=splits, objective=objective), conductor)
        workers.close()
        fits = {}
        for trial in conductor.trials:
            if trial.score is not None:
                scores = conductor.curves[trial.number]
                cpu = trial.costs["cost/train_cpu_s"]
                share = conductor.first[
                    trial.number
                ]  # of the time that the first epoch and all before it took
                epoch = cpu * (1 - share) / max(1, len(scores) - 1)
                fits[identity(trial.values)] = {
                    "scores": scores,
                    "beside": cpu - epoch * len(scores),
                    "epoch": epoch,
                }
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fits))
    return (
        pipeline,
        splits,
        space,
        {key: Fit(**one) for key, one in json.loads(path.read_text()).items()},
    )


def identity(values: Mapping[str, Any]) -> str:
    return json.dumps({key: values[key] for key in sorted(values)})


def conducted(pipeline: Any, space: Any, splits: Any, sweep: Any, *, seed: int) -> Any:
    """Return a conductor that records nothing but the curves."""
    from tuning.execution.trial import Work
    from tuning.search.ask_tell import Searcher
    from tuning.search.early_stopping import stopper
    from tuning.search.progress import Progress
    from tuning.search.scheduler import Budget, SweepScheduler
    from tuning.tracking.interface import NullRun, NullTracker

    class Curves(SweepScheduler):
        curves: dict[int, list[float]]
        first: dict[int, float]
        _at: dict[int, list[float]]

        def next_task(self) -> Any:
            task = super().next_task()
            if task:
                self._at[task.number] = [time.monotonic()]
            return task

        def reported(self, task: Any, epoch: int, values: Mapping[str, float]) -> str:
            self.curves.setdefault(task.number, []).append(values[self.objectives[0].name])
            times = self._at[task.number]
            times.append(time.monotonic())
            self.first[task.number] = (times[1] - times[0]) / (times[-1] - times[0])
            return super().reported(task, epoch, values)

    made = Curves(
        work=Work(pipeline=pipeline, splits=splits, objective=sweep.objective),
        space=space,
        objectives=sweep.objectives,
        searcher=Searcher(
            space,
            tuner=sweep.tuner,
            objectives=sweep.objectives,
            seed=seed,
            epochs=sweep.trial_epochs,
            feasible=lambda values: True,
        ),
        stopper=stopper(sweep.stopper, sweep.objective),
        budget=Budget(trials=sweep.trials),
        epochs=sweep.trial_epochs,
        tracker=NullTracker(),
        run=NullRun(),
        progress=Progress(),
    )
    made.curves, made.first, made._at = {}, {}, {}
    return made


class Spent(Exception):
    """The budget is used up."""


@dataclass
class Replay:
    """An executor that answers from a table, at the table's price."""

    fits: dict[str, Fit]
    budget: float
    better: Any
    spent: float = 0.0
    found: list[tuple[float, float]] = field(
        default_factory=list
    )  # (CPU seconds, best score so far)

    def run(self, work: Any, brain: Any) -> None:
        from tuning.execution.trial import Outcome

        while True:
            began = time.process_time()
            task = brain.next_task()
            self._pay(time.process_time() - began)
            if task is None:
                return
            values = brain._running[task.number].values
            fit = self.fits.get(identity(values))
            if fit is None:
                brain.ended(task, Outcome(reason="it has no fit in the table"))
                continue
            self._pay(fit.beside)
            best, stopped, scores = None, "", fit.scores[: task.spec.train.epochs]
            for epoch, score in enumerate(scores, start=1):
                self._pay(fit.epoch)
                best = score if best is None or self.better(score, best) else best
                stopped = brain.reported(task, epoch, {brain.objectives[0].name: score})
                if stopped:
                    break
            if not self.found or self.better(best, self.found[-1][1]):
                self.found.append((self.spent, best))
            brain.ended(
                task, Outcome(score=best, history={"loss": scores[:epoch]}, stopped=stopped)
            )

    def _pay(self, seconds: float) -> None:
        self.spent += seconds
        if self.spent > self.budget:
            raise Spent


def search(name: str, folder: Path, tuners: Sequence[str]) -> None:
    """Print one data set's rows."""
    from tuning.search.sweep import Sweep, sweep_objectives

    pipeline, splits, space, fits = table(name, folder)
    objectives = sweep_objectives(pipeline, splits, ())
    pick = max if objectives[0].direction == "max" else min
    finals = [pick(fit.scores) for fit in fits.values()]
    total = sum(fit.beside + fit.epoch * len(fit.scores) for fit in fits.values())
    low, high = statistics.mean(finals), pick(finals)
    print(
        f"{name}: {len(fits)} fits, {total:.0f} CPU s; mean {objectives[0].name} {low:.4f}, best {high:.4f}"
    )
    print(
        f"    {'share of the CPU':22}"
        + "".join(f"{share:>16.0%}" for share in SHARES)
        + f"{f'{GOOD:.0%} of the way after':>24}"
    )
    for tuner, early in (one for one in CONTENDERS if one[0] in tuners):
        rows, reached = [], []
        for seed in range(3 if tuner == "bayesian" else SEEDS):
            how = Sweep(
                objectives=objectives,
                trials=10_000,
                tuner=tuner,
                early_stop=early,
                trial_epochs=SETS[name]["epochs"],
            )
            replay = Replay(fits, SHARES[-1] * total, objectives[0].better)
            with contextlib.suppress(Spent):
                replay.run(None, conducted(pipeline, space, splits, how, seed=seed))
            best = [
                [score for when, score in replay.found if when <= share * total] for share in SHARES
            ]
            good = [when for when, score in replay.found if (score - low) / (high - low) >= GOOD]
            reached.append(good[0] if good else math.inf)
            rows.append([(scores[-1] - low) / (high - low) if scores else 0.0 for scores in best])
        columns = [[row[at] for row in rows] for at in range(len(SHARES))]
        cells = "".join(
            f"{statistics.mean(one):>9.3f} ± {statistics.stdev(one) / len(one) ** 0.5:.3f}"
            for one in columns
        )
        when = statistics.median(reached)
        print(
            f"    {f'{tuner}, {early}':22}{cells}{f'{when:.0f} CPU s' if when < math.inf else 'not reached':>24}",
            flush=True,
        )


def main() -> None:
    """Compare on every data set that is asked for."""
    wanted = parser(__doc__)
    wanted.add_argument("folder", type=Path, help="where the fits are kept between calls")
    wanted.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    wanted.add_argument(
        "--tuners",
        nargs="+",
        choices=TUNERS,
        default=list(TUNERS),
        help="bayesian takes most of the time",
    )
    asked = wanted.parse_args()
    from tuning.training import runtime

    runtime.import_tensorflow()
    for name in asked.sets:
        search(name, asked.folder, asked.tuners)


if __name__ == "__main__":
    main()
