"""Runs of a local store, read from its database without MLflow, whose import takes two seconds.

A run is looked up before anything heavy is imported: a wrong id is refused at once.
"""

import json
import math
import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from tuning.tracking.interface import Role, Row, Wanted
from tuning.tracking.local_store import DATABASE_TIMEOUT, artifact_folder, read_only_address
from tuning.tracking.queries import ID_BEGINNING, LISTED, RECENT, no_such_run, several_runs

COLUMNS = (
    "SELECT run_uuid, runs.name, status, experiments.name, start_time, end_time "
    "FROM runs JOIN experiments USING (experiment_id) "
    "WHERE runs.lifecycle_stage = 'active' AND "
)
MOST_VALUES = 900  # in one statement; old versions of SQLite allow 999
NEWEST_FIRST = " ORDER BY start_time DESC, run_uuid LIMIT ?"


def find_local_run(database: Path, run: str) -> Row:
    """Return the run with this id, beginning of an id, or name.

    Raises:
        UsageError: there is none, or there are several; the message lists those.
        sqlite3.Error: this is no database of MLflow.
    """
    with closing(_connect(database)) as connection:
        rows: list[Row] = []
        if re.fullmatch(ID_BEGINNING, run):
            rows = _rows(connection, "run_uuid LIKE ?", (f"{run}%", LISTED + 1))
        if not rows:
            rows = _rows(connection, "runs.name = ?", (run, LISTED + 1))
        if not rows:
            statement = f"SELECT name FROM runs WHERE lifecycle_stage = 'active'{NEWEST_FIRST}"
            recent = [name for (name,) in connection.execute(statement, (RECENT,))]
            raise no_such_run(run, recent)
    if len(rows) > 1:
        raise several_runs(run, rows)
    return rows[0]


def local_runs(database: Path, roles: Collection[Role], limit: int) -> list[Row]:
    """Return the latest runs with one of these roles, the newest first.

    Raises:
        sqlite3.Error: this is no database of MLflow.
    """
    places = ", ".join("?" * len(roles))
    condition = (
        f"run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'role' AND value IN ({places}))"
    )
    with closing(_connect(database)) as connection:
        return _rows(connection, condition, (*roles, limit))


@dataclass(frozen=True)
class LocalCondition:
    """A condition on runs in SQL, with the values of its places."""

    text: str
    values: tuple[str | int, ...]


def local_condition(**wanted: Unpack[Wanted]) -> LocalCondition:
    """Return for a local store what `queries.run_filter` returns for MLflow."""
    conditions = ["experiments.lifecycle_stage = 'active'"]
    values: list[str | int] = []
    columns = {
        "run_uuid": wanted.get("run_id"),
        "runs.name": wanted.get("name"),
        "status": wanted.get("status"),
    }
    for column, value in columns.items():
        if value:
            conditions.append(f"{column} = ?")
            values.append(value)
    tags = [
        ("role", wanted.get("role"), "value = ?"),
        ("data_digest", wanted.get("data_digest"), "value = ?"),
        ("sweep", wanted.get("sweep"), "substr(value, 1, length(?)) = ?"),
    ]
    # As in MLflow, a run without the tag does not differ from a value either.
    tags += [("role", other, "value != ?") for other in wanted.get("without_roles", ())]
    for key, value, comparison in tags:
        if value:
            conditions.append(
                f"run_uuid IN (SELECT run_uuid FROM tags WHERE key = '{key}' AND {comparison})"
            )
            values += [value] * comparison.count("?")
    return LocalCondition(" AND ".join(conditions), tuple(values))


def local_search(
    database: Path, condition: LocalCondition, limit: int, experiment_id: str = ""
) -> list[Row]:
    """Return the runs that fit, the newest first: of all experiments, or of one.

    MLflow's own search takes ten times as long.

    Raises:
        sqlite3.Error: this is no database of MLflow.
    """
    text, values = condition.text, condition.values
    if experiment_id:
        text, values = f"{text} AND runs.experiment_id = ?", (*values, int(experiment_id))
    with closing(_connect(database)) as connection:
        return _rows(connection, text, (*values, limit))


def local_artifact(database: Path, run_id: str, path: str) -> Path | None:
    """Return where an artifact of a run lies on this machine; None where it is not.

    The first folder of `path` may be the name of a logged model.

    Raises:
        sqlite3.Error: this is no database of MLflow.
    """
    first_folder, _, below = path.partition("/")
    of_run = "SELECT artifact_uri FROM runs WHERE run_uuid = ?"
    of_model = "SELECT artifact_location FROM logged_models WHERE source_run_id = ? AND name = ?"
    with closing(_connect(database)) as connection:
        places = [(address, path) for (address,) in connection.execute(of_run, (run_id,))]
        models = connection.execute(of_model, (run_id, first_folder))
        places += [(address, below) for (address,) in models]
    for address, inside in places:
        folder = artifact_folder(database, address)
        if folder is not None and (folder / inside).exists():
            return folder / inside
    return None


def local_counts(database: Path, run_id: str) -> dict[str, int]:
    """Return how many examples each part of a run's data had.

    Raises:
        sqlite3.Error: this is no database of MLflow.
    """
    statement = (
        "SELECT input_tags.value, datasets.dataset_profile FROM inputs "
        "JOIN datasets ON datasets.dataset_uuid = inputs.source_id "
        "JOIN input_tags ON input_tags.input_uuid = inputs.input_uuid "
        "WHERE inputs.destination_id = ? AND input_tags.name = 'mlflow.data.context'"
    )
    with closing(_connect(database)) as connection:
        found = connection.execute(statement, (run_id,)).fetchall()
    return {part: json.loads(profile)["num_rows"] for part, profile in found}


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(read_only_address(database), uri=True, timeout=DATABASE_TIMEOUT)


def _rows(
    connection: sqlite3.Connection, condition: str, values: tuple[str | int, ...]
) -> list[Row]:
    found = connection.execute(f"{COLUMNS}{condition}{NEWEST_FIRST}", values).fetchall()
    ids = [run_id for run_id, *_ in found]
    tags, params = _texts(connection, "tags", ids), _texts(connection, "params", ids)
    metrics = _metrics(connection, ids)
    rows = []
    for run_id, name, status, experiment, start, end in found:
        rows.append(
            Row(
                id=run_id,
                name=name,
                status=status,
                experiment=experiment,
                start_time=start / 1000,
                end_time=end / 1000 if end else None,
                tags=tags.get(run_id, {}),
                params=params.get(run_id, {}),
                metrics=metrics.get(run_id, {}),
            )
        )
    return rows


def _texts(
    connection: sqlite3.Connection, table: str, ids: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Return the tags or the parameters of many runs, by run and key."""
    texts: dict[str, dict[str, str]] = {}
    statement = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN "
    for run_id, key, value in _of_runs(connection, statement, ids):
        texts.setdefault(run_id, {})[key] = value
    return texts


def _metrics(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    metrics: dict[str, dict[str, float]] = {}
    statement = "SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN "
    for run_id, key, value, is_nan in _of_runs(connection, statement, ids):
        metrics.setdefault(run_id, {})[key] = math.nan if is_nan else value
    return metrics


def _of_runs(
    connection: sqlite3.Connection, statement: str, ids: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    # One question for many runs: SQLite allows some thousand values in one.
    for start in range(0, len(ids), MOST_VALUES):
        chunk = ids[start : start + MOST_VALUES]
        places = ", ".join("?" * len(chunk))
        yield from connection.execute(f"{statement}({places})", chunk)
