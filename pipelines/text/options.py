"""Text classification: what a person may set. Read by `--help`, so nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipelines.config.hyperparameters import CONDITIONS, RECURRENT_CONDITIONS
from pipelines.config.options import (
    DRIFT_HELP,
    ClassifierOptions,
    Count,
    DemoSweep,
    Explain,
    PredictOptions,
    option,
)
from pipelines.config.search_space import (
    Choice,
    Conditions,
    Dimension,
    Except,
    Range,
    Scalar,
    flatten,
)
from pipelines.io.label_patterns import read_pattern
from pipelines.io.picture_files import require_explain
from pipelines.pretrained import weights
from pipelines.text.spec import ARCHITECTURES, ENCODER_KEY, EncoderSpec, TextSpec
from pipelines.text.vector_files import require_source


@dataclass(frozen=True, kw_only=True)
class TextPredictOptions(PredictOptions):
    """What a person may set for answers about texts."""

    text_column: str = option(
        "",
        "column of the texts (default: as in the training, else one called text, sentence, ...); "
        "repeatable: several are joined",
        repeatable=True,
    )
    drift: bool = option(False, DRIFT_HELP)
    explain: Explain = option(
        "",
        "say in a column `because` which words have moved the probability, by how much (the "
        "probability less the one without this word), and draw the texts so into this folder",
    )

    of_requests: ClassVar[tuple[str, ...]] = ("skip_unreadable", "drift", "explain")

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        require_explain(self.explain, force)


@dataclass(frozen=True, kw_only=True)
class TextOptions(ClassifierOptions):
    """Texts with labels in tables, folders or TFDS."""

    data: str = option(
        "reviews",
        "a name (appline text datasets), tfds:NAME, a folder of .txt files by class, or a table "
        "of texts",
    )
    text_column: str = option(
        "",
        "column of the texts (default: one called text, sentence, review, ..., else the one that "
        "holds texts); repeatable: several are joined, such as title,body",
        repeatable=True,
    )
    label_column: str = option(
        "",
        "column of the labels (default: one called label, class, category, ..., else columns of "
        "0 and 1, one for each class); repeatable, for such columns",
        repeatable=True,
    )
    label_pattern: str = option(
        "",
        "regular expression whose first group is the label in the name of a file, as '^(.+?)_' is "
        "in cat_1.txt; with a slash in it, in the path below the data folder",
    )
    group_column: str = option(
        "",
        "column of a table that says what belongs together, such as a patient or an author: it is "
        "split as a whole",
    )
    tokens: Literal["auto", "word", "char"] = option(
        "auto", "what a token is; auto: characters where texts lack spaces (DNA, Chinese)"
    )
    vocabulary: Count = option(
        0,
        "most tokens that get a vector (0: those that occur twice in train, 30,000 at most)",
    )
    length: Count = option(
        0,
        "tokens of a text that a network reads (0: enough for 98 of 100 training texts, 400 at "
        "most)",
    )
    lower: bool = option(True, "ignore case")
    multi_label: bool = option(False, "a text may have several labels, or none")
    label_separator: str = option(
        "", "what separates several labels (default: the first of | ; , that occurs)"
    )
    drop_missing: bool = option(
        False,
        "leave out rows of a table that lack a label, or have more values than the header, and "
        "files whose names --label-pattern does not fit",
    )
    min_class: Count = option(
        0, "leave out classes with fewer training examples than this (0: refuse small classes)"
    )

    domain: ClassVar[str] = "text"
    answers_words: ClassVar[bool] = True
    spec_type: ClassVar[type[Any]] = TextSpec
    search: ClassVar[Mapping[str, Dimension]] = {
        "architecture": Choice(("textcnn", "fasttext", "cnn_rnn", "gru", "transformer")),
        "start_from": Choice(("baseline", "none")),
        "start_dropout": Choice((0.2, 0.5, 0.8)),
        "embedding.width": Choice((32, 64, 128)),
        "embedding.dropout": Choice((0.0, 0.2, 0.4)),
        "conv.kernel_size": Choice((2, 3, 5)),
        "conv.stride": Choice((1, 2)),
        "conv.filters": Choice((32, 64, 128)),
        "conv.activation": Choice(("relu", "gelu", "tanh")),
        "conv.norm": Choice(("batch", "layer", "none")),
        "conv.l2": Choice((0.0, 1e-4)),
        "recurrent.units": Choice((32, 64)),
        "head.pooling": Choice(("max", "average")),
        "head.dropout": Choice((0.2, 0.5)),
        "train.learning_rate": Range(5e-4, 8e-3, log=True),
        "train.batch_size": Choice((32, 64, 128)),
        "attention.activation": Choice(("relu", "gelu", "tanh")),
        "attention.dropout": Choice((0.0, 0.2, 0.4)),
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = ({"architecture": "fasttext"},)
    conditions: ClassVar[Conditions] = ARCHITECTURES.conditions(
        {
            **CONDITIONS,
            **RECURRENT_CONDITIONS,
            "head.activation": {"head.units": Except((0,))},
            "start_dropout": {"start_from": ("baseline",)},
            # The width of a file of vectors is what it is.
            "embedding.width": {"embedding.vectors": ("",)},
            "embedding.trainable": {"embedding.vectors": Except(("",))},
            # No text network dilates its convolutions.
            "conv.dilation": {"architecture": ()},
        }
    )
    datasets: ClassVar[Mapping[str, str]] = {
        "courses": "1,860 titles of courses at UCLA, by the department that gives them (the extra "
        "`samples`)",
        "reviews": "5,000 Amazon reviews of fine foods, great or other (the extra `samples`)",
        "tfds:imdb_reviews": "any text classification set of TensorFlow Datasets by its name "
        "(downloads)",
        "tfds:ag_news_subset": "127,600 news items, 4 topics (downloads)",
    }
    predict_type: ClassVar[type[PredictOptions]] = TextPredictOptions
    pretrained: ClassVar[Literal["", "encoder", "backbone"]] = "encoder"
    weights_keys: ClassVar[tuple[str, ...]] = (ENCODER_KEY, "embedding.vectors")
    demo: ClassVar[DemoSweep] = DemoSweep(
        data="courses",
        trials=4,
        # In one epoch the network learns too little by itself for its settings to matter.
        trial_epochs=2,
        fixed={"train.epochs": 5, "embedding.width": 32},
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
        },
    )
    pretrained_demo: ClassVar[DemoSweep] = DemoSweep(
        data="courses",
        trials=2,
        # One epoch tells how tokens are pooled. It would not tell how fast, or how many layers,
        # should learn: it prefers what is soon at its best.
        trial_epochs=1,
        fixed={"architecture": "pretrained", "encoder.layers": 7},
        searched={"encoder.pooling": Choice(("mean", "first"))},
    )

    def __post_init__(self) -> None:
        read_pattern(self.label_pattern)

    @classmethod
    def demo_here(cls) -> DemoSweep:
        """Return the demo of a pretrained encoder, where the default one is on this machine."""
        return cls.pretrained_demo if weights.is_here(TextSpec().encoder.name) else cls.demo

    def require_weights(self, spec: TextSpec) -> None:
        key = ARCHITECTURES[spec.architecture].weights_key
        is_named = spec.encoder.name != EncoderSpec().name
        if is_named and not ARCHITECTURES.is_decided(spec.architecture):
            key = ENCODER_KEY
        if spec.embedding.vectors:
            require_source(spec.embedding.vectors)
        if key:
            weights.find(str(flatten(spec)[key]), key, "encoder")
