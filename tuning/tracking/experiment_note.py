"""What an experiment's page says of it: the best model so far, and where to look.

This file imports no MLflow.
"""

from collections.abc import Sequence

from pipelines.config.options import Objective
from tuning.reports.run_card import escape
from tuning.tracking.interface import Row
from tuning.tracking.ui_links import SavedView, run_page

NOTE = "mlflow.note.content"
BEST, VIEWS = "**Best so far**", "**Look at**"
MOST_VIEWS = 8  # the newest ones


def experiment_note(
    experiment_id: str, runs: Sequence[Row], headline: Objective, views: Sequence[SavedView]
) -> str:
    """Return the note as Markdown.

    `runs` are tested models, the newest first: the best is looked for among those that saw the same
    data as the newest one.
    """
    lines = []
    best = _best(runs, headline)
    if best:
        link = f"[{escape(best.name)}](#{run_page(experiment_id, best.id).partition('#')[2]})"
        score = f"test {headline.name} {best.metrics[f'test/{headline.name}']:.4g}"
        verdict = best.tags.get("verdict", "")
        lines += [f"{BEST} {link}: {score}{': ' if verdict else ''}{escape(verdict)}", ""]
    lines.append(VIEWS)
    for view in views[:MOST_VIEWS]:
        lines.append(f"- [{escape(view.name)}](#{view.path.partition('#')[2]})")
    return "\n".join(lines)


def is_written_by_hand(note: str) -> bool:
    """Return whether a person has written a note: `experiment_note` has not."""
    return bool(note) and not note.startswith((BEST, VIEWS))


def _best(runs: Sequence[Row], headline: Objective) -> Row | None:
    key = f"test/{headline.name}"
    tested = [run for run in runs if key in run.metrics]
    if not tested:
        return None
    digest = tested[0].tags.get("data_digest")
    same = [run for run in tested if run.tags.get("data_digest") == digest]
    return headline.best(same, lambda run: run.metrics[key])
