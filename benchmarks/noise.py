"""Coverage of the lift's 95 % interval where the true lift is known, and ties of equal networks.

`python -m benchmarks.noise` simulates answers of a model and a baseline on the same test units. The
share of the repetitions whose interval holds the true lift should be 92 to 98 %. With `--pairs 40`
it fits one small network to digits again and again, and compares it with itself as a sweep compares
its best trials: 92 % of the pairs or more should tie.
"""

import argparse
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tuning.reports.intervals import bootstrap_interval, seeds_interval

RIGHT, BASELINE_RIGHT = 0.90, 0.87
SHARED = 0.6  # of the units, on which model and baseline are right or wrong by the same luck
SEED_SPREAD = 0.01  # standard deviation of a network's accuracy from seed to seed
Simulated: TypeAlias = Callable[[np.random.Generator], bool]  # whether it came out right once


def share_covered(simulated: Simulated, repetitions: int, seed: int) -> float:
    """Return in which share of the repetitions it came out right."""
    rng = np.random.default_rng(seed)
    return sum(simulated(rng) for _ in range(repetitions)) / repetitions


def _wrong(rng: np.random.Generator, luck: np.ndarray, right: np.ndarray | float) -> np.ndarray:
    """Return 0 or 1 `(n,)` of a model that is wrong where it, or `luck`, has no luck."""
    own = rng.random(len(luck))
    drawn = np.where(rng.random(len(luck)) < SHARED, luck, own)
    return np.asarray(drawn >= right, dtype=float)


def right_or_wrong(units: int) -> Simulated:
    """One network and a baseline on so many units, compared in accuracy."""

    def covers(rng: np.random.Generator) -> bool:
        luck = rng.random(units)
        differences = (luck >= BASELINE_RIGHT) - _wrong(rng, luck, RIGHT)
        low, high = bootstrap_interval(differences, int(rng.integers(2**31)))
        return bool(low <= RIGHT - BASELINE_RIGHT <= high)

    return covers


def skewed(units: int) -> Simulated:
    """Losses with a long tail, as errors of forecasts have."""
    true = 0.1 * np.exp(0.5)

    def covers(rng: np.random.Generator) -> bool:
        differences = rng.lognormal(size=units) - 0.9 * rng.lognormal(size=units)
        low, high = bootstrap_interval(differences, int(rng.integers(2**31)))
        return bool(low <= true <= high)

    return covers


def uneven_classes(common: int, rare: int) -> Simulated:
    """Two classes of so many units, compared in balanced accuracy."""
    strata = np.array([0] * common + [1] * rare)
    weights = len(strata) / (2 * np.array([common, rare]))[strata]
    baseline, network = np.array([0.9, 0.7])[strata], np.array([0.95, 0.6])[strata]
    true = float((weights * (network - baseline)).mean())

    def covers(rng: np.random.Generator) -> bool:
        luck = rng.random(len(strata))
        differences = weights * ((luck >= baseline) - _wrong(rng, luck, network))
        low, high = bootstrap_interval(differences, int(rng.integers(2**31)), strata)
        return bool(low <= true <= high)

    return covers


def several_seeds(seeds: int, units: int) -> Simulated:
    """A network with so many seeds, which differ in accuracy, and a baseline."""

    def covers(rng: np.random.Generator) -> bool:
        luck = rng.random(units)
        networks = []
        for right in rng.normal(RIGHT, SEED_SPREAD, size=seeds):
            networks.append(_wrong(rng, luck, right))
        low, high = seeds_interval((luck >= BASELINE_RIGHT) - np.stack(networks))
        return bool(low <= RIGHT - BASELINE_RIGHT <= high)

    return covers


def same_configuration(seeds: int, units: int) -> Simulated:
    """The same network twice, with so many seeds each, none of them in both: a tie."""

    def is_tie(rng: np.random.Generator) -> bool:
        luck = rng.random(units)
        losses = []
        for right in rng.normal(RIGHT, SEED_SPREAD, size=2 * seeds):
            losses.append(_wrong(rng, luck, right))
        low, high = seeds_interval(np.stack(losses[:seeds]) - np.stack(losses[seeds:]))
        return bool(low <= 0 <= high)

    return is_tie


def pairs_of_fits(pairs: int) -> tuple[int, list[float]]:
    """Return how many pairs of one and the same configuration tie, and the scores of all fits.

    Each side is fitted with as many fresh seeds as a sweep takes.
    """
    from pipelines import create_pipeline, runtime

    runtime.import_tensorflow()
    from pipelines.config.search_space import replace
    from tuning.execution.trial import Task, Work, run_trial
    from tuning.reports.selection import select
    from tuning.results.sweep import Candidate
    from tuning.search.definition import REFIT_SEEDS

    pipeline = create_pipeline("vision", data="digits", limit=500)
    splits = pipeline.load()
    network = {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 6}
    spec = replace(pipeline.options.spec_type(), network)
    spec = pipeline.fit_defaults(spec, splits, network)
    objective = pipeline.objective_for(splits)
    work = Work(pipeline=pipeline, splits=splits, objective=objective)
    scores: list[float] = []
    for seed in range(1, 2 * pairs * REFIT_SEEDS + 1):
        outcome = run_trial(work, Task(number=seed, spec=spec, seed=seed))
        if outcome.score is None:
            raise SystemExit(outcome.reason)
        scores.append(outcome.score)
    num_ties = 0
    for first in range(0, len(scores), 2 * REFIT_SEEDS):
        sides = []
        for number in range(2):
            begin = first + number * REFIT_SEEDS
            fresh = tuple(scores[begin : begin + REFIT_SEEDS])
            sides.append(Candidate(number=number, score=fresh[0], scores=fresh, weights=1))
        num_ties += len(select(sides, objective).ties) == len(sides)
    return num_ties, scores


def main() -> None:
    """Print a line for each simulated case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=0, help="of real fits; 0: simulate")
    options = parser.parse_args()
    if options.pairs:
        num_ties, scores = pairs_of_fits(options.pairs)
        spread = f"{min(scores):.3f} to {max(scores):.3f}"
        print(f"{num_ties} of {options.pairs} pairs tie; {len(scores)} fits, {spread}")
        return
    cases: dict[str, Simulated] = {}
    for units in (100, 1000):
        cases[f"accuracy, one seed, {units} units"] = right_or_wrong(units)
        cases[f"losses with a long tail, one seed, {units} units"] = skewed(units)
        for seeds in (2, 3, 5, 10):
            cases[f"accuracy, {seeds} seeds, {units} units"] = several_seeds(seeds, units)
    for common, rare in ((180, 20), (900, 100)):
        cases[f"balanced accuracy, {common} and {rare} units"] = uneven_classes(common, rare)
    for name, simulated in cases.items():
        covered = share_covered(simulated, options.repetitions, options.seed)
        print(f"{name:48} the interval holds the lift in {covered:.1%}")
    for seeds in (3, 5):
        share = share_covered(same_configuration(seeds, 300), options.repetitions, options.seed)
        print(f"{f'equal networks, {seeds} seeds each':48} tie in {share:.1%}")


if __name__ == "__main__":
    main()
