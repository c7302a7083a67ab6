"""`appline runs`: what is in the store, one line for each training and each sweep."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from apps import rendering, saved_runs
from apps.screen import Screen
from pipelines.errors import count_of

if TYPE_CHECKING:
    from tuning.tracking.interface import Row

COLUMNS = ("run", "begun", "experiment", "name", "test", "score", "verdict")
PLAIN = ("run", "experiment", "role", "name", "status", "begun", "test", "verdict")
SEEDS = "seeds/"  # begins the metrics of a run with several seeds
ARROWS = {"max": "↑", "min": "↓"}
LEGEND = "↑ higher is better, ↓ lower is better"
NO_RUNS = "There are no runs yet. Begin with: appline demo, or appline vision train"


def list_runs(uri: str, limit: int, screen: Screen) -> None:
    """Print the latest trainings and sweeps of all experiments, with their verdicts.

    A sweep and the final run of its winner are one line. The store is only read.
    """
    from tuning.comparison.headline import headline_of, short_verdict

    # A sweep may be two rows of the store.
    rows = saved_runs.latest(uri, 2 * limit)
    if not rows and not screen.json:
        click.echo(NO_RUNS)
        return
    lines, plain = [], []
    for row in _one_a_sweep(rows)[:limit]:
        metric = headline_of(row)
        score = row.metrics[f"test/{metric.name}"] if metric else None
        begun = datetime.fromtimestamp(row.start_time)
        verdict = short_verdict(row) if row.status == "FINISHED" else row.status.lower()
        test = f"{metric.name} {ARROWS[metric.direction]}" if metric else ""
        lines.append(
            [
                row.id[:8],
                begun.strftime("%m-%d %H:%M"),
                row.experiment,
                _what(row),
                test,
                _score(row, score),
                verdict,
            ]
        )
        begun_text = begun.strftime("%Y-%m-%d %H:%M")
        middle = [row.experiment, row.role, row.name, row.status, begun_text]
        whole_verdict = row.tags.get("verdict", "")
        facts = dict(zip(PLAIN, [row.id, *middle, score, whole_verdict], strict=True))
        facts["metric"] = metric.name if metric else None
        facts["direction"] = metric.direction if metric else None
        plain.append({**facts, "seeds": _seeds(row) or None})
    table = rendering.listing(
        COLUMNS,
        lines,
        numbers=("score",),
        wide=("begun",),
        shrinking=("name", "experiment", "verdict"),
    )
    screen.result(f"{table}\n{LEGEND}. Compare them: appline compare", {"runs": plain})


def _one_a_sweep(rows: "Sequence[Row]") -> "list[Row]":
    """Leave out the final runs of sweeps that are listed, which take over their verdicts."""
    verdicts: dict[str, str] = {}
    for row in rows:
        if row.role == "final" and "verdict" in row.tags:
            verdicts.setdefault(row.tags.get("sweep", ""), row.tags["verdict"])
    sweeps = {row.id for row in rows if row.role == "sweep"}
    listed = []
    for row in rows:
        if row.role == "sweep" and row.id in verdicts:
            row = replace(row, tags={**row.tags, "verdict": verdicts[row.id]})
        if row.role != "final" or row.tags.get("sweep") not in sweeps:
            listed.append(row)
    return listed


def _score(row: "Row", score: float | None) -> str:
    """Return a score for the table; of a run with several seeds, their mean and its error."""
    seeds = _seeds(row)
    if not seeds:
        return rendering.format_number(score)
    return f"{rendering.format_number(seeds['mean'])} ± {seeds['se']:.2g}"


def _seeds(row: "Row") -> dict[str, float]:
    """Return what a run says of its seeds in its headline metric; nothing where it had one."""
    return {
        name: row.metrics[f"{SEEDS}{name}"]
        for name in ("count", "mean", "se", "min", "max")
        if f"{SEEDS}{name}" in row.metrics
    }


def _what(row: "Row") -> str:
    if row.role != "sweep":
        return row.name
    trials = row.metrics.get("cost/trials")
    return f"{row.name}, {count_of(int(trials), 'trial')}" if trials else row.name
