"""How recommend's `conv` grows with users: seconds an epoch and peak memory.

The interactions are repeated 1, 10 and 100 times with fresh ids.

    python -m benchmarks.growth INTERACTIONS.csv           # fresh ids for users
    python -m benchmarks.growth INTERACTIONS.csv --items   # for items too

Each size is fitted in a process of its own, for so many steps as can be timed; what a step takes is
scaled to an epoch.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.arguments import parser

if TYPE_CHECKING:
    import pandas as pd

STEPS = 256  # timed, after as many that are not; a short epoch is repeated
STEPS_PER_EXECUTION = 32
FIT = "import sys; from benchmarks.growth import time_epoch; time_epoch(sys.argv[1])"


def main() -> None:
    """Write the repeated interactions aside and fit to each."""
    import pandas as pd

    arguments = parser(__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--items", action="store_true", help="repeated items get fresh ids, too")
    arguments.add_argument(
        "--times",
        type=int,
        nargs="+",
        default=[1, 10, 100],
        help="how often the interactions are repeated",
    )
    given = arguments.parse_args()
    table = pd.read_csv(given.file, dtype=str)
    table = table.rename(columns={table.columns[0]: "user", table.columns[1]: "item"})
    with tempfile.TemporaryDirectory() as folder:
        for times in given.times:
            path = Path(folder) / f"{times}.parquet"
            _repeat(table, times, with_items=given.items).to_parquet(path)
            subprocess.run([sys.executable, "-c", FIT, str(path)], check=True)


def _repeat(table: "pd.DataFrame", times: int, *, with_items: bool) -> "pd.DataFrame":
    import pandas as pd

    copies = []
    for number in range(times):
        copy = table.assign(user=table["user"] + f"-{number}")
        if with_items:
            copy = copy.assign(item=table["item"] + f"-{number}")
        copies.append(copy)
    return pd.concat(copies, ignore_index=True)


def time_epoch(data: str) -> None:
    """Load, build and fit in this process, and print what that took."""
    from pipelines import runtime

    runtime.import_tensorflow()
    import keras

    from pipelines import create_pipeline

    began = time.perf_counter()
    pipeline = create_pipeline("recommend", data=data)
    splits = pipeline.load()
    loading = time.perf_counter() - began
    spec = pipeline.options.spec_type()
    keras.utils.set_random_seed(1)
    model = pipeline.training_model(pipeline.build(spec, splits), spec, splits)
    model.compile(
        optimizer=keras.optimizers.AdamW(spec.train.learning_rate),
        steps_per_execution=STEPS_PER_EXECUTION,
        **pipeline.compile_arguments(spec, splits),
    )
    batches = pipeline.batches(splits, "train", spec, training=True)
    steps_of_epoch = int(batches.cardinality())
    ends = []
    timer = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda number, logs: ends.append(time.perf_counter())
    )
    model.fit(batches.repeat(), steps_per_epoch=STEPS, epochs=2, callbacks=[timer], verbose=0)
    epoch = (ends[1] - ends[0]) / STEPS * steps_of_epoch
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{splits.num_users:>9,} users {splits.num_items:>9,} items "
        f"{len(splits.item):>11,} interactions: load {loading:.1f} s, "
        f"epoch {epoch:.1f} s ({steps_of_epoch:,} steps), peak {peak:.2f} GB",
        flush=True,
    )


if __name__ == "__main__":
    main()
