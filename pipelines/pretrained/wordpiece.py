"""The tokenizer of BERT in TensorFlow's own string operations.

One layer takes texts, in training and in a saved model alike. It does what the Hugging Face
library does for a `BertTokenizer` (J. Devlin et al., "BERT", NAACL 2019): clean, split into words
and punctuation, and each word into the longest pieces that the vocabulary holds. One thing differs
on purpose: a text that spells "[SEP]" does not get the special token.
"""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

MOST_CHARACTERS = 20_000  # of one text; what comes after them is not read
LONGEST_WORD = 100  # characters; a longer word is unknown, as in the reference
PADDING = 0  # the id of [PAD] in all vocabularies of BERT
CONTINUED = "##"  # before a piece that does not begin its word
REQUIRED = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
UNCHANGED = "\x00"  # in the table of characters: a letter that stays as it is
REPLACEMENT = 0xFFFD  # what stands for bytes that are no text; it is removed

# Chinese characters, each of which is a word. With them, a table of all letters would be ten times
# as large.
HAN = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# Letters are looked for in the first two planes; the others hold Chinese characters, tags (which
# are control characters) and what is for private use.
LAST_LETTER = 0x1FFFF
TAGS = range(0xE0000, 0xE0200)
FIRST_PRIVATE = 0xF0000  # from here on letters are for private use, and removed
NONE = -1  # no piece
ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@functools.cache
def character_table(lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return code points `(n,)` and what each becomes, `(n,)` strings, where it is not itself.

    Control characters become nothing, white space a blank, punctuation stands between blanks, and
    with `lower` letters lose case and accents. What letters there are is said by Python's version
    of Unicode.
    """
    points, becomes = [], []
    for point in (*range(LAST_LETTER + 1), *TAGS):
        letter = chr(point)
        if 0xD800 <= point <= 0xDFFF or _is_han(point):
            continue
        cleaned = _clean(letter, lower)
        if cleaned != letter:
            points.append(point)
            becomes.append(cleaned)
    return np.asarray(points, dtype=np.int32), np.asarray(becomes)


def _clean(letter: str, lower: bool) -> str:
    category = unicodedata.category(letter)
    if letter in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
        return " "
    if letter == "\x00" or ord(letter) == REPLACEMENT or category in ("Cc", "Cf", "Co"):
        return ""
    if lower:
        parts = unicodedata.normalize("NFD", letter)
        letter = "".join(part for part in parts if unicodedata.category(part) != "Mn").lower()
    return "".join(f" {part} " if _is_punctuation(part) else part for part in letter)


def _is_punctuation(letter: str) -> bool:
    return letter in ASCII_PUNCTUATION or unicodedata.category(letter).startswith("P")


def _is_han(point: int) -> bool:
    return any(first <= point <= last for first, last in HAN)


@keras.saving.register_keras_serializable("appline")
class WordPieces(keras.layers.Layer):
    """Texts `(batch,)` to ids `(batch, longest)` of their first pieces, 0 behind the last one.

    Each begins with the id of [CLS] and ends with that of [SEP]; `length` is the most ids of a
    text, with both. The width is that of the batch's longest text.
    """

    def __init__(
        self, vocabulary: Sequence[str], length: int, lower: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.length = length
        self.lower = lower
        ids = {piece: number for number, piece in enumerate(self.vocabulary)}
        self._begin, self._end = ids["[CLS]"], ids["[SEP]"]
        self._unknown = ids["[UNK]"]
        # The pieces that `_longest_piece` tries: no longer than any that there is.
        longest = max(len(piece.removeprefix(CONTINUED)) for piece in self.vocabulary)
        self._sizes = tf.range(1, min(longest, LONGEST_WORD) + 1)
        self._pieces = _table(
            tf.constant(self.vocabulary), tf.range(len(ids), dtype=tf.int32), NONE
        )
        points, becomes = character_table(lower)
        self._letters = _table(tf.constant(points), tf.constant(becomes), UNCHANGED)

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        words = self._words(tf.reshape(texts, [-1]))
        # Each word of the batch once.
        distinct, position = tf.unique(words.flat_values)
        pieces = tf.gather(self._split(distinct), position)
        ids = words.with_values(pieces).merge_dims(1, 2)[:, : self.length - 2]
        edge = [ids.nrows(), 1]
        ids = tf.concat([tf.fill(edge, self._begin), ids, tf.fill(edge, self._end)], axis=1)
        return ids.to_tensor(PADDING)

    def _words(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Return the words and punctuation marks `(batch, None)` of texts `(batch,)`."""
        texts = tf.strings.substr(texts, 0, MOST_CHARACTERS, unit="UTF8_CHAR")
        points = tf.strings.unicode_decode(texts, "UTF-8")
        distinct, position = tf.unique(points.flat_values)
        themselves = tf.strings.unicode_encode(distinct[:, None], "UTF-8")
        becomes = self._letters.lookup(distinct)
        becomes = tf.where(becomes == UNCHANGED, themselves, becomes)
        becomes = tf.where(_among_han(distinct), tf.strings.join([" ", themselves, " "]), becomes)
        becomes = tf.where(distinct >= FIRST_PRIVATE, "", becomes)
        letters = points.with_flat_values(tf.gather(becomes, position))
        return tf.strings.split(tf.strings.reduce_join(letters, axis=-1))

    def _split(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Return the ids `(n, None)` of the pieces of words `(n,)`, the longest piece first.

        A word that cannot be spelled by pieces is unknown as a whole.
        """
        ends = tf.strings.length(words, unit="UTF8_CHAR")
        is_unknown = ends > LONGEST_WORD

        def is_left(start: Any, is_unknown: Any, _: Any) -> tf.Tensor:
            return tf.reduce_any((start < ends) & ~is_unknown)

        def take_piece(start: Any, is_unknown: Any, pieces: Any) -> tuple[Any, Any, Any]:
            is_live = (start < ends) & ~is_unknown
            size, piece = self._longest_piece(words, start, ends)
            is_found = is_live & (size > 0)
            column = tf.where(is_found, piece, NONE)
            start = tf.where(is_found, start + size, start)
            is_unknown = is_unknown | (is_live & ~is_found)
            return start, is_unknown, tf.concat([pieces, column[:, None]], axis=1)

        one_each = tf.TensorShape([None])
        _, is_unknown, pieces = tf.while_loop(
            is_left,
            take_piece,
            (tf.zeros_like(ends), is_unknown, tf.zeros([tf.size(words), 0], tf.int32)),
            shape_invariants=(one_each, one_each, tf.TensorShape([None, None])),
        )
        unknown = tf.where(is_unknown, self._unknown, NONE)[:, None]
        pieces = tf.where(is_unknown[:, None], NONE, pieces)
        pieces = tf.concat([unknown, pieces], axis=1)
        return tf.ragged.boolean_mask(pieces, pieces != NONE)

    def _longest_piece(
        self, words: tf.Tensor, start: tf.Tensor, ends: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return length `(n,)` and id `(n,)` of the longest piece of each word from `start` on.

        The length is 0 where no piece fits.
        """
        sizes = self._sizes[None, :]
        shape = [tf.size(words), tf.size(self._sizes)]
        first = tf.minimum(start, ends - 1)
        candidates = tf.strings.substr(
            tf.broadcast_to(words[:, None], shape),
            tf.broadcast_to(first[:, None], shape),
            tf.broadcast_to(sizes, shape),
            unit="UTF8_CHAR",
        )
        before = tf.where(start == 0, "", CONTINUED)[:, None]
        candidates = tf.strings.join([tf.broadcast_to(before, shape), candidates])
        ids = self._pieces.lookup(candidates)
        fits = (ids != NONE) & (start[:, None] + sizes <= ends[:, None])
        longest = tf.reduce_max(tf.where(fits, sizes, 0), axis=1)
        return longest, tf.gather(ids, tf.maximum(longest - 1, 0), batch_dims=1)

    def compute_output_spec(self, texts: Any) -> keras.KerasTensor:
        return keras.KerasTensor((texts.shape[0], None), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "length": self.length,
            "lower": self.lower,
        }


def _table(keys: tf.Tensor, values: tf.Tensor, default: Any) -> tf.lookup.StaticHashTable:
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


def _among_han(points: tf.Tensor) -> tf.Tensor:
    """Return which code points `(n,)` are Chinese characters."""
    among = tf.zeros_like(points, dtype=tf.bool)
    for first, last in HAN:
        among = among | ((points >= first) & (points <= last))
    return among
