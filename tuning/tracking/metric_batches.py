"""Numbers as MLflow takes them: points of curves, without those that are no numbers, in batches
within its limits.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

# MLflow's own limits; it would cut longer texts without a word.
LONGEST_PARAM, LONGEST_TAG, MOST_PARAMS, MOST_ENTITIES = 6000, 8000, 100, 1000

T = TypeVar("T")


class Point(NamedTuple):
    """One value of a metric; `time` in milliseconds since 1970."""

    key: str
    value: float
    time: int
    step: int


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def summary(values: Mapping[str, float], step: int, now: float) -> list[Point]:
    """Return one point for each value, rounded to six digits: MLflow's tables show every digit that
    they are given.

    Exact stay `best/*`, from which a resumed sweep goes on, and whole numbers (1,234,567 parameters
    are not 1,234,570).
    """
    return [
        Point(key, _shown(key, float(value)), milliseconds(now), step)
        for key, value in values.items()
    ]


def _shown(key: str, value: float) -> float:
    exact = key.startswith("best/") or not math.isfinite(value) or value.is_integer()
    return value if exact else float(f"{value:.6g}")


def curves(history: Mapping[str, Sequence[float]], start: float, end: float) -> list[Point]:
    """Return the points of curves with one value an epoch, from step 1, evenly spread between the
    times `start` and `end`.
    """
    return [
        # Not step 0: `log_model` takes the metrics of that step for the model's.
        Point(key, float(value), milliseconds(start + (end - start) * step / len(values)), step)
        for key, values in history.items()
        for step, value in enumerate(values, start=1)
    ]


def split_finite(points: Sequence[Point]) -> tuple[list[Point], dict[str, str]]:
    """Return the points that are numbers, and the tag that names the metrics that were not.

    A database stores infinity as 1.8e308, which then leads every table and flattens every chart.
    """
    lost = sorted({point.key for point in points if not math.isfinite(point.value)})
    return [point for point in points if math.isfinite(point.value)], {
        "not_finite": ", ".join(lost)
    } if lost else {}


def truncate(text: str, longest: int) -> str:
    """Return `text`, or its beginning with a note when it is longer than MLflow keeps."""
    note = f" ... [cut: {len(text):,} characters]"
    return text if len(text) <= longest else text[: longest - len(note)] + note


def batches(
    metrics: Sequence[T], params: Sequence[T], tags: Sequence[T]
) -> Iterator[tuple[Sequence[T], Sequence[T], Sequence[T]]]:
    """Yield (metrics, params, tags) in as few batches as the limits allow: nearly always one."""
    while metrics or params or tags:
        some_params, params = params[:MOST_PARAMS], params[MOST_PARAMS:]
        some_tags, tags = tags[:MOST_PARAMS], tags[MOST_PARAMS:]
        room = MOST_ENTITIES - len(some_params) - len(some_tags)
        some_metrics, metrics = metrics[:room], metrics[room:]
        yield some_metrics, some_params, some_tags
