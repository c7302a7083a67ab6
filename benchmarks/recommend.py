"""Recommendation with the defaults, one command each, beside baselines and published rows.

    python -m benchmarks.recommend FOLDER  # with lastfm5/ and toys5/, each an interactions.csv
    python -m benchmarks.recommend         # MovieLens of the extra `samples`: to rank and to rate
    python -m benchmarks.recommend FOLDER --sets toys5 --seeds 1

Each line is `appline recommend train --data ... --no-tracking --json`, in a process of its own,
once for each seed. The seed changes the network, and for ratings the split.
"""

import resource
import statistics

from benchmarks.arguments import chosen, of_sets
from benchmarks.seeds import reports, show

SHIPPED = {
    "movielens": ["--data", "movielens"],
    "movielens-ratings": ["--data", "movielens", "--task", "rate"],
}
PUBLISHED = {
    "movielens": "Markov W8 HR@10 .1490, NDCG@10 .0817 (measured)",
    "movielens-ratings": "RMSE: global mean 1.0725, biases .8985 on all films (measured)",
    "lastfm5": "HR@10/NDCG@10: SASRec .0688/.0390, S3-Rec .0743/.0427 (Zhou et al. 2020), "
    "EASE .0963/.0551 (measured)",
    "toys5": "HR@10/NDCG@10: SASRec .0675/.0374, S3-Rec .0700/.0376 (Zhou et al. 2020), "
    "Markov .1081/.0705 (measured)",
}
RANKING_METRICS = ("hr_10", "ndcg_10", "mrr", "coverage_10")
RATING_METRICS = ("rmse", "mae")


def main() -> None:
    """Run every set that is there; print scores, errors, time, memory and the published rows."""
    arguments = of_sets(__doc__, tuple(PUBLISHED))
    arguments.add_argument("--seeds", type=int, default=5)
    given = arguments.parse_args()
    for name in chosen(arguments, given, tuple(SHIPPED), ("lastfm5", "toys5")):
        flags = SHIPPED.get(name) or ["--data", str(given.folder / name / "interactions.csv")]
        results, minutes = reports("recommend", flags, given.seeds)
        epoch = statistics.mean(run["cost"]["train_s"] / run["epochs"] for run in results)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(
            f"{name}: {given.seeds} seeds, {minutes:.1f} min each, {epoch:.1f} s an epoch, "
            f"peak memory {peak:.1f} GB (of all so far)"
        )
        is_rating = "rmse" in results[0]["test"]
        show(results, "network and item models", RATING_METRICS if is_rating else RANKING_METRICS)
        print(f"    published: {PUBLISHED[name]}", flush=True)


if __name__ == "__main__":
    main()
