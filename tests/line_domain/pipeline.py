"""The contract of the line domain, in one file because there is so little of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from pipelines.errors import DataError, ImpossibleSpec
from pipelines.networks.layers import Dense
from pipelines.networks.plan import Cost, measure
from pipelines.pipeline import Baseline, Pipeline, ServingFacts, ServingModel
from pipelines.splits import PARTS, Part, Splits
from tests.line_domain.options import LineOptions
from tests.line_domain.spec import LineSpec

POINTS = 32


@dataclass(frozen=True, kw_only=True)
class LineSplits(Splits):
    x: Mapping[Part, np.ndarray]
    y: Mapping[Part, np.ndarray]

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.x[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        return {"points": str(sum(self.sizes().values()))}


@dataclass(frozen=True)
class LinePipeline(Pipeline[LineOptions, LineSpec, LineSplits]):
    """Points on a noisy line."""

    facts_type: ClassVar[type[ServingFacts]] = ServingFacts

    def load(self) -> LineSplits:
        if self.options.data != "line":
            raise DataError(f"--data {self.options.data}: no such data set")
        seed = self.options.seed
        rng = np.random.default_rng(seed)
        x: dict[Part, np.ndarray] = {}
        for part in PARTS:
            x[part] = rng.normal(size=(POINTS, 1)).astype("float32")
        y: dict[Part, np.ndarray] = {}
        for part in PARTS:
            noise = rng.normal(scale=0.1, size=(POINTS, 1))
            y[part] = (2 * x[part] + noise).astype("float32")
        return LineSplits(dataset="line", digest=f"line-{seed}", x=x, y=y)

    def cost(self, spec: LineSpec, splits: LineSplits) -> Cost:
        if spec.units == 13:
            raise ImpossibleSpec("13 units bring bad luck")
        return measure((Dense(units=spec.units), Dense(units=1)), (1,))

    def build(self, spec: LineSpec, splits: LineSplits) -> keras.Model:
        if spec.mode == "raises":
            raise RuntimeError("this network cannot be built")
        inputs = keras.Input((1,), name="x")
        x = keras.layers.Dense(spec.units, activation="relu", name="block1_dense")(inputs)
        x = keras.layers.Dense(1, name="head_dense")(x)
        scale = float("nan") if spec.mode == "diverges" else 1.0
        return keras.Model(inputs, keras.layers.Rescaling(scale)(x), name="network")

    def compile_arguments(self, spec: LineSpec, splits: LineSplits) -> dict[str, Any]:
        return {"loss": "mse", "metrics": [keras.metrics.MeanAbsoluteError(name="mae")]}

    def batches(
        self, splits: LineSplits, part: Part, spec: LineSpec, *, training: bool
    ) -> tf.data.Dataset:
        rows = tf.data.Dataset.from_tensor_slices((splits.x[part], splits.y[part]))
        if training:
            rows = rows.shuffle(POINTS, seed=self.options.seed)
        return rows.batch(spec.train.batch_size)

    def predict(self, model: keras.Model, splits: LineSplits, part: Part) -> np.ndarray:
        return np.asarray(model(splits.x[part]))

    def score(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> dict[str, float]:
        return {"mse": float(self.losses(predictions, splits, part).mean())}

    def losses(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> np.ndarray:
        return np.asarray(((predictions - splits.y[part]) ** 2)[:, 0])

    def baselines(self, splits: LineSplits) -> Iterator[Baseline]:
        mean = splits.y["train"].mean()
        predictions = {part: np.full((POINTS, 1), mean) for part in PARTS}
        yield Baseline(
            name="mean", predictions=predictions, answer=lambda count: np.full((count, 1), mean)
        )

    def table(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> pd.DataFrame:
        return pd.DataFrame({"y": splits.y[part][:, 0], "prediction": predictions[:, 0]})

    def plots(
        self, predictions: np.ndarray, splits: LineSplits, part: Part
    ) -> Iterator[tuple[str, Any]]:
        yield from ()

    def serve(self, model: keras.Model, splits: LineSplits) -> ServingModel:
        inputs = keras.Input((1,), name="x")
        served = keras.Model(inputs, model(inputs), name="served")
        return ServingModel(model=served, facts=ServingFacts(domain="line"))

    def restore_network(self, serving: ServingModel, splits: LineSplits) -> keras.Model:
        return serving.model.get_layer("network")

    def served_inputs(self, serving: ServingModel, count: int) -> dict[str, np.ndarray]:
        return {"x": self.load().x["test"][:count]}

    @classmethod
    def example(cls, facts: ServingFacts) -> pd.DataFrame:
        return pd.DataFrame({"x": [1.0]})

    @classmethod
    def predict_raw(
        cls, serving: ServingModel, source: Any, options: Any = None, notes: Any = None
    ) -> pd.DataFrame:
        if isinstance(source, str | Path):
            source = np.loadtxt(source, ndmin=2)
        x = np.asarray(source, "float32").reshape(-1, 1)
        return pd.DataFrame({"y": np.asarray(serving.model(x))[:, 0]})
