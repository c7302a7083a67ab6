"""A fifth domain, rehearsed: a line fitted to points, small enough to be trained in a second.

It is what `docs/add-a-domain.md` builds: one pipeline class, nothing else changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.search_space import Choice, Dimension, hyper, replace
from pipelines.errors import DataError, ImpossibleSpec
from pipelines.networks.plan import Cost, Dense, measure
from pipelines.pipeline import PARTS, Baseline, Objective, Part, Pipeline, ServingModel, Splits, option
from tuning.execution.trial import Outcome, Task, Work


@dataclass(frozen=True, kw_only=True)
class LineSpec:
    units: int = hyper(4, "hidden units; 13 cannot be built")
    mode: Literal["fine", "raises", "diverges"] = hyper("fine", "what building does")
    train: TrainSpec = TrainSpec(epochs=4, batch_size=32, learning_rate=0.05)


@dataclass(frozen=True, kw_only=True)
class LineSplits(Splits):
    x: Mapping[Part, np.ndarray]
    y: Mapping[Part, np.ndarray]

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.x[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        return {"points": str(sum(self.sizes().values()))}


@dataclass(frozen=True, kw_only=True)
class LinePipeline(Pipeline[LineSpec, LineSplits]):
    """Points on a noisy line."""

    data: str = option("line", "the only data there is")

    domain: ClassVar[str] = "line"
    spec_type: ClassVar[type[Any]] = LineSpec
    headline: ClassVar[Objective] = Objective(name="mse", direction="min")
    objectives: ClassVar[tuple[Objective, ...]] = (Objective(name="val_loss", direction="min"), Objective(name="val_mae", direction="min"))
    search: ClassVar[Mapping[str, Dimension]] = {"units": Choice((2, 4, 8)), "train.learning_rate": Choice((0.01, 0.05))}
    datasets: ClassVar[Mapping[str, str]] = {"line": "points on a noisy line"}

    def load(self) -> LineSplits:
        if self.data != "line":
            raise DataError(f"--data {self.data}: no such data set")
        rng = np.random.default_rng(self.seed)
        x = {part: rng.normal(size=(64, 1)).astype("float32") for part in PARTS}
        y = {part: (2 * x[part] + rng.normal(scale=0.1, size=(64, 1))).astype("float32") for part in PARTS}
        return LineSplits(dataset="line", digest=f"line-{self.seed}", x=x, y=y)

    def cost(self, spec: LineSpec, splits: LineSplits) -> Cost:
        if spec.units == 13:
            raise ImpossibleSpec("13 units bring bad luck")
        return measure((Dense(units=spec.units), Dense(units=1)), (1,))

    def build(self, spec: LineSpec, splits: LineSplits) -> Any:
        import keras

        if spec.mode == "raises":
            raise RuntimeError("this network cannot be built")
        inputs = keras.Input((1,), name="x")
        hidden = keras.layers.Dense(spec.units, activation="relu", name="block1_dense")(inputs)
        scale = float("nan") if spec.mode == "diverges" else 1.0
        return keras.Model(inputs, keras.layers.Rescaling(scale)(keras.layers.Dense(1, name="head_dense")(hidden)), name="network")

    def compile_arguments(self, spec: LineSpec, splits: LineSplits) -> dict[str, Any]:
        return {"loss": "mse", "metrics": ["mae"]}

    def batches(self, splits: LineSplits, part: Part, spec: LineSpec, *, training: bool) -> Any:
        import tensorflow as tf

        rows = tf.data.Dataset.from_tensor_slices((splits.x[part], splits.y[part]))
        return (rows.shuffle(64, seed=self.seed) if training else rows).batch(spec.train.batch_size)

    def predict(self, model: Any, splits: LineSplits, part: Part) -> np.ndarray:
        return np.asarray(model(splits.x[part]))

    def score(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> dict[str, float]:
        return {"mse": float(self.losses(predictions, splits, part).mean())}

    def losses(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> np.ndarray:
        return np.asarray(((predictions - splits.y[part]) ** 2)[:, 0])

    def baselines(self, splits: LineSplits) -> Iterator[Baseline]:
        mean = splits.y["train"].mean()
        yield Baseline(name="mean", predictions={part: np.full((64, 1), mean) for part in PARTS}, seconds=0.0)

    def table(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> Any:
        import pandas as pd

        return pd.DataFrame({"y": splits.y[part][:, 0], "prediction": predictions[:, 0]})

    def plots(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> Iterator[tuple[str, Any]]:
        yield from ()

    def serve(self, model: Any, splits: LineSplits) -> ServingModel:
        import keras

        inputs = keras.Input((1,), name="x")
        return ServingModel(model=keras.Model(inputs, model(inputs), name="served"), facts={"domain": "line"})

    def restore_network(self, served: ServingModel, splits: LineSplits) -> Any:
        return served.model.get_layer("network")

    @classmethod
    def predict_raw(cls, served: ServingModel, source: Any) -> Any:
        import pandas as pd

        if isinstance(source, str | Path):
            source = np.loadtxt(source, ndmin=2)
        return pd.DataFrame({"y": np.asarray(served.model(np.asarray(source, "float32").reshape(-1, 1)))[:, 0]})


LINE = LinePipeline()
WORK = Work(pipeline=LINE, splits=LINE.load(), objective=LINE.objective())


def line_task(number: int, mode: str = "fine", epochs: int = 2) -> Task:
    return Task(number=number, spec=replace(LineSpec(), {"mode": mode, "train.epochs": epochs}), seed=number)


@dataclass
class Listener:
    """A brain that hands out what it was given and keeps what it hears; it stops every trial at the epoch `stop_at`."""

    tasks: list[Task]
    stop_at: int = 0
    epochs: list[tuple[int, int]] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def next_task(self) -> Task | None:
        return self.tasks.pop(0) if self.tasks else None

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        self.epochs.append((task.number, epoch))
        return "enough" if epoch == self.stop_at else ""

    def ended(self, task: Task, outcome: Outcome) -> None:
        self.outcomes[task.number] = outcome
