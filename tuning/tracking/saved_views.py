"""Saved views: what MLflow's Views menu offers for a sweep and for an experiment. Pure data;
`tracking` stores it as experiment tags.

An experiment tag `mlflow.sharedViewState.<id>` is one entry of the menu. Its value is JSON with the
state of the page, deflated. The names inside are those of MLflow 3.17's own page; a page that does
not know one ignores it.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from pipelines.config.options import Direction
from pipelines.errors import ApplineError

TAG = "mlflow.sharedViewState."
LONGEST_VALUE = 20_000  # of an experiment tag


@dataclass(frozen=True, kw_only=True)
class SweepCharts:
    """What a sweep's views show. `sweep` is the value of its runs' tag `sweep`; `searched` are
    dotted keys of hyperparameters.
    """

    sweep: str
    name: str
    objective: str  # as Keras calls it: val_accuracy
    direction: Direction
    searched: Sequence[str]
    test: Sequence[str] = ()  # metrics of baselines and final runs: test/accuracy


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What an experiment's table of models shows: `headline` is the metric behind `test/`,
    `baseline/` and `lift/`.
    """

    headline: str
    direction: Direction
    metrics: Sequence[str] = ()  # further test metrics


@dataclass(frozen=True, kw_only=True)
class View:
    """One entry of the Views menu."""

    id: str
    name: str
    mode: Literal["CHART", "TABLE"]
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return TAG + self.id

    def value(self) -> str:
        """Return the tag's value.

        Raises:
            ApplineError: it is longer than MLflow takes.
        """
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode(), 9)).decode()
        # `mode` is ours: `appline ui` opens the newest view as it is meant.
        value = json.dumps(
            {
                "name": self.name,
                "createdAt": round(time.time() * 1000),
                "mode": self.mode,
                "state": f"deflate;{packed}",
            }
        )
        if len(value) > LONGEST_VALUE:
            raise ApplineError(
                f"The view {self.name!r} takes {len(value):,} characters, MLflow stores {LONGEST_VALUE:,}"
            )
        return value


def page(experiment: str, view: str, mode: str) -> str:
    """Return the path of a view's page in MLflow's UI: `view` is its id, `mode` CHART or TABLE."""
    # Without the workflow type a fresh browser lands on MLflow's side for language models.
    query = urlencode(
        {"viewStateShareKey": view, "compareRunsMode": mode, "workflowType": "machine_learning"}
    )
    return f"/#/experiments/{experiment}/runs?{query}"


def newest_page(experiments: Sequence[Mapping[str, Any]]) -> str:
    """Return the path of the view that was saved last, or of the list of experiments; takes what
    MLflow's REST API returns.
    """
    newest = (0, "/#/experiments?workflowType=machine_learning")
    for experiment in experiments:
        for tag in experiment.get("tags", ()):
            if tag["key"].startswith(TAG):
                saved = json.loads(tag["value"])
                path = page(
                    experiment["experiment_id"],
                    tag["key"].removeprefix(TAG),
                    saved.get("mode", "CHART"),
                )
                newest = max(newest, (saved["createdAt"], path))
    return newest[1]


def run_page(experiment: str, run_id: str) -> str:
    """Return the path of a run's page in MLflow's UI."""
    return f"/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"


def sweep_views(charts: SweepCharts) -> tuple[View, View]:
    """Return the views of one sweep: its trials in charts, and all its runs (baselines and final
    runs too) in a table.
    """
    best = f"best/{charts.objective}"
    cost, *_ = COSTS
    of_sweep = f"tags.sweep = '{charts.sweep}'"
    parameters = [f"params.`{key}`" for key in charts.searched]
    columns = ["tags.`role`", *map(_metric, (best, *charts.test, *COSTS)), *parameters]
    pages = _Sections(charts.sweep)
    everything = pages.section("What makes it better", columns=1, height=420)
    everything(
        "PARALLEL", selectedParams=list(charts.searched), selectedMetrics=[best], showAllRuns=False
    )
    one_by_one = pages.section("One by one", columns=3, height=320)
    for key in _telling(charts.searched):
        one_by_one(
            "SCATTER", xaxis={"key": key, "type": "PARAM"}, yaxis={"key": best, "type": "METRIC"}
        )
    one_by_one(
        "SCATTER", xaxis={"key": cost, "type": "METRIC"}, yaxis={"key": best, "type": "METRIC"}
    )
    one_by_one("BAR", metricKey=best)
    learning = pages.section("Learning", columns=2, height=360)
    for metric in dict.fromkeys((charts.objective, "val_loss")):
        learning("LINE", metricKey=metric, selectedMetricKeys=[metric], **LINE)
    differs = pages.section("What differs", columns=1, height=520)
    differs("DIFFERENCE", **DIFFERENCE)
    ascending = charts.direction == "min"
    trials = _state(f"{of_sweep} AND tags.role = 'trial'", best, ascending, columns, pages)
    everyone = _state(f"{of_sweep} AND tags.role != 'sweep'", best, ascending, columns, pages)
    return (
        View(id=_id(charts.sweep, "charts"), name=charts.name, mode="CHART", state=trials),
        View(
            id=_id(charts.sweep, "table"),
            name=f"{charts.name}: table",
            mode="TABLE",
            state=everyone,
        ),
    )


