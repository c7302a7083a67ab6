"""How `conv` to recommend grows with users: a log repeated 1, 10 and 100 times by fresh ids, seconds an epoch and peak memory.

    python -m benchmarks.growth INTERACTIONS.csv           # fresh ids for users
    python -m benchmarks.growth INTERACTIONS.csv --items   # for items too

Each size is fitted in a process of its own, for so many steps as can be timed; what a step takes is scaled to an epoch.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.arguments import parser

STEPS = 256  # timed, after as many that are not; a short epoch is repeated
FIT = """
import resource, sys, time
from tuning import quiet
quiet.import_tensorflow()
import keras
from pipelines.recommend.pipeline import RecommendPipeline
steps = int(sys.argv[2])
began = time.perf_counter()
pipeline = RecommendPipeline(data=sys.argv[1])
splits = pipeline.load()
loaded = time.perf_counter() - began
spec = pipeline.spec_type()
keras.utils.set_random_seed(1)
network = pipeline.build(spec, splits)
trainable = pipeline.training_model(network, spec, splits)
optimizer = keras.optimizers.AdamW(spec.train.learning_rate)
trainable.compile(optimizer=optimizer, steps_per_execution=32, **pipeline.compile_arguments(spec, splits))
batches = pipeline.batches(splits, "train", spec, training=True)
epoch = int(batches.cardinality())
ends = []
timed = keras.callbacks.LambdaCallback(on_epoch_end=lambda number, logs: ends.append(time.perf_counter()))
trainable.fit(batches.repeat(), steps_per_epoch=steps, epochs=2, callbacks=[timed], verbose=0)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{splits.num_users:>9,} users {splits.num_items:>9,} items {len(splits.item):>11,} interactions: load {loaded:.1f} s, "
      f"epoch {(ends[1] - ends[0]) / steps * epoch:.1f} s ({epoch:,} steps), peak {peak:.2f} GB", flush=True)
"""


def main() -> None:
    """Write the repeated logs aside and fit to each."""
    import pandas as pd

    wanted = parser(__doc__)
    wanted.add_argument("file", type=Path)
    wanted.add_argument("--items", action="store_true", help="repeated items get fresh ids, too")
    wanted.add_argument(
        "--times", type=int, nargs="+", default=[1, 10, 100], help="how often the log is repeated"
    )
    asked = wanted.parse_args()
    table = pd.read_csv(asked.file, dtype=str)
    table = table.rename(columns={table.columns[0]: "user", table.columns[1]: "item"})
    with tempfile.TemporaryDirectory() as folder:
        for times in asked.times:
            copies = [
                table.assign(
                    user=table["user"] + f"-{number}",
                    **({"item": table["item"] + f"-{number}"} if asked.items else {}),
                )
                for number in range(times)
            ]
            path = Path(folder) / f"{times}.parquet"
            pd.concat(copies, ignore_index=True).to_parquet(path)
            del copies
            subprocess.run([sys.executable, "-c", FIT, str(path), str(STEPS)], check=True)


if __name__ == "__main__":
    main()
