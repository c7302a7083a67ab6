"""What a server has done, in Prometheus' text format."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Histogram:
    """Counts of values up to each of some bounds."""

    bounds: tuple[float, ...]
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> Iterable[str]:
        """Yield the lines of this histogram."""
        up_to = 0
        for bound, count in zip([*self.bounds, "+Inf"], self.counts, strict=True):
            up_to += count
            yield f'{name}_bucket{{le="{bound}"}} {up_to}'
        yield f"{name}_sum {self.total:.6f}"
        yield f"{name}_count {up_to}"


@dataclass
class Metrics:
    """Requests by status, their seconds, rows of answers, and how many were answered together."""

    model: str
    requests: Counter[int] = field(default_factory=Counter)
    rows: int = 0
    seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    batch_size: Histogram = field(default_factory=lambda: Histogram(BATCH_SIZES))

    def on_batch(self, size: int) -> None:
        """Count a batch of requests that are answered together."""
        self.batch_size.observe(size)

    def as_text(self, waiting: int) -> str:
        """Return all of it in Prometheus' text format; `waiting` requests wait now."""
        statuses = [
            f'appline_requests_total{{status="{status}"}} {count}'
            for status, count in sorted(self.requests.items())
        ]
        blocks: list[tuple[str, str, str, Iterable[str]]] = [
            ("appline_model_info", "gauge", "the model", [f"appline_model_info{self.model} 1"]),
            ("appline_requests_total", "counter", "requests by status", statuses),
            (
                "appline_rows_total",
                "counter",
                "rows of answers",
                [f"appline_rows_total {self.rows}"],
            ),
            ("appline_waiting", "gauge", "requests that wait now", [f"appline_waiting {waiting}"]),
            (
                "appline_request_seconds",
                "histogram",
                "seconds from a request to its answer",
                self.seconds.lines("appline_request_seconds"),
            ),
            (
                "appline_batch_size",
                "histogram",
                "requests that were answered together",
                self.batch_size.lines("appline_batch_size"),
            ),
        ]
        lines: list[str] = []
        for name, kind, help, values in blocks:
            lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}", *values]
        return "\n".join(lines) + "\n"
