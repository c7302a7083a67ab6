"""A trained model as a web application: answers, health, metrics, a page to try it by hand."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from apps.serving import metrics, pages
from apps.serving.batcher import Batcher, Busy
from apps.serving.bodies import (
    INSTANCES,
    JSON,
    Bodies,
    Refused,
    answer_as_json,
    blamed_field,
    error_as_json,
    in_words_of_requests,
)
from pipelines import options_class, pipeline_class
from pipelines.errors import ApplineError, suggest
from pipelines.pipeline import ServingModel

INVOCATIONS = "/invocations"  # as MLflow's server calls it
PATHS = ("/", INVOCATIONS, "/health", "/metrics", "/docs", "/openapi.json")
# Nothing from elsewhere: the pages bring all that they need.
POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' blob: data:"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may take; `hosts` are the names that the server answers to, none: any."""

    body_bytes: int
    seconds: float
    hosts: frozenset[str] = frozenset()


class Service:
    """One model, asked by many at once."""

    def __init__(self, serving: ServingModel, name: str, limits: Limits) -> None:
        facts = serving.facts
        pipeline_type = pipeline_class(facts.domain)
        self.domain, self.name, self.limits = facts.domain, name, limits
        self.options_type = options_class(facts.domain).predict_type
        self.bodies = Bodies(
            pipeline_type.request_form(facts), pipeline_type.example(facts), self.options_type
        )
        self.metrics = metrics.Metrics(_labels({"domain": facts.domain, "model": name}))
        self.batcher = Batcher(
            lambda requests: pipeline_type.predict_many(serving, requests), self.metrics.on_batch
        )

    async def answer(self, request: Request) -> Response:
        """Return the answers to a request, or why there are none."""
        begun = time.perf_counter()
        try:
            response = await self._answer(request)
        except Refused as error:
            message = in_words_of_requests(str(error), self.options_type)
            response = _refusal(error.status, message, error.field)
        except Busy as error:
            response = _refusal(503, str(error))
            response.headers["Retry-After"] = "1"
        except TimeoutError:
            seconds = f"{self.limits.seconds:g} s"
            response = _refusal(
                504, f"There was no answer within {seconds}. Ask about less at once"
            )
        except ApplineError as error:
            message = in_words_of_requests(str(error), self.options_type)
            response = _refusal(400, message, blamed_field(message))
        except Exception:
            logger.exception("A request could not be answered")
            response = _refusal(
                500,
                f"This cannot be answered by a model of the domain {self.domain!r}; "
                "the server's log has the reason",
                INSTANCES,
            )
        self.metrics.requests[response.status_code] += 1
        self.metrics.seconds.observe(time.perf_counter() - begun)
        return response

    async def _answer(self, request: Request) -> Response:
        self._require_host(request)
        async with asyncio.timeout(self.limits.seconds):
            body = await self._body(request)
            with self.bodies.read(body, request.headers.get("content-type", JSON)) as asked:
                answers = await self.batcher.answer(asked)
        self.metrics.rows += len(answers)
        notes = [in_words_of_requests(note, self.options_type) for note in asked.notes]
        return Response(answer_as_json(answers, notes), media_type=JSON)

    def _require_host(self, request: Request) -> None:
        """Refuse names that a page elsewhere may have given to this machine's own address."""
        host = request.url.hostname or ""
        if self.limits.hosts and host not in self.limits.hosts:
            known = ", ".join(sorted(self.limits.hosts))
            raise Refused(400, f"Host {host}: this server answers to {known}", "Host")

    async def _body(self, request: Request) -> bytes:
        most = self.limits.body_bytes
        parts, size = [], 0
        declared = request.headers.get("content-length", "0")
        is_large = declared.isdigit() and int(declared) > most
        if not is_large:
            async for part in request.stream():
                size += len(part)
                is_large = size > most
                if is_large:
                    break
                parts.append(part)
        if is_large:
            raise Refused(
                413, f"The body is larger than {most / 2**20:g} MB. Ask about less at once"
            )
        return b"".join(parts)


def make_application(service: Service) -> FastAPI:
    """Return the application of a service."""
    title = f"{service.domain}: {service.name}"
    # FastAPI's own page of documentation asks for a script from elsewhere.
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None)

    async def invocations(request: Request) -> Response:
        """Answer each of the instances, as `appline <domain> predict` does."""
        return await service.answer(request)

    async def health() -> dict[str, Any]:
        """Say that the model is loaded and answers, and how many requests wait for it."""
        waiting = service.batcher.waiting
        return {"status": "ok", "domain": service.domain, "model": service.name, "waiting": waiting}

    async def counts() -> Response:
        """Return what the server has done, in Prometheus' text format."""
        text = service.metrics.as_text(service.batcher.waiting)
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def page() -> Response:
        return _page(pages.try_page(title, service.bodies))

    async def docs() -> Response:
        return _page(pages.docs_page(app.openapi()))

    contents: dict[str, Any] = {JSON: {"schema": service.bodies.schema()}}
    for other in service.bodies.content_types[1:]:
        contents[other] = {"schema": {"type": "string", "format": "binary"}}
    body = {"content": contents, "required": True}
    app.add_api_route(
        INVOCATIONS, invocations, methods=["POST"], openapi_extra={"requestBody": body}
    )
    app.add_api_route("/health", health)
    app.add_api_route("/metrics", counts)
    app.add_api_route("/", page, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_exception_handler(HTTPException, _no_such_path)
    return app


async def _no_such_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, known = request.url.path, ", ".join(PATHS)
    message = f"There is no {path}.{suggest(path, PATHS)} Known: {known}"
    if error.status_code == 405:
        message = f"{request.method} {path} is not answered. Expected: POST {INVOCATIONS}"
        if path != INVOCATIONS:
            message = f"{request.method} {path} is not answered. Expected: GET {path}"
    return _refusal(error.status_code, message)


def _refusal(status: int, message: str, field: str = "") -> Response:
    return JSONResponse(error_as_json(message, field), status_code=status)


def _page(html: str) -> Response:
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})


def _labels(values: Mapping[str, str]) -> str:
    """Return labels as Prometheus writes them: its escapes are those of JSON."""
    pairs = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "{" + ",".join(pairs) + "}"
