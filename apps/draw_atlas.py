"""`appline atlas`: what kernel size, stride and filters did in every sweep of the store."""

from pathlib import Path
from typing import TYPE_CHECKING

from apps import rendering, saved_runs
from apps.screen import Screen
from pipelines.errors import UsageError
from pipelines.io.paths import require_new_file
from pipelines.io.whole_files import written_whole

if TYPE_CHECKING:
    import pandas as pd

    from tuning.tracking.interface import Role

COLUMNS = ("hyperparameter", "experiment", "sweep", "value", "trials", "metric", "score", "rank")
NUMBERS = ("value", "trials", "score", "rank")
MOST_TRIALS = 100_000
NO_SWEEPS = (
    "No sweep of three trials or more has varied conv.kernel_size, conv.stride or conv.filters. "
    "Begin with: appline demo"
)
FIGURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf")  # formats that are drawn
LEGEND = (
    "rank: mean of the trials among those of their sweep, 1 the best and 0 the worst.\n"
    "Other hyperparameters vary as well: what was found together is no proof"
)


def show_atlas(uri: str, figure: str, force: bool, screen: Screen) -> None:
    """Print a row for each value that a sweep has tried; draw them into the file `figure`."""
    if figure:
        require_new_file("--figure", Path(figure), force)
        if Path(figure).suffix.lower() not in FIGURES:
            raise UsageError(
                f"--figure {figure}: expected a name that ends in {', '.join(FIGURES)}"
            )
    table = find_atlas(uri)
    if not len(table):
        screen.result(NO_SWEEPS, {"values": []})
        return
    if figure:
        from tuning.comparison.atlas import draw

        with written_whole(Path(figure)) as unfinished:
            draw(table).savefig(unfinished, dpi=150)
        screen.say(f"written    {figure}")
    rows = []
    for record in table.to_dict(orient="records"):
        record["value"] = f"{record['value']:g}"
        record["score"] = rendering.format_number(record["score"])
        record["rank"] = f"{record['rank']:.2f}"
        rows.append([record[column] for column in COLUMNS])
    listing = rendering.listing(
        COLUMNS, rows, numbers=NUMBERS, wide=("sweep",), shrinking=("experiment",)
    )
    screen.result(f"{listing}\n{LEGEND}", {"values": table.to_dict(orient="records")})


def find_atlas(uri: str) -> "pd.DataFrame":
    """Return what every sweep of a store has found about the three hyperparameters."""
    from tuning.comparison.atlas import atlas

    roles: tuple[Role, ...] = ("trial",)
    return atlas(saved_runs.latest(uri, MOST_TRIALS, roles))
