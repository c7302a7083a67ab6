"""A person who opens the link of `appline ui` sees what this project has put there."""

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipelines.config.search_space import Choice
from tests import browser
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.reports.report_page import REPORT
from tuning.results.sweep import SweepResult
from tuning.search.definition import Sweep
from tuning.search.sweep import run_sweep
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.ui_links import SavedView, page_link, saved_views_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        browser.CHROMIUM is None, reason="no Chromium: apt-get install chromium (CONTRIBUTING.md)"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="no playwright: pip install it"
    ),
]


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    return open_tracker("line/line", root=tmp_path_factory.mktemp("browser") / "mlruns")


@pytest.fixture(scope="module")
def sweep(tracker: MlflowTracker) -> SweepResult:
    options = LineOptions()
    dimensions = {"units": Choice((2, 4, 8)), "train.learning_rate": Choice((0.01, 0.05))}
    return run_sweep(
        LinePipeline(options),
        options.space(LineSpec(), dimensions),
        Sweep(objectives=(options.objective(),), trials=4, trial_epochs=2, tuner="random"),
        tracker,
    )


@pytest.fixture(scope="module")
def ui(tracker: MlflowTracker, sweep: SweepResult) -> Iterator[browser.RunningUi]:
    assert tracker.store.database
    with browser.served(tracker.store.database.parent) as running:
        yield running


@pytest.fixture(scope="module")
def views(tracker: MlflowTracker, sweep: SweepResult) -> dict[str, SavedView]:
    """The saved views of the experiment by the ends of their names."""
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    found = saved_views_of(tracker.experiment_id, experiment.tags)
    return {view.name.rpartition(": ")[2]: view for view in found}


@pytest.fixture
def page() -> Iterator["Page"]:
    with browser.open_page(width=2200) as opened:
        yield opened


def test_the_link_of_the_ui_leads_to_charts_of_the_newest_sweep(
    page: "Page", ui: browser.RunningUi, sweep: SweepResult
) -> None:
    sections = browser.show_charts(page, ui.link)
    # Behind them MLflow adds sections of its own.
    assert sections[:4] == ["What makes it better", "One by one", "Learning", "What differs"]
    assert page.get_by_text(f"{len(sweep.trials)} matching runs").is_visible()
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_text("Leaderboard").first.wait_for()
    page.get_by_text(": table").first.wait_for()


def test_the_table_of_a_sweep_begins_with_what_was_tried_and_how_good_it_was(
    page: "Page", ui: browser.RunningUi, views: dict[str, SavedView]
) -> None:
    columns = browser.show_table(page, ui.base + views["table"].path)
    start = columns.index("role")
    assert columns[start : start + 6] == [
        "role",
        "units",
        "train.learning_rate",
        "best/val_loss",
        "test/mse",
        "cost/train_s",
    ]


def test_the_leaderboard_shows_verdict_lift_and_latency(
    page: "Page", ui: browser.RunningUi, views: dict[str, SavedView]
) -> None:
    columns = browser.show_table(page, ui.base + views["Leaderboard"].path)
    start = columns.index("role")
    assert columns[start : start + 9] == [
        "role",
        "verdict",
        "test/mse",
        "lift/mse",
        "lift/low",
        "lift/high",
        "val/mse",
        "cost/train_s",
        "cost/latency_ms_p50",
    ]
    page.get_by_text("the network").first.wait_for()


def test_the_card_of_a_final_run_shows_verdict_links_and_pictures(
    page: "Page", ui: browser.RunningUi, sweep: SweepResult
) -> None:
    widths = browser.show_card(page, f"{ui.base}/{page_link(sweep.final.url)}")
    assert len(widths) == len(sweep.final.figures)
    assert min(widths) > 100
    assert page.get_by_text(sweep.final.verdict).first.is_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="report", exact=True).click()
    opened.value.frame_locator("iframe").get_by_role("heading", name="Lifts").wait_for()


def test_the_report_of_a_sweep_opens_among_its_files(
    page: "Page", ui: browser.RunningUi, sweep: SweepResult
) -> None:
    address = f"{ui.base}/{page_link(sweep.url, f'/artifacts/{REPORT}')}"
    report = browser.show_report(page, address)
    assert report.locator("h1").inner_text() == f"line / line: sweep of {len(sweep.trials)} trials"
    for heading in ("Lifts", "Effects", "Learning curves", "Timeline"):
        assert report.locator("h2", has_text=heading).first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_the_ink_of_the_browsers_theme(
    page: "Page", ui: browser.RunningUi, sweep: SweepResult, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    address = f"{ui.base}/get-artifact?path={REPORT}&run_uuid={sweep.run_id}"
    page.set_content(page.request.get(address).text())
    ink = page.locator("svg").first.evaluate("figure => getComputedStyle(figure).fill")
    red = int(ink.removeprefix("rgb(").partition(",")[0])
    assert (red > 128) == (scheme == "dark")
