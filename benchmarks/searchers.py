"""Which searcher finds more with the same CPU: every searcher on the same real fits, 30 seeds each.

    python -m benchmarks.searchers TABLES      # a folder, where the fits are kept between calls
    python -m benchmarks.searchers TABLES --sets reviews --tuners tpe random

For each data set all 72 points of a space of kernel size, stride, filters and learning rate are
trained once (two workers, no early stopping), with the curve and the CPU seconds of each. A
searcher then gets its results from that table at their price, its own thinking counted, until a
share of the table's CPU seconds is spent. Printed is the mean of the best validation score so far,
with its standard error over seeds, as a share of the way from the mean trial (0) to the best one
(1): that makes data sets comparable. The last column is the median of the CPU seconds after which
95 % of the way are done: what early stopping saves at an equal score is the difference of two rows.
"""

import contextlib
import dataclasses
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
BAYESIAN_SEEDS = 3  # it needs a second for each proposal
GOOD = 0.95  # of the way from the mean trial to the best one
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the table's CPU seconds
MOST_TRIALS = 10_000  # more than there are points
# Tuner and rule of early stopping.
CONTENDERS = (
    ("tpe", "asha"),
    ("tpe", "median"),
    ("tpe", "none"),
    ("random", "asha"),
    ("random", "none"),
    ("bayesian", "none"),
    ("hyperband", "none"),
)
TUNERS = tuple(dict.fromkeys(tuner for tuner, _ in CONTENDERS))
COMMON = {"conv.stride": (1, 2), "train.learning_rate": (5e-4, 1.5e-3, 5e-3, 1.5e-2)}


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Whose networks are fitted, and the space of them."""

    domain: str
    options: Mapping[str, Any]
    fixed: Mapping[str, Any]
    space: Mapping[str, tuple[Any, ...]]
    epochs: int


SETS = {
    "digits": DataSet(
        domain="vision",
        options={"data": "digits"},
        fixed={"conv.blocks": 1},
        space={"conv.kernel_size": (2, 3, 5), "conv.filters": (8, 16, 32), **COMMON},
        epochs=9,
    ),
    "fashion-mnist": DataSet(
        domain="vision",
        options={"data": "fashion-mnist", "limit": 10_000},
        fixed={"conv.blocks": 2},
        space={"conv.kernel_size": (2, 3, 5), "conv.filters": (8, 16, 32), **COMMON},
        epochs=6,
    ),
    "reviews": DataSet(
        domain="text",
        options={"data": "reviews"},
        fixed={"start_from": "none", "embedding.width": 32},
        space={"conv.kernel_size": (2, 3, 5), "conv.filters": (16, 32, 64), **COMMON},
        epochs=6,
    ),
    "us_employment": DataSet(
        domain="forecast",
        options={"data": "us_employment"},
        fixed={},
        space={"conv.kernel_size": (3, 6, 12), "conv.filters": (8, 16, 32), **COMMON},
        epochs=6,
    ),
}


@dataclass(frozen=True)
class Fit:
    """One real trial: its score by epoch, and its CPU seconds."""

    scores: list[float]
    beside: float  # all that it does beside its epochs
    epoch: float

    def seconds(self) -> float:
        """Return the CPU seconds of the whole trial."""
        return self.beside + self.epoch * len(self.scores)


@dataclass(frozen=True, kw_only=True)
class Table:
    """All fits of one data set, by the values of their points."""

    definition: Any
    fits: dict[str, Fit]


def load_table(name: str, folder: Path) -> Table:
    """Return the fits of all points of a data set; computed once, then read from `folder`."""
    from pipelines import create_pipeline
    from pipelines.config.search_space import Choice, replace
    from tuning.search.definition import Sweep, SweepDefinition, sweep_objectives

    data = SETS[name]
    pipeline = create_pipeline(data.domain, **data.options)
    options, splits = pipeline.options, pipeline.load()
    dimensions = {key: Choice(values) for key, values in data.space.items()}
    sweep = Sweep(
        objectives=sweep_objectives(pipeline, splits, ()),
        trials=MOST_TRIALS,
        tuner="grid",
        trial_epochs=data.epochs,
        early_stop="none",
    )
    definition = SweepDefinition(
        pipeline=pipeline,
        space=options.space(replace(options.spec_type(), data.fixed), dimensions),
        sweep=sweep,
        splits=splits,
    )
    path = folder / f"{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fit_all(definition)))
    fits = {key: Fit(**plain) for key, plain in json.loads(path.read_text()).items()}
    return Table(definition=definition, fits=fits)


def fit_all(definition: Any) -> dict[str, dict[str, Any]]:
    """Train every point of a space, and return the fields of each `Fit`."""
    from tuning.execution.local_workers import LocalWorkers

    # The baseline that a network may start from is computed here, not in each worker.
    list(definition.pipeline.baselines(definition.splits))
    scheduler = create_scheduler(definition, seed=0)
    with contextlib.closing(LocalWorkers(2)) as workers:
        workers.run(definition.work(), scheduler)
    fits: dict[str, dict[str, Any]] = {}
    for trial in scheduler.trials:
        if trial.score is None:
            continue
        scores = scheduler.curves[trial.number]
        cpu = trial.costs["cost/train_cpu_s"]
        # The first epoch is mostly tracing: an epoch's price is that of the later ones.
        later = cpu * (1 - scheduler.first_share(trial.number))
        epoch = later / max(1, len(scores) - 1)
        beside = cpu - epoch * len(scores)
        fits[point_key(trial.values)] = {"scores": scores, "beside": beside, "epoch": epoch}
    return fits


def point_key(values: Mapping[str, Any]) -> str:
    """Return the values of a point as text, in the order of their keys."""
    return json.dumps({key: values[key] for key in sorted(values)})


def create_scheduler(definition: Any, *, seed: int) -> Any:
    """Return a scheduler that records nothing but curves and times."""
    from tuning.search.ask_tell import Searcher
    from tuning.search.early_stopping import create_stopper
    from tuning.search.progress import Progress
    from tuning.search.scheduler import Budget, SweepScheduler
    from tuning.tracking.interface import NullRun, NullTracker

    class Recorder(SweepScheduler):
        curves: dict[int, list[float]]
        moments: dict[int, list[float]]  # of the start, and of the end of each epoch

        def next_task(self) -> Any:
            task = super().next_task()
            if task:
                self.moments[task.number] = [time.monotonic()]
            return task

        def reported(self, task: Any, epoch: int, values: Mapping[str, float]) -> str:
            self.curves.setdefault(task.number, []).append(values[self.objectives[0].name])
            self.moments[task.number].append(time.monotonic())
            return super().reported(task, epoch, values)

        def first_share(self, number: int) -> float:
            """Return the share of a trial's time until the end of its first epoch."""
            start, first, *_ = self.moments[number]
            return (first - start) / (self.moments[number][-1] - start)

    sweep = definition.sweep
    scheduler = Recorder(
        work=definition.work(),
        space=definition.space,
        objectives=sweep.objectives,
        searcher=Searcher(
            definition.space,
            tuner=sweep.tuner,
            objectives=sweep.objectives,
            seed=seed,
            epochs=sweep.trial_epochs,
            feasible=lambda values: True,
        ),
        stopper=create_stopper(sweep.stopping_rule, sweep.objective),
        budget=Budget(trials=sweep.trials),
        epochs=sweep.trial_epochs,
        tracker=NullTracker(),
        run=NullRun(),
        progress=Progress(),
    )
    scheduler.curves, scheduler.moments = {}, {}
    return scheduler


