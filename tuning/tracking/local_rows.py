"""Runs of a local store, read from its database without MLflow, whose import takes two seconds.

A run is looked up before anything heavy is imported: a wrong id is refused at once.
"""

import math
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tuning.tracking.interface import Row
from tuning.tracking.local_store import DATABASE_TIMEOUT, read_only_address
from tuning.tracking.queries import ID_BEGINNING, LISTED, RECENT, no_such_run, several_runs

COLUMNS = (
    "SELECT run_uuid, runs.name, status, experiments.name, start_time, end_time "
    "FROM runs JOIN experiments USING (experiment_id) "
    "WHERE runs.lifecycle_stage = 'active' AND "
)
NEWEST_FIRST = " ORDER BY start_time DESC LIMIT ?"


def find_local_run(database: Path, run: str) -> Row:
    """Return the run with this id, beginning of an id, or name.

    Raises:
        UsageError: there is none, or there are several; the message lists those.
        sqlite3.Error: this is no database of MLflow.
    """
    address = read_only_address(database)
    with closing(sqlite3.connect(address, uri=True, timeout=DATABASE_TIMEOUT)) as connection:
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


def _rows(
    connection: sqlite3.Connection, condition: str, values: tuple[str | int, ...]
) -> list[Row]:
    found = connection.execute(f"{COLUMNS}{condition}{NEWEST_FIRST}", values).fetchall()
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
                tags=_texts(connection, "tags", run_id),
                params=_texts(connection, "params", run_id),
                metrics=_metrics(connection, run_id),
            )
        )
    return rows


def _texts(connection: sqlite3.Connection, table: str, run_id: str) -> dict[str, str]:
    statement = f"SELECT key, value FROM {table} WHERE run_uuid = ?"
    return dict(connection.execute(statement, (run_id,)))


def _metrics(connection: sqlite3.Connection, run_id: str) -> dict[str, float]:
    statement = "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ?"
    points: Iterable[tuple[str, float, bool]] = connection.execute(statement, (run_id,))
    return {key: math.nan if is_nan else value for key, value, is_nan in points}
