"""Layers of text networks that Keras does not have."""

from typing import Any, ClassVar

import keras
import tensorflow as tf

from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import KerasTensor
from pipelines.pretrained import bert, wordpiece
from pipelines.pretrained.sentences import SentencePooling
from pipelines.text.tokens import (
    FIRST_ID,
    PADDING,
    UNKNOWN,
    Tokenization,
    Unit,
    ngram_fingerprints,
    split,
)

# The layers of an encoder that a saved model may hold: their modules register them with Keras.
ENCODER_LAYERS = (bert.BertEmbeddings, bert.BertLayer, wordpiece.WordPieces)
# Of the polynomial that hashes an n-gram of tokens: its base and its prime modulus.
HASH_BASE = 1_000_003
HASH_PRIME = 2**31 - 1
SMALLEST_SQUARE = 1e-12  # of the length of a text's features: a text without any has length 0


@keras.saving.register_keras_serializable("appline")
class ResidualLogits(keras.layers.Layer):
    """The sum `(batch, classes)` of the logits to start from and those that a network adds.

    The logits to start from are multiplied by a learned `factor`. In training they are hidden from
    a share `dropout` of the texts: a network that always sees good predictions learns little but to
    repeat them. Otherwise both count by `blend_weights`, 1 and 1 until they are fitted on val.
    """

    NUM_WEIGHTS: ClassVar[int] = 3

    def __init__(self, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dropout = dropout
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, *shapes: BatchShape) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")
        self.blend_weights = self.add_weight(
            shape=(2,), initializer="ones", trainable=False, name="blend_weights"
        )

    def call(self, start: KerasTensor, logits: KerasTensor, training: bool = False) -> KerasTensor:
        start = self.factor * start
        if not training:
            return self.blend_weights[0] * start + self.blend_weights[1] * logits
        if self.dropout:
            count = keras.ops.shape(start)[0]
            draws = keras.random.uniform((count, 1), seed=self.seed_generator)
            start = start * keras.ops.cast(draws >= self.dropout, start.dtype)
        return start + logits

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout}


@keras.saving.register_keras_serializable("appline")
class ClassThresholds(keras.layers.Layer):
    """Keeps the `thresholds` `(classes,)` of a network, chosen on val; logits pass unchanged."""

    def build(self, shape: BatchShape) -> None:
        self.thresholds = _half_for_each(self, shape[-1])

    def call(self, logits: KerasTensor) -> KerasTensor:
        return logits


@keras.saving.register_keras_serializable("appline")
class AboveThresholds(keras.layers.Layer):
    """Probabilities `(batch, classes)` to 1 where they are above the class's threshold, else 0."""

    def build(self, shape: BatchShape) -> None:
        self.thresholds = _half_for_each(self, shape[-1])

    def call(self, probabilities: KerasTensor) -> KerasTensor:
        return keras.ops.cast(probabilities > self.thresholds, "float32")


def _half_for_each(layer: keras.layers.Layer, classes: int | None) -> Any:
    """Return the weight of a layer that holds a threshold for each class, one half at first."""
    half = keras.initializers.Constant(0.5)
    return layer.add_weight(shape=(classes,), initializer=half, trainable=False, name="thresholds")


@keras.saving.register_keras_serializable("appline")
class EncodedBy(keras.layers.Layer):
    """Keeps what texts are encoded by; ids or vectors pass unchanged.

    A trained network is asked by it what its input is made of: the pretrained encoder, the most
    tokens of a text, and how the vectors of tokens become one.
    """

    def __init__(self, encoder: str, length: int, pooling: SentencePooling, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.length = length
        self.pooling = pooling

    def call(self, x: KerasTensor) -> KerasTensor:
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "encoder": self.encoder,
            "length": self.length,
            "pooling": self.pooling,
        }


