"""Texts through a pretrained encoder: its tokens, and a vector for each text.

Each batch holds texts of about the same length and is as wide as its own longest text: padded to
256 tokens, questions of ten words would cost twenty times as much.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from pipelines.errors import UsageError
from pipelines.io.digest import data_digest
from pipelines.io.progress import counted, working
from pipelines.pretrained import weights
from pipelines.pretrained.feature_cache import FeatureKey, cached_features, weights_digest

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from pipelines.networks.plan import KerasTensor
    from pipelines.pretrained.bert import BertConfig
    from pipelines.pretrained.wordpiece import WordPieces

SentencePooling: TypeAlias = Literal["mean", "first", "max"]

TOKENIZED_AT_ONCE = 1024  # texts
TOKENS_AT_ONCE = 4096  # of a batch, with its padding
MOST_AT_ONCE = 256  # texts of a batch
SMALLEST_LENGTH = 1e-12  # of a vector; the root of its square


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A pretrained encoder on this machine: its sizes and its vocabulary; weights are read later.

    `name` is what a person calls it, and `digest` stands for its weights.
    """

    name: str
    folder: Path
    config: "BertConfig"
    vocabulary: tuple[str, ...]
    digest: str

    def require_length(self, length: int, key: str) -> None:
        """Refuse texts of more tokens than the encoder has positions for.

        Raises:
            UsageError: the message names `key` and the largest length.
        """
        most = self.config.max_position_embeddings
        if not 2 < length <= most:
            raise UsageError(f"{key}={length}: the encoder {self.name} reads 3 to {most} tokens")

    def word_pieces(self, length: int, name: str) -> "WordPieces":
        """Return the layer from texts to ids, `length` of them at most."""
        from pipelines.pretrained.wordpiece import WordPieces

        return WordPieces(self.vocabulary, length, self.config.lower, name=name)

    def network(self, name: str = "encoder") -> "keras.Model":
        """Return the network from ids `(batch, steps)` to `(batch, steps, width)`.

        Raises:
            DataError: its weights cannot be read, or do not fit.
        """
        from pipelines.pretrained import bert

        network = bert.build(self.config, name)
        bert.load_weights(network, self.folder, self.config)
        return network


def find_encoder(name: str, key: str) -> Encoder:
    """Return the encoder called `name`, or the one in the folder `name`.

    Args:
        name: of the catalogue, or a path.
        key: the hyperparameter that named it, for messages.

    Raises:
        UsageError: nothing is called so.
        DataError: it is not on this machine, or its folder is incomplete or holds something else.
    """
    return _read_encoder(name, weights.find(name, key, "encoder"))


@functools.lru_cache(maxsize=4)
def _read_encoder(name: str, folder: Path) -> Encoder:
    from pipelines.pretrained import bert

    config = bert.read_config(folder)
    vocabulary = bert.read_vocabulary(folder, config)
    digest = ""
    if (folder / bert.WEIGHTS).is_file():
        digest = weights_digest(folder / bert.WEIGHTS)
    return Encoder(
        name=name, folder=folder, config=config, vocabulary=tuple(vocabulary), digest=digest
    )


def freeze(network: "keras.Model", tuned: int, depth: int) -> None:
    """Leave the top `tuned` of the `depth` layers of an encoder to be trained, and freeze the rest.

    With more than `depth` the embeddings are trained too.
    """
    from pipelines.pretrained import bert

    network.get_layer(bert.EMBEDDINGS).trainable = tuned > depth
    for number in range(depth):
        network.get_layer(bert.layer_name(number)).trainable = number >= depth - tuned


def pool(x: "KerasTensor", ids: "KerasTensor", pooling: SentencePooling) -> "KerasTensor":
    """Return one vector `(batch, width)` for each text, of the length root of `width`.

    Args:
        x: `(batch, steps, width)`, what the encoder says of each token.
        ids: `(batch, steps)`, 0 where there is no token.
        pooling: the mean of all tokens, the first one ([CLS]), or the maximum of each number.
    """
    import keras

    is_token = keras.ops.cast(keras.ops.not_equal(ids, 0), x.dtype)[..., None]
    if pooling == "first":
        vector = x[:, 0]
    elif pooling == "max":
        vector = keras.ops.max(x - 1e9 * (1 - is_token), axis=1)
    else:
        # Each text has two tokens at least: [CLS] and [SEP].
        vector = keras.ops.sum(x * is_token, axis=1) / keras.ops.sum(is_token, axis=1)
    square = keras.ops.sum(vector**2, axis=-1, keepdims=True)
    # Each number has about the size 1, as the layers behind expect it.
    return vector * (x.shape[-1] / keras.ops.maximum(square, SMALLEST_LENGTH)) ** 0.5


