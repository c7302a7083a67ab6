"""Runs found and read back as rows.

Only this file uses MLflow's filter language; its client comes from `mlflow_client`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from pipelines.errors import UsageError, suggest
from tuning.tracking.interface import Row, Wanted

MOST_EXPERIMENTS = 10_000
PAGE = 1_000  # runs that MLflow returns at once, at most
LISTED = 5  # runs that a message names
RECENT = 100  # runs among whose names the nearest is looked for
SHORTEST_ID = 4  # digits of the beginning of an id
ID_BEGINNING = f"[0-9a-f]{{{SHORTEST_ID},32}}"


def all_experiments(client: Any) -> dict[str, str]:
    """Return the names of all experiments by their ids."""
    experiments = client.search_experiments(max_results=MOST_EXPERIMENTS)
    return {experiment.experiment_id: experiment.name for experiment in experiments}


def run_filter(**wanted: Unpack[Wanted]) -> str:
    """Return MLflow's filter for what `Tracker.rows` takes; it knows no OR."""
    conditions = []
    if run_id := wanted.get("run_id"):
        conditions.append(f"attributes.run_id = '{run_id}'")
    if name := wanted.get("name"):
        conditions.append(f"attributes.run_name = {_quoted(name)}")
    if role := wanted.get("role"):
        conditions.append(f"tags.role = '{role}'")
    conditions += [f"tags.role != '{other}'" for other in wanted.get("without_roles", ())]
    if sweep := wanted.get("sweep"):
        conditions.append(f"tags.sweep LIKE '{sweep}%'")
    if data_digest := wanted.get("data_digest"):
        conditions.append(f"tags.data_digest = '{data_digest}'")
    if status := wanted.get("status"):
        conditions.append(f"attributes.status = '{status}'")
    return " and ".join(conditions)


def _quoted(text: str) -> str:
    quote = '"' if "'" in text else "'"
    return f"{quote}{text}{quote}"


def search(client: Any, experiments: Mapping[str, str], condition: str, limit: int) -> list[Row]:
    """Return at most `limit` runs of `experiments` that fit `condition`, newest first.

    `experiments` are names by id; `condition` is in MLflow's filter language.
    """
    runs: list[Any] = []
    token: str | None = None
    while len(runs) < limit:
        page = client.search_runs(
            list(experiments),
            condition,
            max_results=min(limit - len(runs), PAGE),
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            break
    return [_row(run, experiments[run.info.experiment_id]) for run in runs]


def _row(run: Any, experiment: str) -> Row:
    return Row(
        id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        experiment=experiment,
        start_time=run.info.start_time / 1000,
        end_time=run.info.end_time / 1000 if run.info.end_time else None,
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
    )


def search_one(client: Any, run: str) -> Row:
    """Return the run with this id, beginning of an id, or name.

    Raises:
        UsageError: there is none, or there are several; the message lists those.
    """
    experiments = all_experiments(client)
    conditions = [run_filter(name=run)]
    if re.fullmatch(ID_BEGINNING, run):
        conditions.insert(0, f"attributes.run_id LIKE '{run}%'")
    for condition in conditions:
        rows = search(client, experiments, condition, LISTED + 1)
        if len(rows) == 1:
            return rows[0]
        if rows:
            raise several_runs(run, rows)
    raise no_such_run(run, [row.name for row in search(client, experiments, "", RECENT)])


def no_such_run(run: str, recent: Sequence[str]) -> UsageError:
    """Return the error for an id or a name that no run has; `recent` are names of the latest."""
    hint = suggest(run, recent)
    if len(run) < SHORTEST_ID and re.fullmatch("[0-9a-f]+", run):
        hint = f" The beginning of an id has {SHORTEST_ID} digits or more."
    return UsageError(f"No run has the id or the name {run!r}.{hint} List them: appline runs")


def several_runs(run: str, rows: Sequence[Row]) -> UsageError:
    """Return the error for an id or a name that several runs have."""
    lines = [f"Several runs are called {run!r}. Name one by its id:"]
    for row in rows[:LISTED]:
        lines.append(f"  {row.id}  {row.name}  in {row.experiment}, {row.status}")
    if len(rows) > LISTED:
        lines.append("  ...")
    return UsageError("\n".join(lines))
