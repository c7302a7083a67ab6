"""Saved views: what MLflow's Views menu offers for a sweep and for an experiment.

This file imports no MLflow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.options import Direction
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
# What a table shows of what models cost; the first one is an axis of the charts.
SHOWN_COSTS = ("cost/params", "cost/train_s")
# The hyperparameters that people ask about first, when they are searched.
FIRST_CHARTED = ("kernel_size", "stride", "filters", "learning_rate")
MOST_CHARTED = 4  # hyperparameters with a chart each


@dataclass(frozen=True, kw_only=True)
class SweepCharts:
    """What a sweep's views show.

    `sweep` is the value of its runs' tag `sweep`; `searched` are dotted keys of hyperparameters.
    """

    sweep: str
    name: str
    objective: str  # as Keras calls it: val_accuracy
    direction: Direction
    searched: Sequence[str]
    test: Sequence[str] = ()  # metrics of baselines and final runs: test/accuracy


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What an experiment's table of models shows.

    `headline` is the metric behind `test/`, `baseline/` and `lift/`.
    """

    headline: str
    direction: Direction
    metrics: Sequence[str] = ()  # further test metrics


def sweep_views(charts: SweepCharts) -> tuple[View, View]:
    """Return the views of one sweep: its trials in charts, and all its runs in a table.

    The table has baselines and final runs too.
    """
    best = f"best/{charts.objective}"
    metrics = [best, *charts.test, *SHOWN_COSTS]
    parameters = [f"params.`{key}`" for key in charts.searched]
    columns = [ROLE_COLUMN, *map(metric_column, metrics), *parameters]
    page = _sweep_page(charts, best)
    ascending = charts.direction == "min"
    of_sweep = f"tags.sweep = '{charts.sweep}'"
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


def _sweep_page(charts: SweepCharts, best: str) -> ChartPage:
    page = ChartPage(charts.sweep)

    together = page.add_section("What makes it better", columns=1, height=420)
    together.add_card(
        "PARALLEL",
        selectedParams=list(charts.searched),
        selectedMetrics=[best],
        showAllRuns=False,
    )

    one_by_one = page.add_section("One by one", columns=3, height=320)
    for key in _charted(charts.searched):
        one_by_one.add_scatter(key, "PARAM", best)
    one_by_one.add_scatter(SHOWN_COSTS[0], "METRIC", best)
    one_by_one.add_card("BAR", metricKey=best)

    learning = page.add_section("Learning", columns=2, height=360)
    for metric in dict.fromkeys((charts.objective, "val_loss")):
        learning.add_card("LINE", metricKey=metric, selectedMetricKeys=[metric], **LINE_CHART)

    _add_differences(page)
    return page


def _charted(searched: Sequence[str]) -> list[str]:
    """Return the keys that get a chart each.

    Those that people ask about come first, then the others in their order.
    """
    first = []
    for name in FIRST_CHARTED:
        first += [key for key in searched if key.rpartition(".")[2] == name]
    return list(dict.fromkeys([*first, *searched]))[:MOST_CHARTED]


def leaderboard_view(board: Leaderboard) -> View:
    """Return the view of an experiment's models, without its trials.

    It shows scores beside those of the baselines, and what the models cost.
    """
    headline = board.headline
    test = f"test/{headline}"
    scores = [test, f"baseline/{headline}", f"lift/{headline}", *board.metrics]
    page = ChartPage("leaderboard")
    models = page.add_section("Models and baselines", columns=2, height=420)
    models.add_card("BAR", metricKey=test)
    models.add_scatter(SHOWN_COSTS[0], "METRIC", test)
    _add_differences(page)
    state = page_state(
        # The search box knows no OR: what is left are train, final, baseline and evaluate.
        run_filter="tags.role != 'trial' AND tags.role != 'seed' AND tags.role != 'sweep'",
        order_by=test,
        ascending=board.direction == "min",
        columns=[ROLE_COLUMN, *map(metric_column, [*scores, *SHOWN_COSTS])],
        page=page,
    )
    return View(id=stable_id("leaderboard"), name="Leaderboard", mode="TABLE", state=state)


def _add_differences(page: ChartPage) -> None:
    differences = page.add_section("What differs", columns=1, height=520)
    differences.add_card("DIFFERENCE", **DIFFERENCE_VIEW)
