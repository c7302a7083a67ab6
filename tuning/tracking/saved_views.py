"""Saved views: what MLflow's Views menu offers for a sweep and for an experiment.

This file imports no MLflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.options import Objective
from tuning.tracking.hidden_tags import HIDDEN
from tuning.tracking.view_format import (
    DIFFERENCE_VIEW,
    LINE_CHART,
    ChartPage,
    View,
    metric_column,
    page_state,
    stable_id,
)

ROLE_COLUMN = "tags.`role`"
FOLD_COLUMN = "params.`fold`"
VERDICT_COLUMN = "tags.`verdict`"
# The tag of runs that the leaderboard shows. A search filter knows no OR, and finds by `!=` those
# alone that have the tag at all.
LISTED = f"{HIDDEN}listed"
COLOR = "mlflow.runColor"  # the tag by which MLflow colours a run in its charts and tables
NETWORK_COLOR, BASELINE_COLOR = "#0072b2", "#8c8c8c"
# What a table shows of what models cost; baselines have seconds, but no weights.
SECONDS = "cost/train_s"
SHOWN_COSTS = (SECONDS, "cost/params")
LATENCY = "cost/latency_ms_p50"
TEST_EXAMPLES = "audit/test_examples"
# The hyperparameters that people ask about first, when they are searched.
FIRST_CHARTED = ("architecture", "kernel_size", "stride", "filters")
MOST_BESIDE_SCORES = 4  # hyperparameters left of the scores: more push these off 1,600 pixels
MOST_CHARTED = 4  # hyperparameters with a chart each
MOST_AXES = 7  # of parallel coordinates that can be told apart


@dataclass(frozen=True, kw_only=True)
class SweepCharts:
    """What a sweep's views show.

    `sweep` is the value of its runs' tag `sweep`; `searched` are dotted keys of hyperparameters,
    those first that matter most. `contour` are the two that are drawn as a map, both of numbers.
    `headline` is the metric behind `test/`.
    """

    sweep: str
    name: str
    objective: Objective  # as Keras calls it: val_accuracy
    headline: Objective
    searched: Sequence[str]
    contour: tuple[str, str] | None = None
    has_curves: bool = True  # whether trials have more than one epoch


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What an experiment's table of models shows.

    `headline` is the metric behind `test/`, `val/` and `lift/`.
    """

    headline: Objective
    metrics: Sequence[str] = ()  # further test metrics


@dataclass(frozen=True, kw_only=True)
class FoldsTable:
    """What the table of a cross-validation shows.

    `folds` is the value of its runs' tag `folds`, `headline` the metric behind `test/`, and
    `baselines` are the names behind `baseline/`.
    """

    folds: str
    name: str
    headline: Objective
    baselines: Sequence[str]


def sweep_views(charts: SweepCharts) -> tuple[View, View]:
    """Return the views of one sweep: its trials in charts, and all its runs in a table.

    The table has baselines and final runs too.
    """
    best = f"best/{charts.objective.name}"
    page = _sweep_page(charts, best)
    ascending = charts.objective.direction == "min"
    of_sweep = f"tags.sweep = '{charts.sweep}'"
    columns = _sweep_columns(charts, best)
    trials = page_state(
        run_filter=f"{of_sweep} AND tags.role = 'trial'",
        order_by=best,
        ascending=ascending,
        columns=columns,
        page=page,
    )
    all_runs = page_state(
        run_filter=f"{of_sweep} AND tags.role != 'sweep'",
        order_by=best,
        ascending=ascending,
        columns=columns,
        page=page,
    )
    return (
        View(
            id=stable_id(charts.sweep, "charts"),
            name=charts.name,
            mode="CHART",
            state=trials,
        ),
        View(
            id=stable_id(charts.sweep, "table"),
            name=f"{charts.name}: table",
            mode="TABLE",
            state=all_runs,
        ),
    )