@dataclass(frozen=True, kw_only=True)
class TokenRows:
    """The ids of texts, one after the other: those of text i end before `ends[i]`."""

    ids: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> np.ndarray:
        """How many ids each text has, `(n,)`."""
        return np.diff(self.ends, prepend=0)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """Return the ids of some texts as `(rows, longest of them)`, 0 behind their ends."""
        lengths = self.lengths[rows]
        begins = self.ends[rows] - lengths
        position = np.arange(lengths.max(initial=0))
        is_token = position < lengths[:, None]
        padded = np.zeros(is_token.shape, dtype=np.int32)
        padded[is_token] = self.ids[(begins[:, None] + position)[is_token]]
        return padded


def join_rows(parts: Sequence[TokenRows]) -> TokenRows:
    """Return the ids of the texts of all parts, in order."""
    ends = []
    before = 0
    for part in parts:
        ends.append(part.ends + before)
        before += len(part.ids)
    return TokenRows(ids=np.concatenate([part.ids for part in parts]), ends=np.concatenate(ends))


def tokenize(encoder: Encoder, texts: np.ndarray, length: int) -> TokenRows:
    """Return the ids of texts `(n,)`, at most `length` of each."""
    import tensorflow as tf

    layer = encoder.word_pieces(length, "pieces")
    signature = [tf.TensorSpec((None,), tf.string)]
    to_ids = tf.function(layer.call, input_signature=signature)
    # Half of a surrogate pair has no UTF-8.
    encoded = [text.encode("utf-8", "replace") for text in texts]

    def of_batch(start: int) -> np.ndarray:
        return np.asarray(to_ids(tf.constant(encoded[start : start + TOKENIZED_AT_ONCE])))

    starts = range(0, len(encoded), TOKENIZED_AT_ONCE)
    flat, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    # TensorFlow gives the string operations of each batch one thread.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for ids in counted(threads.map(of_batch, starts), "batches of texts", len(starts)):
            flat.append(ids[ids != 0])
            lengths.append((ids != 0).sum(axis=1))
    return TokenRows(ids=np.concatenate(flat), ends=np.cumsum(np.concatenate(lengths)))


def batches_by_length(lengths: np.ndarray) -> list[np.ndarray]:
    """Return the numbers of texts of these `lengths` `(n,)` in batches, the longest texts first.

    A batch holds so many texts that, padded, it has about `TOKENS_AT_ONCE` tokens.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    begin = 0
    while begin < len(order):
        size = min(MOST_AT_ONCE, max(1, TOKENS_AT_ONCE // max(1, int(lengths[order[begin]]))))
        batches.append(order[begin : begin + size])
        begin += size
    return batches


def sentence_vectors(
    encoder: Encoder, texts: np.ndarray, *, length: int, pooling: SentencePooling
) -> np.ndarray:
    """Return the vectors `(n, width)` of texts `(n,)` by the frozen encoder, see `pool`.

    They are computed once for these texts and kept for later runs (see `feature_cache`).
    """
    key = FeatureKey(
        data=data_digest(texts.astype(str)),
        network=Path(encoder.name).name,
        weights=encoder.digest,
        settings={"length": length, "pooling": pooling, "lower": encoder.config.lower},
    )
    return cached_features(key, lambda: _compute_vectors(encoder, texts, length, pooling))


def _compute_vectors(
    encoder: Encoder, texts: np.ndarray, length: int, pooling: SentencePooling
) -> np.ndarray:
    with working(f"vectors of texts by {encoder.name}"):
        rows = tokenize(encoder, texts, length)
        network = pooled_network(encoder.network(), pooling)
        vectors = np.zeros((len(rows), encoder.config.hidden_size), np.float32)
        for numbers, batch in vectors_by_length(network, rows):
            vectors[numbers] = batch
    return vectors


def pooled_network(network: "keras.Model", pooling: SentencePooling) -> "keras.Model":
    """Return the network from ids `(batch, steps)` to one vector `(batch, width)` each."""
    import keras

    ids = network.inputs[0]
    return keras.Model(ids, pool(network.outputs[0], ids, pooling), name="pooled")


def graph_of_ids(network: "keras.Model") -> "Callable[[tf.Tensor], tf.Tensor]":
    """Return a network of ids `(batch, steps)` as a graph, traced once for all widths."""
    import tensorflow as tf

    def call(ids: "tf.Tensor") -> "tf.Tensor":
        return network(ids, training=False)

    graph: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        call, input_signature=[tf.TensorSpec((None, None), tf.int32)]
    )
    return graph


def vectors_by_length(
    network: "keras.Model", rows: TokenRows
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield numbers of texts and what `network` says of their ids, batch by batch."""
    import tensorflow as tf

    answer = graph_of_ids(network)
    batches: Sequence[np.ndarray] = batches_by_length(rows.lengths)
    for numbers in counted(batches, "batches of texts", len(batches)):
        yield numbers, np.asarray(answer(tf.constant(rows.padded(numbers))))
