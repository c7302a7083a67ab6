"""What work costs: seconds and CPU seconds of a fit, milliseconds of an answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

BATCH_SIZES = (1, 64)  # examples that are asked about at once
MOST_CALLS = 31  # of one size, of which the first is left out
MOST_SECONDS = 0.25  # for those of one size; no call begins after them
FEWEST_FOR_P95 = 10  # calls


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Wall-clock seconds and CPU seconds of this process, all its threads together."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            seconds=self.seconds + other.seconds, cpu_seconds=self.cpu_seconds + other.cpu_seconds
        )


class Stopwatch:
    """Runs from the moment when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu_began = time.process_time()

    def spent(self) -> Spent:
        """Return what has been spent so far."""
        return Spent(
            seconds=time.perf_counter() - self._began,
            cpu_seconds=time.process_time() - self._cpu_began,
        )


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The time of a call in milliseconds: the median, and what 95 of 100 calls stay below.

    The latter is None where a call takes so long that there was no time for ten.
    """

    p50: float
    p95: float | None


def latency(call: Callable[[], object]) -> Latency:
    """Return how long `call` takes, from as many calls as there is time for.

    The first one is left out where there are others: it brings data into the caches.
    """
    seconds: list[float] = []
    began = time.perf_counter()
    while not seconds or (len(seconds) < MOST_CALLS and time.perf_counter() - began < MOST_SECONDS):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    times = 1000 * np.asarray(seconds[1:] or seconds)
    p95 = None
    if len(times) >= FEWEST_FOR_P95:
        p95 = float(np.quantile(times, 0.95))
    return Latency(p50=float(np.median(times)), p95=p95)


def latencies(answer: Callable[[int], object]) -> dict[str, float]:
    """Return the times of an answer to each of `BATCH_SIZES`, by the names of their metrics.

    `answer` takes the number of examples. It is called once before, which traces a network.
    """
    answer(1)
    metrics = {}
    for size in BATCH_SIZES:
        measured = latency(partial(answer, size))
        batch = "" if size == 1 else f"b{size}_"
        metrics[f"latency_ms_{batch}p50"] = measured.p50
        if measured.p95 is not None:
            metrics[f"latency_ms_{batch}p95"] = measured.p95
    return metrics


def first_rows(count: int, size: int) -> np.ndarray:
    """Return the positions of the first `count` of `size` rows, from the start again if need be."""
    return np.arange(count) % size
