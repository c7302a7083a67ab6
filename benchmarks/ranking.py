"""Users a second of full ranking, for every item model and a `conv` network.

All unseen items are scored and ranked for each user.

    python -m benchmarks.ranking [--data movielens]

The last row is what a person would write: the same network's scores, then one user after another,
argsort and a search.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

from benchmarks.arguments import parser

ROUNDS = 5


def main() -> None:
    """Time each scorer on the cases of val.

    The network has its first weights, which rank as fast as any.
    """
    arguments = parser(__doc__)
    arguments.add_argument(
        "--data",
        default="movielens",
        help="interactions, as `appline recommend train --data` takes them",
    )
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    import numpy as np

    from pipelines import create_pipeline
    from pipelines.recommend import baselines, predict, ranking
    from pipelines.recommend.item_models import FittedBiases, ItemModel

    pipeline = create_pipeline("recommend", data=given.data)
    splits = pipeline.load()
    cases, seen = splits.cases("val"), splits.seen("val")
    print(f"{len(cases):,} users, {splits.num_items:,} items")

    def show(name: str, run: Callable[[], np.ndarray]) -> None:
        seconds = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            ranks = run()
            seconds.append(time.perf_counter() - began)
        per_second = len(cases) / statistics.median(seconds)
        mean_rank = ranks[cases.target > 0].mean()
        print(f"{name:<28}{per_second:>10,.0f} users/s   mean rank {mean_rank:,.1f}", flush=True)

    def ranks_of(fitted: ItemModel | FittedBiases) -> np.ndarray:
        return baselines.predict(fitted, splits, "val")[:, 0]

    for name, tuned in baselines.tune(splits).items():
        fitted = tuned.settings.fit(splits, splits.known_mask("val"))
        show(name, partial(ranks_of, fitted))
    network = pipeline.build(pipeline.options.spec_type(), splits)
    scores = predict.network_scores(network, splits, "val")
    show("network", lambda: ranking.rank_items(scores, splits, "val")[:, 0])

    def one_by_one() -> np.ndarray:
        all_scores, ranks = scores(slice(0, len(cases))), np.empty(len(cases))
        for number, target in enumerate(cases.target):
            row = all_scores[number]
            row[0] = -np.inf
            row[seen[number].indices] = -np.inf
            order = np.argsort(-row, kind="stable")
            ranks[number] = np.flatnonzero(order == target)[0] + 1
        return ranks

    show("network, one by one", one_by_one)


if __name__ == "__main__":
    main()
