"""`appline <domain> serve`: what it refuses, how it batches, and the real command."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from fastapi.testclient import TestClient

from apps.cli import main
from apps.serving.application import Limits, Service, make_application
from apps.serving.batcher import Batcher
from apps.serving.bodies import Bodies, Refused, in_words_of_requests
from apps.serving.metrics import Histogram
from apps.serving.server import bind
from pipelines import create_pipeline, options_class
from pipelines.errors import ApplineError, DataError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import RawRequest, RequestForm
from tests.command_line import command_of, environment_of

MOST_BYTES = 10_000


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of digits that has learned nothing: its answers are as good to compare."""
    pipeline = create_pipeline("vision", data="digits", limit=60)
    splits = pipeline.load()
    network = pipeline.build(pipeline.options.spec_type(), splits)
    path = tmp_path_factory.mktemp("served") / "digits.keras"
    write_model(pipeline.serve(network, splits), path)
    return path


@pytest.fixture(scope="module")
def client(model_file: Path) -> Iterator[TestClient]:
    hosts = frozenset({"127.0.0.1", "localhost"})
    limits = Limits(body_bytes=MOST_BYTES, seconds=20, hosts=hosts)
    service = Service(read_model(model_file), "digits.keras", limits)
    with TestClient(make_application(service), base_url="http://localhost") as client:
        yield client


PIXELS = {"image": [[0] * 8] * 8}


@pytest.mark.parametrize(
    ("content", "message", "field"),
    [
        ({"instance": [PIXELS]}, "Did you mean 'instances'?", "instance"),
        ({}, "instances: nothing. Expected", "instances"),
        ({"instances": []}, "an empty list", "instances"),
        ({"instances": [PIXELS, 3]}, "is no object", "instances[1]"),
        ({"instances": [PIXELS], "params": {"drif": True}}, "Did you mean 'drift'", "params.drif"),
        ({"instances": [PIXELS], "params": {"drift": "maybe"}}, "'maybe'", "params.drift"),
        ({"instances": [PIXELS], "params": {"image_root": "/"}}, "Known: ", "params.image_root"),
        ({"instances": [PIXELS, {"image": "/etc/passwd"}]}, "no path is read", "instances[1]"),
        ({"instances": [{"image": "../secret.png"}]}, "no path is read", "instances[0]"),
        ([1], "The body is a list", None),
        ({"instances": 3}, "instances: a number", "instances"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_request_is_named(
    client: TestClient, content: Any, message: str, field: str | None
) -> None:
    reply = client.post("/invocations", json=content)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert message in error["message"]
    assert error["field"] == field


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "no JSON"),
        (b'{"instances": [{"image": NaN}]}', 400, "null stands for"),
        (b"[" * 9_000, 400, "no JSON"),
        (b"x" * (MOST_BYTES + 1), 413, "larger than"),
    ],
)
def test_a_body_that_is_none_is_refused(
    client: TestClient, body: bytes, status: int, message: str
) -> None:
    reply = client.post("/invocations", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("domain", "message", "told"),
    [
        ("text", "row 2: no text. Leave it out: --skip-unreadable", "out: params.skip_unreadable"),
        (
            "forecast",
            "named by --time-column NAME (or a model that was trained with --no-calendar)",
            "named by params.time_column NAME (or a model that was trained with the option "
            "no_calendar)",
        ),
        (
            "recommend",
            "--top is for models that rank. Train one that ranks: appline recommend train --task r",
            "params.top is for models that rank",
        ),
    ],
)
def test_what_is_told_over_http_is_in_words_of_requests(
    domain: str, message: str, told: str
) -> None:
    options_type = options_class(domain).predict_type
    rewritten = in_words_of_requests(message, options_type)
    assert rewritten.endswith(told)
    assert "--" not in rewritten
    assert in_words_of_requests(rewritten, options_type) == rewritten


def test_an_option_out_of_its_range_is_told_in_words_of_requests() -> None:
    form = RequestForm(kind="table", field="y", label="")
    bodies = Bodies(form, pd.DataFrame({"y": [1]}), options_class("forecast").predict_type)
    content = json.dumps({"instances": [{"y": 1}], "params": {"fill_limit": 3}}).encode()
    with pytest.raises(Refused) as refused, bodies.read(content, "application/json"):
        pass
    told = in_words_of_requests(str(refused.value), bodies.options_type)
    assert told.startswith("params.fill_limit is a share from 0 to 1")


