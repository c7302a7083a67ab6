"""A model as MLflow serves it, for tests: loaded by pyfunc, and asked over HTTP."""

import asyncio
import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from pipelines.model_file import facts_as_json, write_model
from pipelines.pipeline import ServingModel
from tuning.tracking import log_model


@contextmanager
def quiet() -> Iterator[None]:
    """Pass over MLflow's warnings of its own type hints and of what it deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write_pyfunc(serving: ServingModel, folder: Path) -> Path:
    """Write the folder of a logged model, as a run keeps it, and return it."""
    logged = SimpleNamespace(artifact_location="model", model_id="m-1", source_run_id="r-1")
    with tempfile.TemporaryDirectory() as temporary, quiet():
        network = Path(temporary) / "model.keras"
        write_model(serving, network)
        log_model._write_folder(folder, network, facts_as_json(serving), logged)
    return folder


def load_pyfunc(folder: Path) -> Any:
    """Return the model in a folder as MLflow loads it."""
    with quiet():
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model(str(folder))


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: str

    @property
    def answers(self) -> pd.DataFrame:
        """The table of answers."""
        assert self.status == 200, self.body
        return pd.DataFrame(json.loads(self.body, parse_constant=_refuse)["predictions"])


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def ask(model: Any, content: Any, content_type: str = "application/json") -> Reply:
    """Send a request to `mlflow models serve`'s application, and return its reply."""
    with quiet():
        from mlflow.pyfunc import scoring_server

    body = content
    if not isinstance(content, str | bytes):
        body = json.dumps(content)
    if isinstance(body, str):
        body = body.encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("localhost", 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with quiet():
        asyncio.run(scoring_server.init(model)(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    return Reply(sent[0]["status"], content.decode())
