"""Runs that nobody needs any more: found, and removed with their artifacts."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tuning.tracking.interface import PARENT, Role, Row
from tuning.tracking.local_store import LOCAL_ROOT, Store, artifact_folder, find_store
from tuning.tracking.mlflow_client import Client, open_client
from tuning.tracking.stored_runs import stored_runs

MOST_RUNS = 100_000
BROKEN_OFF = ("FAILED", "KILLED")


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """A run that can be removed, and why: failed, killed, superseded, or part of such a run."""

    run: Row
    reason: str


def find_unneeded(uri: str = "", root: Path = LOCAL_ROOT) -> list[Unneeded]:
    """Return the runs of a store that can be removed, the newest first.

    They are trainings that have failed or were killed, sweeps that were broken off before a trial
    had ended, final runs of a sweep that has a newer one, and the runs below these. A sweep with
    finished trials is kept with all of its trials: it can be resumed. A run that is still going on
    is kept.
    """
    roles: tuple[Role, ...] = get_args(Role)
    runs = stored_runs(roles, MOST_RUNS, uri, root)
    reasons = {}
    with_trials = {
        run.tags.get("sweep") for run in runs if run.role == "trial" and run.status == "FINISHED"
    }
    with_newer_final: set[str] = set()
    for run in runs:
        sweep = run.tags.get("sweep", "")
        is_broken_off = run.status in BROKEN_OFF
        if run.role == "sweep" and is_broken_off and run.id not in with_trials:
            reasons[run.id] = f"{run.status.lower()} before a trial ended"
        elif run.role in ("train", "final", "seed", "folds", "evaluate") and is_broken_off:
            reasons[run.id] = run.status.lower()
            if run.metrics.get("best/epoch") and run.status == "KILLED":
                reasons[run.id] = "killed, with the model of its best epoch"
        elif run.role == "final" and run.status == "FINISHED" and sweep:
            if sweep in with_newer_final:
                reasons[run.id] = "superseded"
            with_newer_final.add(sweep)
    return list(_with_children(runs, reasons))


def _with_children(runs: Sequence[Row], reasons: dict[str, str]) -> Iterator[Unneeded]:
    for run in runs:
        parent = run.tags.get(PARENT, "")
        if run.id in reasons:
            yield Unneeded(run=run, reason=reasons[run.id])
        elif parent in reasons and run.status != "RUNNING":
            yield Unneeded(run=run, reason=f"part of {parent[:8]}")


def remove(runs: Collection[Row], uri: str = "", root: Path = LOCAL_ROOT) -> int:
    """Remove runs; of a local store their artifacts too. Return how many bytes that has freed.

    MLflow keeps the rows of removed runs, invisible, until `mlflow gc`. Of a server's runs it keeps
    the artifacts until then.

    Raises:
        ApplineError: the store cannot be written.
    """
    store = find_store(uri, root)
    client = open_client(store)
    freed = 0
    for run in runs:
        folders = list(_artifact_folders(store, client, run))
        client.delete_run(run.id)
        for folder in folders:
            freed += _size(folder)
            shutil.rmtree(folder)
    return freed


def _artifact_folders(store: Store, client: Client, run: Row) -> Iterator[Path]:
    """Yield the folders of a run and of its models that lie in a local store itself."""
    if not store.database:
        return
    stored = client.get_run(run.id)
    addresses = [stored.info.artifact_uri]
    for output in stored.outputs.model_outputs if stored.outputs else []:
        addresses.append(client.get_logged_model(output.model_id).artifact_location)
    # Never outside of the store: an address may lead anywhere.
    inside = store.database.parent / "artifacts"
    for address in addresses:
        artifacts = artifact_folder(store.database, address)
        # The folder around `artifacts` has the id of the run or of the model as its name.
        if artifacts is None or artifacts.name != "artifacts":
            continue
        folder = artifacts.parent
        if folder.is_dir() and inside in folder.parents:
            yield folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
