"""Saved views: what MLflow's Views menu will hold."""

import base64
import json
import zlib
from typing import Any

import pytest

from pipelines.errors import ApplineError
from tuning.tracking.saved_views import Leaderboard, SweepCharts, leaderboard_view, sweep_views
from tuning.tracking.ui_links import run_page, view_page, view_pages
from tuning.tracking.view_format import LONGEST_VALUE, View

SEARCHED = ["conv.pooling", "conv.kernel_size", "conv.filters", "train.learning_rate"]


def charts(**changes: Any) -> SweepCharts:
    defaults = {
        "sweep": "s1",
        "name": "Sweep s1",
        "objective": "val_accuracy",
        "direction": "max",
        "searched": SEARCHED,
    }
    return SweepCharts(**{**defaults, **changes})


def decoded(view: View) -> dict[str, Any]:
    """Return the page's state as MLflow's page reads it from the tag."""
    saved = json.loads(view.value())
    kind, _, packed = saved["state"].partition(";")
    assert kind == "deflate"
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def cards(view: View, kind: str) -> list[dict[str, Any]]:
    return [card for card in decoded(view)["compareRunCharts"] if card["type"] == kind]


def test_a_sweeps_charts_show_its_trials_alone_best_first() -> None:
    state = decoded(sweep_views(charts())[0])
    assert state["searchFilter"] == "tags.sweep = 's1' AND tags.role = 'trial'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val_accuracy`", False)


def test_an_objective_that_is_minimised_sorts_upwards() -> None:
    state = decoded(sweep_views(charts(objective="val_loss", direction="min"))[0])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val_loss`", True)


def test_parallel_coordinates_end_in_the_objective() -> None:
    (card,) = cards(sweep_views(charts())[0], "PARALLEL")
    assert (card["selectedParams"], card["selectedMetrics"]) == (SEARCHED, ["best/val_accuracy"])


def test_kernel_size_and_learning_rate_get_a_chart_of_their_own() -> None:
    keys = [card["xaxis"]["key"] for card in cards(sweep_views(charts())[0], "SCATTER")]
    assert keys == [
        "conv.kernel_size",
        "conv.filters",
        "train.learning_rate",
        "conv.pooling",
        "cost/params",
    ]


@pytest.mark.parametrize(
    ("objective", "drawn"),
    [("val_accuracy", ["val_accuracy", "val_loss"]), ("val_loss", ["val_loss"])],
)
def test_the_objective_and_the_loss_are_drawn_by_epoch(objective: str, drawn: list[str]) -> None:
    lines = cards(sweep_views(charts(objective=objective))[0], "LINE")
    assert [card["metricKey"] for card in lines] == drawn


def test_every_card_lies_in_a_section_of_its_page_and_has_its_own_id() -> None:
    board = Leaderboard(headline="accuracy", direction="max")
    for view in (*sweep_views(charts()), leaderboard_view(board)):
        state = decoded(view)
        sections = {section["uuid"] for section in state["compareRunSections"]}
        uuids = [card["uuid"] for card in state["compareRunCharts"]]
        assert {card["metricSectionId"] for card in state["compareRunCharts"]} == sections
        assert len(set(uuids)) == len(uuids)


def test_the_table_of_a_sweep_begins_with_scores_and_holds_the_searched_parameters() -> None:
    state = decoded(sweep_views(charts(test=["test/accuracy"]))[1])
    assert state["columnOrder"][:4] == [
        "attributes.`Run Name`",
        "tags.`role`",
        "metrics.`best/val_accuracy`",
        "metrics.`test/accuracy`",
    ]
    assert {f"params.`{key}`" for key in SEARCHED} <= set(state["selectedColumns"])
    assert state["searchFilter"] == "tags.sweep = 's1' AND tags.role != 'sweep'"


def test_the_leaderboard_puts_score_baseline_and_lift_side_by_side_without_trials() -> None:
    board = Leaderboard(headline="accuracy", direction="max", metrics=["test/f1_macro"])
    state = decoded(leaderboard_view(board))
    assert state["columnOrder"][2:6] == [
        "metrics.`test/accuracy`",
        "metrics.`baseline/accuracy`",
        "metrics.`lift/accuracy`",
        "metrics.`test/f1_macro`",
    ]
    assert "tags.role != 'trial'" in state["searchFilter"]


def test_a_sweep_of_fifty_hyperparameters_fits_an_experiment_tag() -> None:
    wide = charts(
        searched=[f"block_{number}.kernel_size" for number in range(50)],
        test=[f"test/metric_{number}" for number in range(20)],
    )
    assert all(len(view.value()) <= LONGEST_VALUE for view in sweep_views(wide))


def test_a_view_that_does_not_fit_is_refused() -> None:
    state = {"searchFilter": "".join(chr(33 + (number * 7919) % 9000) for number in range(20_000))}
    with pytest.raises(ApplineError, match="MLflow stores 20,000"):
        View(id="v", name="too long", mode="CHART", state=state).value()


def test_saving_a_sweeps_views_again_replaces_them() -> None:
    tags = [view.tag for view in sweep_views(charts())]
    renamed = [view.tag for view in sweep_views(charts(name="renamed"))]
    other = [view.tag for view in sweep_views(charts(sweep="s2"))]
    assert renamed == tags
    assert len({*tags, *other}) == 4


def test_links_lead_to_the_side_for_model_training() -> None:
    query = "viewStateShareKey=v1&compareRunsMode=TABLE&workflowType=machine_learning"
    assert view_page("7", "v1", "TABLE") == f"/#/experiments/7/runs?{query}"
    assert run_page("7", "r1") == "/#/experiments/7/runs/r1?workflowType=machine_learning"


def test_each_experiment_has_its_newest_view_and_the_newest_of_all_comes_first() -> None:
    def experiment(number: str, view: str, created: int, mode: str) -> dict[str, Any]:
        value = json.dumps({"name": "n", "createdAt": created, "mode": mode, "state": "deflate;"})
        tags = [
            {"key": "other", "value": "no JSON"},
            {"key": f"mlflow.sharedViewState.{view}", "value": value},
        ]
        return {"experiment_id": number, "name": f"experiment {number}", "tags": tags}

    experiments = [
        {"experiment_id": "0"},
        experiment("1", "old", 10, "CHART"),
        experiment("2", "new", 30, "TABLE"),
        experiment("3", "mid", 20, "CHART"),
    ]
    assert list(view_pages(experiments).items()) == [
        ("experiment 2", view_page("2", "new", "TABLE")),
        ("experiment 3", view_page("3", "mid", "CHART")),
        ("experiment 1", view_page("1", "old", "CHART")),
    ]
    assert view_pages([]) == {}