def test_a_body_of_unknown_length_is_bounded_too(client: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000

    reply = client.post("/invocations", content=parts())
    assert reply.status_code == 413


def test_other_paths_methods_types_and_hosts_are_refused_with_what_is_known(
    client: TestClient,
) -> None:
    assert "Did you mean '/invocations'" in client.get("/invocation").json()["error"]["message"]
    assert client.get("/invocations").status_code == 405
    table = client.post("/invocations", content=b"a", headers={"Content-Type": "text/csv"})
    assert table.status_code == 415
    elsewhere = client.post("/invocations", json={}, headers={"Host": "evil.example"})
    assert elsewhere.json()["error"]["field"] == "Host"


def test_metrics_count_requests_by_status_and_rows_of_answers(model_file: Path) -> None:
    service = Service(read_model(model_file), 'a "model"', Limits(body_bytes=1000, seconds=20))
    with TestClient(make_application(service)) as client:
        client.post("/invocations", json={"instances": [PIXELS, PIXELS]})
        client.post("/invocations", json={})
        text = client.get("/metrics").text
        assert client.get("/health").json()["status"] == "ok"
    assert 'appline_requests_total{status="200"} 1' in text
    assert 'appline_requests_total{status="400"} 1' in text
    assert "appline_rows_total 2" in text
    assert 'model="a \\"model\\""' in text
    assert 'appline_request_seconds_bucket{le="+Inf"} 2' in text


def test_a_histogram_counts_values_up_to_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    lines = list(histogram.lines("x"))
    assert lines[:3] == ['x_bucket{le="1.0"} 2', 'x_bucket{le="2.0"} 3', 'x_bucket{le="+Inf"} 4']
    assert lines[-1] == "x_count 4"


def test_the_pages_ask_for_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/docs"):
        reply = client.get(path)
        assert reply.status_code == 200
        assert "http://" not in reply.text
        assert "https://" not in reply.text
        assert "default-src 'self'" in reply.headers["Content-Security-Policy"]


# ------------------------------------------------------------------------------------- batches


def asked_together(
    answer_many: Callable[[Sequence[RawRequest]], Sequence[Any]], count: int
) -> tuple[list[int], list[Any]]:
    """Return the sizes of batches and the answers of requests that are made at once."""
    sizes: list[int] = []

    async def ask() -> list[Any]:
        batcher = Batcher(answer_many, sizes.append)
        requests = [RawRequest(source=str(number)) for number in range(count)]
        answers = await asyncio.gather(
            *(batcher.answer(request) for request in requests), return_exceptions=True
        )
        batcher.close()
        return answers

    return sizes, asyncio.run(ask())


def test_what_comes_while_the_model_answers_is_answered_together() -> None:
    def slowly(requests: Sequence[RawRequest]) -> list[pd.DataFrame]:
        time.sleep(0.05)
        return [pd.DataFrame({"x": [request.source]}) for request in requests]

    sizes, answers = asked_together(slowly, 20)
    assert [answer["x"][0] for answer in answers] == list(map(str, range(20)))
    assert sum(sizes) == 20
    assert len(sizes) <= 2


def test_a_defect_that_one_request_meets_leaves_the_others_their_answers() -> None:
    def breaks(requests: Sequence[RawRequest]) -> list[pd.DataFrame | ApplineError]:
        if any(request.source == "3" for request in requests):
            raise ZeroDivisionError
        return [DataError("no") if r.source == "1" else pd.DataFrame() for r in requests]

    _, answers = asked_together(breaks, 6)
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["DataFrame", "DataError", "DataFrame", "ZeroDivisionError", *["DataFrame"] * 2]


def test_a_request_is_given_up_after_its_time(model_file: Path) -> None:
    service = Service(read_model(model_file), "m", Limits(body_bytes=1000, seconds=0.05))
    is_over = threading.Event()

    def never(requests: Sequence[RawRequest]) -> list[pd.DataFrame]:
        is_over.wait(5)
        return [pd.DataFrame() for _ in requests]

    service.batcher = Batcher(never, service.metrics.on_batch)
    with TestClient(make_application(service)) as client:
        reply = client.post("/invocations", json={"instances": [PIXELS]})
        is_over.set()
    assert reply.status_code == 504
    assert "within 0.05 s" in reply.json()["error"]["message"]


# ------------------------------------------------------------------------------- the real command


def refused(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["vision", "serve", *arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_a_taken_port_is_refused_with_a_free_one(
    model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused("--model", str(model_file), "--port", str(port)) == 1
    error = capsys.readouterr().err
    assert f"Port {port} of 127.0.0.1 is taken. Choose a free one: appline vision serve" in error


def test_no_half_of_an_answer_waits_for_the_other_to_be_confirmed() -> None:
    with (
        bind("127.0.0.1", 0, "appline vision serve") as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP, "else asyncio leaves Nagle's algorithm on"


def test_an_address_of_another_machine_is_refused(
    model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused("--model", str(model_file), "--host", "192.0.2.1", "--port", "0") == 2
    assert "this machine has no such address" in capsys.readouterr().err


def test_a_run_that_does_not_exist_is_refused_before_tensorflow_is_imported(tmp_path: Path) -> None:
    program = """
import sys
from apps.cli import main
try:
    main(["vision", "serve", "--model", "absent.keras"])
except SystemExit as end:
    print(end.code, "tensorflow" in sys.modules)
"""
    done = subprocess.run(
        [*command_of()[:1], "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment_of(),
        check=False,
    )
    assert done.stdout.split() == ["3", "False"], done.stderr
    assert "no such model file" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed"])
def test_the_command_answers_over_http_and_leaves_nothing_behind(
    model_file: Path, tmp_path: Path, number: int
) -> None:
    command = command_of("vision", "serve", "--model", str(model_file), "--port", "0", "--json")
    body = json.dumps({"instances": [PIXELS]}).encode()
    headers = {"Content-Type": "application/json"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment_of()
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            request = urllib.request.Request(f"{url}invocations", data=body, headers=headers)
            with urllib.request.urlopen(request, timeout=30) as reply:
                (answer,) = json.load(reply)["predictions"]
            assert psutil.Process(server.pid).children() == []
        finally:
            os.kill(server.pid, number)
            code = server.wait(timeout=20)
    assert code == 0
    assert list(tmp_path.iterdir()) == []
    serving = read_model(model_file)
    pipeline_type = type(create_pipeline("vision", data="digits"))
    expected = pipeline_type.predict_raw(serving, pd.DataFrame([PIXELS]))
    assert answer["probability"] == pytest.approx(expected["probability"][0], abs=1e-4)
    assert answer["label"] == expected["label"][0]
