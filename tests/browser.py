"""What `appline ui` shows, in a headless Chromium: for tests, and for the pictures in docs/."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

ROOT = Path(__file__).parent.parent
# As packages of the systems call it; playwright's own would be one more download.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LONGEST_WAIT = 60_000.0  # milliseconds; the first page of a fresh server takes its time
WIDTH, HEIGHT = 1600, 1000  # pixels
# MLflow opens a chat beside its pages in a browser that is new to it.
WITHOUT_CHAT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""
CARD = '[data-testid="experiment-view-compare-runs-card"]'
HEADING = ".ag-header-cell"


@dataclass(frozen=True)
class RunningUi:
    """A running `serve_ui`: its process, and the link that it printed."""

    process: "subprocess.Popen[str]"
    link: str

    @property
    def base(self) -> str:
        """The address before the link's `/#`."""
        return self.link.partition("/#")[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(root: Path) -> RunningUi:
    """Start `appline ui` on the store in a folder; wait until it has printed its link."""
    program = f"from apps.ui import serve_ui; serve_ui({str(root)!r}, {free_port()})"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout
    return RunningUi(process, process.stdout.readline().strip())


@contextmanager
def served(root: Path) -> Iterator[RunningUi]:
    """Show the store in a folder while the block runs."""
    started = serve(root)
    with started.process:
        try:
            yield started
        finally:
            started.process.terminate()


@contextmanager
def open_page(width: int = WIDTH, height: int = HEIGHT, scale: float = 1) -> Iterator["Page"]:
    """Yield a page of a browser that is new to MLflow."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium refuses to run as root with its sandbox, and a container has no other user.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale
        )
        context.add_init_script(WITHOUT_CHAT)
        context.set_default_timeout(LONGEST_WAIT)
        try:
            yield context.new_page()
        finally:
            browser.close()


def go(page: "Page", address: str) -> None:
    """Load an address from the start: MLflow's pages differ behind the `#` alone."""
    page.goto("about:blank")
    page.goto(address)


def show_table(page: "Page", address: str) -> list[str]:
    """Open a view that is a table; return the headings of its columns, from the left."""
    go(page, address)
    page.locator(HEADING, has_text="role").wait_for()
    page.locator(".ag-row").first.wait_for()
    # Cells are absolutely placed: their order in the page is not that on the screen.
    found = []
    for heading in page.locator(HEADING).all():
        box = heading.bounding_box()
        if box and heading.inner_text().strip():
            found.append((box["x"], heading.inner_text().strip()))
    return [text for _, text in sorted(found)]


def show_charts(page: "Page", address: str) -> list[str]:
    """Open a view of charts and wait until the first is drawn; return the sections' names."""
    go(page, address)
    page.locator(f"{CARD} svg.main-svg, {CARD} canvas, {CARD} .parcoords").first.wait_for()
    headers = page.get_by_test_id("experiment-view-compare-runs-section-header").all()
    return [header.inner_text().partition("(")[0].strip() for header in headers]


def show_card(page: "Page", address: str) -> list[int]:
    """Open a run's page with its whole card; return how wide each picture on it is."""
    go(page, address)
    page.get_by_text("Show more").click()
    pictures = page.locator('img[src*="get-artifact"]')
    pictures.first.wait_for()
    widths = []
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete", arg=picture.element_handle())
        widths.append(int(picture.evaluate("image => image.naturalWidth")))
    page.get_by_text("Description").first.scroll_into_view_if_needed()
    return widths


def show_report(page: "Page", address: str) -> "FrameLocator":
    """Open a run's `report.html` among its artifacts; return the frame that shows it."""
    go(page, address)
    frame = page.frame_locator("iframe")
    frame.locator("svg").first.wait_for()
    return frame
