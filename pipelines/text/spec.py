"""The hyperparameters of a text network."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from pipelines.config.hyperparameters import (
    AttentionSpec,
    ClassifierTrainSpec,
    ConvSpec,
    Count,
    CountOrAuto,
    EpochBudget,
    HeadSpec,
    Rate,
    RecurrentSpec,
)
from pipelines.config.search_space import OneOf, hyper
from pipelines.networks.registry import AUTO, ArchitectureRegistry, WithAuto

# Filled by `pipelines.text.architectures`.
ARCHITECTURES: ArchitectureRegistry[Any] = ArchitectureRegistry(usual="textcnn")
ENCODER_KEY = "encoder.name"
PRETRAINED = "pretrained"  # the architecture that begins with a pretrained encoder
# Of `encoder.layers`: as many as about ten minutes allow.
AFFORDABLE = -1


@dataclass(frozen=True, kw_only=True)
class EmbeddingSpec:
    """Tokens as vectors."""

    width: Count = hyper(
        64, "length of each token's vector (with embedding.vectors: that of the file)"
    )
    dropout: Rate = hyper(0.2, "share of the vectors' channels dropped, the same for a whole text")
    ngrams: Annotated[int, Ge(1), Le(5)] = hyper(
        2, "fasttext: longest run of tokens that gets a vector of its own"
    )
    vectors: str = hyper(
        "",
        "a file of word vectors in GloVe, word2vec or fastText text format (may end in .gz or "
        ".zip), or glove-6b-50d",
    )
    trainable: bool = hyper(True, "whether vectors from a file are trained further")


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """A pretrained encoder, and how far it is tuned."""

    name: str = hyper(
        "minilm",
        "pretrained encoder: a name (appline text encoders) or a folder that holds a BERT model",
    )
    layers: Annotated[int, Ge(AFFORDABLE)] = hyper(
        AFFORDABLE,
        "top layers that are tuned (0: none, its vectors are computed once; one more than it has: "
        "the embeddings too; -1: as many as about ten minutes allow)",
    )
    pooling: Literal["mean", "first", "max"] = hyper(
        "mean", "how the vectors of a text's tokens become one: first is that of [CLS]"
    )
    length: Count = hyper(256, "tokens of a text that the encoder reads")
    learning_rate: Annotated[float, Gt(0), Le(1)] = hyper(
        1e-4, "peak learning rate of its top layer (train.learning_rate: that of the head)"
    )
    decay: Annotated[float, Gt(0), Le(1)] = hyper(
        0.9, "learning rate of each layer, as a share of the one above it"
    )


@dataclass(frozen=True, kw_only=True)
class TextTrainSpec(ClassifierTrainSpec):
    """How a text network is fitted: in more epochs the fewer texts there are.

    With few texts and few epochs it does not learn to predict by itself.
    """

    # On val of 576 to 960 texts of trec, sst2 and clinc150, 24 epochs lowered the log loss of 6 by
    # 9, 2 and 47 per cent.
    epoch_budget: ClassVar[EpochBudget] = EpochBudget(examples=24_000, fewest=6, most=24)
    # Never: beside TF-IDF a network improves late. Stopped after half of the epochs, reviews lost
    # .6 per cent.
    patience_share: ClassVar[float] = 1.0
    epochs: CountOrAuto = hyper(
        0, "epochs of the training (0: 6 to 24, fewer the more texts there are)"
    )
    patience: CountOrAuto = hyper(
        0, "epochs without a better validation score after which to stop (0: never)"
    )


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """Everything about a text network that a search may change."""

    architecture: Annotated[str, OneOf(WithAuto(ARCHITECTURES))] = hyper(
        AUTO,
        "family of the network (auto: pretrained where its encoder is on this machine and helps "
        "on validation, else textcnn)",
    )
    start_from: Literal["baseline", "none"] = hyper(
        "baseline",
        "baseline: the network corrects the logits of TF-IDF with logistic regression; "
        "none: it answers by itself",
    )
    start_dropout: Rate = hyper(
        0.8,
        "share of training texts in which those logits are hidden, so that the network learns to "
        "answer by itself too",
    )
    embedding: EmbeddingSpec = EmbeddingSpec()
    encoder: EncoderSpec = EncoderSpec()
    conv: ConvSpec = ConvSpec(filters=64, kernel_size=3, blocks=2, norm="none")
    recurrent: RecurrentSpec = RecurrentSpec(bidirectional=True)
    attention: AttentionSpec = AttentionSpec(dropout=0.2)
    head: HeadSpec = HeadSpec(dropout=0.5)
    label_smoothing: Rate = hyper(0.05, "share of each target spread over all classes")
    train: TextTrainSpec = TextTrainSpec(batch_size=64, learning_rate=4e-3, refit=True)
