"""One network, fitted again with other seeds: how much of its score was luck.

Every seed has the same hyperparameters and the same split. A run for each, with the role `seed`,
lies below that of the training, whose model stays the first seed's: what is said over the seeds is
then what can be expected of it, which could not be said of the best one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import Diverged
from pipelines.io.progress import working
from tuning.results.training import SeedScores


@dataclass(frozen=True, kw_only=True)
class SeedTest:
    """The network of one seed, tested."""

    test: Mapping[str, float]
    losses: np.ndarray  # of each independent unit of test
    adds_nothing: bool  # whether the network has no part in the answers
    seconds: float


def train_further(
    seeds: Sequence[int], first: SeedTest, train_and_test: Callable[[int], SeedTest]
) -> tuple[SeedScores, np.ndarray]:
    """Train with each of `seeds` but the first, which is done; return scores and losses of all.

    The losses are `(seeds, n)`. A seed with which the training diverges has no scores, and the
    result says so.
    """
    tests = {seeds[0]: first}
    diverged = []
    for number, seed in enumerate(seeds[1:], start=2):
        with working(f"seed {number} of {len(seeds)}"):
            try:
                tests[seed] = train_and_test(seed)
            except Diverged:
                diverged.append(seed)
            except KeyboardInterrupt as stop:
                stop.add_note(f"Tested before: {number - 1} of {len(seeds)} seeds")
                raise
    found = list(tests.values())
    scores = SeedScores(
        seeds=tuple(tests),
        diverged=tuple(diverged),
        test=tuple(test.test for test in found),
        num_adding_nothing=sum(test.adds_nothing for test in found),
        seconds=sum(test.seconds for test in found),
    )
    return scores, np.stack([test.losses for test in found])
