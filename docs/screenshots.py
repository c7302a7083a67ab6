"""Take the pictures of pages in docs/: `make screenshots`, or python docs/screenshots.py [STORE].

Without a store a small sweep on digits is made for them, which takes some minutes.
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests import browser  # noqa: E402  # after the path
from tuning.reports.report_page import REPORT  # noqa: E402
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker  # noqa: E402
from tuning.tracking.ui_links import page_link, saved_views_of  # noqa: E402

FOLDER = ROOT / "docs" / "pages"
EXPERIMENT = "vision/digits"
SWEEP = (
    "vision tune --data digits --trials 8 --trial-epochs 3 --epochs 6 --search conv.filters=16,32 "
    "--search conv.kernel_size=3,5 --search architecture=vgg,lenet"
)
COLORS = 255  # of a picture: it is a third as large
LARGEST = 150_000  # bytes
WIDTH, HEIGHT = 1600, 900  # pixels


def make_store(folder: Path) -> Path:
    """Make a small sweep in a folder; return the store."""
    command = [sys.executable, "-m", "apps.cli", *SWEEP.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=folder, env=environment)
    return folder / "mlruns"


def take(store: Path) -> None:
    """Take a picture of each page of the newest sweep in a store."""
    tracker = open_tracker(EXPERIMENT, root=store)
    sweep = tracker.rows(role="sweep", limit=1)[0]
    final = tracker.rows(role="final", sweep=sweep.id, limit=1)[0]
    with (
        browser.served(store) as ui,
        browser.open_page(WIDTH, HEIGHT) as page,
    ):
        for name, path in _views(tracker).items():
            show = browser.show_charts if name == "charts" else browser.show_table
            show(page, ui.base + path)
            save(page.screenshot(), name)
        browser.show_card(page, f"{ui.base}/{page_link(tracker.url(final.id))}")
        save(page.screenshot(), "card")
        address = page_link(tracker.url(sweep.id), f"/artifacts/{REPORT}")
        browser.show_report(page, f"{ui.base}/{address}")
        # Without the path on this machine that MLflow writes above it.
        save(page.locator("iframe").screenshot(), "report")


def _views(tracker: MlflowTracker) -> dict[str, str]:
    """Return the paths of the newest sweep's views and of the leaderboard by their pictures."""
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    paths = {}
    for view in reversed(saved_views_of(tracker.experiment_id, experiment.tags)):
        kind = "charts"
        if view.name == "Leaderboard":
            kind = "leaderboard"
        elif view.name.endswith(": table"):
            kind = "table"
        paths[kind] = view.path
    return paths


def save(picture: bytes, name: str) -> None:
    """Keep a picture of a page with few colours, which look the same and take less room."""
    path = FOLDER / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}  {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as folder:
            take(make_store(Path(folder)))
