"""How far the reading of many files is, for whoever shows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")
# Is called with what is read ("images"), how many have been read, and how many there are.
Listener: TypeAlias = Callable[[str, int, int], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def reading_shown_by(listener: Listener) -> Iterator[None]:
    """Call `listener` for every file that is read within the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def counted(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield `items`, and report how many of `total` there have been."""
    listener = _listener.get()
    for number, item in enumerate(items, start=1):
        yield item
        if listener:
            listener(what, number, total)
