"""What a forecast is made of: level, calendar, the history's shape, each covariate.

The network is asked again about less and less: without one covariate after the other, then without
the shape of the history. Each part is a difference of two of these forecasts, so that they add up
to the forecast itself.
"""

from collections.abc import Callable, Mapping

import numpy as np

from pipelines.forecast.facts import ForecastFacts

TARGET_CHANNEL = 0
LEVEL, CALENDAR, SHAPE = "by_level", "by_calendar", "by_shape"
Forecast = Callable[[dict[str, np.ndarray]], np.ndarray]


def contributions(
    forecast: Forecast, inputs: Mapping[str, np.ndarray], facts: ForecastFacts
) -> dict[str, np.ndarray]:
    """Return the parts of the mean forecast `(series, horizon)` by name; their sum is the forecast.

    `by_<covariate>`: what it adds to its own mean over the history. `by_shape`: what season and
    trend of the history add to a flat one of the same mean. `by_level`: the forecast of the flat
    one, the same at each step. `by_calendar`: how the steps of that differ.
    """
    left = {name: np.array(values) for name, values in inputs.items()}
    now = forecast(left)[..., 0]
    parts: dict[str, np.ndarray] = {}
    for number, name in enumerate(facts.covariates, start=1):
        mean = left["history"][:, :, number].mean(axis=1, keepdims=True)
        left["history"][:, :, number] = mean
        if name in facts.known_future:
            left["future"][:, :, facts.known_future.index(name)] = mean
        before, now = now, forecast(left)[..., 0]
        parts[f"by_{name}"] = before - now
    target = left["history"][:, :, TARGET_CHANNEL]
    left["history"][:, :, TARGET_CHANNEL] = target.mean(axis=1, keepdims=True)
    flat = forecast(left)[..., 0]
    level = np.repeat(flat.mean(axis=1, keepdims=True), facts.horizon, axis=1)
    return {LEVEL: level, CALENDAR: flat - level, SHAPE: now - flat, **parts}
