"""`appline compare`: runs beside each other, with paired tests on what they lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps import leaderboard_text, saved_runs
from apps.list_runs import NO_RUNS
from apps.screen import Screen
from pipelines.errors import UsageError, shorten
from pipelines.io.paths import require_new_file
from pipelines.io.whole_files import write_table, written_whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tuning.comparison.leaderboard import Board, ReadLosses
    from tuning.tracking.interface import Row

MOST_RUNS = 10_000  # that are looked through for the best ones


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where a comparison is written beside the terminal: files, "" for none."""

    csv: str = ""
    html: str = ""
    force: bool = False


def compare_runs(names: Sequence[str], uri: str, best: int, output: Output, screen: Screen) -> None:
    """Print one leaderboard for each data set: scores, lift, paired tests and cost."""
    for flag, path in (("--csv", output.csv), ("--html", output.html)):
        if path:
            require_new_file(flag, Path(path), output.force)
    found = find_boards(names, uri, best)
    if not found and not screen.json:
        click.echo(NO_RUNS)
        return
    if output.csv:
        write_table(as_table(found), Path(output.csv))
        screen.say(f"written    {output.csv}")
    if output.html:
        from apps.comparison_page import page

        with written_whole(Path(output.html)) as unfinished:
            unfinished.write_text(page(found), encoding="utf-8")
        screen.say(f"written    {output.html}")
    parts = [leaderboard_text.leaderboard(board) for board in found]
    if names and len(found) > 1:
        parts.append(_not_paired(found))
    parts.append(leaderboard_text.LEGEND)
    screen.result("\n\n".join(parts), {"boards": [_board_as_json(board) for board in found]})


def find_boards(names: Sequence[str], uri: str, best: int) -> "list[Board]":
    """Return the boards of the runs with these ids or names; without any, of the best runs.

    A sweep stands for its final run. `best` is how many runs an experiment may show without names.

    Raises:
        UsageError: there is no such run, or it has no test score.
    """
    from tuning.comparison.headline import headline_of
    from tuning.comparison.leaderboard import boards

    if not names:
        rows = saved_runs.latest(uri, MOST_RUNS, ("train", "final", "folds"))
        finished = [row for row in rows if row.status == "FINISHED"]
        by_experiment: dict[str, list[Row]] = {}
        for row in finished:
            by_experiment.setdefault(row.experiment, []).append(row)
        found = []
        for group in by_experiment.values():
            found += boards(group, _losses_of(uri), best=best)
        return found
    chosen = {}
    for name in names:
        row = saved_runs.find(name, uri)
        if row.role != "folds":  # what came of all folds has no model, and scores of its own
            row = saved_runs.winner_of(row, uri)
        if headline_of(row) is None:
            raise UsageError(
                f"{name}: this run has no test score (it is {row.role or 'of another program'}, "
                f"{row.status}). Compare trainings and sweeps: appline runs"
            )
        chosen[row.id] = row
    return boards(list(chosen.values()), _losses_of(uri))


def as_table(found: "Sequence[Board]") -> "pd.DataFrame":
    """Return one row for each run of the boards."""
    import pandas as pd

    rows = []
    for board in found:
        rows += [standing.as_json(board.metric) for standing in board.standings]
    return pd.DataFrame(rows)


def _losses_of(uri: str) -> "ReadLosses":
    """Return what reads the test losses of a run, each once."""
    known: dict[str, np.ndarray | None] = {}

    def read(row: "Row") -> "np.ndarray | None":
        if row.id not in known:
            known[row.id] = saved_runs.test_losses(row, uri)
        return known[row.id]

    return read


def _not_paired(found: "Sequence[Board]") -> str:
    digests = [f"{board.digest[:8]} ({board.dataset})" for board in found]
    return (
        f"note       these runs were tested on different data, {shorten(digests, 5)}: runs are "
        "paired on the same data alone"
    )


def _board_as_json(board: "Board") -> dict[str, object]:
    return {
        "experiments": board.title,
        "dataset": board.dataset,
        "data_digest": board.digest,
        "metric": board.metric.name,
        "direction": board.metric.direction,
        "cheapest_within_noise": board.cheapest.run.id if board.cheapest else None,
        "runs": [standing.as_json(board.metric) for standing in board.standings],
    }