class BudgetSpent(Exception):
    """The CPU seconds are used up."""


@dataclass
class TableExecutor:
    """An executor whose trials come from a table, at the table's price."""

    fits: dict[str, Fit]
    keys: Sequence[str]  # that are searched
    budget: float  # CPU seconds
    objective: Any
    spent: float = 0.0
    best: list[tuple[float, float]] = field(default_factory=list)  # (CPU seconds, best score)

    def run(self, scheduler: Any) -> None:
        """Run trials until there are none, or the budget is spent."""
        from pipelines.config.search_space import flatten
        from tuning.execution.trial import Outcome

        while True:
            began = time.process_time()
            task = scheduler.next_task()
            self._pay(time.process_time() - began)
            if task is None:
                return
            spec = flatten(task.spec)
            fit = self.fits.get(point_key({key: spec[key] for key in self.keys}))
            if fit is None:
                scheduler.ended(task, Outcome(reason="it has no fit in the table"))
            else:
                scheduler.ended(task, self._replay(task, fit, scheduler))

    def _replay(self, task: Any, fit: Fit, scheduler: Any) -> Any:
        from tuning.execution.trial import Outcome

        self._pay(fit.beside)
        best = math.nan
        stopped = ""
        scores: list[float] = []
        for score in fit.scores[: task.spec.train.epochs]:
            self._pay(fit.epoch)
            scores.append(score)
            if math.isnan(best) or self.objective.better(score, best):
                best = score
            stopped = scheduler.reported(task, len(scores), {self.objective.name: score})
            if stopped:
                break
        if not self.best or self.objective.better(best, self.best[-1][1]):
            self.best.append((self.spent, best))
        return Outcome(score=best, history={"loss": scores}, stopped=stopped)

    def _pay(self, seconds: float) -> None:
        self.spent += seconds
        if self.spent > self.budget:
            raise BudgetSpent


