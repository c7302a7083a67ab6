"""Runs read back as rows. Takes MLflow's client from `tracking`, and imports no MLflow."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import UsageError, suggest
from tuning.tracking.interface import Row


def all_experiments(client: Any) -> dict[str, str]:
    """Return the names of all experiments by their ids."""
    return {experiment.experiment_id: experiment.name for experiment in client.search_experiments(max_results=10_000)}


def search(client: Any, experiments: Mapping[str, str], filter: str, order_by: Sequence[str], limit: int) -> list[Row]:
    """Return at most `limit` runs of `experiments` (names by id) that MLflow's filter finds, newest first unless ordered otherwise."""
    found: list[Any] = []
    token: str | None = None
    while len(found) < limit:
        some = client.search_runs(
            list(experiments), filter, max_results=min(limit - len(found), 1000), order_by=list(order_by), page_token=token
        )
        found += some
        token = some.token
        if not token:
            break
    return [_row(run, experiments[run.info.experiment_id]) for run in found]


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
    """Return the run with this id, beginning of an id or name; raise `UsageError` when there is none or there are several."""
    experiments = all_experiments(client)
    quote = '"' if "'" in run else "'"
    filters = [f"attributes.run_name = {quote}{run}{quote}"]
    if re.fullmatch("[0-9a-f]{4,32}", run):
        filters.insert(0, f"attributes.run_id LIKE '{run}%'")
    for condition in filters:
        rows = search(client, experiments, condition, (), 6)
        if len(rows) == 1:
            return rows[0]
        if rows:
            lines = "\n".join(f"  {row.id}  {row.name}  in {row.experiment}, {row.status}" for row in rows[:5])
            raise UsageError(f"Several runs are called {run!r}. Name one by its id:\n{lines}" + ("\n  ..." if len(rows) > 5 else ""))
    recent = [row.name for row in search(client, experiments, "", (), 100)]
    raise UsageError(f"No run has the id or the name {run!r}.{suggest(run, recent)} List them: appline runs")
