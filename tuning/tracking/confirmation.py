"""Whether a run is where it was said to be.

SQLite goes on writing into a file that has lost its name: a store whose folder is deleted while a
run is written gives no error, and there is nothing afterwards.
"""

import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import ResultLost
from tuning.tracking.local_store import Store, read_only_address
from tuning.tracking.mlflow_client import Client


def confirm_run(store: Store, client: Client, run_id: str) -> None:
    """Read an ended run and its logged models back.

    Raises:
        ResultLost: the run or the files of a model are not in the store.
    """
    if store.database and not _holds(store.database, run_id):
        raise _missing(store, f"the run {run_id[:8]}", str(store.database))
    for folder in model_folders(client, run_id):
        if not folder.exists():
            raise _missing(store, f"the model of the run {run_id[:8]}", str(folder))


def model_folders(client: Client, run_id: str) -> list[Path]:
    """Return the folders on this machine's disks in which the logged models of a run lie.

    What lies on a server or in a bucket has been confirmed by the upload.
    """
    folders = []
    outputs = client.get_run(run_id).outputs
    for output in outputs.model_outputs if outputs else []:
        address = urlsplit(client.get_logged_model(output.model_id).artifact_location)
        if address.scheme == "file":
            folders.append(Path(unquote(address.path)))
    return folders


def _holds(database: Path, run_id: str) -> bool:
    """Return whether the file that has this name now holds the run."""
    try:
        # A connection of its own: that of MLflow may lead to a file without a name.
        connection = sqlite3.connect(read_only_address(database), uri=True)
    except sqlite3.Error:
        return False
    try:
        found = connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,))
        return found.fetchone() is not None
    except sqlite3.Error:
        return False
    finally:
        connection.close()


def _missing(store: Store, what: str, where: str) -> ResultLost:
    return ResultLost(
        f"MLflow at {store.shown}: {what} was written, but is not in {where}. "
        "Probably the folder was deleted or moved meanwhile"
    )
