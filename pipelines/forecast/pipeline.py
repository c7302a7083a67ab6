"""Forecasting: the contract kept."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipelines.blend import Blend
from pipelines.config.options import PredictOptions
from pipelines.config.search_space import Dimension
from pipelines.errors import ApplineError
from pipelines.forecast import (
    architectures,
    audit,
    baselines,
    batches,
    data,
    defaults,
    evaluate,
    hold_out,
    model,
    predict,
    serve,
)
from pipelines.forecast.data import ForecastSplits
from pipelines.forecast.facts import ForecastFacts
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.spec import ForecastSpec
from pipelines.networks.plan import Cost
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.pipeline import (
    Baseline,
    Pipeline,
    RawInput,
    RawRequest,
    ServingFacts,
    ServingModel,
)
from pipelines.splits import Part
from pipelines.timing import Spent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ForecastPipeline(Pipeline[ForecastOptions, ForecastSpec, ForecastSplits]):
    """Series to forecasts with their quantiles.

    `ridges` are the regressions that networks start from, one for each data set.
    """

    ridges: baselines.RidgeCache = field(
        default_factory=baselines.RidgeCache, repr=False, compare=False
    )

    facts_type: ClassVar[type[ServingFacts]] = ForecastFacts

    def load(self) -> ForecastSplits:
        splits = data.load(self.options)
        return replace(splits, findings=audit.audit(splits))

    def load_hold_out(self, serving: ServingModel) -> ForecastSplits:
        return hold_out.load(self.options, serving.facts)

    def fit_defaults(
        self,
        spec: ForecastSpec,
        splits: ForecastSplits,
        given: Collection[str],
        notes: list[str] | None = None,
    ) -> ForecastSpec:
        return defaults.fit_defaults(spec, splits, given)

    def fit_search(
        self, dimensions: Mapping[str, Dimension], splits: ForecastSplits
    ) -> Mapping[str, Dimension]:
        return defaults.fit_search(dimensions, self.options.search, splits)

    def cost(self, spec: ForecastSpec, splits: ForecastSplits) -> Cost:
        return architectures.cost(spec, splits)

    def receptive_field(self, spec: ForecastSpec, splits: ForecastSplits) -> ReceptiveField:
        return architectures.receptive_field(spec, splits)

    def prepare(self, spec: ForecastSpec, splits: ForecastSplits) -> Spent:
        return self.ridges.spent(splits) if spec.start_from == "ridge" else Spent()

    def build(self, spec: ForecastSpec, splits: ForecastSplits) -> keras.Model:
        return model.build(spec, splits, self.ridges.start(spec.start_from, splits))

    def compile_arguments(self, spec: ForecastSpec, splits: ForecastSplits) -> dict[str, Any]:
        return model.compile_arguments()

    def batches(
        self, splits: ForecastSplits, part: Part, spec: ForecastSpec, *, training: bool
    ) -> tf.data.Dataset:
        seed = self.options.seed if training else None
        return batches.batches(splits, part, spec.train.batch_size, seed)

    def calibrate(
        self, model: keras.Model, splits: ForecastSplits, like: keras.Model | None = None
    ) -> None:
        predict.calibrate(model, splits, like)

    def merge_into_train(self, splits: ForecastSplits, parts: Sequence[Part]) -> ForecastSplits:
        return splits.merge_into_train(parts)

    def predict(self, model: keras.Model, splits: ForecastSplits, part: Part) -> np.ndarray:
        if isinstance(splits, hold_out.HoldOut):
            return hold_out.predict(model, splits)
        return predict.predict(model, splits, part)

    def blend(self, model: keras.Model) -> Blend:
        return predict.blend(model)

    def predict_alone(self, model: keras.Model, splits: ForecastSplits, part: Part) -> np.ndarray:
        return predict.predict_alone(model, splits, part)

    def score(
        self, predictions: np.ndarray, splits: ForecastSplits, part: Part
    ) -> dict[str, float]:
        return evaluate.score(predictions, splits, part, self.options.point)

    def losses(self, predictions: np.ndarray, splits: ForecastSplits, part: Part) -> np.ndarray:
        return evaluate.losses(predictions, splits, part, self.options.point)

    def baselines(self, splits: ForecastSplits) -> Iterator[Baseline]:
        return baselines.baselines(splits, self.ridges)

    def table(self, predictions: np.ndarray, splits: ForecastSplits, part: Part) -> pd.DataFrame:
        return evaluate.table(predictions, splits, part)

    def score_tables(
        self, predictions: np.ndarray, splits: ForecastSplits, part: Part
    ) -> dict[str, pd.DataFrame]:
        return evaluate.score_tables(predictions, splits, part, self.options.point)

    def plots(
        self, predictions: np.ndarray, splits: ForecastSplits, part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        return evaluate.plots(predictions, splits, part, self.options.point)

    def serve(self, model: keras.Model, splits: ForecastSplits) -> ServingModel:
        return serve.serving_model(model, splits)

    def restore_network(self, serving: ServingModel, splits: ForecastSplits) -> keras.Model:
        if isinstance(splits, hold_out.HoldOut):
            return serving.model  # series that it does not know are scaled inside
        return serve.restore_network(serving, splits)

    def served_inputs(self, serving: ServingModel, count: int) -> dict[str, np.ndarray]:
        return hold_out.served_inputs(hold_out.load(self.options, serving.facts), count)

    def portable_inputs(
        self, serving: ServingModel, splits: ForecastSplits, part: Part
    ) -> dict[str, np.ndarray]:
        return serve.served_windows(serving.facts, splits, part)

    @classmethod
    def portable_predictions(cls, answers: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.concatenate([answers["mean"][..., None], answers["quantiles"]], axis=-1)

    @classmethod
    def example(cls, facts: ForecastFacts) -> pd.DataFrame:
        return serve.example(facts)

    @classmethod
    def predict_raw(
        cls,
        serving: ServingModel,
        source: RawInput,
        options: PredictOptions | None = None,
        notes: list[str] | None = None,
    ) -> pd.DataFrame:
        return serve.predict_raw(serving, source, options, notes if notes is not None else [])

    @classmethod
    def predict_many(
        cls, serving: ServingModel, requests: Sequence[RawRequest]
    ) -> list[pd.DataFrame | ApplineError]:
        return serve.predict_many(serving, requests)
