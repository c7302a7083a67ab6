"""Requests that are read one by one and answered together: one call of the network for all."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pipelines.errors import ApplineError
from pipelines.pipeline import RawRequest

if TYPE_CHECKING:
    import pandas as pd

ReadT = TypeVar("ReadT")


def answer_together(
    requests: Sequence[RawRequest],
    read: Callable[[RawRequest], ReadT],
    answer: "Callable[[Sequence[tuple[RawRequest, ReadT]]], Sequence[pd.DataFrame | ApplineError]]",
) -> "list[pd.DataFrame | ApplineError]":
    """Return the answer to each request, or why there is none.

    What cannot be read keeps no other request from its answer.
    """
    results: dict[int, pd.DataFrame | ApplineError] = {}
    readable: dict[int, tuple[RawRequest, ReadT]] = {}
    for number, request in enumerate(requests):
        try:
            readable[number] = (request, read(request))
        except ApplineError as error:
            results[number] = error
    if readable:
        try:
            answers = answer(list(readable.values()))
        except ApplineError as error:
            answers = [error] * len(readable)
        results |= zip(readable, answers, strict=True)
    return [results[number] for number in range(len(requests))]


def only_answer(answers: "Sequence[pd.DataFrame | ApplineError]") -> "pd.DataFrame":
    """Return the answer to the one request that was made, or raise why there is none."""
    (answer,) = answers
    if isinstance(answer, ApplineError):
        raise answer
    return answer
