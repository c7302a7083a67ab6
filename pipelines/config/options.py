"""What a person may set for a domain; `--help` reads it, so nothing heavy is imported.

The same holds for the subclasses in the domains' `options.py`.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from annotated_types import Ge, Le

from pipelines.config.search_space import Conditions, Dimension, Scalar, Space
from pipelines.errors import UsageError, suggest

T = TypeVar("T")
Direction: TypeAlias = Literal["max", "min"]
# NumPy's legacy generator and scikit-learn take no larger seed.
Seed: TypeAlias = Annotated[int, Ge(0), Le(2**32 - 1)]
Count: TypeAlias = Annotated[int, Ge(0)]
ClassMetric: TypeAlias = Literal["auto", "accuracy", "balanced_accuracy"]


def option(default: Any, help: str, *, repeatable: bool = False) -> Any:
    """Declare one option: its default and the sentence that `--help` shows for it.

    The values of a `repeatable` option, which is a text, are joined by commas.
    """
    metadata = {"help": help, "repeatable": repeatable}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search improves: the name of a metric, and the direction in which it is better."""

    name: str
    direction: Direction

    def better(self, score: float, than: float) -> bool:
        """Return whether `score` is better than `than`."""
        if self.direction == "max":
            return score > than
        return score < than

    def best(self, candidates: Iterable[T], score: Callable[[T], float]) -> T:
        """Return the candidate with the best score, the first one of equals."""
        if self.direction == "max":
            return max(candidates, key=score)
        return min(candidates, key=score)


@dataclass(frozen=True, kw_only=True)
class DemoSweep:
    """What `appline demo` searches: a sweep that ends within about a minute on two cores.

    On the data set `data`, where it is not the domain's default.
    """

    data: str = ""
    trials: int
    trial_epochs: int
    fixed: Mapping[str, Scalar]
    searched: Mapping[str, Dimension]


# Of `--explain`: the folder of pictures beside the columns. True, as of a request: columns alone.
Explain: TypeAlias = str | bool
DRIFT_HELP = "say in a column `drift` how an input leaves what training has seen"


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What a person may set for `predict`; each is a flag. A domain's subclass adds its own."""

    skip_unreadable: bool = option(
        False, "answer what can be read; the rest gets a row with the reason in the column `error`"
    )

    # The options that a request to a server may set: those that name no files of its machine.
    of_requests: ClassVar[tuple[str, ...]] = ("skip_unreadable",)

    @property
    def needs_input(self) -> bool:
        """Whether `predict` must be given something to answer."""
        return True

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        """Refuse what can be told before the model is read: options that exclude each other, paths.

        Raises:
            UsageError: the message names the options.
        """

    @property
    def picture(self) -> str:
        """The file that `predict` draws its answers into, empty for none."""
        return ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A further command of a domain that asks a trained model, such as `recommend similar`.

    The domain's pipeline has a class method called `name` that takes and returns what `predict_raw`
    does. Where `takes_files` is false, what is typed is passed on as it is.
    """

    name: str
    help: str
    metavar: str
    options: type[PredictOptions]
    takes_files: bool = True


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a domain; each is a flag, a key in config files and a parameter in MLflow."""

    data: str = option("", "name of a data set (see `datasets`), tfds:NAME, or a path")
    seed: Seed = option(42, "seed of the splits, the weights and the order of examples")
    limit: Count = option(0, "use at most this many examples, for a quick look (0: all)")

    domain: ClassVar[str]
    # The hyperparameters: a frozen dataclass whose fields were declared by `hyper`.
    spec_type: ClassVar[type[Any]]
    # What `tune` searches when nothing else is said, and when a key matters at all (see
    # `Space.conditions`).
    search: ClassVar[Mapping[str, Dimension]]
    conditions: ClassVar[Conditions] = MappingProxyType({})
    # Points that a search tries early: what is known to be good for one architecture or another.
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = ()
    # Metrics that Keras reports for the validation part while it fits; the first is the default
    # objective.
    objectives: ClassVar[tuple[Objective, ...]]
    # The metric of `Pipeline.score` in which model and baselines are compared, unless the data
    # decides.
    headline: ClassVar[Objective]
    # Names that `--data` knows, with what they are.
    datasets: ClassVar[Mapping[str, str]]
    demo: ClassVar[DemoSweep]
    # What may be set for `predict`.
    predict_type: ClassVar[type[PredictOptions]] = PredictOptions
    # Further commands that ask a trained model.
    questions: ClassVar[tuple[Question, ...]] = ()
    # What others have trained and a network of this domain may start from: the kind of weights in
    # `pipelines.pretrained.catalogue`.
    pretrained: ClassVar[Literal["", "encoder", "backbone"]] = ""
    # What is piped into `predict -` where it does not say itself: the suffix of such a file.
    standard_input: ClassVar[str] = ".txt"
    # Hyperparameters that name what others have learned: see `require_weights`.
    weights_keys: ClassVar[tuple[str, ...]] = ()
    # Whether a line of words on standard input is something that a model answers.
    answers_words: ClassVar[bool] = False

    @classmethod
    def option_names(cls) -> list[str]:
        """Return the names of the options, in order."""
        return [field.name for field in dataclasses.fields(cls)]

    def objective(self, name: str = "") -> Objective:
        """Return the objective called `name`, or the default one.

        Raises:
            UsageError: there is none of this name; the nearest one is given.
        """
        if not name:
            return self.objectives[0]
        known = {objective.name: objective for objective in self.objectives}
        if name not in known:
            raise UsageError(
                f"There is no objective {name!r}.{suggest(name, known)} Known: {', '.join(known)}"
            )
        return known[name]

    def require_weights(self, spec: Any) -> None:
        """Refuse options and a spec that name pretrained weights that are not on this machine.

        Asked before any data is read.

        Raises:
            UsageError, DataError: the message says how they come here.
        """

    @classmethod
    def demo_here(cls) -> DemoSweep:
        """Return the demo that suits what is on this machine."""
        return cls.demo

    def space(self, base: Any, dimensions: Mapping[str, Dimension]) -> Space[Any]:
        """Return the space of `dimensions` around the spec `base`, with the domain's conditions."""
        return Space(base=base, dimensions=dimensions, conditions=self.conditions)

    def as_params(self) -> dict[str, Scalar]:
        """Return the options by name: parameters of every run."""
        return {name: getattr(self, name) for name in self.option_names()}


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(Options):
    """The options of a domain whose answers are classes."""

    metric: ClassMetric = option(
        "auto",
        "what models are compared in and epochs are chosen by (auto: accuracy, or balanced "
        "accuracy where classes are uneven in train)",
    )
    fold: str = option(
        "",
        "2/5: test is the second of five parts of the data, which has no test part of its own "
        "(train --folds goes through all of them)",
    )

    headline: ClassVar[Objective] = Objective(name="accuracy", direction="max")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_accuracy", direction="max"),
        Objective(name="val_balanced_accuracy", direction="max"),
        Objective(name="val_loss", direction="min"),
    )
