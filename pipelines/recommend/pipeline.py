"""Recommendation: the contract kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipelines.blend import Blend
from pipelines.config.options import Objective, PredictOptions
from pipelines.errors import ApplineError, UsageError
from pipelines.networks.plan import Cost
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.pipeline import (
    Baseline,
    Pipeline,
    RawInput,
    RawRequest,
    RequestForm,
    ServingFacts,
    ServingModel,
)
from pipelines.pretrained import weights
from pipelines.recommend import (
    audit,
    baselines,
    batches,
    data,
    evaluate,
    hold_out,
    item_vectors,
    model,
    next_item,
    predict,
    serve,
)
from pipelines.recommend.architectures import architecture_of, receptive_field
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.options import ITEM_TEXTS, RecommendOptions
from pipelines.recommend.spec import RecommendSpec
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RecommendPipeline(Pipeline[RecommendOptions, RecommendSpec, RecommendSplits]):
    """Interactions to the next items, or to ratings."""

    facts_type: ClassVar[type[ServingFacts]] = RecommendFacts

    def headline_metric(self, splits: RecommendSplits) -> Objective:
        return self.options.task_headlines[splits.task]

    def objective_for(self, splits: RecommendSplits, name: str = "") -> Objective:
        objectives = self.options.task_objectives[splits.task]
        if not name:
            return objectives[0]
        for objective in objectives:
            if objective.name == name:
                return objective
        names = ", ".join(objective.name for objective in objectives)
        raise UsageError(
            f"--objective {name}: the task is to {splits.task}, whose objectives are {names}. "
            "Choose one of them, or another --task"
        )

    def load(self) -> RecommendSplits:
        splits = data.load(self.options)
        return replace(splits, findings=audit.audit(splits))

    def load_hold_out(self, serving: ServingModel) -> RecommendSplits:
        return hold_out.load_hold_out(self.options, serving)

    def cost(self, spec: RecommendSpec, splits: RecommendSplits) -> Cost:
        return architecture_of(spec).cost(spec, splits)

    def receptive_field(
        self, spec: RecommendSpec, splits: RecommendSplits
    ) -> ReceptiveField | None:
        return receptive_field(spec, splits)

    def build(self, spec: RecommendSpec, splits: RecommendSplits) -> keras.Model:
        return model.build(spec, splits)

    def training_model(
        self, model: keras.Model, spec: RecommendSpec, splits: RecommendSplits
    ) -> keras.Model:
        return next_item.NextItem(model, spec, splits) if splits.task == "rank" else model

    def compile_arguments(self, spec: RecommendSpec, splits: RecommendSplits) -> dict[str, Any]:
        return model.compile_arguments(splits)

    def batches(
        self, splits: RecommendSplits, part: Part, spec: RecommendSpec, *, training: bool
    ) -> tf.data.Dataset:
        return batches.batches(splits, part, spec, self.options.seed if training else None)

    def calibrate(
        self, model: keras.Model, splits: RecommendSplits, like: keras.Model | None = None
    ) -> None:
        predict.calibrate(model, splits, like)

    def merge_into_train(self, splits: RecommendSplits, parts: Sequence[Part]) -> RecommendSplits:
        return splits.merge_into_train(parts)

    def predict(self, model: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
        if splits.method == "hold-out":
            return hold_out.predict_served(model, splits, part)
        return predict.predict(model, splits, part)

    def blend(self, model: keras.Model) -> Blend:
        return predict.parts(predict.stacking_weights(model))

    def predict_alone(self, model: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
        return predict.predict_alone(model, splits, part)

    def score(
        self, predictions: np.ndarray, splits: RecommendSplits, part: Part
    ) -> dict[str, float]:
        return evaluate.score(predictions, splits, part)

    def losses(self, predictions: np.ndarray, splits: RecommendSplits, part: Part) -> np.ndarray:
        return evaluate.losses(predictions, splits, part)

    def baselines(self, splits: RecommendSplits) -> Iterator[Baseline]:
        return baselines.baselines(splits)

    def baselines_read(self) -> Mapping[str, str]:
        if not self.options.item_texts:
            return {}
        folder = weights.find(self.options.item_texts, ITEM_TEXTS, "encoder")
        return {"item_texts": weights.digest(folder)}

    def table(self, predictions: np.ndarray, splits: RecommendSplits, part: Part) -> pd.DataFrame:
        return evaluate.table(predictions, splits, part)

    def mistakes(
        self, predictions: np.ndarray, splits: RecommendSplits, part: Part
    ) -> pd.DataFrame:
        return evaluate.mistakes(predictions, splits, part)

    def plots(
        self, predictions: np.ndarray, splits: RecommendSplits, part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        return evaluate.plots(predictions, splits, part)

    def serve(self, model: keras.Model, splits: RecommendSplits) -> ServingModel:
        return serve.serving_model(
            model, splits, self.options.user_column, self.options.item_column
        )

    def restore_network(self, serving: ServingModel, splits: RecommendSplits) -> keras.Model:
        return serve.restore_network(serving, splits)

    def served_inputs(self, serving: ServingModel, count: int) -> dict[str, np.ndarray]:
        return serve.served_inputs(serving.facts, count)

    @classmethod
    def example(cls, facts: RecommendFacts) -> pd.DataFrame:
        return serve.example(facts)

    @classmethod
    def predict_raw(
        cls,
        serving: ServingModel,
        source: RawInput,
        options: PredictOptions | None = None,
        notes: list[str] | None = None,
    ) -> pd.DataFrame:
        return serve.predict_raw(serving, source, options, notes)

    @classmethod
    def predict_many(
        cls, serving: ServingModel, requests: Sequence[RawRequest]
    ) -> list[pd.DataFrame | ApplineError]:
        return serve.predict_many(serving, requests)

    @classmethod
    def request_form(cls, facts: RecommendFacts) -> RequestForm:
        return serve.request_form(facts)

    @classmethod
    def similar(
        cls,
        serving: ServingModel,
        source: RawInput,
        options: PredictOptions | None = None,
        notes: list[str] | None = None,
    ) -> pd.DataFrame:
        """Return the items that are most like others; see `options.questions`."""
        return item_vectors.similar(serving, source, options, notes)
