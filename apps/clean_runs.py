"""`appline clean`: the runs that nobody needs any more, shown, and removed when that is asked."""

from datetime import datetime

from apps import rendering, saved_runs
from apps.screen import Screen
from pipelines.errors import count_of

COLUMNS = ("run", "begun", "experiment", "role", "name", "why")
MEGABYTE = 2**20


def clean_runs(uri: str, yes: bool, screen: Screen) -> None:
    """Print the runs that can be removed; with `yes`, remove them and their artifacts."""
    unneeded = saved_runs.find_unneeded(uri)
    lines, plain = [], []
    for found in unneeded:
        run = found.run
        begun = datetime.fromtimestamp(run.start_time).strftime("%m-%d %H:%M")
        lines.append([run.id[:8], begun, run.experiment, run.role, run.name, found.reason])
        plain.append({"run": run.id, "name": run.name, "role": run.role, "why": found.reason})
    if not unneeded:
        screen.result("There is nothing to remove", {"removed": False, "runs": []})
        return
    table = rendering.listing(COLUMNS, lines, wide=("begun",), shrinking=("name", "experiment"))
    count = count_of(len(unneeded), "run")
    if not yes:
        said = f"{table}\n{count} can be removed; nothing was. Remove them: appline clean --yes"
        screen.result(said, {"removed": False, "runs": plain})
        return
    freed = saved_runs.remove([found.run for found in unneeded], uri)
    said = f"{table}\n{count} removed, {freed / MEGABYTE:,.1f} MB of artifacts freed"
    screen.result(said, {"removed": True, "freed_bytes": freed, "runs": plain})
