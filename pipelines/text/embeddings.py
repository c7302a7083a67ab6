"""Tokens as vectors: learned with the network, or taken from a file and learned further."""

from typing import TYPE_CHECKING

from pipelines.networks.plan import KerasTensor
from pipelines.text.input_names import TOKENS
from pipelines.text.spec import EmbeddingSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

SPREAD = 0.1  # standard deviation of random token vectors


def width(spec: EmbeddingSpec) -> int:
    """Return how many numbers the vector of a token has.

    Raises:
        DataError: the file of word vectors cannot be read.
    """
    from pipelines.text import vectors

    if spec.vectors:
        return vectors.width(spec.vectors)
    return spec.width


def params(splits: "TextSplits", width: int) -> int:
    """Return the weights of an embedding of these texts' vocabulary."""
    from pipelines.text.tokens import NUM_SPECIAL

    return (NUM_SPECIAL + len(splits.vocabulary)) * width


def embed(
    spec: EmbeddingSpec, splits: "TextSplits"
) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """Return the input of ids, a vector for each token, and where there is a token.

    Shapes: `(batch, length)`, `(batch, length, width)`, `(batch, length)`.
    """
    import keras

    from pipelines.networks.models import embedding_layer
    from pipelines.text import vectors
    from pipelines.text.tokens import NUM_SPECIAL, PADDING

    tokens = keras.Input((splits.length,), dtype="int32", name=TOKENS)
    mask = keras.ops.not_equal(tokens, PADDING)
    if spec.vectors:
        table = vectors.table(spec.vectors, splits.vocabulary)
        layer = embedding_layer(table, "embedding", trainable=spec.trainable)
    else:
        layer = keras.layers.Embedding(
            NUM_SPECIAL + len(splits.vocabulary),
            spec.width,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=SPREAD),
            name="embedding",
        )
    x = layer(tokens)
    if spec.dropout:
        x = keras.layers.SpatialDropout1D(spec.dropout, name="embedding_dropout")(x)
    return tokens, x, mask