def _sweep_columns(charts: SweepCharts, best: str) -> list[str]:
    """Return the columns of a sweep's table: what was tried, how good it was, what it cost."""
    parameters = [f"params.`{key}`" for key in _first(charts.searched)]
    scores = [best, f"test/{charts.headline.name}", *SHOWN_COSTS]
    return [
        ROLE_COLUMN,
        *parameters[:MOST_BESIDE_SCORES],
        *map(metric_column, scores),
        *parameters[MOST_BESIDE_SCORES:],
    ]


def _sweep_page(charts: SweepCharts, best: str) -> ChartPage:
    page = ChartPage(charts.sweep)

    together = page.add_section("What makes it better", columns=1, height=420)
    together.add_card(
        "PARALLEL",
        selectedParams=list(charts.searched[:MOST_AXES]),
        selectedMetrics=[best],
        showAllRuns=False,
    )

    one_by_one = page.add_section("One by one", columns=3, height=320)
    for key in _first(charts.searched)[:MOST_CHARTED]:
        one_by_one.add_scatter(key, "PARAM", best)
    if charts.contour:
        one_by_one.add_contour(*charts.contour, best)
    one_by_one.add_scatter(SECONDS, "METRIC", best)

    if charts.has_curves:
        learning = page.add_section("Learning", columns=2, height=360)
        for metric in dict.fromkeys((charts.objective.name, "val_loss")):
            learning.add_card("LINE", metricKey=metric, selectedMetricKeys=[metric], **LINE_CHART)

    _add_differences(page)
    return page


def _first(searched: Sequence[str]) -> list[str]:
    """Return all keys: those that people ask about come first, then the others in their order."""
    first = []
    for name in FIRST_CHARTED:
        first += [key for key in searched if key.rpartition(".")[2] == name]
    return list(dict.fromkeys([*first, *searched]))


def leaderboard_view(board: Leaderboard) -> View:
    """Return the view of an experiment's models, without its trials.

    It shows verdicts and scores beside those of the baselines, and what the models cost.
    """
    headline = board.headline.name
    test = f"test/{headline}"
    metrics = [
        test,
        f"lift/{headline}",
        "lift/low",
        "lift/high",
        f"val/{headline}",
        SECONDS,
        LATENCY,
        *board.metrics,
    ]
    page = ChartPage("leaderboard")
    models = page.add_section("Models and baselines", columns=2, height=420)
    models.add_card("BAR", metricKey=test)
    models.add_scatter(SECONDS, "METRIC", test)
    _add_differences(page)
    state = page_state(
        run_filter=f"tags.`{LISTED}` = 'true'",
        order_by=test,
        ascending=board.headline.direction == "min",
        columns=[ROLE_COLUMN, VERDICT_COLUMN, *map(metric_column, metrics)],
        page=page,
    )
    return View(id=stable_id("leaderboard"), name="Leaderboard", mode="TABLE", state=state)


def folds_view(table: FoldsTable) -> View:
    """Return the view of a cross-validation: its folds beside their means."""
    headline = table.headline.name
    test = f"test/{headline}"
    baselines = [f"baseline/{name}/{headline}" for name in table.baselines]
    page = ChartPage(table.folds)
    scores = page.add_section("Scores by fold", columns=2, height=420)
    scores.add_card("BAR", metricKey=test)
    for name in baselines:
        scores.add_card("BAR", metricKey=name)
    _add_differences(page)
    state = page_state(
        run_filter=f"tags.folds = '{table.folds}' AND tags.role != 'baseline'",
        order_by=test,
        ascending=table.headline.direction == "min",
        columns=[
            FOLD_COLUMN,
            *map(metric_column, [test, *baselines, TEST_EXAMPLES, SECONDS]),
        ],
        page=page,
    )
    return View(id=stable_id(table.folds, "folds"), name=table.name, mode="TABLE", state=state)


def _add_differences(page: ChartPage) -> None:
    differences = page.add_section("What differs", columns=1, height=520)
    differences.add_card("DIFFERENCE", **DIFFERENCE_VIEW)
