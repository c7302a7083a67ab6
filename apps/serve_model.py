"""`appline <domain> serve`: answers over HTTP, the same as those of `predict`."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps.commands import find_row, load_model
from apps.screen import Screen
from pipelines import pipeline_class
from pipelines.config.options import Options
from pipelines.errors import UsageError
from pipelines.pipeline import RawRequest

if TYPE_CHECKING:
    from tuning.tracking.interface import Row

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(options_type: type[Options], context: click.Context) -> None:
    """Answer requests over HTTP until Ctrl-C: JSON in and out, and a page to try the model by hand.

    The answers are those of `predict`. There is no login: a server that other machines can reach
    belongs behind one.
    """
    params = context.params
    if not math.isfinite(params["timeout"]):
        raise UsageError(f"--timeout {params['timeout']}: expected a number of seconds")
    row = find_row(context, options_type)
    from apps.serving import server

    name = _name(row, params["model"])
    given = {name: params[name] for name in ("run", "model", "tracking_uri") if params[name]}
    flags = [word for name, value in given.items() for word in (_flag(name), value)]
    command = shlex.join(["appline", options_type.domain, "serve", *flags])
    listening = server.bind(params["host"], params["port"], command)
    with listening:
        screen = Screen(quiet=params["quiet"], json=params["json"])
        with screen.progress("loading the model"):
            serving = load_model(context, row)
            from apps.serving.application import Limits, Service, make_application

            pipeline_type = pipeline_class(options_type.domain)
            # The first answer takes longer: it is given before anybody asks.
            example = pipeline_type.example(serving.facts)
            pipeline_type.predict_many(serving, [RawRequest(source=example)])
        is_local = params["host"] in LOOPBACK
        limits = Limits(
            body_bytes=int(params["max_body"] * 2**20),
            seconds=params["timeout"],
            hosts=frozenset(LOOPBACK) if is_local else frozenset(),
        )
        service = Service(serving, name, limits)
        address = server.address(listening)

        def on_start() -> None:
            plain = {"url": address, "domain": options_type.domain, "model": name}
            screen.result(address, plain)
            screen.say(f"answers    POST {address}invocations; what may be asked: {address}docs")
            if not is_local:
                screen.say("warning    other machines can reach it, and nobody has to log in")
            screen.say("Press Ctrl-C to stop.")
            sys.stdout.flush()

        try:
            server.run(make_application(service), listening, on_start)
        finally:
            service.batcher.close()
        screen.say("Stopped.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _name(row: "Row | None", model: str) -> str:
    return f"{row.name} ({row.id[:8]})" if row else Path(model).name
