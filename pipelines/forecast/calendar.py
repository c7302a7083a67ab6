"""What a timestamp tells in advance: its place in the day, the week and the year, as points on circles."""

import numpy as np

from pipelines.forecast.frequency import DAY, Step

HARMONICS = 2  # a second harmonic lets two evenings of a week, or two hours of a day, differ from their opposites


def calendar_features(
    step: Step, number: np.ndarray, train_steps: int | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and values (rows, features) of the cycles that steps of this size run through.

    The year is used only where train holds two of them: what was seen once cannot be told from a trend. None: no features.
    """
    cycles = _cycles(step, train_steps) if train_steps is not None else []
    names = [
        f"{cycle}_{wave}{harmonic}"
        for cycle in cycles
        for harmonic in range(1, HARMONICS + 1)
        for wave in ("sin", "cos")
    ]
    return tuple(names), cycle_features(step, number, cycles)


def cycle_features(step: Step, number: np.ndarray, cycles: list[str]) -> np.ndarray:
    """Return sines and cosines (rows, features) of where each step lies in each cycle."""
    columns: list[np.ndarray] = []
    for cycle in cycles:
        angle = 2 * np.pi * _phase(step, number, cycle)
        columns += [
            wave(harmonic * angle)
            for harmonic in range(1, HARMONICS + 1)
            for wave in (np.sin, np.cos)
        ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(number), 0))


def _cycles(step: Step, train_steps: int) -> list[str]:
    if step.kind == "integer":
        return []
    if step.kind == "months":
        return ["year"] if step.size < 12 and train_steps * step.size >= 24 else []
    size = DAY if step.kind == "business" else step.size
    cycles = ["day"] if size < DAY else []
    if size <= DAY:
        cycles.append("week")
    if size <= 28 * DAY and train_steps * size >= 2 * 365 * DAY:
        cycles.append("year")
    return cycles


def _phase(step: Step, number: np.ndarray, cycle: str) -> np.ndarray:
    """Return how far, from 0 to 1, each step is through its day, week or year."""
    times = step.times(number)
    days = times.astype("datetime64[D]")
    if cycle == "day":
        return np.asarray((times - days.astype("datetime64[ns]")).astype(np.int64) / DAY)
    if cycle == "week":
        return np.asarray((days.astype(np.int64) - 4) % 7 / 7)  # 1970-01-05 was a Monday
    if step.kind == "months":
        return np.asarray(times.astype("datetime64[M]").astype(np.int64) % 12 / 12)
    return np.asarray(
        (days - times.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) / 366
    )