def leaderboard_view(board: Leaderboard) -> View:
    """Return the view of an experiment's models (not of its trials): scores beside their baselines,
    and what they cost.
    """
    test = f"test/{board.headline}"
    cost, *_ = COSTS
    metrics = [test, f"baseline/{board.headline}", f"lift/{board.headline}", *board.metrics, *COSTS]
    pages = _Sections("leaderboard")
    models = pages.section("Models and baselines", columns=2, height=420)
    models("BAR", metricKey=test)
    models("SCATTER", xaxis={"key": cost, "type": "METRIC"}, yaxis={"key": test, "type": "METRIC"})
    differs = pages.section("What differs", columns=1, height=520)
    differs("DIFFERENCE", **DIFFERENCE)
    # MLflow's filters know no OR: what is left are train, final, baseline and evaluate.
    models_only = "tags.role != 'trial' AND tags.role != 'seed' AND tags.role != 'sweep'"
    state = _state(
        models_only, test, board.direction == "min", ["tags.`role`", *map(_metric, metrics)], pages
    )
    return View(id=_id("leaderboard"), name="Leaderboard", mode="TABLE", state=state)


COSTS = ("cost/params", "cost/train_s")
LINE: Mapping[str, Any] = {
    "xAxisKey": "step",
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
    "lineSmoothness": 0,
    "scaleType": "linear",
    "xAxisScaleType": "linear",
    "range": {},
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "selectedXAxisMetricKey": "",
}
DIFFERENCE: Mapping[str, Any] = {
    "compareGroups": ["Model metrics", "Parameters"],
    "chartName": "Runs difference view",
    "showChangeFromBaseline": True,
    "showDifferencesOnly": True,
    "baselineColumnUuid": "",
}
# The hyperparameters that people ask about first, when they are searched.
ASKED = ("kernel_size", "stride", "filters", "learning_rate")


def _telling(searched: Sequence[str]) -> list[str]:
    """Return the four keys that get a chart of their own: those people ask about, then the others
    in their order.
    """
    asked = [key for name in ASKED for key in searched if key.rpartition(".")[2] == name]
    return list(dict.fromkeys([*asked, *searched]))[:4]


class _Sections:
    """The sections of a page of charts and the cards in them, as MLflow stores both."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.sections: list[dict[str, Any]] = []
        self.cards: list[dict[str, Any]] = []

    def section(self, name: str, *, columns: int, height: int) -> Callable[..., None]:
        """Add a section; return the function that adds a card to it: `add(type, **settings)`."""
        uuid = _id(self._seed, name)
        frame = {
            "uuid": uuid,
            "name": name,
            "display": True,
            "columns": columns,
            "cardHeight": height,
        }
        self.sections.append({**frame, "isReordered": True, "deleted": False, "isGenerated": False})

        def add(kind: str, **settings: Any) -> None:
            card = {"uuid": _id(uuid, str(len(self.cards))), "type": kind, "metricSectionId": uuid}
            self.cards.append(
                {
                    **card,
                    "runsCountToCompare": 100,
                    "deleted": False,
                    "isGenerated": False,
                    **settings,
                }
            )

        return add


def _state(
    filter: str, order_by: str, ascending: bool, columns: Sequence[str], pages: _Sections
) -> dict[str, Any]:
    # The table sorts its columns by name unless it is told; the names of the first and the last two
    # are the table's own.
    order = ["attributes.`Run Name`", *columns, "duration", "runDateAndNestInfo"]
    return {
        "searchFilter": filter,
        # By a metric: sorted by start time, the page folds children under their parent and hides
        # them.
        "orderByKey": _metric(order_by),
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": ["attributes.`Duration`", *columns],
        "columnOrder": order,
        "columnWidths": {key: max(90, 8 * (len(key) - len("metrics.``")) + 20) for key in columns},
        "runsHiddenMode": "SHOW_ALL",  # as shipped, only the first ten are drawn
        "compareRunCharts": pages.cards,
        "compareRunSections": pages.sections,
        "isAccordionReordered": True,  # else the page sorts its own sections before ours
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
        "hideEmptyCharts": True,
        "groupBy": None,
        "autoRefreshEnabled": True,
    }


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]
