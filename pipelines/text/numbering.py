"""Texts as numbers: what a token is, which tokens are known, and the numbers of each text's tokens.

All of it is taken from train alone. TensorFlow is imported here: the texts were read before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.splits import PARTS, Part
from pipelines.text import vocabulary
from pipelines.text.layers import TokenIds
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts
from pipelines.text.tokens import Tokenization, Unit, map_batches


@dataclass(frozen=True, kw_only=True)
class NumberedTexts:
    """The numbers of the tokens of all texts, `ids` `(n, length)` by part, and what they mean."""

    ids: Mapping[Part, np.ndarray]
    vocabulary: tuple[str, ...]
    length: int
    tokenization: Tokenization


def number_texts(parts: Mapping[Part, Texts], options: TextOptions) -> NumberedTexts:
    """Return the tokens of all parts as numbers, by the vocabulary and the lengths of train."""
    train = parts["train"].x
    tokenization = Tokenization(unit=_unit(options, train), lower=options.lower)
    tokens, lengths = vocabulary.count_tokens(train, tokenization, options.vocabulary)
    length = options.length or vocabulary.automatic_length(lengths)
    to_ids = TokenIds(list(tokens), length, tokenization.unit, tokenization.lower)
    ids: dict[Part, np.ndarray] = {}
    for part in PARTS:
        batches = map_batches(lambda batch: to_ids(batch).numpy(), parts[part].x)
        ids[part] = np.concatenate(batches)
    return NumberedTexts(ids=ids, vocabulary=tokens, length=length, tokenization=tokenization)


def _unit(options: TextOptions, train: np.ndarray) -> Unit:
    """Return what a token is: as the options say, else words where texts have some."""
    if options.tokens != "auto":
        return options.tokens
    return "word" if vocabulary.has_words(train) else "char"
