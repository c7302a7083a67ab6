"""Image classification: the methods of the contract, each in the module of its duty."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.options import Objective, PredictOptions
from pipelines.errors import ApplineError
from pipelines.evaluation import class_balance
from pipelines.networks.plan import Cost
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.networks.uneven_classes import weigh_examples
from pipelines.pipeline import (
    Baseline,
    Phase,
    Pipeline,
    RawInput,
    RawRequest,
    RequestForm,
    ServingFacts,
    ServingModel,
)
from pipelines.splits import FITTED_PARTS, Part
from pipelines.timing import Spent, Stopwatch
from pipelines.vision import (
    audit,
    augmentation,
    baselines,
    batches,
    clean,
    data,
    defaults,
    evaluate,
    frozen,
    hold_out,
    model,
    predict,
    serve,
)
from pipelines.vision.architectures import architecture_of, receptive_field
from pipelines.vision.data import VisionSplits
from pipelines.vision.options import VisionOptions
from pipelines.vision.references import BackboneReference
from pipelines.vision.serve import VisionFacts
from pipelines.vision.spec import VisionSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class VisionPipeline(Pipeline[VisionOptions, VisionSpec, VisionSplits]):
    """Images to one class each."""

    # Fitted once, and sent to worker processes with the pipeline.
    regressions: BackboneReference = field(
        default_factory=BackboneReference, repr=False, compare=False
    )

    facts_type: ClassVar[type[ServingFacts]] = VisionFacts

    def headline_metric(self, splits: VisionSplits) -> Objective:
        return class_balance.headline(splits.class_counts(), self.options.metric)

    def objective_for(self, splits: VisionSplits, name: str = "") -> Objective:
        return self.options.objective(name or f"val_{self.headline_metric(splits).name}")

    def load(self) -> VisionSplits:
        splits = data.load(self.options)
        return replace(splits, findings=audit.audit(splits))

    def load_hold_out(self, serving: ServingModel) -> VisionSplits:
        facts = serving.facts
        return hold_out.load_hold_out(self.options, facts, serve.picture_format(facts))

    def write_clean(
        self, splits: VisionSplits, left_out: Mapping[Part, Collection[int]], path: Path
    ) -> None:
        clean.write_clean(splits, left_out, path)

    def fit_defaults(
        self,
        spec: VisionSpec,
        splits: VisionSplits,
        given: Collection[str],
        notes: list[str] | None = None,
    ) -> VisionSpec:
        told = [] if notes is None else notes
        return defaults.fit_defaults(spec, splits, given, self.regressions, told)

    def cost(self, spec: VisionSpec, splits: VisionSplits) -> Cost | None:
        return architecture_of(spec).cost(spec, splits.shape, len(splits.classes))

    def receptive_field(self, spec: VisionSpec, splits: VisionSplits) -> ReceptiveField | None:
        return receptive_field(spec, splits.shape, len(splits.classes))

    def prepare(self, spec: VisionSpec, splits: VisionSplits) -> Spent:
        watch = Stopwatch()
        if frozen.is_frozen(spec):
            for part in FITTED_PARTS:
                frozen.features(splits, part, spec.transfer)
        return watch.spent()

    def build(self, spec: VisionSpec, splits: VisionSplits) -> keras.Model:
        return model.build(spec, splits, tta=self.options.tta)

    def training_model(
        self, model: keras.Model, spec: VisionSpec, splits: VisionSplits
    ) -> keras.Model:
        if frozen.is_frozen(spec):
            return frozen.head_of(model)
        return augmentation.add_augmentation(model, spec.augment, splits, self.options.seed)

    def phases(self, spec: VisionSpec, train: TrainSpec) -> Sequence[Phase]:
        return architecture_of(spec).phases(spec, train)

    def on_phase_start(self, phase: Phase, model: keras.Model, spec: VisionSpec) -> None:
        architecture_of(spec).on_phase_start(phase, model, spec)

    def compile_arguments(self, spec: VisionSpec, splits: VisionSplits) -> dict[str, Any]:
        return model.compile_arguments(spec, len(splits.classes))

    def batches(
        self, splits: VisionSplits, part: Part, spec: VisionSpec, *, training: bool
    ) -> tf.data.Dataset:
        size, seed = spec.train.batch_size, self.options.seed
        if not training:
            return batches.batches(splits, part, size, shuffle_seed=None)
        shuffled = batches.batches(splits, part, size, shuffle_seed=seed)
        if spec.augment.mixup:
            shuffled = augmentation.mix_up(shuffled, spec.augment.mixup, seed)
        return _weighted(shuffled, splits, spec)

    def training_batches(
        self, splits: VisionSplits, part: Part, spec: VisionSpec
    ) -> tf.data.Dataset:
        if frozen.is_frozen(spec):
            if part != "train":
                return frozen.batches(splits, part, spec, shuffle_seed=None)
            shuffled = frozen.batches(splits, part, spec, shuffle_seed=self.options.seed)
            return _weighted(shuffled, splits, spec)
        return super().training_batches(splits, part, spec)

    def merge_into_train(self, splits: VisionSplits, parts: Sequence[Part]) -> VisionSplits:
        return data.merge_into_train(splits, parts)

    def serving_call(self, model: keras.Model, inputs: Any) -> Any:
        return predict.probabilities(model, inputs)

    def predict(self, model: keras.Model, splits: VisionSplits, part: Part) -> np.ndarray:
        return predict.predict(model, splits.images(part).x)

    def score(self, predictions: np.ndarray, splits: VisionSplits, part: Part) -> dict[str, float]:
        return evaluate.score(predictions, splits, part)

    def losses(self, predictions: np.ndarray, splits: VisionSplits, part: Part) -> np.ndarray:
        return evaluate.losses(predictions, splits, part, self.headline_metric(splits).name)

    def strata(self, splits: VisionSplits, part: Part) -> np.ndarray | None:
        if self.headline_metric(splits).name != class_balance.BALANCED_ACCURACY:
            return None
        return splits.images(part).y

    def baselines(self, splits: VisionSplits) -> Iterator[Baseline]:
        metric = self.headline_metric(splits).name
        return baselines.baselines(splits, self.options.seed, metric, self.regressions)

    def table(self, predictions: np.ndarray, splits: VisionSplits, part: Part) -> pd.DataFrame:
        return evaluate.table(predictions, splits, part)

    def plots(
        self, predictions: np.ndarray, splits: VisionSplits, part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        return evaluate.plots(predictions, splits, part)

    def serve(self, model: keras.Model, splits: VisionSplits) -> ServingModel:
        return serve.serving_model(model, splits, self.options.path_column, self.options.resize)

    def restore_network(self, serving: ServingModel, splits: VisionSplits) -> keras.Model:
        return serve.restore_network(serving, splits)

    def served_inputs(self, serving: ServingModel, count: int) -> dict[str, np.ndarray]:
        return {"image": self.load_hold_out(serving).test.x[:count].astype("float32")}

    def portable_inputs(
        self, serving: ServingModel, splits: VisionSplits, part: Part
    ) -> dict[str, np.ndarray]:
        return {"image": splits.images(part).x.astype("float32")}

    @classmethod
    def portable_predictions(cls, answers: Mapping[str, np.ndarray]) -> np.ndarray:
        return answers["probabilities"]

    @classmethod
    def portable_model(cls, serving: ServingModel) -> keras.Model:
        return serve.portable_model(serving)

    @classmethod
    def example(cls, facts: VisionFacts) -> pd.DataFrame:
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

    @classmethod
    def request_form(cls, facts: VisionFacts) -> RequestForm:
        return serve.request_form(facts)


def _weighted(batches: tf.data.Dataset, splits: VisionSplits, spec: VisionSpec) -> tf.data.Dataset:
    """Return training batches with the weight of each image, where classes are weighted."""
    if spec.train.class_weight != "auto":
        return batches
    return weigh_examples(batches, class_balance.class_weights(splits.class_counts()))
