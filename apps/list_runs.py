"""`appline runs`: what is in the store."""

from collections.abc import Mapping
from datetime import datetime

import click

from apps import rendering, saved_runs
from apps.screen import Screen

COLUMNS = ("run", "experiment", "role", "name", "status", "begun", "test", "verdict")
LIFT = "lift/"
LIFT_BOUNDS = ("lift/low", "lift/high")


def list_runs(uri: str, limit: int, screen: Screen) -> None:
    """Print the latest trainings, sweeps and final runs of all experiments, with their verdicts."""
    rows = saved_runs.latest(uri, limit)
    if not rows and not screen.json:
        click.echo("There are no runs yet. Begin with: appline demo, or appline vision train")
        return
    lines, plain = [], []
    for row in rows:
        score = _headline_score(row.metrics)
        begun = datetime.fromtimestamp(row.start_time).strftime("%Y-%m-%d %H:%M")
        role, verdict = row.tags.get("role", ""), row.tags.get("verdict", "")
        middle = [row.experiment, role, row.name, row.status, begun]
        lines.append([row.id[:8], *middle, rendering.format_number(score), verdict])
        plain.append(dict(zip(COLUMNS, [row.id, *middle, score, verdict], strict=True)))
    screen.result(rendering.table(COLUMNS, lines), {"runs": plain})


def _headline_score(metrics: Mapping[str, float]) -> float | None:
    """Return a run's test score in its headline metric, which is the metric of its lift."""
    for key in metrics:
        if key.startswith(LIFT) and key not in LIFT_BOUNDS:
            return metrics.get(f"test/{key.removeprefix(LIFT)}")
    return None
