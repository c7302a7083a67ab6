"""Requests a second of `appline <domain> serve`, against calling the Keras model in process.

    python -m benchmarks.serving [vision text forecast recommend] [--seconds 5] [--clients 16]

Small networks that were not trained, in a server process of its own. Each request is one row over
HTTP. Measured are one client, which asks again when it is answered, several of them at once, and,
in process, the model called with the same row as tensors: eagerly, and as a traced graph.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.arguments import parser
from pipelines import DOMAINS
from pipelines.errors import count_of

LIMIT = 300  # examples of the data
WARM_UP = 3  # calls


def main() -> None:
    """Print a row for each domain."""
    arguments = parser(__doc__)
    arguments.add_argument("domains", nargs="*", default=list(DOMAINS), metavar="DOMAIN")
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    arguments.add_argument("--clients", type=int, default=16, help="that ask at once")
    given = arguments.parse_args()
    from pipelines import runtime

    runtime.import_tensorflow()
    together = count_of(given.clients, "client")
    print(f"answers a second  1 client  {together}  Keras eager  Keras graph  ratios to both")
    for domain in given.domains:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            serving, example, inputs = _write(domain, path)
            eager, graph = _in_process(serving, inputs, given.seconds)
            one, many = _over_http(domain, path, example, given.clients, given.seconds)
        ratios = f"1 client {one / eager:.2f} {one / graph:.2f}, "
        ratios += f"{together} {many / eager:.2f} {many / graph:.2f}"
        print(f"{domain:16}  {one:8.0f}  {many:10.0f}  {eager:11.0f}  {graph:11.0f}  {ratios}")


def _write(domain: str, path: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Write a model of the domain's default data; return it with a request and its tensors."""
    from pipelines import create_pipeline
    from pipelines.model_file import write_model

    options = {} if domain == "recommend" else {"limit": LIMIT}
    pipeline = create_pipeline(domain, **options)
    splits = pipeline.load()
    spec = pipeline.fit_defaults(pipeline.options.spec_type(), splits, {"architecture"})
    network = pipeline.build(spec, splits)
    pipeline.calibrate(network, splits)
    serving = pipeline.serve(network, splits)
    write_model(serving, path)
    example = pipeline.example(serving.facts)
    rows = example if domain == "forecast" else example.head(1)
    inputs = pipeline.served_inputs(serving, 1)
    return serving, json.loads(rows.to_json(orient="records")), inputs


def _in_process(serving: Any, inputs: dict[str, Any], seconds: float) -> tuple[float, float]:
    """Return calls a second of the served model: eager, and as a graph."""
    import tensorflow as tf

    from pipelines import exports

    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    call = exports.keras_caller(serving.model)
    graph = exports.keras_runner(serving.model)
    return _rate(lambda: call(tensors), seconds), _rate(lambda: graph(inputs), seconds)


def _rate(call: Callable[[], Any], seconds: float) -> float:
    """Return how often a second `call` ends."""
    for _ in range(WARM_UP):
        call()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - begun)


def _over_http(
    domain: str, path: Path, example: Any, clients: int, seconds: float
) -> tuple[float, float]:
    """Return answers a second of a server to one client, and to several at once."""
    command = [sys.executable, "-m", "apps.cli", domain, "serve"]
    command += ["--model", str(path), "--port", "0", "--json", "--quiet"]
    body = json.dumps({"instances": example})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = urlsplit(json.loads(server.stdout.readline())["url"]).netloc
            one = _rate(_asker(address, body), seconds)
            rates: list[float] = []
            threads = [
                threading.Thread(target=lambda: rates.append(_rate(_asker(address, body), seconds)))
                for _ in range(clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            server.terminate()
    return one, sum(rates)


def _asker(address: str, body: str) -> Callable[[], None]:
    """Return what asks once, on a connection that is kept."""
    connection = http.client.HTTPConnection(address)

    def ask() -> None:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
        assert reply.status == 200, content

    return ask


if __name__ == "__main__":
    main()
