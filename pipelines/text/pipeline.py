"""Text classification: the contract kept."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipelines.blend import Blend
from pipelines.config.options import Objective, PredictOptions
from pipelines.errors import ApplineError
from pipelines.evaluation import class_balance
from pipelines.networks.plan import Cost
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.networks.uneven_classes import weigh_examples
from pipelines.pipeline import (
    Baseline,
    FrozenPart,
    Pipeline,
    RawInput,
    RawRequest,
    RequestForm,
    ServingFacts,
    ServingModel,
)
from pipelines.splits import FITTED_PARTS, Part
from pipelines.text import (
    architectures,
    audit,
    baselines,
    batches,
    clean,
    data,
    defaults,
    evaluate,
    hold_out,
    model,
    predict,
    rates,
    serve,
)
from pipelines.text.data import TextSplits
from pipelines.text.encoded import encoder_settings
from pipelines.text.options import TextOptions
from pipelines.text.references import References
from pipelines.text.serve import TextFacts
from pipelines.text.spec import TextSpec
from pipelines.timing import Spent, Stopwatch

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TextPipeline(Pipeline[TextOptions, TextSpec, TextSplits]):
    """Texts to one class each, or to several."""

    # Fitted once, and sent to worker processes with the pipeline.
    references: References = field(default_factory=References, repr=False, compare=False)

    facts_type: ClassVar[type[ServingFacts]] = TextFacts

    def headline_metric(self, splits: TextSplits) -> Objective:
        return evaluate.headline(splits, self.options.metric)

    def objective_for(self, splits: TextSplits, name: str = "") -> Objective:
        objective = self.options.objective(name or f"val_{self.headline_metric(splits).name}")
        if objective.name == "val_balanced_accuracy":
            # Refuses it where texts have several classes.
            evaluate.headline(splits, "balanced_accuracy")
        return objective

    def load(self) -> TextSplits:
        splits = data.load(self.options)
        return replace(splits, findings=audit.audit(splits))

    def load_hold_out(self, serving: ServingModel) -> TextSplits:
        return hold_out.load(self.options, serving)

    def write_clean(
        self, splits: TextSplits, left_out: Mapping[Part, Collection[int]], path: Path
    ) -> None:
        clean.write_clean(splits, left_out, path)

    def fit_defaults(
        self,
        spec: TextSpec,
        splits: TextSplits,
        given: Collection[str],
        notes: list[str] | None = None,
    ) -> TextSpec:
        told = [] if notes is None else notes
        return defaults.fit_defaults(spec, splits, given, self.references, told)

    def cost(self, spec: TextSpec, splits: TextSplits) -> Cost:
        return model.cost(spec, splits)

    def frozen_part(self, spec: TextSpec, splits: TextSplits) -> FrozenPart | None:
        settings = encoder_settings(spec)
        if settings is None or architectures.num_tuned(spec):
            return None
        return FrozenPart(
            cost=architectures.encoder_cost(spec, splits),
            latencies=partial(self.references.encoded.latencies, splits, settings),
        )

    def receptive_field(self, spec: TextSpec, splits: TextSplits) -> ReceptiveField | None:
        return architectures.receptive_field(spec, splits)

    def prepare(self, spec: TextSpec, splits: TextSplits) -> Spent:
        start = Spent()
        if model.starts_from_baseline(spec):
            start = self.references.tfidf.spent(splits)
        watch = Stopwatch()
        for part in FITTED_PARTS:
            batches.training_inputs(splits, part, spec, self.references)
        return start + watch.spent()

    def build(self, spec: TextSpec, splits: TextSplits) -> keras.Model:
        return model.build(spec, splits)

    def compile_arguments(self, spec: TextSpec, splits: TextSplits) -> dict[str, Any]:
        return model.compile_arguments(spec, len(splits.classes), multi_label=not splits.exclusive)

    def learning_rates(self, network: keras.Model, spec: TextSpec) -> Mapping[str, float]:
        return rates.learning_rates(network, spec)

    def batches(
        self, splits: TextSplits, part: Part, spec: TextSpec, *, training: bool
    ) -> tf.data.Dataset:
        shuffle_seed = self.options.seed if training else None
        made = batches.batches(splits, part, spec, self.references, shuffle_seed)
        if training and spec.train.class_weight == "auto":
            return weigh_examples(made, class_balance.class_weights(splits.class_counts()))
        return made

    def calibrate(
        self, model: keras.Model, splits: TextSplits, like: keras.Model | None = None
    ) -> None:
        predict.calibrate(model, splits, self.references, like)

    def merge_into_train(self, splits: TextSplits, parts: Sequence[Part]) -> TextSplits:
        return data.merge_into_train(splits, parts)

    def predict(self, model: keras.Model, splits: TextSplits, part: Part) -> np.ndarray:
        return predict.predict(model, splits, part, self.references)

    def blend(self, model: keras.Model) -> Blend:
        return predict.blend(model)

    def predict_alone(self, model: keras.Model, splits: TextSplits, part: Part) -> np.ndarray:
        return predict.predict_alone(model, splits, part, self.references)

    def score(self, predictions: np.ndarray, splits: TextSplits, part: Part) -> dict[str, float]:
        return evaluate.score(predictions, splits, part)

    def losses(self, predictions: np.ndarray, splits: TextSplits, part: Part) -> np.ndarray:
        return evaluate.losses(predictions, splits, part, self.headline_metric(splits).name)

    def strata(self, splits: TextSplits, part: Part) -> np.ndarray | None:
        if self.headline_metric(splits).name != class_balance.BALANCED_ACCURACY:
            return None
        return splits.labels(part)

    def baselines(self, splits: TextSplits) -> Iterator[Baseline]:
        return baselines.baselines(splits, self.references)

    def table(self, predictions: np.ndarray, splits: TextSplits, part: Part) -> pd.DataFrame:
        return evaluate.table(predictions, splits, part)

    def mistakes(self, predictions: np.ndarray, splits: TextSplits, part: Part) -> pd.DataFrame:
        return evaluate.mistakes(predictions, splits, part)

    def plots(
        self, predictions: np.ndarray, splits: TextSplits, part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        return evaluate.plots(predictions, splits, part)

    def serve(self, model: keras.Model, splits: TextSplits) -> ServingModel:
        return serve.serving_model(model, splits, self.references)

    def restore_network(self, serving: ServingModel, splits: TextSplits) -> keras.Model:
        return serve.restore_network(serving, splits)

    def served_inputs(self, serving: ServingModel, count: int) -> dict[str, np.ndarray]:
        return {"text": self.load_hold_out(serving).texts("test")[:count]}

    @classmethod
    def example(cls, facts: TextFacts) -> pd.DataFrame:
        return serve.example(facts)

    @classmethod
    def predict_raw(
        cls,
        serving: ServingModel,
        source: RawInput,
        options: PredictOptions | None = None,
        notes: list[str] | None = None,
    ) -> pd.DataFrame:
        return serve.predict_raw(serving, source, options, [] if notes is None else notes)

    @classmethod
    def predict_many(
        cls, serving: ServingModel, requests: Sequence[RawRequest]
    ) -> list[pd.DataFrame | ApplineError]:
        return serve.predict_many(serving, requests)

    @classmethod
    def request_form(cls, facts: TextFacts) -> RequestForm:
        return serve.request_form(facts)
