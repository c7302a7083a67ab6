"""The contract between a domain and the rest: what a pipeline can do, and what its data tells.

`tuning` trains, searches and tracks any `Pipeline` by these methods alone; a new domain is a subclass of it.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.search_space import Dimension, Scalar, Space
from pipelines.errors import UsageError, suggest

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure

    from pipelines.networks.plan import Cost

Part: TypeAlias = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
Direction: TypeAlias = Literal["max", "min"]


def option(default: Any, help: str, **more: Any) -> Any:
    """Declare one option of a pipeline: its default and the sentence that `--help` shows for it."""
    return dataclasses.field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search makes better: a metric of Keras' history and the direction in which it is better."""

    name: str
    direction: Direction

    def better(self, score: float, than: float) -> bool:
        return score > than if self.direction == "max" else score < than


@dataclass(frozen=True, kw_only=True)
class Splits(ABC):
    """Data divided before anything was fitted to it, with the facts that a model must know.

    `digest` tells these very splits from all others. `notes` are sentences about the data that its user should read.
    """

    dataset: str
    digest: str
    notes: tuple[str, ...] = ()

    @abstractmethod
    def sizes(self) -> dict[Part, int]:
        """Return how many examples each part holds."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what a person wants to know of the data before training: counts, shapes, classes, dates."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simple baseline: its predictions in the form that the network's have, and what it cost."""

    name: str
    predictions: Mapping[Part, "np.ndarray"]
    seconds: float
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One `fit` of a training: most networks have one, a transferred backbone is first frozen and then tuned."""

    name: str
    epochs: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ServingModel:
    """A model for its user: raw input in, answers out. `facts` is plain data (JSON) that answering needs.

    `notes` are sentences on what was made of the network after its fit.
    """

    model: "keras.Model"
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


Sp = TypeVar("Sp", bound=Splits)
Spec = TypeVar("Spec")


@dataclass(frozen=True, kw_only=True)
class Pipeline(ABC, Generic[Spec, Sp]):
    """One domain. The fields are the options that a person may set; each becomes a flag and an MLflow parameter."""

    data: str = option("", "name of a data set (see `datasets`), tfds:NAME, or a path")
    seed: int = option(42, "seed of the splits, the weights and the order of examples")
    limit: int = option(0, "use so many examples at most: a quick look (0: all)")

    domain: ClassVar[str]
    spec_type: ClassVar[type[Any]]
    # What `tune` searches when nothing else is said, and when a key matters at all (see `Space.conditions`).
    search: ClassVar[Mapping[str, Dimension]]
    conditions: ClassVar[Mapping[str, tuple[str, tuple[Scalar, ...]]]] = MappingProxyType({})
    # Points that a search tries early: what is known to be good for one architecture or another.
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = ()
    # Metrics that Keras reports for the validation part while it fits; the first is the default objective.
    objectives: ClassVar[tuple[Objective, ...]]
    # What `headline_metric` returns unless the data decides.
    headline: ClassVar[Objective]
    datasets: ClassVar[Mapping[str, str]]  # names that `--data` knows, with what they are

    def objective(self, name: str = "") -> Objective:
        """Return the objective called `name`, or the default one."""
        known = {objective.name: objective for objective in self.objectives}
        if name and name not in known:
            raise UsageError(f"No objective is called {name!r}.{suggest(name, known)} Known: {', '.join(known)}")
        return known[name] if name else self.objectives[0]

    def objective_for(self, splits: Sp, name: str = "") -> Objective:
        """Return the objective called `name`, or the default one for this data."""
        return self.objective(name)

    def headline_metric(self, splits: Sp) -> Objective:
        """Return the metric of `score` in which model and baselines are compared; `losses` averages to it, or to 1 minus it."""
        return self.headline

    def space(self, base: Spec, dimensions: Mapping[str, Dimension]) -> Space[Spec]:
        """Return the space of `dimensions` around `base`, with this domain's conditions."""
        return Space(base=base, dimensions=dimensions, conditions=self.conditions)

    @abstractmethod
    def load(self) -> Sp:
        """Read the data and split it. Raises `DataError` for data that cannot be used."""

    @abstractmethod
    def cost(self, spec: Spec, splits: Sp) -> "Cost | None":
        """Return what the network of `spec` costs, by arithmetic, without calling Keras; None where that does not reach.

        Raises:
            ImpossibleSpec: no network can have this spec.
        """

    def check(self, spec: Spec, splits: Sp) -> None:
        """Raise `ImpossibleSpec` when no network can have this spec."""
        self.cost(spec, splits)

    @abstractmethod
    def build(self, spec: Spec, splits: Sp) -> "keras.Model":
        """Return the network, functional and not compiled: what is fitted inside `trainable` and later served."""

    def serving_call(self, model: "keras.Model", inputs: Any) -> Any:
        """Return what `model` says to a batch of inputs when it is served: how long that takes is the latency."""
        return model(inputs, training=False)

    def training_model(self, model: "keras.Model", spec: Spec, splits: Sp) -> "keras.Model":
        """Return the model that is fitted: `model` with what only training sees, such as augmentation, around it."""
        return model

    def phases(self, spec: Spec, train: TrainSpec) -> Sequence[Phase]:
        """Return the fits of a training, in order."""
        return (Phase(name="fit", epochs=train.epochs, learning_rate=train.learning_rate),)

    def on_phase_start(self, phase: Phase, model: "keras.Model", spec: Spec) -> None:
        """Prepare `model` for `phase`: freeze or thaw layers."""

    @abstractmethod
    def compile_arguments(self, spec: Spec, splits: Sp) -> dict[str, Any]:
        """Return `loss` and `metrics` for `keras.Model.compile`; the optimizer comes from `TrainSpec`."""

    @abstractmethod
    def batches(self, splits: Sp, part: Part, spec: Spec, *, training: bool) -> "tf.data.Dataset":
        """Return batches of `(inputs, targets)`; with `training`, shuffled anew each epoch by `self.seed`."""

    def calibrate(self, model: "keras.Model", splits: Sp, like: "keras.Model | None" = None) -> None:
        """Choose on val what no gradient learns, such as the weight of a closed form beside `model`, and keep it inside `model`.

        With `like`, a network of the same spec, its choice is taken over: `model` may have learned from val.
        """

    def merge_train_val(self, splits: Sp) -> Sp:
        """Return splits whose train holds val too; everything numbered (classes, tokens, items) keeps its number.

        Raises:
            UsageError: networks of this domain are fitted to train alone.
        """
        raise UsageError(f"train.refit=true: a {self.domain} network is fitted to train alone. Expected: train.refit=false")

    @abstractmethod
    def predict(self, model: "keras.Model", splits: Sp, part: Part) -> "np.ndarray":
        """Return the network's predictions for `part`, one row an example, in the form that `score` takes."""

    @abstractmethod
    def score(self, predictions: "np.ndarray", splits: Sp, part: Part) -> dict[str, float]:
        """Return the metrics of `predictions`, whoever made them."""

    @abstractmethod
    def losses(self, predictions: "np.ndarray", splits: Sp, part: Part) -> "np.ndarray":
        """Return one loss for each independent unit of `part`: what an error bar is computed from. Lower is better."""

    @abstractmethod
    def baselines(self, splits: Sp) -> Iterator[Baseline]:
        """Yield the simple baselines, fitted on train, their own settings chosen on val."""

    @abstractmethod
    def table(self, predictions: "np.ndarray", splits: Sp, part: Part) -> "pd.DataFrame":
        """Return predictions beside the truth, as a table for people."""

    @abstractmethod
    def plots(self, predictions: "np.ndarray", splits: Sp, part: Part) -> Iterator[tuple[str, "Figure"]]:
        """Yield named figures that show what the model does and where it errs."""

    @abstractmethod
    def serve(self, model: "keras.Model", splits: Sp) -> ServingModel:
        """Return the model that takes what a user has and gives an answer with labels."""

    @abstractmethod
    def restore_network(self, served: ServingModel, splits: Sp) -> "keras.Model":
        """Return what `predict` takes with `splits`: the network inside a served model, or the model whole where its own
        tokens and closed forms must answer.

        Raises:
            DataError: these splits do not fit the network: other classes, another size.
        """

    @classmethod
    @abstractmethod
    def predict_raw(cls, served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray") -> "pd.DataFrame":
        """Return answers as a table for raw input: a file, a folder, an array or a table.

        Raises:
            DataError: the input cannot be read; the message names the file and row.
        """


AnyPipeline: TypeAlias = Pipeline[Any, Any]
