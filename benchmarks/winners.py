"""What the one-standard-error rule costs and saves: the winners of sweeps, by it and by best score.

    python -m benchmarks.winners [--sweeps 10] [--trials 16]

Each sweep searches kernel size, stride, filters and learning rate on a few hundred digits, with
another seed and so with other parts, and fits its best trials again with fresh seeds. Both winners
are then trained in full and tested. Printed are their test scores and parameters, and what the
refits took beside the trials.
"""

import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.arguments import parser
from pipelines import create_pipeline, runtime
from pipelines.config.search_space import Choice, replace

LIMIT = 600  # images in all
FIRST_SEED = 1
FIXED = {"architecture": "vgg", "conv.blocks": 2, "train.epochs": 12}
SEARCHED = {
    "conv.kernel_size": Choice((2, 3, 5)),
    "conv.stride": Choice((1, 2)),
    "conv.filters": Choice((4, 8, 16, 32)),
    "train.learning_rate": Choice((1e-3, 3e-3, 1e-2)),
}


@dataclass(frozen=True, kw_only=True)
class Winner:
    """A trial that has won, trained in full: its test accuracy and its parameters."""

    number: int
    accuracy: float
    params: float

    def __str__(self) -> str:
        return f"trial {self.number} {self.accuracy:.4f} with {self.params:,.0f} weights"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The winners of one sweep, and the seconds of its trials and refits."""

    by_rule: Winner
    by_score: Winner
    trials_s: float
    refits_s: float


def main() -> None:
    """Print a line for each sweep, then the means of the differences."""
    arguments = parser(__doc__)
    arguments.add_argument("--sweeps", type=int, default=10)
    arguments.add_argument("--trials", type=int, default=16)
    given = arguments.parse_args()
    runtime.import_tensorflow()
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + given.sweeps):
        compared = _compare(seed, given.trials)
        found.append(compared)
        print(
            f"sweep {seed}: by rule {compared.by_rule}, by score {compared.by_score}; "
            f"trials {compared.trials_s:.0f} s, refits {compared.refits_s:.0f} s",
            flush=True,
        )
    gains = [each.by_rule.accuracy - each.by_score.accuracy for each in found]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    shares = [each.by_rule.params / each.by_score.params for each in found]
    others = sum(each.by_rule.number != each.by_score.number for each in found)
    print(
        f"another winner in {others} of {len(found)}; test accuracy {statistics.fmean(gains):+.4f} "
        f"± {error:.4f}; parameters {statistics.geometric_mean(shares):.2f} times as many"
    )


def _compare(seed: int, trials: int) -> Compared:
    from tuning.search.definition import Sweep
    from tuning.search.sweep import run_sweep
    from tuning.tracking.interface import NullTracker

    pipeline = create_pipeline("vision", data="digits", limit=LIMIT, seed=seed)
    splits = pipeline.load()
    objective = pipeline.objective_for(splits)
    base = replace(pipeline.options.spec_type(), FIXED)
    base = pipeline.fit_defaults(base, splits, {*FIXED, *SEARCHED})
    space = pipeline.options.space(base, SEARCHED)
    sweep = Sweep(objectives=(objective,), trials=trials, baselines=False)
    began = time.monotonic()
    result = run_sweep(pipeline, space, sweep, NullTracker(), splits=splits)
    assert result.selection is not None
    seconds = time.monotonic() - began - result.selection.seconds - result.final.cost["train_s"]
    scored = [trial for trial in result.trials if trial.score is not None]
    best = objective.best(scored, lambda trial: trial.scores[0])
    by_rule = _trained(pipeline, space.spec(result.best.values), splits, result.best.number)
    by_score = by_rule
    if best.number != result.best.number:
        by_score = _trained(pipeline, space.spec(best.values), splits, best.number)
    return Compared(
        by_rule=by_rule,
        by_score=by_score,
        trials_s=seconds,
        refits_s=result.selection.seconds,
    )


def _trained(pipeline: Any, spec: Any, splits: Any, number: int) -> Winner:
    from tuning.tracking.interface import NullTracker
    from tuning.training.train import train

    result = train(pipeline, spec, NullTracker(), splits=splits, baselines=[])
    return Winner(number=number, accuracy=result.test["accuracy"], params=result.cost["params"])


if __name__ == "__main__":
    main()