@keras.saving.register_keras_serializable("appline")
class HashedNgrams(keras.layers.Layer):
    """Ids `(batch, length)` to the ids `(batch, length - size + 1)` of their n-grams of `size`.

    They go from 1 to `buckets`; 0 where padding is part of the n-gram.
    """

    def __init__(self, size: int, buckets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.buckets = buckets

    def call(self, ids: KerasTensor) -> KerasTensor:
        count = ids.shape[1] - self.size + 1
        whole = keras.ops.cast(ids, "int64")
        number = keras.ops.zeros_like(whole[:, :count])
        is_complete = keras.ops.ones_like(whole[:, :count], dtype="bool")
        for offset in range(self.size):
            token = whole[:, offset : offset + count]
            number = (number * HASH_BASE + token) % HASH_PRIME
            is_complete = keras.ops.logical_and(is_complete, token > PADDING)
        buckets = keras.ops.where(is_complete, 1 + number % self.buckets, 0)
        return keras.ops.cast(buckets, "int32")

    def compute_output_spec(self, ids: Any) -> keras.KerasTensor:
        return keras.KerasTensor((ids.shape[0], ids.shape[1] - self.size + 1), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "buckets": self.buckets}


def masked_sum(x: KerasTensor, mask: KerasTensor, *, power: float) -> KerasTensor:
    """Return the sum of the steps of `x` where `mask` is true, over a power of their number.

    Shapes: `x` `(batch, steps, width)`, `mask` `(batch, steps)`, the sum `(batch, width)`. It is 0
    where no step counts.
    """
    weight = keras.ops.cast(mask, x.dtype)[..., None]
    total = keras.ops.sum(x * weight, axis=1)
    count = keras.ops.maximum(keras.ops.sum(weight, axis=1), 1)
    return total / count**power


@keras.saving.register_keras_serializable("appline")
class TokenIds(keras.layers.Layer):
    """Texts `(batch,)` to the ids `(batch, length)` of their first tokens, left-padded.

    Padding has the id `PADDING`. Token number i of `vocabulary` has the id `FIRST_ID` + i; other
    tokens have `UNKNOWN`.
    """

    def __init__(
        self, vocabulary: list[str], length: int, unit: Unit, lower: bool, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.length = length
        self.unit = unit
        self.lower = lower
        # A table needs a key: no token holds a control character.
        keys = tf.constant(self.vocabulary or ["\x01"])
        ids = tf.range(FIRST_ID, FIRST_ID + max(1, len(self.vocabulary)), dtype=tf.int64)
        entries = tf.lookup.KeyValueTensorInitializer(keys, ids)
        self._table = tf.lookup.StaticHashTable(entries, default_value=UNKNOWN)

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        tokenization = Tokenization(unit=self.unit, lower=self.lower)
        tokens = split(tf.reshape(texts, [-1]), tokenization)[:, : self.length]
        ids = tokens.with_flat_values(tf.cast(self._table.lookup(tokens.flat_values), tf.int32))
        # Dense tensors are padded at the end: reversed, padded, and reversed again.
        padded = ids[:, ::-1].to_tensor(PADDING, shape=(None, self.length))
        return tf.reverse(padded, [1])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return (input_shape[0], self.length)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        return keras.KerasTensor((texts.shape[0], self.length), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "length": self.length,
            "unit": self.unit,
            "lower": self.lower,
        }


@keras.saving.register_keras_serializable("appline")
class TfidfLogits(keras.layers.Layer):
    """Texts `(batch,)` to the logits `(batch, classes)` of a linear model over TF-IDF features.

    Its weights, none of them trained, are the sorted fingerprints `keys` `(features,)` of the
    features, their `idf` `(features,)`, the `kernel` `(features, classes)` and the `bias`. A
    feature that occurs n times in a text counts (1 + log n) * idf; the features of a text are
    scaled to length 1.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        unit: Unit,
        lower: bool,
        characters: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_features = num_features
        self.num_classes = num_classes
        self.unit = unit
        self.lower = lower
        self.characters = characters
        fixed: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.keys = self.add_weight(shape=(num_features,), dtype="int64", name="keys", **fixed)
        self.idf = self.add_weight(shape=(num_features,), name="idf", **fixed)
        self.kernel = self.add_weight(shape=(num_features, num_classes), name="kernel", **fixed)
        self.bias = self.add_weight(shape=(num_classes,), name="bias", **fixed)

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        texts = tf.reshape(texts, [-1])
        tokenization = Tokenization(unit=self.unit, lower=self.lower)
        prints = ngram_fingerprints(texts, tokenization, characters=self.characters)
        row, column, count = self._count(prints)
        weight = (1 + tf.math.log(tf.cast(count, tf.float32))) * tf.gather(
            tf.convert_to_tensor(self.idf), column
        )
        weighted = weight[:, None] * tf.gather(tf.convert_to_tensor(self.kernel), column)
        num_texts = tf.shape(texts, out_type=tf.int64)[0]
        total = tf.math.unsorted_segment_sum(weighted, row, num_texts)
        square = tf.math.unsorted_segment_sum(weight**2, row, num_texts)
        return total / tf.sqrt(tf.maximum(square, SMALLEST_SQUARE))[:, None] + self.bias

    def _count(self, prints: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return text, feature and count of every feature in a text, `(entries,)` each."""
        keys = tf.convert_to_tensor(self.keys)
        nearest = tf.minimum(tf.searchsorted(keys, prints.flat_values), self.num_features - 1)
        is_feature = tf.gather(keys, nearest) == prints.flat_values
        pair = prints.value_rowids() * self.num_features + tf.cast(nearest, tf.int64)
        pair, _, count = tf.unique_with_counts(tf.boolean_mask(pair, is_feature))
        return pair // self.num_features, pair % self.num_features, count

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        return keras.KerasTensor((texts.shape[0], self.num_classes), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_features": self.num_features,
            "num_classes": self.num_classes,
            "unit": self.unit,
            "lower": self.lower,
            "characters": self.characters,
        }
