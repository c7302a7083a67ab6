"""Users a second of full ranking, all unseen items scored and ranked for each: every closed form, and a `conv` network.

    python -m benchmarks.ranking [--data movielens]

The last row is what a person would write: the same network's scores, then one user after another, argsort and a search.
"""

import time

from benchmarks.arguments import parser


def main() -> None:
    """Time each scorer on the cases of val; the network has its first weights, which rank as fast as any."""
    wanted = parser(__doc__)
    wanted.add_argument("--data", default="movielens", help="interactions, as `appline recommend train --data` takes them")
    asked = wanted.parse_args()
    from tuning import quiet

    quiet.import_tensorflow()
    import numpy as np

    from pipelines.recommend import baselines, blend, scoring
    from pipelines.recommend.pipeline import RecommendPipeline

    pipeline = RecommendPipeline(data=asked.data)
    splits = pipeline.load()
    count = len(splits.cases("val"))
    print(f"{count:,} users asked, {splits.num_items:,} items")

    def show(name: str, seconds: float) -> None:
        print(f"{name:<28}{count / seconds:>10,.0f} users/s", flush=True)

    for name, chosen in splits.rivals.items():
        one = chosen.settings.fit(splits, splits.known("val"))
        began = time.perf_counter()
        baselines.predict(one, splits, "val")
        show(name, time.perf_counter() - began)
    network = pipeline.build(pipeline.spec_type(), splits)
    scores = blend.network_scores(network, splits, "val")
    scoring.ranked(scores, splits, "val")  # traced
    began = time.perf_counter()
    ranks = scoring.ranked(scores, splits, "val")[:, 0]
    show("network", time.perf_counter() - began)

    began = time.perf_counter()
    cases, seen = splits.cases("val"), splits.seen("val")
    everything = scores(slice(0, count))
    own = np.empty(count)
    for number, target in enumerate(cases.target):
        row = everything[number]
        row[0], row[seen[number].indices] = -np.inf, -np.inf
        own[number] = np.flatnonzero(np.argsort(-row, kind="stable") == target)[0] + 1
    show("network, one by one", time.perf_counter() - began)
    known = cases.target > 0
    print(f"mean rank {ranks[known].mean():.1f}, one by one {own[known].mean():.1f}")


if __name__ == "__main__":
    main()
