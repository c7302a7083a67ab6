"""Texts to tokens and n-gram features by TensorFlow's string operations.

They are the same in training and in a saved model.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import tensorflow as tf

from pipelines.io.progress import counted

Unit: TypeAlias = Literal["word", "char"]
T = TypeVar("T")

MOST_CHARACTERS = 20_000  # of one text; what comes after them is not read
APOSTROPHE = "\u2019"  # between letters, where it is a letter itself
PADDING = 0  # the ids that are no token of the vocabulary
UNKNOWN = 1
FIRST_ID = 2  # of the vocabulary
NUM_SPECIAL = FIRST_ID
# Of a text, in runs of words, and in front of a part of a word, where it keeps the part "of" and
# the word "of" apart: no token holds a control character.
BEGIN = "\x02"
END = "\x03"
PART = "\x01"
NUM_FINGERPRINTS = 2**62
SENTENCE_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")

# Lengths of the runs that a linear model counts.
WORD_PARTS = (2, 3, 4, 5)  # characters inside a word and its borders
CHARACTER_RUNS = (1, 2, 3, 4)
LONG_CHARACTER_RUNS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """What a token is, and whether case is ignored."""

    unit: Unit
    lower: bool


def split(texts: tf.Tensor, tokenization: Tokenization) -> tf.RaggedTensor:
    """Return the tokens `(batch, None)` of texts `(batch,)`.

    They are words and single punctuation marks, or characters. An apostrophe between letters
    belongs to its word ("don't"). Every kind of white space separates, and so do control
    characters.
    """
    texts = tf.strings.substr(texts, 0, MOST_CHARACTERS, unit="UTF8_CHAR")
    if tokenization.lower:
        texts = tf.strings.lower(texts, encoding="utf-8")
    if tokenization.unit == "char":
        spaced = tf.strings.regex_replace(texts, r"[\s\p{Z}\p{Cc}]+", " ")
        return tf.strings.unicode_split(tf.strings.strip(spaced), "UTF-8")
    # All but the space itself: ten times as fast as a run of any.
    texts = tf.strings.regex_replace(texts, r"[^\P{Z} ]|\p{Cc}", " ")
    texts = tf.strings.regex_replace(texts, f"['`{APOSTROPHE}]", "'")
    # Twice, for the second one of rock'n'roll: matches do not overlap.
    for _ in range(2):
        texts = tf.strings.regex_replace(
            texts, r"([\p{L}\p{N}])'([\p{L}\p{N}])", rf"\1{APOSTROPHE}\2"
        )
    texts = tf.strings.regex_replace(texts, rf"([^\p{{L}}\p{{M}}\p{{N}}{APOSTROPHE} ])", r" \1 ")
    return tf.strings.split(texts)


def sentence_lengths(ids: np.ndarray, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the tokens of each sentence in `ids` `(n, length)`, with its end: `(sentences,)`.

    A sentence ends after marks such as full stops, several of which are one end, and with its text.
    """
    ends = [FIRST_ID + place for place, token in enumerate(vocabulary) if token in SENTENCE_ENDS]
    is_token = ids != PADDING
    text = np.nonzero(is_token)[0]
    if not len(text):
        return text
    is_mark = np.isin(ids[is_token], ends)
    is_last_of_text = np.append(text[1:] != text[:-1], True)
    is_end = is_last_of_text | (is_mark & ~np.append(is_mark[1:], False))
    return np.diff(np.flatnonzero(is_end), prepend=-1)


def ngram_fingerprints(
    texts: tf.Tensor, tokenization: Tokenization, *, characters: bool
) -> tf.RaggedTensor:
    """Return the 64-bit fingerprints `(batch, None)` of what a linear model counts in each text.

    Words: each word, pairs of words, where the text's beginning and end count as words, and, with
    `characters`, runs of two to five characters inside a word and its borders. Characters: runs of
    one to four (six with `characters`).
    """
    tokens = split(texts, tokenization)
    if tokenization.unit == "char":
        lengths = LONG_CHARACTER_RUNS if characters else CHARACTER_RUNS
        return _fingerprints(tf.strings.ngrams(tokens, list(lengths), separator=""))
    # With both ends the log loss of five-fold cross-validation was 1 to 2 per cent lower on trec,
    # clinc150 and sms_spam ("what ... ?" and "... what ?" ask for different things), .3 on the
    # reviews, and .1 higher on sst2.
    begin = tf.fill([tokens.nrows(), 1], BEGIN)
    end = tf.fill([tokens.nrows(), 1], END)
    pairs = tf.strings.ngrams(tf.concat([begin, tokens, end], axis=1), 2, separator=" ")
    words = _fingerprints(tf.concat([tokens, pairs], axis=1))
    if not characters:
        return words
    return tf.concat([words, _fingerprints(_word_parts(tokens))], axis=1)


def _word_parts(tokens: tf.RaggedTensor) -> tf.RaggedTensor:
    padded = tf.strings.join([" ", tokens.flat_values, " "])
    letters = tf.strings.unicode_split(padded, "UTF-8")
    parts = tf.strings.ngrams(letters, list(WORD_PARTS), separator="")
    marked = parts.with_flat_values(tf.strings.join([PART, parts.flat_values]))
    return tokens.with_flat_values(marked).merge_dims(1, 2)


def _fingerprints(pieces: tf.RaggedTensor) -> tf.RaggedTensor:
    # `fast` is FarmHash's Fingerprint64: the same on all machines and in all versions.
    prints = tf.strings.to_hash_bucket_fast(pieces.flat_values, NUM_FINGERPRINTS)
    return pieces.with_flat_values(prints)


def map_batches(
    function: Callable[[tf.Tensor], T], texts: np.ndarray, batch_size: int = 1024
) -> list[T]:
    """Return `function` of each batch of `texts` `(n,)`, strings of Python.

    Several batches at once: TensorFlow gives the string operations of each one thread.
    """
    # Half of a surrogate pair has no UTF-8.
    encoded = [text.encode("utf-8", "replace") for text in texts]
    num_threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()

    def of_batch(start: int) -> T:
        return function(tf.constant(encoded[start : start + batch_size]))

    with ThreadPoolExecutor(num_threads) as threads:
        starts = range(0, len(encoded), batch_size)
        return list(counted(threads.map(of_batch, starts), "batches of texts", len(starts)))
