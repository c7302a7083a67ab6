"""A store with a few runs, as trainings leave them, without a network being trained."""

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tests.tracking_samples import FakeSplits
from tuning.tracking.interface import TEST_LOSSES, TEST_PREDICTIONS, Role
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker

LABELS = ["cat", "dog"] * 10
SPLITS = FakeSplits(dataset="pets", digest="0123456789abcdef")


def open_store(folder: Path) -> MlflowTracker:
    """Return a tracker of the experiment vision/pets in a new store."""
    return open_tracker("vision/pets", root=folder / "mlruns")


def trained(
    tracker: MlflowTracker,
    name: str,
    wrong: Sequence[int],
    *,
    digest: str = SPLITS.digest,
    role: Role = "train",
    sweep: str = "",
    kernel: int = 3,
    keeps_losses: bool = True,
) -> str:
    """Write a classifier's run that answers the examples `wrong` wrongly; return its id."""
    right = [index not in wrong for index in range(len(LABELS))]
    tags = {"domain": "vision", "dataset": "pets", "data_digest": digest}
    if sweep:
        tags["sweep"] = sweep
    run = tracker.start(
        name,
        role=role,
        parent=sweep,
        tags=tags,
        params={
            "architecture": "vgg",
            "conv.kernel_size": kernel,
            "conv.stride": 1,
            "conv.filters": 8,
            "seed": 0,
        },
    )
    accuracy = sum(right) / len(right)
    run.dataset(SPLITS)
    run.metrics(
        {
            "test/accuracy": accuracy,
            "lift/accuracy": accuracy - 0.5,
            "lift/low": accuracy - 0.6,
            "lift/high": accuracy - 0.4,
            "cost/train_s": 12.0,
            "cost/params": 617.0 if role == "final" else 1234.0,
            "cost/latency_ms_p50": 0.5,
        }
    )
    run.tags({"verdict": "the network beats k-nearest neighbours"})
    answers = []
    for label, is_right in zip(LABELS, right, strict=True):
        other = "dog" if label == "cat" else "cat"
        answers.append(label if is_right else other)
    table = {
        "example": range(len(LABELS)),
        "label": LABELS,
        "answer": answers,
        "probability": [0.75] * len(LABELS),
        "right": right,
    }
    run.table(pd.DataFrame(table), TEST_PREDICTIONS)
    if keeps_losses:
        losses = [0.0 if is_right else 1.0 for is_right in right]
        run.table(pd.DataFrame({"loss": losses}), TEST_LOSSES)
    run.finish()
    time.sleep(0.002)  # MLflow counts milliseconds: the order of two runs is their start
    return str(run.id)


def swept(tracker: MlflowTracker, wrong: Sequence[int]) -> tuple[str, str]:
    """Write a sweep with its final run; return their ids."""
    sweep = tracker.start("tpe sweep on pets", role="sweep", tags={"domain": "vision"})
    sweep.tags({"sweep": sweep.id})
    sweep.metrics({"test/accuracy": 1 - len(wrong) / len(LABELS), "cost/trials": 4.0})
    sweep.finish()
    return str(sweep.id), trained(tracker, "final", wrong, role="final", sweep=sweep.id)
