"""Text classification: the options a person may set and the contract kept.

Nothing heavy is imported before a method needs it: the command line reads this module for `--help`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipelines.config.options import Objective, option
from pipelines.config.search_space import Choice, Dimension, Range, Scalar
from pipelines.evaluation.plots import classification_plots
from pipelines.pipeline import Baseline, Pipeline, ServingModel
from pipelines.splits import Part
from pipelines.text.spec import TextSpec

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure

    from pipelines.networks.plan import Cost
    from pipelines.text.data import TextSplits

CONVOLVED: tuple[Scalar, ...] = ("textcnn", "cnn_rnn", "transformer")
RECURRENT: tuple[Scalar, ...] = ("cnn_rnn", "lstm", "gru")


@dataclass(frozen=True, kw_only=True)
class TextPipeline(Pipeline[TextSpec, "TextSplits"]):
    """Texts with labels in tables, folders or TFDS."""

    data: str = option(
        "reviews",
        "a name (appline text datasets), tfds:NAME, a folder of .txt files by class, or a table of texts",
    )
    text_column: str = option(
        "", "column of the texts (default: one called text, sentence, review, ...)"
    )
    label_column: str = option(
        "", "column of the labels (default: one called label, class, category, ...)"
    )
    tokens: Literal["auto", "word", "char"] = option(
        "auto", "what a token is; auto: characters where texts lack spaces (DNA, Chinese)"
    )
    vocabulary: int = option(
        0, "most tokens that get a vector (0: those seen twice in train, 30,000 at most)"
    )
    length: int = option(
        0,
        "tokens of a text that a network sees (0: enough for 98 of 100 training texts, 400 at most)",
    )
    lower: bool = option(True, "ignore case")
    multi_label: bool = option(False, "a label cell may hold several labels")
    label_separator: str = option(
        "", "what stands between several labels (default: the first of | ; , that occurs)"
    )

    domain: ClassVar[str] = "text"
    spec_type: ClassVar[type[Any]] = TextSpec
    headline: ClassVar[Objective] = Objective(name="accuracy", direction="max")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_accuracy", direction="max"),
        Objective(name="val_loss", direction="min"),
    )
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
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = ({"architecture": "fasttext"},)
    conditions: ClassVar[Mapping[str, tuple[str, tuple[Scalar, ...]]]] = {
        "start_dropout": ("start_from", ("baseline",)),
        "conv": ("architecture", CONVOLVED),
        "recurrent": ("architecture", RECURRENT),
        "heads": ("architecture", ("transformer",)),
        "embedding.ngrams": ("architecture", ("fasttext",)),
        "head.pooling": ("architecture", ("cnn_rnn", "lstm", "gru", "transformer")),
    }
    datasets: ClassVar[Mapping[str, str]] = {
        "reviews": "5,000 Amazon reviews of fine foods, great or other (the extra `samples`)",
        "tfds:imdb_reviews": "any text classification set of TensorFlow Datasets by its name (downloads)",
        "tfds:ag_news_subset": "127,600 news items, 4 topics (downloads)",
    }

    def load(self) -> "TextSplits":
        from pipelines.text import data

        return data.load(self)

    def cost(self, spec: TextSpec, splits: "TextSplits") -> "Cost":
        from pipelines.text import plans

        return plans.cost(spec, splits)

    def build(self, spec: TextSpec, splits: "TextSplits") -> "keras.Model":
        from pipelines.text import model

        return model.build(spec, splits)

    def compile_arguments(self, spec: TextSpec, splits: "TextSplits") -> dict[str, Any]:
        from pipelines.text import model

        return model.compile_arguments(spec, self.multi_label)

    def batches(
        self, splits: "TextSplits", part: Part, spec: TextSpec, *, training: bool
    ) -> "tf.data.Dataset":
        from pipelines.text import model

        return model.batches(splits, part, spec, self.seed if training else None)

    def calibrate(
        self, model: "keras.Model", splits: "TextSplits", like: "keras.Model | None" = None
    ) -> None:
        from pipelines.text import blend

        blend.calibrate(model, splits, like)

    def merge_train_val(self, splits: "TextSplits") -> "TextSplits":
        return splits.merge_train_val()

    def predict(self, model: "keras.Model", splits: "TextSplits", part: Part) -> "np.ndarray":
        from pipelines.text import model as network

        return network.probabilities(model, splits, part)

    def score(
        self, predictions: "np.ndarray", splits: "TextSplits", part: Part
    ) -> dict[str, float]:
        from pipelines.evaluation import classification

        return classification.scores(splits.labels(part), predictions)

    def losses(self, predictions: "np.ndarray", splits: "TextSplits", part: Part) -> "np.ndarray":
        from pipelines.evaluation import classification

        return classification.losses(splits.labels(part), predictions)

    def baselines(self, splits: "TextSplits") -> Iterator[Baseline]:
        from pipelines.text import baselines

        return baselines.baselines(splits)

    def table(self, predictions: "np.ndarray", splits: "TextSplits", part: Part) -> "pd.DataFrame":
        from pipelines.evaluation import classification

        table = classification.table(splits.labels(part), predictions, splits.classes)
        table.insert(1, "text", [text[:300] for text in splits.texts(part)])
        return table

    def plots(
        self, predictions: "np.ndarray", splits: "TextSplits", part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        from pipelines.text import plots

        yield from classification_plots(splits.labels(part), predictions, splits.classes)
        yield "accuracy_by_length", plots.accuracy_by_length(predictions, splits, part)

    def serve(self, model: "keras.Model", splits: "TextSplits") -> ServingModel:
        from pipelines.text import serve

        return serve.served(model, splits, self.text_column)

    def restore_network(self, served: ServingModel, splits: "TextSplits") -> "keras.Model":
        from pipelines.text import serve

        return serve.restore_network(served, splits)

    @classmethod
    def predict_raw(
        cls, served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
    ) -> "pd.DataFrame":
        from pipelines.text import serve

        return serve.predict_raw(served, source)
