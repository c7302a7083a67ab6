"""The contract between a domain and the rest: what a pipeline can do with a domain's data.

`tuning` trains, searches and tracks any `Pipeline` through these methods alone; a new domain is a
subclass of it.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from pipelines.blend import ALONE, Blend
from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.options import Objective, Options, PredictOptions
from pipelines.config.search_space import Dimension, Scalar
from pipelines.errors import ApplineError, UsageError
from pipelines.networks.plan import Cost
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.splits import Part, Splits
from pipelines.timing import Spent

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A simple model to compare with: its cost, and its predictions in the form of a network's.

    `spent` is what fitting and predicting took. `answer` answers so many examples of val, from what
    networks are given too, for its time to be taken; None where that says nothing.
    """

    name: str
    predictions: Mapping[Part, "np.ndarray"]
    spent: Spent = Spent()
    answer: Callable[[int], object] | None = None
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FrozenPart:
    """What stands before a network when it is served, and is not in it: a frozen encoder.

    A network that is fitted to the encoder's vectors costs its user the encoder too. `latencies`
    takes the times of its answers, by the names of `pipelines.timing.latencies`.
    """

    cost: Cost
    latencies: Callable[[], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One call of `fit` in a training.

    Most networks have one phase. A pretrained backbone has two: first it is frozen, then it is
    fine-tuned.
    """

    name: str
    epochs: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ServingFacts:
    """What a served model must know besides its network, kept as JSON in the model's file.

    A domain's subclass declares its facts as typed fields; they are checked when a file is read.
    """

    domain: str


@dataclass(frozen=True, kw_only=True)
class ServingModel:
    """A model for its user: raw input in, answers out.

    `notes` are sentences about what was done to the network after its fit.
    """

    model: "keras.Model"
    facts: Any  # the domain's subclass of ServingFacts
    notes: tuple[str, ...] = ()


RawInput: TypeAlias = "str | Path | pd.DataFrame | np.ndarray"


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """One of several inputs that are answered together.

    `options` are of the domain's `predict_type`; sentences on what was left out, guessed or filled
    are appended to `notes`. Where it `is_remote`, its texts name no files of this machine.
    """

    source: RawInput
    options: PredictOptions | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    is_remote: bool = False


@dataclass(frozen=True, kw_only=True)
class RequestForm:
    """What a person fills in to ask a served model by hand.

    `field` is the column that a picture or a text goes into; a table is given whole.
    """

    kind: Literal["image", "text", "table"]
    field: str
    label: str


OptionsT = TypeVar("OptionsT", bound=Options)
SpecT = TypeVar("SpecT")
SplitsT = TypeVar("SplitsT", bound=Splits)


@dataclass(frozen=True)
class Pipeline(ABC, Generic[OptionsT, SpecT, SplitsT]):
    """One domain, with the options that a person has set."""

    options: OptionsT

    facts_type: ClassVar[type[ServingFacts]]

    @property
    def domain(self) -> str:
        """The domain's name on the command line."""
        return self.options.domain

    def objective_for(self, splits: SplitsT, name: str = "") -> Objective:
        """Return the objective called `name`, or the default one for this data."""
        return self.options.objective(name)

    def headline_metric(self, splits: SplitsT) -> Objective:
        """Return the metric of `score` by which the network and its baselines are compared.

        The mean of `losses` is this metric where less is better, and 1 minus it where more is
        better.
        """
        return self.options.headline

    @abstractmethod
    def load(self) -> SplitsT:
        """Read the data, split it, and audit the division: `findings` are what it has found.

        Raises:
            DataError: the data cannot be used.
        """

    def load_hold_out(self, serving: ServingModel) -> SplitsT:
        """Read the data whole, as the test part of splits in the terms of a trained model.

        Classes, units, vocabulary and items are the model's, nothing is fitted to this data, and
        train and val are empty or what the model knows already. What the model cannot be asked
        about, such as classes that it does not know, is left out and counted in the notes.

        Raises:
            DataError: the data cannot be used, or nothing of it is within what the model knows.
        """
        raise UsageError(f"a {self.domain} model is scored on the data of its run alone")

    def write_clean(
        self, splits: SplitsT, left_out: Mapping[Part, Collection[int]], path: Path
    ) -> None:
        """Write a copy of the data, without the examples at the positions `left_out`, to `path`.

        The copy says which part each example is in. Nothing is at `path` yet.

        Raises:
            UsageError: this data is not written, or not in this form; the message says what helps.
        """
        raise UsageError(
            f"--fix: copies of {self.domain} data are not written. What helps is said with each "
            "finding: check"
        )

    def fit_defaults(
        self, spec: SpecT, splits: SplitsT, given: Collection[str], notes: list[str] | None = None
    ) -> SpecT:
        """Return `spec` with what nobody has set decided by the data.

        `architecture=auto` becomes the name of one, and defaults are made smaller where this data
        allows no network of their size. Hyperparameters in `given` were set by a person and stay as
        they are. Sentences on what was decided, why and at what cost, are appended to `notes`.
        """
        return spec

    def fit_search(
        self, dimensions: Mapping[str, Dimension], splits: SplitsT
    ) -> Mapping[str, Dimension]:
        """Return what is searched, without values that no network of this data can have.

        What a person asked to search stays as it is: only the domain's own dimensions change.
        """
        return dimensions

    @abstractmethod
    def cost(self, spec: SpecT, splits: SplitsT) -> Cost | None:
        """Return what the network of `spec` costs by arithmetic, None where arithmetic cannot tell.

        Raises:
            ImpossibleSpec: no network can have this spec.
        """

    def frozen_part(self, spec: SpecT, splits: SplitsT) -> FrozenPart | None:
        """Return what is served before the network and not counted in `cost`; None for nothing."""
        return None

    def receptive_field(self, spec: SpecT, splits: SplitsT) -> ReceptiveField | None:
        """Return how much of an example one feature of the network sees; None: it is not known.

        Raises:
            ImpossibleSpec: no network can have this spec.
        """
        return None

    def prepare(self, spec: SpecT, splits: SplitsT) -> Spent:
        """Compute what the network of `spec` starts from or reads, and return what that took.

        Where a baseline or an earlier fit has computed it, it is not computed again. It is sent to
        the workers of a sweep with the pipeline, or kept on disk.
        """
        return Spent()

    def check(self, spec: SpecT, splits: SplitsT) -> None:
        """Raise `ImpossibleSpec` when no network can have this spec."""
        self.cost(spec, splits)

    @abstractmethod
    def build(self, spec: SpecT, splits: SplitsT) -> "keras.Model":
        """Return the network: functional, not compiled.

        It is fitted inside `training_model`, and later served.
        """

    def serving_call(self, model: "keras.Model", inputs: Any) -> Any:
        """Return what `model` answers to a batch of inputs when it is served.

        The latency is the time of this call.
        """
        return model(inputs, training=False)

    def training_batches(self, splits: SplitsT, part: Part, spec: SpecT) -> "tf.data.Dataset":
        """Return what `training_model` is fitted to (train) and watched on (val): `batches`."""
        return self.batches(splits, part, spec, training=part == "train")

    def training_model(self, model: "keras.Model", spec: SpecT, splits: SplitsT) -> "keras.Model":
        """Return the model to fit: `model` inside what only training sees, such as augmentation."""
        return model

    def phases(self, spec: SpecT, train: TrainSpec) -> Sequence[Phase]:
        """Return the phases of a training, in order."""
        return (Phase(name="fit", epochs=train.epochs, learning_rate=train.learning_rate),)

    def on_phase_start(self, phase: Phase, model: "keras.Model", spec: SpecT) -> None:
        """Prepare `model` for `phase`: freeze or unfreeze layers."""

    def learning_rates(self, network: "keras.Model", spec: SpecT) -> Mapping[str, float]:
        """Return peak learning rates, by `path`, of variables that do not have `train`'s.

        Those of pretrained layers are lower. Such variables have no weight decay: it would draw
        them away from what they know.
        """
        return {}

    @abstractmethod
    def compile_arguments(self, spec: SpecT, splits: SplitsT) -> dict[str, Any]:
        """Return `loss` and `metrics` for `keras.Model.compile`; the optimizer is `TrainSpec`'s."""

    @abstractmethod
    def batches(
        self, splits: SplitsT, part: Part, spec: SpecT, *, training: bool
    ) -> "tf.data.Dataset":
        """Return batches of `(inputs, targets)`.

        With `training` they are shuffled anew each epoch, by the seed in the options.
        """

    def calibrate(
        self, model: "keras.Model", splits: SplitsT, like: "keras.Model | None" = None
    ) -> None:
        """Choose on val what no gradient learns, such as blend weights, and keep it inside `model`.

        With `like`, a network of the same spec, take over the choice of that network: `model` may
        have been trained on val too.
        """

    def merge_into_train(self, splits: SplitsT, parts: Sequence[Part]) -> SplitsT:
        """Return splits whose train holds `parts` too, behind its own examples, in their order.

        Classes, tokens, units and items keep their numbers, and the digest stays: what was fitted
        to the splits before is fitted to nothing more.

        Raises:
            UsageError: networks of this domain are fitted to train alone.
        """
        raise UsageError(
            f"a {self.domain} network is fitted to train alone. Expected: train.refit=false, and "
            "no --final-fit"
        )

    @abstractmethod
    def predict(self, model: "keras.Model", splits: SplitsT, part: Part) -> "np.ndarray":
        """Return the network's predictions for `part` as `score` takes them, one row an example."""

    def blend(self, model: "keras.Model") -> Blend:
        """Return what a calibrated model's predictions are made of: the network, unless said."""
        return ALONE

    def predict_alone(self, model: "keras.Model", splits: SplitsT, part: Part) -> "np.ndarray":
        """Return what `predict` would, by the network without what it is blended with."""
        return self.predict(model, splits, part)

    @abstractmethod
    def score(self, predictions: "np.ndarray", splits: SplitsT, part: Part) -> dict[str, float]:
        """Return the metrics of `predictions`, of the network or of a baseline."""

    @abstractmethod
    def losses(self, predictions: "np.ndarray", splits: SplitsT, part: Part) -> "np.ndarray":
        """Return a loss for each independent unit of `part`; lower is better.

        Error bars are computed from these losses.
        """

    def strata(self, splits: SplitsT, part: Part) -> "np.ndarray | None":
        """Return the number of the stratum of each unit of `losses` `(n,)`; None without strata.

        There are some where the headline metric is a mean over them and not over units, as balanced
        accuracy is over classes: error bars hold their sizes.
        """
        return None

    @abstractmethod
    def baselines(self, splits: SplitsT) -> Iterator[Baseline]:
        """Yield the baselines, fitted on train; settings of their own are chosen on val."""

    def baselines_read(self) -> Mapping[str, str]:
        """Return digests of the files that baselines read beside the data, by option."""
        return {}

    @abstractmethod
    def table(self, predictions: "np.ndarray", splits: SplitsT, part: Part) -> "pd.DataFrame":
        """Return predictions beside the truth, as a table for people."""

    def score_tables(
        self, predictions: "np.ndarray", splits: SplitsT, part: Part
    ) -> Mapping[str, "pd.DataFrame"]:
        """Return the scores of parts of the part by what divides it, such as `by_series`."""
        return {}

    def mistakes(
        self, predictions: "np.ndarray", splits: SplitsT, part: Part
    ) -> "pd.DataFrame | None":
        """Return the worst mistakes with their inputs, the worst first; None where figures do.

        It is a table for people: at most `MOST_MISTAKES` rows, with short texts.
        """
        return None

    @abstractmethod
    def plots(
        self, predictions: "np.ndarray", splits: SplitsT, part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        """Yield named figures that show what the model does and where it errs."""

    @abstractmethod
    def serve(self, model: "keras.Model", splits: SplitsT) -> ServingModel:
        """Return the model that takes what a user has and gives an answer with labels."""

    @abstractmethod
    def restore_network(self, serving: ServingModel, splits: SplitsT) -> "keras.Model":
        """Return the network inside a served model, for `predict` with `splits`.

        Where the model must answer with its own vocabulary and its own baselines, this is the whole
        model.

        Raises:
            DataError: these splits do not fit the network: other classes, another size.
        """

    @abstractmethod
    def served_inputs(self, serving: ServingModel, count: int) -> "dict[str, np.ndarray]":
        """Return what a served model takes, by name: the first examples of this data.

        Raises:
            DataError: the data cannot be used, or nothing of it is within what the model knows.
        """

    @classmethod
    def portable_model(cls, serving: ServingModel) -> "keras.Model":
        """Return what of a served model takes and gives numbers alone, with its own names of both.

        Formats that hold no texts are made from it.
        """
        return serving.model

    def portable_inputs(
        self, serving: ServingModel, splits: SplitsT, part: Part
    ) -> "dict[str, np.ndarray]":
        """Return what the portable model takes for the examples of a part, by name.

        Raises:
            UsageError: networks of this domain are not quantized.
        """
        raise UsageError(
            f"--quantize: {self.domain} networks are not quantized. Expected: no --quantize"
        )

    @classmethod
    def portable_predictions(cls, answers: "Mapping[str, np.ndarray]") -> "np.ndarray":
        """Return what the portable model has answered as `score` takes it."""
        raise NotImplementedError

    @classmethod
    @abstractmethod
    def example(cls, facts: Any) -> "pd.DataFrame":
        """Return a made-up input in the form that a model with these facts takes.

        `predict_raw` answers it, and so does a server that it is sent to as JSON.
        """

    @classmethod
    @abstractmethod
    def predict_raw(
        cls,
        serving: ServingModel,
        source: RawInput,
        options: PredictOptions | None = None,
        notes: list[str] | None = None,
    ) -> "pd.DataFrame":
        """Return answers as a table for raw input: a file, a folder, an array or a table.

        There is a row for each input, in order; a table that was given keeps all its columns.
        `options` is of the domain's `predict_type`. Sentences on what was left out, guessed or
        filled are appended to `notes`.

        Raises:
            DataError: the input cannot be read; the message names the file and the row.
        """

    @classmethod
    def predict_many(
        cls, serving: ServingModel, requests: Sequence[RawRequest]
    ) -> "list[pd.DataFrame | ApplineError]":
        """Return what `predict_raw` returns or raises for each request.

        A domain whose network answers several at once faster than one after another does so.
        """
        answers: list[pd.DataFrame | ApplineError] = []
        for request in requests:
            try:
                answers.append(
                    cls.predict_raw(serving, request.source, request.options, request.notes)
                )
            except ApplineError as error:
                answers.append(error)
        return answers

    @classmethod
    def request_form(cls, facts: Any) -> RequestForm:
        """Return what a person fills in to ask a model with these facts by hand."""
        return RequestForm(kind="table", field="", label="A table")


AnyPipeline: TypeAlias = Pipeline[Any, Any, Any]
