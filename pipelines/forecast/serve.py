"""A trained network for its user: raw histories in, forecasts with intervals out.

Both are in the target's own units. The intervals follow what has lately come true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd

from pipelines.config.options import PredictOptions
from pipelines.errors import ApplineError, DataError
from pipelines.evaluation.drift import DRIFT
from pipelines.forecast import answers, explain, pictures, predict
from pipelines.forecast.column_names import SERIES, TARGET, TIME
from pipelines.forecast.drift import drift
from pipelines.forecast.facts import ForecastFacts, facts_of
from pipelines.forecast.histories import History
from pipelines.forecast.intervals import interval_factors, latest_factors, scale_intervals
from pipelines.forecast.layers import CalibratedQuantiles, SeriesScaler
from pipelines.forecast.predict_options import ForecastPredictOptions
from pipelines.forecast.read_history import read_history
from pipelines.io.picture_files import PICTURE
from pipelines.networks.models import graph_of
from pipelines.pipeline import RawInput, RawRequest, ServingModel
from pipelines.splits import SCORED_PARTS, Part
from pipelines.together import answer_together, only_answer

if TYPE_CHECKING:
    from pipelines.forecast.data import ForecastSplits

BATCH_SIZE = 256
CALIBRATED = "calibrated"  # the layer of a served model that scales its intervals
NETWORK = "network"  # the layer of a served model that is the network


def serving_model(network: keras.Model, splits: "ForecastSplits") -> ServingModel:
    """Return the network with scaling before and calibrated intervals after it.

    Inputs: `history` `(batch, lookback, channels)` as `facts.channels` names them, `future`
    `(batch, horizon, known)` where anything is known in advance, `series` `(batch,)`: 1 + position
    in `facts.series`, 0 for any other series. Answer: `mean` `(batch, horizon)` and `quantiles`
    `(batch, horizon, levels)`.
    """
    # --- inputs
    history = keras.Input((splits.lookback, splits.num_channels), name="history")
    series = keras.Input((), dtype="int32", name="series")
    inputs = {"history": history, "series": series}

    # --- scaling
    scaler = SeriesScaler(len(splits.names), splits.num_channels, splits.log1p, name="scaler")
    scaled_history, scale = scaler(history, series)
    scaled = {"history": scaled_history}
    shift, divide = _covariate_scales(splits)
    if splits.num_future:
        inputs["future"] = keras.Input((splits.horizon, splits.num_future), name="future")
        normalize = keras.layers.Normalization(
            mean=shift[-splits.num_future :],
            variance=divide[-splits.num_future :] ** 2,
            name="future_scaler",
        )
        scaled["future"] = normalize(inputs["future"])

    # --- forecasts, calibrated
    inner = keras.Model(network.input, network.output, name=NETWORK)
    calibrated = CalibratedQuantiles(splits.log1p, name=CALIBRATED)
    answer = calibrated(inner(scaled), scale)
    of_series = np.stack([splits.mean, splits.std], axis=1)
    scaler.set_weights([np.vstack([[0, 1], of_series]), shift, divide])
    forecasts = {part: predict.uncalibrated(network, splits, part) for part in SCORED_PARTS}
    calibrated.set_weights([latest_factors(forecasts, splits)])
    return ServingModel(
        model=keras.Model(inputs, answer, name="forecast"),
        facts=facts_of(splits),
        notes=(predict.kept_note(network),),
    )


def _covariate_scales(splits: "ForecastSplits") -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and std of every channel but the target.

    Calendar features are not scaled: they get 0 and 1.
    """
    count = len(splits.calendar)
    mean = np.append(splits.covariate_mean, np.zeros(count))
    return mean, np.append(splits.covariate_std, np.ones(count))


