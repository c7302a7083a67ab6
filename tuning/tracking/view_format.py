"""How MLflow stores a view of its UI: the state of a page, deflated, in a tag of the experiment.

Imports no MLflow. The names inside the state are those of MLflow 3.17's own page; a page that does
not know one ignores it.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.errors import ApplineError
from tuning.tracking.ui_links import VIEW_TAG

LONGEST_VALUE = 20_000  # characters of an experiment's tag
MOST_COMPARED = 100  # runs in one chart
ID_LENGTH = 32  # hex digits
# Widths of a table's columns, in pixels.
NARROWEST_COLUMN, WIDEST_COLUMN = 90, 180
CHARACTER_WIDTH = 8
COLUMN_MARGIN = 20
RUN_NAME = "attributes.`Run Name`"
# Columns whose texts are longer than their headings.
WIDE_COLUMNS = {RUN_NAME: 320, "tags.`verdict`": 260}

LINE_CHART: Mapping[str, Any] = {
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
DIFFERENCE_VIEW: Mapping[str, Any] = {
    "compareGroups": ["Parameters", "Model metrics"],
    "chartName": "Runs difference view",
    "showChangeFromBaseline": True,
    "showDifferencesOnly": True,
    "baselineColumnUuid": "",
}


@dataclass(frozen=True, kw_only=True)
class View:
    """One entry of the Views menu."""

    id: str
    name: str
    mode: Literal["CHART", "TABLE"]
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The name of the experiment's tag that holds it."""
        return VIEW_TAG + self.id

    def value(self) -> str:
        """Return the value of the tag.

        Raises:
            ApplineError: it is longer than MLflow takes.
        """
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode(), 9)).decode()
        value = json.dumps(
            {
                "name": self.name,
                "createdAt": round(time.time() * 1000),
                # Ours: `appline ui` opens the newest view as it is meant.
                "mode": self.mode,
                "state": f"deflate;{packed}",
            }
        )
        if len(value) > LONGEST_VALUE:
            raise ApplineError(
                f"The view {self.name!r} takes {len(value):,} characters, "
                f"but MLflow stores {LONGEST_VALUE:,} at most"
            )
        return value


class ChartPage:
    """A page of charts: its sections, and the cards in them, as MLflow stores both."""

    def __init__(self, seed: str) -> None:
        self.sections: list[dict[str, Any]] = []
        self.cards: list[dict[str, Any]] = []
        self._seed = seed

    def add_section(self, name: str, *, columns: int, height: int) -> "Section":
        """Add a section with its cards in so many columns, each `height` pixels high."""
        section_id = stable_id(self._seed, name)
        self.sections.append(
            {
                "uuid": section_id,
                "name": name,
                "display": True,
                "columns": columns,
                "cardHeight": height,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
        )
        return Section(self.cards, section_id)


class Section:
    """One section of a page of charts."""

    def __init__(self, cards: list[dict[str, Any]], section_id: str) -> None:
        self._cards = cards
        self._id = section_id

    def add_card(self, kind: str, **settings: Any) -> None:
        """Add a chart: BAR, LINE, SCATTER, CONTOUR, PARALLEL or DIFFERENCE."""
        self._cards.append(
            {
                "uuid": stable_id(self._id, str(len(self._cards))),
                "type": kind,
                "metricSectionId": self._id,
                "runsCountToCompare": MOST_COMPARED,
                "deleted": False,
                "isGenerated": False,
                **settings,
            }
        )

    def add_scatter(self, x: str, x_type: Literal["PARAM", "METRIC"], y: str) -> None:
        """Add a chart of the metric `y` by a parameter or another metric."""
        x_axis = {"key": x, "type": x_type}
        self.add_card("SCATTER", xaxis=x_axis, yaxis={"key": y, "type": "METRIC"})

    def add_contour(self, x: str, y: str, z: str) -> None:
        """Add a map of the metric `z` by two parameters."""
        self.add_card(
            "CONTOUR",
            xaxis={"key": x, "type": "PARAM"},
            yaxis={"key": y, "type": "PARAM"},
            zaxis={"key": z, "type": "METRIC"},
        )


def page_state(
    *, run_filter: str, order_by: str, ascending: bool, columns: Sequence[str], page: ChartPage
) -> dict[str, Any]:
    """Return the state of MLflow's page of runs.

    `run_filter` is in the language of the page's search box, `order_by` the name of a metric, and
    `columns` are the table's own names (see `metric_column`).
    """
    widths = {RUN_NAME: WIDE_COLUMNS[RUN_NAME]}
    for key in columns:
        characters = len(key.partition("`")[2]) - 1
        of_heading = CHARACTER_WIDTH * characters + COLUMN_MARGIN
        widths[key] = WIDE_COLUMNS.get(key) or min(WIDEST_COLUMN, max(NARROWEST_COLUMN, of_heading))
    return {
        "searchFilter": run_filter,
        # By a metric: sorted by start time, the page folds children under their parent and hides
        # them.
        "orderByKey": metric_column(order_by),
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": ["attributes.`Duration`", *columns],
        # The table sorts its columns by name unless an order is given; the names of the first and
        # the last two are the table's own.
        "columnOrder": [RUN_NAME, *columns, "duration", "runDateAndNestInfo"],
        "columnWidths": widths,
        "runsHiddenMode": "SHOW_ALL",  # as shipped, only the first ten are drawn
        "compareRunCharts": page.cards,
        "compareRunSections": page.sections,
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


def metric_column(name: str) -> str:
    """Return what MLflow's table calls the column of a metric."""
    return f"metrics.`{name}`"


def stable_id(*parts: str) -> str:
    """Return an id that is the same for the same parts: saving a view again replaces it."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:ID_LENGTH]
