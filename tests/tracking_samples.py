"""Data sets, records and queries that tests of the tracking share."""

from dataclasses import dataclass

from pipelines.splits import Part, Splits
from tuning.tracking.interface import Record, Row
from tuning.tracking.mlflow_tracker import MlflowTracker


@dataclass(frozen=True, kw_only=True)
class FakeSplits(Splits):
    """A data set of which only the counts are known."""

    def sizes(self) -> dict[Part, int]:
        return {"train": 80, "val": 10, "test": 10}

    def describe(self) -> dict[str, str]:
        return {}


SPLITS = FakeSplits(dataset="digits", digest="0123456789abcdef")
RECORD = Record(
    name="trial-000",
    role="trial",
    tags={"sweep": "s1"},
    params={"conv.kernel_size": 5},
    history={"loss": [0.9, 0.5, 0.4], "val_accuracy": [0.5, 0.7, 0.6]},
    metrics={"best/val_accuracy": 0.7},
    start_time=1_700_000_000.0,
    end_time=1_700_000_030.0,
)


def only_row(tracker: MlflowTracker) -> Row:
    """Return the one run of the experiment."""
    (row,) = tracker.rows()
    return row


def points(tracker: MlflowTracker, run_id: str, key: str) -> list[tuple[int, float]]:
    """Return (step, value) of a metric."""
    history = tracker.client.get_metric_history(run_id, key)
    return [(point.step, point.value) for point in history]
