"""TF-IDF features of texts as sparse rows, known by their fingerprints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.splits import SCORED_PARTS, Part
from pipelines.text.tokens import Tokenization, map_batches, ngram_fingerprints

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_FEATURES = 100_000  # those that occur in most training texts
# From so many training texts on, a feature that occurs in one alone is left out.
MANY_TEXTS = 1_000
SMALLEST_SQUARE = 1e-12  # of a row's length: a text without features has length 0


@dataclass(frozen=True, kw_only=True)
class TfidfFeatures:
    """The weighted features of each part: `rows` `(n, features)`.

    The sorted fingerprints `keys` and the `idf` of train, both `(features,)`, belong to its
    columns.
    """

    keys: np.ndarray
    idf: np.ndarray
    rows: Mapping[Part, "csr_array"]


@dataclass(frozen=True, kw_only=True)
class _Occurrences:
    """One entry for each feature in each text, repeats included.

    Its text's number is `row` and its feature's fingerprint `key`, both `(entries,)`.
    """

    row: np.ndarray
    key: np.ndarray


def fit_features(
    texts: Mapping[Part, np.ndarray], tokenization: Tokenization, *, characters: bool
) -> TfidfFeatures:
    """Return the features of texts `(n,)` of all parts, those of train alone counting as known.

    A feature that occurs n times in a text counts (1 + log n) * idf, and each row has length 1;
    `characters` as for `ngram_fingerprints`.
    """
    train = _find(texts["train"], tokenization, characters=characters)
    num_train = len(texts["train"])
    keys, frequency = _frequent(train, num_train)
    # Smooth, as scikit-learn's.
    idf = np.log((1 + num_train) / (1 + frequency)).astype(np.float32) + 1
    rows: dict[Part, csr_array] = {"train": _rows(train, num_train, keys, idf)}
    for part in SCORED_PARTS:
        rows[part] = features_of(
            texts[part], tokenization, characters=characters, keys=keys, idf=idf
        )
    return TfidfFeatures(keys=keys, idf=idf, rows=rows)


def features_of(
    texts: np.ndarray,
    tokenization: Tokenization,
    *,
    characters: bool,
    keys: np.ndarray,
    idf: np.ndarray,
) -> "csr_array":
    """Return the weighted known features of texts `(n,)`: `(n, features)`.

    `keys` and `idf` are those of `TfidfFeatures`, `characters` as for `ngram_fingerprints`.
    """
    found = _find(texts, tokenization, characters=characters)
    return _rows(found, len(texts), keys, idf)


def _find(texts: np.ndarray, tokenization: Tokenization, *, characters: bool) -> _Occurrences:
    rows = []
    keys = []
    begin = 0
    for prints in map_batches(
        lambda batch: ngram_fingerprints(batch, tokenization, characters=characters), texts
    ):
        rows.append(prints.value_rowids().numpy() + begin)
        keys.append(prints.flat_values.numpy())
        begin += int(prints.nrows())
    return _Occurrences(row=np.concatenate(rows), key=np.concatenate(keys))


def _frequent(train: _Occurrences, num_train: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted fingerprints of the features to keep, and how many texts each occurs in.

    The texts are those of train.
    """
    keys, column = np.unique(train.key, return_inverse=True)
    # A text's repeated feature counts once here.
    pairs = np.unique(train.row * len(keys) + column)
    frequency = np.bincount(pairs % max(1, len(keys)), minlength=len(keys))
    least = 2 if num_train >= MANY_TEXTS else 1
    kept = np.flatnonzero(frequency >= least)
    if len(kept) > MOST_FEATURES:
        most_frequent_first = np.argsort(-frequency[kept], kind="stable")
        kept = np.sort(kept[most_frequent_first[:MOST_FEATURES]])
    if not len(kept):
        kept = np.arange(len(keys))
    return keys[kept], frequency[kept]


def _rows(
    occurrences: _Occurrences, num_texts: int, keys: np.ndarray, idf: np.ndarray
) -> "csr_array":
    from scipy.sparse import csr_array

    nearest = np.minimum(np.searchsorted(keys, occurrences.key), len(keys) - 1)
    is_known = keys[nearest] == occurrences.key
    # liblinear takes no wider indices.
    row = occurrences.row[is_known].astype(np.int32)
    column = nearest[is_known].astype(np.int32)
    ones = np.ones(len(row), np.float32)
    rows = csr_array((ones, (row, column)), shape=(num_texts, len(keys)))
    rows.sum_duplicates()
    rows.data = (1 + np.log(rows.data)) * idf[rows.indices]
    length = np.sqrt(np.maximum(rows.multiply(rows).sum(axis=1), SMALLEST_SQUARE))
    rows.data = (rows.data / np.repeat(length, np.diff(rows.indptr))).astype(np.float32)
    return rows
