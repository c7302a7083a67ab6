"""Requests that wait while the model answers are answered together, by one thread."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pipelines.errors import ApplineError
from pipelines.pipeline import RawRequest

if TYPE_CHECKING:
    import pandas as pd

MOST_TOGETHER = 64  # requests
MOST_WAITING = 1_000  # requests
Answer: TypeAlias = "pd.DataFrame | ApplineError"
AnswerMany: TypeAlias = Callable[[Sequence[RawRequest]], Sequence[Answer]]


class Busy(ApplineError):
    """More requests wait than can be answered soon."""


@dataclass
class Batcher:
    """Asks a model about what waits, as long as anything does.

    Nothing is delayed to make a batch larger: a batch is what came while the last one was answered.
    """

    answer_many: AnswerMany
    on_batch: Callable[[int], None]
    _waiting: "list[tuple[RawRequest, asyncio.Future[Answer]]]" = field(default_factory=list)
    _is_running: bool = False

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """How many requests wait for the model."""
        return len(self._waiting)

    async def answer(self, request: RawRequest) -> "pd.DataFrame":
        """Return the answer to a request.

        Raises:
            ApplineError: it cannot be answered; the message says why.
            Busy: too many wait already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING:,} requests wait already. Ask again later")
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answered))
        if not self._is_running:
            self._is_running = True
            self._work = asyncio.create_task(self._run())
        answer = await answered
        if isinstance(answer, ApplineError):
            raise answer
        return answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MOST_TOGETHER]
                del self._waiting[:MOST_TOGETHER]
                # Whoever gave up is not answered any more.
                wanted = [(request, future) for request, future in batch if not future.done()]
                if wanted:
                    await self._answer_batch(wanted)
        finally:
            self._is_running = False

    async def _answer_batch(
        self, wanted: "Sequence[tuple[RawRequest, asyncio.Future[Answer]]]"
    ) -> None:
        self.on_batch(len(wanted))
        requests = [request for request, _ in wanted]
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self.answer_many, requests)
        except Exception as error:  # a defect that one of them has met: the others are asked alone
            if len(wanted) > 1:
                for one in wanted:
                    await self._answer_batch([one])
            elif not wanted[0][1].done():
                wanted[0][1].set_exception(error)
            return
        for (_, future), answer in zip(wanted, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    def close(self) -> None:
        """End the thread; what it has begun is finished."""
        self._thread.shutdown(cancel_futures=True)
