"""Numbers as MLflow takes them: points of curves, finite ones only, batched within its limits."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# MLflow's own limits: characters of a value (longer ones would be truncated silently), and entries
# of one call.
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
MOST_PARAMS = 100
MOST_TAGS = 100
MOST_ENTRIES = 1000
SHOWN_DIGITS = 6


class Point(NamedTuple):
    """One value of a metric; `time` in milliseconds since 1970."""

    key: str
    value: float
    time: int
    step: int


class Batch(NamedTuple):
    """What one call writes: entities of MLflow."""

    metrics: Sequence[Any]
    params: Sequence[Any]
    tags: Sequence[Any]


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow takes it."""
    return round(seconds * 1000)


def summary_points(values: Mapping[str, float], step: int, now: float) -> list[Point]:
    """Return one point for each value, rounded to six digits: MLflow's tables show every digit.

    Whole numbers stay exact (1,234,567 parameters are not 1,234,570).
    """
    points = []
    for key, value in values.items():
        points.append(Point(key, rounded(float(value)), milliseconds(now), step))
    return points


def rounded(value: float) -> float:
    """Return a number with the digits that are kept of it; rounding it again changes nothing."""
    if not math.isfinite(value) or value.is_integer():
        return value
    return float(f"{value:.{SHOWN_DIGITS}g}")


def curve_points(history: Mapping[str, Sequence[float]], start: float, end: float) -> list[Point]:
    """Return the points of curves with one value an epoch.

    Their times are evenly spread between `start` and `end`. They begin at step 1: MLflow takes the
    metrics of step 0 for the model's.
    """
    points = []
    for key, values in history.items():
        for step, value in enumerate(values, start=1):
            now = start + (end - start) * step / len(values)
            points.append(Point(key, float(value), milliseconds(now), step))
    return points


def split_finite(points: Sequence[Point]) -> tuple[list[Point], list[str]]:
    """Return the points that are finite numbers, and the names of the metrics of all others.

    A database stores infinity as 1.8e308, which then leads every table and flattens every chart.
    """
    finite = []
    not_finite = set()
    for point in points:
        if math.isfinite(point.value):
            finite.append(point)
        else:
            not_finite.add(point.key)
    return finite, sorted(not_finite)


def truncate(text: str, longest: int) -> str:
    """Return `text`, or its beginning with a note when it is longer than MLflow keeps."""
    if len(text) <= longest:
        return text
    note = f" ... [cut: {len(text):,} characters]"
    return text[: longest - len(note)] + note


def split_into_batches(
    metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]
) -> Iterator[Batch]:
    """Yield everything in as few batches as the limits allow: nearly always one."""
    while metrics or params or tags:
        batch_params, params = params[:MOST_PARAMS], params[MOST_PARAMS:]
        batch_tags, tags = tags[:MOST_TAGS], tags[MOST_TAGS:]
        room = MOST_ENTRIES - len(batch_params) - len(batch_tags)
        batch_metrics, metrics = metrics[:room], metrics[room:]
        yield Batch(batch_metrics, batch_params, batch_tags)
