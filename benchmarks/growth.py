"""How `conv` to recommend grows with users: a log repeated 1, 10 and 100 times by fresh ids, seconds an epoch and peak memory.

    python -m benchmarks.growth INTERACTIONS.csv           # fresh ids for users
    python -m benchmarks.growth INTERACTIONS.csv --items   # for items too

Each size is fitted for two epochs in a process of its own; the second is timed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.arguments import parser

FIT = """
import resource, sys, time
from dataclasses import replace
from tuning import quiet
quiet.import_tensorflow()
from pipelines.recommend.pipeline import RecommendPipeline
from tuning.fit import Watch, fit
began = time.perf_counter()
pipeline = RecommendPipeline(data=sys.argv[1])
splits = pipeline.load()
loaded = time.perf_counter() - began
# A thousand users to validate on at every size: their ranking is not what is timed.
splits = splits.only("val", __import__("numpy").arange(len(splits.cases("val"))) < 1000)
spec = pipeline.spec_type()
ends = []
watch = Watch(objective=pipeline.objective_for(splits), on_epoch=lambda epoch, values: ends.append(time.perf_counter()))
fit(pipeline, replace(spec, train=replace(spec.train, epochs=2)), splits, seed=1, watch=watch)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{splits.num_users:>9,} users {splits.num_items:>9,} items {len(splits.item):>11,} interactions: "
      f"load {loaded:.1f} s, epoch {ends[1] - ends[0]:.1f} s, peak {peak:.2f} GB")
"""


def main() -> None:
    """Write the repeated logs aside and fit to each."""
    import pandas as pd

    wanted = parser(__doc__)
    wanted.add_argument("file", type=Path)
    wanted.add_argument("--items", action="store_true", help="repeated items get fresh ids, too")
    wanted.add_argument("--times", type=int, nargs="+", default=[1, 10, 100], help="how often the log is repeated")
    asked = wanted.parse_args()
    table = pd.read_csv(asked.file, dtype=str)
    table = table.rename(columns={table.columns[0]: "user", table.columns[1]: "item"})
    with tempfile.TemporaryDirectory() as folder:
        for times in asked.times:
            copies = [
                table.assign(user=table["user"] + f"-{number}", **({"item": table["item"] + f"-{number}"} if asked.items else {}))
                for number in range(times)
            ]
            path = Path(folder) / f"{times}.parquet"
            pd.concat(copies, ignore_index=True).to_parquet(path)
            del copies
            subprocess.run([sys.executable, "-c", FIT, str(path)], check=True)


if __name__ == "__main__":
    main()
