"""What is in the store: `appline runs`."""

from datetime import datetime

import click

from apps import rendering
from tuning.training import runtime

COLUMNS = ("run", "experiment", "role", "name", "status", "begun", "test", "verdict")
BOUNDS = ("lift/low", "lift/high")
# MLflow's filter language knows no OR.
NOT_PARTS = "tags.role != 'trial' and tags.role != 'baseline'"


def list_runs(uri: str, limit: int, screen: rendering.Screen) -> None:
    """Print the latest trainings, sweeps and finals of all experiments, with the verdict of each."""
    runtime.prepare_environment()
    from tuning.tracking.mlflow_tracker import open_tracker

    rows = open_tracker("Default", uri=uri).rows(NOT_PARTS, limit=limit, everywhere=True)
    if not rows and not screen.json:
        click.echo("There are no runs yet. Begin with: appline demo, or appline vision train")
        return
    lines, plain = [], []
    for row in rows:
        # A run's headline is the metric that its lift is told in.
        lifted = next((key.removeprefix("lift/") for key in row.metrics if key.startswith("lift/") and key not in BOUNDS), "")
        headline = row.metrics.get(f"test/{lifted}")
        when = datetime.fromtimestamp(row.start_time).strftime("%Y-%m-%d %H:%M")
        what = [row.id[:8], row.experiment, row.tags.get("role", ""), row.name, row.status, when]
        lines.append([*what, rendering.number(headline), row.tags.get("verdict", "")])
        plain.append(dict(zip(COLUMNS, [row.id, *what[1:], headline, row.tags.get("verdict", "")], strict=True)))
    screen.result(rendering.table(COLUMNS, lines), {"runs": plain})
