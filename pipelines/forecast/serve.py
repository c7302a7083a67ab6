"""Serving: the network between scaling and calibration, over raw histories in the target's own units."""

from typing import Any

import keras
import numpy as np

from pipelines.errors import DataError
from pipelines.forecast import calibration
from pipelines.forecast.layers import CalibratedQuantiles, SeriesScaler
from pipelines.forecast.splits import LEVELS, ForecastSplits
from pipelines.pipeline import ServingModel


def serve(model: keras.Model, splits: ForecastSplits) -> ServingModel:
    """Return `model` with scaling before and calibration after it.

    Inputs: `history` (batch, lookback, channels) as `facts["channels"]` names them, `future` (batch, horizon, known)
    where anything is known in advance, `series` (batch,): 1 + position in `facts["series"]`, 0 for any other series.
    Answer: {"mean": (batch, horizon), "quantiles": (batch, horizon, levels)}.
    """
    history = keras.Input((splits.lookback, splits.num_channels), name="history")
    series = keras.Input((), dtype="int32", name="series")
    scaler = SeriesScaler(len(splits.names), splits.num_channels, splits.log1p, name="scaler")
    scaled, facts = scaler(history, series)
    inputs, seen = {"history": history, "series": series}, {"history": scaled}
    shift, divide = _covariate_scales(splits)
    if known := splits.num_future:
        inputs["future"] = keras.Input((splits.horizon, known), name="future")
        normal = keras.layers.Normalization(
            mean=shift[-known:], variance=divide[-known:] ** 2, name="future_scaler"
        )
        seen["future"] = normal(inputs["future"])
    calibrated = CalibratedQuantiles(splits.log1p, name="calibrated")
    # Another model of the same layers: without the loss, which no one who loads it needs, and with what is corrected.
    network = keras.Model(
        model.input, [model.outputs[0], model.get_layer("level").output], name="network"
    )
    answer = calibrated(*network(seen), facts)
    scaler.set_weights(
        [np.vstack([[0, 1], np.stack([splits.mean, splits.std], axis=1)]), shift, divide]
    )
    val, test, share = calibration.trusted(model, splits)
    calibrated.set_weights([np.array(share), calibration.latest(val, test, splits)])
    note = f"of what the network adds to its start {share:.0%} is kept: the share with the least squared error on val"
    return ServingModel(
        model=keras.Model(inputs, answer, name="forecast"), facts=_facts(splits), notes=(note,)
    )


def _covariate_scales(splits: ForecastSplits) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std of every channel but the target; calendar features are used as they are."""
    rest = len(splits.calendar)
    return np.append(splits.covariate_mean, np.zeros(rest)), np.append(
        splits.covariate_std, np.ones(rest)
    )


def _facts(splits: ForecastSplits) -> dict[str, Any]:
    return {
        "domain": "forecast",
        "horizon": splits.horizon,
        "lookback": splits.lookback,
        "season": splits.season,
        "freq": splits.step.label,
        "step": splits.step.describe(),
        "levels": list(LEVELS),
        "calibration_steps": splits.borders[2] - splits.borders[1],
        "channels": ["target", *splits.columns, *splits.calendar],
        "covariates": list(splits.columns),
        "known_future": list(splits.known),
        "calendar": list(splits.calendar),
        "source": {
            "target": splits.source.target,
            "id": splits.source.id,
            "time": splits.source.time,
            "fill": splits.source.fill,
        },
        "series": list(splits.names),
        "log1p": splits.log1p,
    }


def restore_network(served: ServingModel, splits: ForecastSplits) -> keras.Model:
    """Return the network inside, which takes scaled windows.

    Raises:
        DataError: these splits have windows of another length, or other covariates.
    """
    facts = served.facts
    channels = ["target", *splits.columns, *splits.calendar]
    for name, trained, here in (
        ("steps of history (--lookback)", facts["lookback"], splits.lookback),
        ("steps to forecast (--horizon)", facts["horizon"], splits.horizon),
        ("covariates (--known-future, --calendar)", facts["channels"], channels),
        ("covariates known in advance (--known-future)", facts["known_future"], list(splits.known)),
    ):
        if trained != here:
            raise DataError(
                f"{splits.dataset}: other {name} than the model was trained with. Expected {trained}. Received: {here}"
            )
    return served.model.get_layer("network")
