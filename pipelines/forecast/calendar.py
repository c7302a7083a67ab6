"""Features of a timestamp: its position in the day, the week and the year.

They are known in advance, and are given as points on circles.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.forecast.frequency import DAY, Frequency

# A second harmonic lets two evenings of a week, or two hours of a day, differ from their opposites.
HARMONICS = 2
LONGEST_YEAR = 366  # days


def calendar_features(
    frequency: Frequency, number: np.ndarray, train_steps: int | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and values `(rows, features)` of the cycles that steps of this size run through.

    The year is used only where train holds two of them: a single one looks like a trend. With
    `train_steps` None there are no features.
    """
    cycles = [] if train_steps is None else _cycles(frequency, train_steps)
    names = []
    for cycle in cycles:
        for harmonic in range(1, HARMONICS + 1):
            names += [f"{cycle}_sin{harmonic}", f"{cycle}_cos{harmonic}"]
    return tuple(names), cycle_features(frequency, number, cycles)


def cycle_features(frequency: Frequency, number: np.ndarray, cycles: Sequence[str]) -> np.ndarray:
    """Return sines and cosines `(rows, features)` of where each step lies in each cycle."""
    if not cycles:
        return np.zeros((len(number), 0))
    columns: list[np.ndarray] = []
    for cycle in cycles:
        angle = 2 * np.pi * _phase(frequency, number, cycle)
        for harmonic in range(1, HARMONICS + 1):
            columns += [np.sin(harmonic * angle), np.cos(harmonic * angle)]
    return np.stack(columns, axis=1)


def cycles_of(features: Sequence[str]) -> list[str]:
    """Return the cycles that features are called after, in order: day for `day_sin1`."""
    return list(dict.fromkeys(name.partition("_")[0] for name in features))


def _cycles(frequency: Frequency, train_steps: int) -> list[str]:
    if frequency.kind == "integer":
        return []
    if frequency.kind == "months":
        has_two_years = train_steps * frequency.size >= 24
        return ["year"] if frequency.size < 12 and has_two_years else []
    size = DAY if frequency.kind == "business" else frequency.size
    cycles = []
    if size < DAY:
        cycles.append("day")
    if size <= DAY:
        cycles.append("week")
    if size <= 28 * DAY and train_steps * size >= 2 * 365 * DAY:
        cycles.append("year")
    return cycles


def _phase(frequency: Frequency, number: np.ndarray, cycle: str) -> np.ndarray:
    """Return how far, from 0 to 1, each step is through its day, week or year."""
    times = frequency.times(number)
    days = times.astype("datetime64[D]")
    if cycle == "day":
        return np.asarray((times - days.astype("datetime64[ns]")).astype(np.int64) / DAY)
    if cycle == "week":
        return np.asarray((days.astype(np.int64) - 4) % 7 / 7)  # 1970-01-05 was a Monday
    if frequency.kind == "months":
        return np.asarray(times.astype("datetime64[M]").astype(np.int64) % 12 / 12)
    new_year = times.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray((days - new_year).astype(np.int64) / LONGEST_YEAR)
