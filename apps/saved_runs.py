"""Runs that are kept in MLflow, for the command line and for Python: found, listed, loaded."""

import dataclasses
import tempfile
import typing
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.config.options import Options
from tuning.training import runtime

if TYPE_CHECKING:
    from pipelines.pipeline import ServingModel
    from tuning.tracking.interface import Row


def find(run_id: str, uri: str) -> "Row":
    """Return the run whose id starts with `run_id`.

    Raises:
        UsageError: there is no such run, or there are several.
    """
    runtime.prepare_environment()
    from tuning.tracking.stored_runs import find_run

    return find_run(run_id, uri=uri)


def latest(uri: str, limit: int) -> "list[Row]":
    """Return the latest trainings, sweeps and final runs of all experiments, the newest first."""
    runtime.prepare_environment()
    from tuning.tracking.mlflow_tracker import open_tracker

    tracker = open_tracker("Default", uri=uri)
    return tracker.rows(without_roles=("trial", "baseline"), limit=limit, everywhere=True)


def read_run_model(row: "Row", uri: str) -> "ServingModel":
    """Return the model that a run has kept."""
    from pipelines.model_file import read_model
    from tuning.tracking.stored_runs import download

    with tempfile.TemporaryDirectory() as folder:
        return read_model(download(row.id, "model/model.keras", Path(folder), uri=uri))


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
