"""Runs of any experiment, for reading alone: the latest, one that somebody names, its files.

Nothing is written: a store may be read-only.
"""

import io
import json
import sqlite3
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pipelines.errors import ApplineError, UsageError
from pipelines.io.temporary import temporary_folder
from tuning.tracking.interface import FOLDS, Role, Row
from tuning.tracking.local_rows import find_local_run, local_artifact, local_counts, local_runs
from tuning.tracking.local_store import (
    LOCAL_ROOT,
    Store,
    find_store,
    is_named,
    readable,
    require_store,
)
from tuning.tracking.mlflow_client import Client, open_to_read
from tuning.tracking.provenance import ended
from tuning.tracking.queries import all_experiments, run_filter, search, search_one
from tuning.tracking.registry import REGISTERED, registered_run

if TYPE_CHECKING:
    import pandas as pd

MOST_FINALS = 10_000  # among which the one of a sweep is looked for


def find_run(run: str, uri: str = "", root: Path = LOCAL_ROOT) -> Row:
    """Return the run with this id, beginning of an id, or name, in any experiment.

    A beginning has 4 digits or more. `models:/NAME@ALIAS` and `models:/NAME/VERSION` name the run
    whose model is registered so.

    Raises:
        UsageError: there is none, or there are several; the message lists those.
    """
    if run.startswith(REGISTERED):
        run = registered_run(run, uri, root)
    store = find_store(uri, root)
    if store.database:
        database = readable(store).database
        assert database
        # Where this is no database that we can read by ourselves, MLflow says what is wrong.
        with suppress(sqlite3.Error):
            return find_local_run(database, run)
    return search_one(open_to_read(store), run)


def final_run(sweep: Row, uri: str = "", root: Path = LOCAL_ROOT) -> Row:
    """Return the finished final run of a sweep, the newest if it was resumed with more trials.

    Raises:
        UsageError: there is none yet.
    """
    roles: tuple[Role, ...] = ("final",)
    for row in _rows_of_roles(find_store(uri, root), roles, MOST_FINALS):
        if row.tags.get("sweep") == sweep.id and row.status == "FINISHED":
            return row
    raise UsageError(
        f"The sweep {sweep.id[:8]} has no final run yet ({sweep.status}). "
        f"Continue it: appline {sweep.domain} tune --resume {sweep.id[:8]}"
    )


def model_of_folds(folds: Row, uri: str = "", root: Path = LOCAL_ROOT) -> Row:
    """Return the run of the last fold, whose model has learned from all of the data.

    Raises:
        UsageError: the folds did not come to their end.
    """
    roles: tuple[Role, ...] = ("fold",)
    if folds.status == "FINISHED":
        for row in _rows_of_roles(find_store(uri, root), roles, MOST_FINALS):
            if row.tags.get(FOLDS) == folds.id:
                return row
    raise UsageError(
        f"The folds of {folds.id[:8]} have not come to their end ({folds.status}): there is no "
        f"model of all the data. Begin again: appline {folds.domain} train --folds 5"
    )


def stored_runs(
    roles: Collection[Role], limit: int, uri: str = "", root: Path = LOCAL_ROOT
) -> list[Row]:
    """Return the latest runs of all experiments that have one of `roles`, the newest first.

    A run whose process has died is KILLED here, before `open_tracker` writes so. Where no store was
    named and there is none yet, there are no runs.

    Raises:
        UsageError: the store that was named does not exist.
    """
    store = find_store(uri, root)
    if store.is_new:
        if is_named(uri):
            require_store(store)
        return []
    rows = []
    for row in _rows_of_roles(store, roles, limit):
        is_orphan = row.status == "RUNNING" and ended(row.tags)
        rows.append(replace(row, status="KILLED") if is_orphan else row)
    return rows


def _rows_of_roles(store: Store, roles: Collection[Role], limit: int) -> list[Row]:
    if store.database:
        database = readable(store).database
        assert database
        # Where this is no database that we can read by ourselves, MLflow says what is wrong.
        with suppress(sqlite3.Error):
            return local_runs(database, roles, limit)
    client = open_to_read(store)
    others = [role for role in get_args(Role) if role not in roles]
    return search(client, all_experiments(client), run_filter(without_roles=others), limit)


def read_table(
    run: Row, path: str, uri: str = "", root: Path = LOCAL_ROOT
) -> "pd.DataFrame | None":
    """Return a CSV artifact of a run as a table; None where the run has none of this path."""
    import pandas as pd

    text = read_text(run, path, uri, root)
    return pd.read_csv(io.StringIO(text)) if text else None


def read_text(run: Row, path: str, uri: str = "", root: Path = LOCAL_ROOT) -> str:
    """Return a text artifact of a run, "" where the run has none of this path."""
    store = find_store(uri, root)
    if store.database:
        with suppress(sqlite3.Error):
            local = local_artifact(store.database, run.id, path)
            return local.read_text(encoding="utf-8") if local else ""
    # That it is missing is an answer here.
    with temporary_folder() as folder, suppress(ApplineError):
        file = download(run.id, path, folder, uri=uri, root=root)
        return file.read_text(encoding="utf-8")
    return ""


def part_sizes(run: Row, uri: str = "", root: Path = LOCAL_ROOT) -> dict[str, int]:
    """Return how many examples each part of a run's data had; empty where it is not recorded."""
    store = find_store(uri, root)
    if store.database:
        with suppress(sqlite3.Error):
            return local_counts(store.database, run.id)
    sizes = {}
    for given in open_to_read(store).get_run(run.id).inputs.dataset_inputs:
        for tag in given.tags:
            if tag.key == "mlflow.data.context":
                sizes[tag.value] = json.loads(given.dataset.profile)["num_rows"]
    return sizes


def download(
    run_id: str, artifact_path: str, dst: Path, *, uri: str = "", root: Path = LOCAL_ROOT
) -> Path:
    """Copy a run's artifact into the folder `dst`; return where it is now.

    An artifact is a file or a folder, such as `model`.

    Raises:
        ApplineError: the run has no such artifact.
    """
    store = find_store(uri, root)
    client = open_to_read(store)
    dst.mkdir(parents=True, exist_ok=True)
    first_folder, _, path_below = artifact_path.partition("/")
    model = _logged_model(client, run_id, first_folder)
    if model is not None:
        return _download_from_model(store, model.artifact_location, path_below, dst / first_folder)
    return Path(client.download_artifacts(run_id, artifact_path, str(dst)))


def _logged_model(client: Client, run_id: str, name: str) -> Any:
    """Return the logged model of a run with this name, None when it has none."""
    outputs = client.get_run(run_id).outputs
    if not outputs:
        return None
    for output in outputs.model_outputs:
        model = client.get_logged_model(output.model_id)
        if model.name == name:
            return model
    return None


def _download_from_model(store: Store, location: str, path: str, dst: Path) -> Path:
    # A logged model is stored beside its run. MLflow's `runs:/<id>/model` looks for it in the
    # default store of the process, whichever store the client was opened with.
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    dst.mkdir(parents=True, exist_ok=True)
    try:
        repository = get_artifact_repository(location, tracking_uri=store.uri)
        return Path(repository.download_artifacts(path, str(dst)))
    except (MlflowException, OSError) as error:
        raise ApplineError(
            f"MLflow at {store.shown}: the model in {location} cannot be downloaded: {error}"
        ) from error
