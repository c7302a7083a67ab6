"""Users a second of full ranking, all unseen items scored and ranked for each: every closed form, and a `conv` network.

    python -m benchmarks.ranking [--data movielens]

The last row is what a person would write: the same network's scores, then one user after another, argsort and a search.
"""

import statistics
import time
from collections.abc import Callable

from benchmarks.arguments import parser

ROUNDS = 5


def main() -> None:
    """Time each scorer on the cases of val; the network has its first weights, which rank as fast as any."""
    wanted = parser(__doc__)
    wanted.add_argument(
        "--data",
        default="movielens",
        help="interactions, as `appline recommend train --data` takes them",
    )
    asked = wanted.parse_args()
    from tuning.training import runtime

    runtime.import_tensorflow()
    import numpy as np

    from pipelines.recommend import baselines, blend, scoring
    from pipelines.recommend.pipeline import RecommendPipeline

    pipeline = RecommendPipeline(data=asked.data)
    splits = pipeline.load()
    cases, seen = splits.cases("val"), splits.seen("val")
    print(f"{len(cases):,} users asked, {splits.num_items:,} items")

    def show(name: str, run: Callable[[], np.ndarray]) -> None:
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            ranks = run()
            taken.append(time.perf_counter() - began)
        mean = ranks[cases.target > 0].mean()
        print(
            f"{name:<28}{len(cases) / statistics.median(taken):>10,.0f} users/s   mean rank {mean:,.1f}",
            flush=True,
        )

    for name, chosen in splits.baselines.items():
        one = chosen.settings.fit(splits, splits.known("val"))
        show(name, lambda one=one: baselines.predict(one, splits, "val")[:, 0])
    network = pipeline.build(pipeline.spec_type(), splits)
    scores = blend.network_scores(network, splits, "val")
    show("network", lambda: scoring.ranked(scores, splits, "val")[:, 0])

    def one_by_one() -> np.ndarray:
        everything, ranks = scores(slice(0, len(cases))), np.empty(len(cases))
        for number, target in enumerate(cases.target):
            row = everything[number]
            row[0], row[seen[number].indices] = -np.inf, -np.inf
            ranks[number] = np.flatnonzero(np.argsort(-row, kind="stable") == target)[0] + 1
        return ranks

    show("network, one by one", one_by_one)


if __name__ == "__main__":
    main()
