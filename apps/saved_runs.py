"""Runs in MLflow, for the command line and for Python: kept, found, listed, loaded."""

import dataclasses
import time
import typing
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pipelines import runtime
from pipelines.config.options import Options
from pipelines.errors import ApplineError, UsageError
from pipelines.io.temporary import temporary_folder

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipelines.pipeline import AnyPipeline, ServingModel
    from pipelines.splits import Splits
    from tuning.tracking.interface import Role, Row, Tracker
    from tuning.tracking.registry import Registered
    from tuning.tracking.removal import Unneeded

# All but what is part of another run: trials, baselines, further seeds, single folds.
LISTED_ROLES: "tuple[Role, ...]" = ("train", "sweep", "final", "folds", "evaluate")


def open_tracker(
    pipeline: "AnyPipeline", splits: "Splits", uri: str, *, experiment: str = "", track: bool = True
) -> "Tracker":
    """Return where runs on `splits` are kept.

    The experiment is called `domain/dataset` unless another name is given; without `track` nothing
    is kept.
    """
    from tuning.tracking import interface, mlflow_tracker

    if not track:
        return interface.NullTracker()
    name = experiment or f"{pipeline.domain}/{splits.dataset}"
    return mlflow_tracker.open_tracker(name, uri=uri)


def require_usable(uri: str, num_params: int = 0) -> None:
    """Refuse a store that no run can be written to, before there is one to write.

    The model will have so many weights, where that is known already.

    Raises:
        ApplineError: its server does not answer, its folder cannot be written, or a disk is full.
    """
    from tuning.tracking import local_store
    from tuning.training.costs import BYTES_PER_WEIGHT

    local_store.require_usable(local_store.find_store(uri), BYTES_PER_WEIGHT * num_params)


def find_sweep(name: str, uri: str) -> "Row":
    """Return the sweep that `--warm-from` names.

    Raises:
        UsageError: there is no such run, or it is no sweep.
    """
    try:
        row = find(name, uri)
    except ApplineError as error:
        raise UsageError(f"--warm-from {name}: {error}") from None
    if row.role != "sweep":
        raise UsageError(
            f"--warm-from {name}: is a run of the role {row.role}. Expected a sweep, or auto. "
            "List them: appline runs"
        )
    return row


def look(uri: str, *, track: bool = True) -> "Tracker":
    """Return the runs of a store that is not changed; none without `track`."""
    from tuning.tracking import interface, mlflow_tracker

    return mlflow_tracker.open_to_look(uri=uri) if track else interface.NullTracker()


def find(run_id: str, uri: str) -> "Row":
    """Return the run whose id starts with `run_id`.

    Raises:
        UsageError: there is no such run, or there are several.
    """
    runtime.prepare_environment()
    from tuning.tracking.stored_runs import find_run

    return find_run(run_id, uri=uri)


def learned_from(row: "Row", part: str) -> str:
    """Return a sentence where the model of a run has learned from `part`; "" where it has not."""
    from tuning.tracking.interface import FINAL_FIT

    scored = f"scored before is in the {part}/ metrics of its run"
    if part in ("val", "test") and row.params.get(FINAL_FIT) == "all":
        return f"this model has learned from {part} too (--final-fit all): what was {scored}"
    if part == "val" and row.params.get("train.refit") == "True":
        return f"this network was retrained on train + validation (train.refit): what it {scored}"
    return ""


def latest(uri: str, limit: int, roles: "Collection[Role]" = LISTED_ROLES) -> "list[Row]":
    """Return the latest runs of all experiments with one of `roles`, the newest first."""
    runtime.prepare_environment()
    from tuning.tracking.stored_runs import stored_runs

    return stored_runs(roles, limit, uri)


def test_losses(row: "Row", uri: str) -> "np.ndarray | None":
    """Return the loss of each independent unit of test `(n,)`; None where a run kept none."""
    from tuning.tracking.interface import TEST_LOSSES
    from tuning.tracking.stored_runs import read_table

    table = read_table(row, TEST_LOSSES, uri)
    return None if table is None else table["loss"].to_numpy()


def test_predictions(row: "Row", uri: str) -> "pd.DataFrame | None":
    """Return the answers of a run on test beside the truth; None where it kept none."""
    from tuning.tracking.interface import TEST_PREDICTIONS
    from tuning.tracking.stored_runs import read_table

    return read_table(row, TEST_PREDICTIONS, uri)


def part_sizes(row: "Row", uri: str) -> dict[str, int]:
    """Return how many examples each part of a run's data had."""
    from tuning.tracking import stored_runs

    return stored_runs.part_sizes(row, uri)


def packages(row: "Row", uri: str) -> dict[str, str]:
    """Return the versions of the packages that a run's model was made with, by name."""
    from tuning.tracking.stored_runs import read_text

    requirements = read_text(row, "model/requirements.txt", uri)
    pinned = [line.partition("==") for line in requirements.splitlines() if "==" in line]
    return {name: version for name, _, version in pinned}


def find_unneeded(uri: str) -> "list[Unneeded]":
    """Return the runs that can be removed: failed, killed, superseded."""
    from tuning.tracking import removal

    return removal.find_unneeded(uri)


def remove(rows: "Collection[Row]", uri: str) -> int:
    """Remove runs with their artifacts; return how many bytes that has freed."""
    runtime.prepare_environment()
    from tuning.tracking import removal

    return removal.remove(rows, uri)


def winner_of(row: "Row", uri: str) -> "Row":
    """Return the run that holds the model of `row`: of a sweep, its final run; else itself.

    Of folds it is the last one, whose model has learned from all of the data.

    Raises:
        UsageError: the sweep or the folds have not come to their end.
    """
    from tuning.tracking.stored_runs import final_run, model_of_folds

    if row.role == "folds":
        return model_of_folds(row, uri=uri)
    return final_run(row, uri=uri) if row.role == "sweep" else row


def read_run_model(row: "Row", uri: str) -> "ServingModel":
    """Return the model that a run has kept."""
    from pipelines.model_file import read_model
    from tuning.tracking.stored_runs import download

    with temporary_folder() as folder:
        return read_model(download(row.id, "model/model.keras", folder, uri=uri))


def register(
    row: "Row", target: "Registered", example: "pd.DataFrame", description: str, uri: str
) -> "Registered":
    """Register the model of a run; the digest of its data and its code are tags of the version."""
    from tuning.tracking.registry import register_model

    names = ("domain", "dataset", "data_digest", "mlflow.source.git.commit")
    tags = {
        name.rpartition("mlflow.source.")[2]: row.tags[name] for name in names if name in row.tags
    }
    return register_model(row, target, example, description, tags, uri)


def log_metrics(row: "Row", values: Mapping[str, float], uri: str) -> None:
    """Add metrics to a run that is over."""
    runtime.prepare_environment()
    from tuning.tracking.local_store import find_store
    from tuning.tracking.metric_batches import summary_points
    from tuning.tracking.mlflow_client import open_client
    from tuning.tracking.mlflow_run import write_values

    points = summary_points(values, 0, time.time())
    write_values(open_client(find_store(uri)), row.id, points)


def options_of_run(options_type: type[Options], row: "Row") -> Options:
    """Return the options that a run was made with, from its parameters."""
    from pydantic import TypeAdapter

    hints = typing.get_type_hints(options_type, include_extras=True)
    given = {}
    for field in dataclasses.fields(options_type):
        text = row.params.get(field.name)
        # MLflow keeps texts: an option that was left automatic reads "None".
        if text is not None and text != "None":
            given[field.name] = TypeAdapter(hints[field.name]).validate_python(text)
    return options_type(**given)