def example(facts: ForecastFacts) -> pd.DataFrame:
    """Return a wave as the history of one series, up to the end of what training has seen.

    Covariates are 0; those that are known in advance have rows for the steps to forecast too.
    """
    source = facts.source
    known_steps = facts.horizon if facts.known_future else 0
    end: Any = pd.Series([facts.learned_until])
    if facts.frequency.kind != "integer":
        end = pd.to_datetime(end)
    (last,), _ = facts.frequency.numbers(end)
    steps = np.arange(1 - facts.lookback, known_steps + 1)
    times = pd.Series(facts.frequency.times(last + steps))
    if facts.frequency.kind != "integer":
        times = times.dt.strftime(source.time_format or "%Y-%m-%d %H:%M:%S")
    values = 10 + np.sin(2 * np.pi * steps / max(facts.season, 2))
    columns: dict[str, Any] = {source.time or TIME: times}
    targets = [source.target or TARGET]
    if source.target == "*":
        targets = facts.series
    elif "," in source.target:
        targets = [name.strip() for name in source.target.split(",")]
    else:
        columns = {source.id or SERIES: facts.series[0], **columns}
    columns |= {name: np.where(steps > 0, np.nan, values.round(3)) for name in targets}
    columns |= dict.fromkeys(facts.covariates, 0.0)
    return pd.DataFrame(columns)


def served_windows(
    facts: ForecastFacts, splits: "ForecastSplits", part: Part
) -> dict[str, np.ndarray]:
    """Return what the served model takes for the windows of a part, in the table's own units."""
    starts = splits.starts[part]
    mean, std = _covariate_scales(splits)
    # Calendar features have the scale 1.
    others = splits.rows[:, 1:] * std + mean
    rows = np.column_stack([splits.raw, others]).astype(np.float32)
    inputs = {
        "history": splits.windows(rows, starts, -splits.lookback, 0),
        "series": facts.positions(splits.names)[splits.series[starts]],
    }
    if splits.num_future:
        future = splits.windows(rows, starts, 0, splits.horizon)
        inputs["future"] = future[..., -splits.num_future :]
    return inputs


def restore_network(serving: ServingModel, splits: "ForecastSplits") -> keras.Model:
    """Return the network inside, which takes scaled windows.

    Raises:
        DataError: these splits have windows of another length, or other covariates.
    """
    of_model: ForecastFacts = serving.facts
    of_data = facts_of(splits)
    compared = {
        "lookback": "steps of history (--lookback)",
        "horizon": "steps to forecast (--horizon)",
        "channels": "channels (--target, --known-future, --calendar)",
        "known_future": "covariates known in advance (--known-future)",
    }
    for name, words in compared.items():
        expected, received = getattr(of_model, name), getattr(of_data, name)
        if expected != received:
            raise DataError(
                f"{splits.dataset}: the {words} differ from those that the model was trained with. "
                f"Expected {expected}. Received: {received}"
            )
    return serving.model.get_layer(NETWORK)


def predict_raw(
    serving: ServingModel,
    source: RawInput,
    options: PredictOptions | None,
    notes: list[str],
) -> pd.DataFrame:
    """Return series, time, `mean, q0.025 ... q0.975` for the steps after each series' last value.

    Series and time are called as in the table. Covariates known in advance are in rows behind the
    last value, whose target is left empty. A history that is longer than the model looks back, by
    as many steps as it was calibrated on, calibrates the intervals anew.

    Raises:
        DataError: a column is missing, all histories are too short, or the future of a covariate
            is missing.
    """
    request = RawRequest(source=source, options=options, notes=notes)
    return only_answer(predict_many(serving, [request]))


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """A history, and the network's inputs of what is asked and of what has lately come true."""

    history: History
    ahead: dict[str, np.ndarray] | None  # None without a series that is long enough
    recent: np.ndarray  # starts of windows

    def inputs(self) -> list[dict[str, np.ndarray]]:
        """Return the inputs of all that the network is asked, in order."""
        if self.ahead is None:
            return []
        if not len(self.recent):
            return [self.ahead]
        return [self.ahead, self.history.inputs_before(self.recent)]


