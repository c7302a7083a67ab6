"""A web server in a thread of this process, until Ctrl-C or a closed terminal."""

import errno
import socket
import threading
import time
from typing import TYPE_CHECKING

from apps.signals import interrupted_by_termination
from pipelines.errors import ApplineError, UsageError
from pipelines.interrupts import NOTICED

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

OFFERED_PORTS = 100  # how far from a taken port a free one is looked for
LONGEST_END = 3  # seconds that requests are given to be answered when the server ends
POLL = 0.05


def bind(host: str, port: int, command: str) -> socket.socket:
    """Return a socket that listens, on any free port for 0; nobody else can have its port then.

    Raises:
        ApplineError: the port is taken; the message gives a free one with the `command` to type.
        UsageError: this machine has no such address.
    """
    try:
        return _listen(host, port)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise UsageError(f"--port {port}: needs the rights of an administrator") from None
        if error.errno != errno.EADDRINUSE:
            raise UsageError(
                f"--host {host}: this machine has no such address ({error.strerror}). "
                "Expected 127.0.0.1, or 0.0.0.0 for all of its own"
            ) from None
    for candidate in range(port + 1, min(port + OFFERED_PORTS, 2**16)):
        try:
            _listen(host, candidate).close()
        except OSError:
            continue
        raise ApplineError(
            f"Port {port} of {host} is taken. Choose a free one: {command} --port {candidate}"
        )
    raise ApplineError(f"Port {port} of {host} is taken. Choose another one with --port")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By the name of its protocol asyncio knows where nothing may be held back: without it, the
    # second half of each answer waits 40 ms for the first to be confirmed.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A server that was ended a moment ago keeps nobody from its port.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def address(listening: socket.socket) -> str:
    """Return the address of the page that a socket leads to."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run(app: "FastAPI", listening: socket.socket, on_start: "Callable[[], None]") -> None:
    """Serve until an interrupt; requests that came before are answered.

    Raises:
        ApplineError: the server stopped by itself.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=LONGEST_END,
        server_header=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server")
    with interrupted_by_termination():
        try:
            thread.start()
            while not server.started and thread.is_alive():
                time.sleep(POLL)
            on_start()
            while thread.is_alive():
                thread.join(POLL)
        except KeyboardInterrupt:
            NOTICED.set()
            server.should_exit = True
            thread.join(2 * LONGEST_END)
        else:
            raise ApplineError("The server stopped by itself; the lines above say why")
        finally:
            server.should_exit = True
            listening.close()
