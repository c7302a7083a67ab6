"""Work that may take long, and how far it is, for whoever shows it.

Work that is part of other work is told of in between: "baselines", then "EASE" within it.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Item = TypeVar("Item")


@dataclass
class Work:
    """Something that goes on: `done` of `total` ("images"), where a total is known (else 0)."""

    what: str
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)


class Listener(Protocol):
    """Is told when work begins and ends; in between it may look at how far it is."""

    def begun(self, work: Work) -> None:
        """This work has begun, within all work that has begun and has not ended."""

    def ended(self, work: Work) -> None:
        """This work is over."""


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def shown_by(listener: Listener) -> Iterator[None]:
    """Tell `listener` of all work within the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_shown() -> bool:
    """Whether anybody is told of work."""
    return _listener.get() is not None


@contextmanager
def working(what: str, total: int = 0) -> Iterator[Work]:
    """Say that the block is work; whoever does it may write into `done` how far it is."""
    work = Work(what, total)
    listener = _listener.get()
    if listener:
        listener.begun(work)
    try:
        yield work
    finally:
        if listener:
            listener.ended(work)


def counted(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield `items`, and say how many of `total` there have been."""
    with working(what, total) as work:
        for item in items:
            yield item
            work.done += 1