def predict_many(
    serving: ServingModel, requests: Sequence[RawRequest]
) -> list[pd.DataFrame | ApplineError]:
    """Return what `predict_raw` returns or raises for each request; all windows go together."""

    def answer(read: Sequence[tuple[RawRequest, _Windows]]) -> list[pd.DataFrame]:
        network = _uncalibrated(serving.model, log1p=serving.facts.log1p)
        forecasts = network.forecast_all([part for _, asked in read for part in asked.inputs()])
        tables = []
        for request, asked in read:
            own = [forecasts.pop(0) for _ in asked.inputs()]
            tables.append(_table(request, asked, own, network))
        return tables

    return answer_together(requests, lambda request: _read_request(serving, request), answer)


def _read_request(serving: ServingModel, request: RawRequest) -> _Windows:
    options = _own_options(request)
    history = read_history(request.source, serving.facts, options, request.notes)
    ahead = history.inputs_ahead() if history.panel.names else None
    return _Windows(history=history, ahead=ahead, recent=history.recent_starts())


def _own_options(request: RawRequest) -> ForecastPredictOptions:
    options = request.options
    return options if isinstance(options, ForecastPredictOptions) else ForecastPredictOptions()


def _table(
    request: RawRequest,
    asked: _Windows,
    own: list[np.ndarray],
    network: "UncalibratedNetwork",
) -> pd.DataFrame:
    """Return the answer to one request, from the network's forecasts of its windows."""
    options, history = _own_options(request), asked.history
    forecasts = np.empty((0, history.facts.horizon, 1 + len(history.facts.levels)))
    factors = network.factors
    if own:
        if len(own) > 1:
            factors = interval_factors(history.truth(asked.recent), own[1])
        forecasts = scale_intervals(own[0], factors)
    drifted = drift(history, request.notes)
    if options.plot:
        pictures.draw(history, forecasts, Path(options.plot), request.notes)
    columns = {DRIFT: drifted} if options.drift else {}
    if options.explain and asked.ahead is not None:
        parts = explain.contributions(network.forecast, asked.ahead, history.facts)
        columns |= parts
        if isinstance(options.explain, str):
            folder = Path(options.explain)
            columns[PICTURE] = explain.draw_all(history, parts, folder, request.notes)
    return answers.table(history, forecasts, columns, with_errors=options.skip_unreadable)


class UncalibratedNetwork:
    """The network of a served model, without the factors that its intervals are served with.

    `factors` `(horizon, levels)` are those.
    """

    def __init__(self, model: keras.Model, *, log1p: bool) -> None:
        calibrated = model.get_layer(CALIBRATED)
        (self.factors,) = calibrated.get_weights()
        self._model = keras.Model(model.input, calibrated.input)
        self._log1p = log1p

    def forecast_all(self, parts: Sequence[dict[str, np.ndarray]]) -> list[np.ndarray]:
        """Return the forecasts of several inputs, made together."""
        if not parts:
            return []
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        ends = np.cumsum([len(part["series"]) for part in parts])
        return np.split(self.forecast(joined), ends[:-1])

    def forecast(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return forecasts `(windows, horizon, 1 + levels)` in the target's own units."""
        forecasts = []
        for begin in range(0, len(inputs["series"]), BATCH_SIZE):
            end = begin + BATCH_SIZE
            batch = {name: values[begin:end] for name, values in inputs.items()}
            scaled, scale = map(np.asarray, graph_of(self._model)(batch))
            forecasts.append(scaled * scale[:, 1, None, None] + scale[:, 0, None, None])
        values = np.concatenate(forecasts)
        return np.expm1(values) if self._log1p else values


# A server asks one and the same model again and again.
@lru_cache(maxsize=1)
def _uncalibrated(model: keras.Model, *, log1p: bool) -> UncalibratedNetwork:
    return UncalibratedNetwork(model, log1p=log1p)
