"""CPU that the audit and the baselines add to a training by the defaults.

    python -m benchmarks.added_cpu [--sets vision=digits text=FILE.csv ...]

For each set: CPU seconds of the audit (that of interactions is a part of reading), of all baselines
together and of the training, and the share that the first two are of the third. A network that
starts from a baseline costs that too, so that TF-IDF and ridge count on both sides: as a rival, and
as a part of the network.
"""

import dataclasses
from typing import Any

from benchmarks.arguments import parser
from benchmarks.audit import AUDITS
from pipelines import create_pipeline, runtime
from pipelines.timing import Stopwatch

SETS = ("vision=digits", "text=reviews", "forecast=elecdemand", "recommend=movielens")


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--sets", nargs="+", default=list(SETS), metavar="DOMAIN=DATA")
    asked = wanted.parse_args()
    runtime.import_tensorflow()
    for domain, _, data in (one.partition("=") for one in asked.sets):
        measure(domain, data)


def measure(domain: str, data: str) -> None:
    """Train by the defaults, and print what was spent on what."""
    from tuning.tracking.interface import NullTracker
    from tuning.training.train import train

    pipeline = create_pipeline(domain, data=data)
    splits: Any = pipeline.load()
    watch = Stopwatch()
    AUDITS[domain](dataclasses.replace(splits, findings=()))
    audit_s = watch.spent().cpu_seconds
    spec = pipeline.fit_defaults(pipeline.options.spec_type(), splits, {})
    result = train(pipeline, spec, NullTracker(), splits=splits)
    baselines_s = sum(baseline.cost["train_cpu_s"] for baseline in result.baselines)
    training_s = result.cost["train_cpu_s"]
    print(
        f"{domain} / {splits.dataset}: audit {audit_s:.1f}, baselines {baselines_s:.1f}, training "
        f"{training_s:.1f} CPU s ({result.network}); {(audit_s + baselines_s) / training_s:.1%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
