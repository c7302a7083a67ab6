"""Saved views: what MLflow's Views menu will hold."""

import base64
import json
import zlib
from typing import Any

import pytest

from pipelines.config.options import Objective
from pipelines.errors import ApplineError
from tuning.tracking.saved_views import (
    FoldsTable,
    Leaderboard,
    SweepCharts,
    folds_view,
    leaderboard_view,
    sweep_views,
)
from tuning.tracking.ui_links import page_link, run_page, view_page, view_pages
from tuning.tracking.view_format import LONGEST_VALUE, View

ACCURACY = Objective(name="accuracy", direction="max")
VAL_ACCURACY = Objective(name="val_accuracy", direction="max")
VAL_LOSS = Objective(name="val_loss", direction="min")
SEARCHED = ["conv.pooling", "conv.kernel_size", "conv.filters", "train.learning_rate"]


def charts(**changes: Any) -> SweepCharts:
    defaults = {
        "sweep": "s1",
        "name": "Sweep s1",
        "objective": VAL_ACCURACY,
        "headline": ACCURACY,
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
    state = decoded(sweep_views(charts(objective=VAL_LOSS))[0])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val_loss`", True)


def test_parallel_coordinates_end_in_the_objective() -> None:
    (card,) = cards(sweep_views(charts())[0], "PARALLEL")
    assert (card["selectedParams"], card["selectedMetrics"]) == (SEARCHED, ["best/val_accuracy"])


def test_kernel_size_and_learning_rate_get_a_chart_of_their_own() -> None:
    keys = [card["xaxis"]["key"] for card in cards(sweep_views(charts())[0], "SCATTER")]
    assert keys == [
        "conv.kernel_size",
        "conv.filters",
        "conv.pooling",
        "train.learning_rate",
        "cost/train_s",
    ]


@pytest.mark.parametrize(
    ("objective", "drawn"),
    [(VAL_ACCURACY, ["val_accuracy", "val_loss"]), (VAL_LOSS, ["val_loss"])],
)
def test_the_objective_and_the_loss_are_drawn_by_epoch(
    objective: Objective, drawn: list[str]
) -> None:
    lines = cards(sweep_views(charts(objective=objective))[0], "LINE")
    assert [card["metricKey"] for card in lines] == drawn


def test_every_card_lies_in_a_section_of_its_page_and_has_its_own_id() -> None:
    board = Leaderboard(headline=ACCURACY)
    for view in (*sweep_views(charts()), leaderboard_view(board)):
        state = decoded(view)
        sections = {section["uuid"] for section in state["compareRunSections"]}
        uuids = [card["uuid"] for card in state["compareRunCharts"]]
        assert {card["metricSectionId"] for card in state["compareRunCharts"]} == sections
        assert len(set(uuids)) == len(uuids)


def test_the_table_of_a_sweep_shows_what_was_tried_then_scores_then_costs() -> None:
    state = decoded(sweep_views(charts())[1])
    assert state["columnOrder"][:10] == [
        "attributes.`Run Name`",
        "tags.`role`",
        "params.`conv.kernel_size`",
        "params.`conv.filters`",
        "params.`conv.pooling`",
        "params.`train.learning_rate`",
        "metrics.`best/val_accuracy`",
        "metrics.`test/accuracy`",
        "metrics.`cost/train_s`",
        "metrics.`cost/params`",
    ]
    assert state["searchFilter"] == "tags.sweep = 's1' AND tags.role != 'sweep'"


def test_hyperparameters_beyond_four_stand_right_of_the_scores() -> None:
    wide = charts(searched=[f"block.value_{number}" for number in range(9)])
    order = decoded(sweep_views(wide)[1])["columnOrder"]
    score = order.index("metrics.`best/val_accuracy`")
    assert order.index("params.`block.value_3`") < score < order.index("params.`block.value_4`")
    assert order.index("metrics.`cost/params`") < order.index("params.`block.value_4`")


def test_parallel_coordinates_have_at_most_seven_axes_the_clearest_first() -> None:
    wide = charts(searched=[f"block.value_{number}" for number in range(9)])
    (card,) = cards(sweep_views(wide)[0], "PARALLEL")
    assert card["selectedParams"] == [f"block.value_{number}" for number in range(7)]


def test_two_hyperparameters_of_numbers_are_drawn_as_a_map_of_the_score() -> None:
    assert cards(sweep_views(charts())[0], "CONTOUR") == []
    two = charts(contour=("conv.kernel_size", "conv.filters"))
    (card,) = cards(sweep_views(two)[0], "CONTOUR")
    axes = [card[axis]["key"] for axis in ("xaxis", "yaxis", "zaxis")]
    assert axes == ["conv.kernel_size", "conv.filters", "best/val_accuracy"]


def test_trials_of_one_epoch_have_no_curves() -> None:
    assert cards(sweep_views(charts(has_curves=False))[0], "LINE") == []


def test_the_leaderboard_shows_verdict_score_lift_with_its_interval_and_costs() -> None:
    board = Leaderboard(headline=ACCURACY, metrics=["test/f1_macro"])
    state = decoded(leaderboard_view(board))
    assert state["columnOrder"][1:10] == [
        "tags.`role`",
        "tags.`verdict`",
        "metrics.`test/accuracy`",
        "metrics.`lift/accuracy`",
        "metrics.`lift/low`",
        "metrics.`lift/high`",
        "metrics.`val/accuracy`",
        "metrics.`cost/train_s`",
        "metrics.`cost/latency_ms_p50`",
    ]
    assert state["searchFilter"] == "tags.`mlflow.appline.listed` = 'true'"


def test_the_table_of_folds_shows_each_beside_their_mean_and_the_baselines() -> None:
    table = FoldsTable(folds="f1", name="5 folds", headline=ACCURACY, baselines=["k-NN", "ridge"])
    state = decoded(folds_view(table))
    assert state["searchFilter"] == "tags.folds = 'f1' AND tags.role != 'baseline'"
    assert state["columnOrder"][:7] == [
        "attributes.`Run Name`",
        "params.`fold`",
        "metrics.`test/accuracy`",
        "metrics.`baseline/k-NN/accuracy`",
        "metrics.`baseline/ridge/accuracy`",
        "metrics.`audit/test_examples`",
        "metrics.`cost/train_s`",
    ]


def test_a_long_heading_does_not_push_other_columns_off_the_screen() -> None:
    long = ["TF-IDF and logistic regression", "minilm and logistic regression"]
    table = FoldsTable(folds="f1", name="5 folds", headline=ACCURACY, baselines=long)
    widths = decoded(folds_view(table))["columnWidths"]
    assert widths["metrics.`baseline/TF-IDF and logistic regression/accuracy`"] == 180
    assert sum(widths.values()) < 1600 - 400, "beside the menu and what MLflow adds"


def test_a_sweep_of_fifty_hyperparameters_fits_an_experiment_tag() -> None:
    wide = charts(
        searched=[f"block_{number}.kernel_size" for number in range(50)],
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


def test_a_link_between_pages_names_no_server() -> None:
    address = "http://127.0.0.1:5000/#/experiments/7/runs/r1?workflowType=x"
    expected = "#/experiments/7/runs/r1/artifacts/report.html?workflowType=x"
    assert page_link(address, "/artifacts/report.html") == expected
    assert page_link("") == ""


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
