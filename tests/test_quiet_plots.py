"""No library's own words reach the screen: fonts of figures, pages of servers."""

import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from apps.quiet_plots import quiet_plots
from pipelines.errors import ExternalFailure
from tuning.tracking.mlflow_tracker import open_tracker

PAGE = b"<html>\n<head><title>Sign in</title></head>\n</html>"
VARIABLES = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


@pytest.mark.parametrize("name", ["翘头剪", "ひらがな", "\U0001f600"])
def test_names_in_letters_that_the_font_lacks_are_drawn_without_a_word(
    name: str, tmp_path: Path
) -> None:
    figure = Figure()
    figure.subplots().set_title(name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quiet_plots()
        figure.savefig(tmp_path / "figure.png")
    assert said == []


@pytest.fixture(params=[401, 403, 200])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    """A server that answers everything with a web page: its status and its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield request.param, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_server_that_wants_a_password_is_answered_with_the_names_of_its_variables(
    server: tuple[int, str],
) -> None:
    status, address = server
    with pytest.raises(ExternalFailure) as failed:
        open_tracker("vision/digits", uri=address)
    message = str(failed.value)
    assert message.startswith(f"MLflow at {address}: ")
    assert message.endswith(f"Set {VARIABLES}")
    assert "html" not in message
    assert "Response body" not in message
    if status != 200:
        assert f"it refuses access ({status})" in message
