"""Recommendation by the defaults, one command each, beside closed forms and published rows.

    python -m benchmarks.recommend FOLDER  # a folder with lastfm5/interactions.csv and toys5/interactions.csv
    python -m benchmarks.recommend         # MovieLens of the extra `samples`: to rank and to rate
    python -m benchmarks.recommend FOLDER --sets toys5 --seeds 1

Each line is `appline recommend train --data ... --no-tracking --json`, in a process of its own, once for each seed. The
seed changes the network, and for ratings the split.
"""

import resource
import statistics

from benchmarks.arguments import chosen, of_sets
from benchmarks.seeds import reports, show

PUBLISHED = {
    "movielens": "Markov W8 HR@10 .1490, NDCG@10 .0817 (measured)",
    "movielens-ratings": "RMSE: global mean 1.0725, biases .8985 on all films (measured)",
    "lastfm5": "HR@10/NDCG@10: SASRec .0688/.0390, S3-Rec .0743/.0427 (Zhou et al. 2020), EASE .0963/.0551 (measured)",
    "toys5": "HR@10/NDCG@10: SASRec .0675/.0374, S3-Rec .0700/.0376 (Zhou et al. 2020), Markov .1081/.0705 (measured)",
}


def main() -> None:
    """Run every set that is there, and print scores, error bars, time, memory and the published rows."""
    wanted = of_sets(__doc__, tuple(PUBLISHED))
    wanted.add_argument("--seeds", type=int, default=5)
    asked = wanted.parse_args()
    shipped = {
        "movielens": ["--data", "movielens"],
        "movielens-ratings": ["--data", "movielens", "--task", "rate"],
    }
    for name in chosen(wanted, asked, tuple(shipped), ("lastfm5", "toys5")):
        flags = shipped.get(name) or ["--data", str(asked.folder / name / "interactions.csv")]
        found, minutes = reports("recommend", flags, asked.seeds)
        epoch = statistics.mean(one["cost"]["train_s"] / one["epochs"] for one in found)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(
            f"{name}: {asked.seeds} seeds, {minutes:.1f} min each, {epoch:.1f} s an epoch, peak memory {peak:.1f} GB (of all so far)"
        )
        show(
            found,
            "network and closed form",
            ("rmse", "mae")
            if "rmse" in found[0]["test"]
            else ("hr_10", "ndcg_10", "mrr", "coverage_10"),
        )
        print(f"    published: {PUBLISHED[name]}", flush=True)


if __name__ == "__main__":
    main()