@dataclass(frozen=True, kw_only=True)
class Race:
    """What all searchers of a data set are measured by."""

    table: Table
    total: float  # CPU seconds of all fits
    mean: float  # score of the fits
    best: float

    def progress(self, score: float) -> float:
        """Return how far a score is on the way from the mean one to the best one."""
        return (score - self.mean) / (self.best - self.mean)

    def run(self, tuner: str, early_stop: str, seed: int) -> tuple[list[float], float]:
        """Return a searcher's progress after each share of the time, and its seconds to 95 %.

        Both count CPU seconds. Those to 95 % of the way are infinite where it was not reached.
        """
        definition = self.table.definition
        sweep = dataclasses.replace(definition.sweep, tuner=tuner, early_stop=early_stop)
        definition = dataclasses.replace(definition, sweep=sweep)
        executor = TableExecutor(
            self.table.fits,
            list(definition.space.dimensions),
            SHARES[-1] * self.total,
            sweep.objective,
        )
        with contextlib.suppress(BudgetSpent):
            executor.run(create_scheduler(definition, seed=seed))
        progress = [0.0] * len(SHARES)
        reached = math.inf
        for seconds, score in executor.best:
            for position, share in enumerate(SHARES):
                if seconds <= share * self.total:
                    progress[position] = self.progress(score)
            if self.progress(score) >= GOOD:
                reached = min(reached, seconds)
        return progress, reached


def create_race(table: Table) -> Race:
    """Return the race on the fits of one data set."""
    pick = max if table.definition.sweep.objective.direction == "max" else min
    best_scores = [pick(fit.scores) for fit in table.fits.values()]
    return Race(
        table=table,
        total=sum(fit.seconds() for fit in table.fits.values()),
        mean=statistics.mean(best_scores),
        best=pick(best_scores),
    )


def compare(name: str, folder: Path, tuners: Sequence[str]) -> None:
    """Print one data set's rows."""
    race = create_race(load_table(name, folder))
    metric = race.table.definition.sweep.objective.name
    print(
        f"{name}: {len(race.table.fits)} fits, {race.total:.0f} CPU s; "
        f"mean {metric} {race.mean:.4f}, best {race.best:.4f}"
    )
    heads = "".join(f"{share:>16.0%}" for share in SHARES)
    print(f"    {'share of the CPU':22}{heads}{f'{GOOD:.0%} of the way after':>24}")
    for tuner, early_stop in CONTENDERS:
        if tuner not in tuners:
            continue
        seeds = range(BAYESIAN_SEEDS if tuner == "bayesian" else SEEDS)
        runs = [race.run(tuner, early_stop, seed) for seed in seeds]
        print(f"    {f'{tuner}, {early_stop}':22}{describe(runs)}", flush=True)


def describe(runs: Sequence[tuple[list[float], float]]) -> str:
    """Return the cells of a row: mean and standard error after each share, median seconds."""
    cells = []
    for position in range(len(SHARES)):
        column = [progress[position] for progress, _ in runs]
        error = statistics.stdev(column) / math.sqrt(len(column))
        cells.append(f"{statistics.mean(column):>9.3f} ± {error:.3f}")
    seconds = statistics.median(reached for _, reached in runs)
    after = f"{seconds:.0f} CPU s" if seconds < math.inf else "not reached"
    return f"{''.join(cells)}{after:>24}"


def main() -> None:
    """Compare on every data set that is asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=Path, help="where the fits are kept between calls")
    arguments.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    arguments.add_argument(
        "--tuners",
        nargs="+",
        choices=TUNERS,
        default=list(TUNERS),
        help="bayesian takes most of the time",
    )
    chosen = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    for name in chosen.sets:
        compare(name, chosen.folder, chosen.tuners)


if __name__ == "__main__":
    main()
