"""Recommendation by the defaults, one command each, beside closed forms and published rows.

    python -m benchmarks.recommend FOLDER  # a folder with lastfm5/interactions.csv and toys5/interactions.csv
    python -m benchmarks.recommend         # MovieLens of the extra `samples`: to rank and to rate
    python -m benchmarks.recommend FOLDER --sets toys5 --seeds 1

Each line is `appline recommend train --data ... --no-tracking --json`, in a process of its own, once for each seed. The
seed changes the network, and for ratings the split.
"""

import resource
import statistics

from benchmarks.arguments import of_sets
from benchmarks.seeds import reports, show

PUBLISHED = {
    "movielens": "Markov W8 HR@10 .1490, NDCG@10 .0817 (measured)",
    "movielens-ratings": "RMSE: global mean 1.0725, biases .8985 on all films (measured)",
    "lastfm5": "HR@10/NDCG@10: SASRec .0688/.0390, S3-Rec .0743/.0427 (Zhou et al. 2020), EASE .0963/.0551 (measured)",
    "toys5": "HR@10/NDCG@10: SASRec .0675/.0374, S3-Rec .0700/.0376 (Zhou et al. 2020), Markov .1081/.0705 (measured)",
}


def main() -> None:
    """Run every set that is there, and print scores, error bars, time, memory and the published rows."""
    parser = of_sets(__doc__, tuple(PUBLISHED))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    sets: dict[str, tuple[str, ...]] = {"movielens": ("movielens",), "movielens-ratings": ("movielens", "--task", "rate")}
    if asked.folder:
        sets |= {name: (str(asked.folder / name / "interactions.csv"),) for name in ("lastfm5", "toys5")}
    for name, (data, *flags) in sets.items():
        if asked.sets and name not in asked.sets:
            continue
        found, minutes = reports("recommend", ["--data", data, *flags], asked.seeds)
        epoch = statistics.mean(one["cost"]["train_s"] / one["epochs"] for one in found)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"{name}: {asked.seeds} seeds, {minutes:.1f} min each, {epoch:.1f} s an epoch, peak memory {peak:.1f} GB (of all so far)")
        show(
            found, "network and closed form", ("rmse", "mae") if "rmse" in found[0]["test"] else ("hr_10", "ndcg_10", "mrr", "coverage_10")
        )
        print(f"    published: {PUBLISHED[name]}", flush=True)


if __name__ == "__main__":
    main()
