"""The client of an MLflow store: opened quietly, with errors that a person can read.

MLflow is imported when a store is opened (3-5 s), not with this module.
"""

import functools
import logging
import os
import re
from typing import Any, TypeAlias

from pipelines.errors import ApplineError, ExternalFailure
from pipelines.requirements import require_versions
from tuning.tracking.local_store import Store, prepare, readable
from tuning.tracking.secrets import INSTEAD, hide_secrets

# MLflow ships no types.
Client: TypeAlias = Any

# Unless the user has set them otherwise. MLflow's own defaults try for minutes to reach a server
# that went away.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # results alone go to stdout
    # A server that hangs is given up within 15 seconds.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "6",  # seconds
}
OF_DRIVER = re.compile(r"^\(\w+\.\w+\) ")  # SQLAlchemy names the class of an error first
UNAUTHORIZED = ("Unauthorized", "authentication failed")
SIGN_IN = f"Set {INSTEAD}"


def open_client(store: Store) -> Client:
    """Return a client for `store`, which is created when it is local and new.

    Raises:
        ApplineError: the store cannot be reached or created.
    """
    require_versions(("mlflow",))
    _set_environment()
    prepare(store, _create_database)
    return _connect(store)


def open_to_read(store: Store) -> Client:
    """Return a client that reads the runs of `store`, which may be read-only.

    Raises:
        ApplineError: nothing is recorded there, or its server does not answer.
    """
    _set_environment()
    return _connect(readable(store))


def _set_environment() -> None:
    # Before MLflow is imported: it reads some of them only then.
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)


def _connect(store: Store) -> Client:
    from mlflow.tracking import MlflowClient

    _quiet_loggers()
    try:
        client = MlflowClient(tracking_uri=store.uri)
    except ModuleNotFoundError as error:  # of the database's driver
        raise ApplineError(
            f"MLflow at {store.shown}: the Python package {error.name} is missing. "
            f"Install it: pip install {error.name}"
        ) from error
    return ReadableErrors(client, store.shown)


class ReadableErrors:
    """MLflow's client, whose errors are one line with the store's name."""

    def __init__(self, client: Any, store: str) -> None:
        self._client = client
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            from mlflow.exceptions import MlflowException

            try:
                return method(*args, **kwargs)
            except (MlflowException, OSError) as error:
                reason = _in_plain_words(name, hide_secrets(_first_line(error)))
                raise ExternalFailure(f"MLflow at {self._store}: {reason}") from error

        return call


def _in_plain_words(method: str, reason: str) -> str:
    """Return why a call has failed, with what to do where the reason is a frequent one."""
    # Behind it is a web page, which tells a person nothing.
    reason = reason.partition(" Response body:")[0]
    refused = re.search(r"error code (401|403)", reason)
    if refused or any(word in reason for word in UNAUTHORIZED):
        code = f" ({refused[1]})" if refused else ""
        return f"it refuses access{code}. {SIGN_IN}"
    if "not in a valid JSON format" in reason:
        return (
            "a web page answers there in place of MLflow: a page to sign in, or another address is "
            f"meant. Check the address. {SIGN_IN}"
        )
    if "Databricks credential" in reason:
        return (
            "there are no credentials for Databricks. Set DATABRICKS_HOST and DATABRICKS_TOKEN, "
            "and install its package: pip install databricks-sdk"
        )
    return f"{method} failed: {reason}"


def _create_database(uri: str, artifacts: str) -> None:
    """Create MLflow's tables in the empty database `uri`; `artifacts` is the address of its files.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    _quiet_loggers()
    try:
        SqlAlchemyStore(uri, artifacts).engine.dispose()
    except (MlflowException, SQLAlchemyError) as error:
        raise OSError(OF_DRIVER.sub("", _first_line(error))) from error


def _quiet_loggers() -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It warns of missing credentials, which the error says in one line.
    logging.getLogger("mlflow.utils.databricks_utils").setLevel(logging.ERROR)
    # It logs the traceback of a full disk, which the error says in one line.
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0]
