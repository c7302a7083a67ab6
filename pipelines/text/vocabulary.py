"""What a token is, which tokens are known, and how many a text has: taken from train alone."""

import re
from collections import Counter

import numpy as np

from pipelines.text.tokens import Tokenization, map_batches, split

MOST_TOKENS = 30_000  # in an automatic vocabulary
# So many distinct tokens of train are kept all; of more, those that occur twice.
SMALL_VOCABULARY = 1_000
LONGEST = 400  # tokens, of an automatic length
COVERED = 98  # per cent of training texts that an automatic length holds whole
# Of the training texts, to decide whether white space divides them into words.
SAMPLED_TEXTS = 2_000
SAMPLED_CHARACTERS = 1_000_000
LONGEST_MEAN_WORD = 20  # characters, white space included
# Letters of scripts that put no space between words: Thai and its neighbours, kana, Chinese
# characters.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


def has_words(texts: np.ndarray) -> bool:
    """Whether white space divides these texts `(n,)` into words.

    It does not in DNA, proteins or Chinese.
    """
    step = max(1, len(texts) // SAMPLED_TEXTS)
    sample = " ".join(texts[::step])[:SAMPLED_CHARACTERS]
    words = sample.split()
    if not words or len(sample) / len(words) > LONGEST_MEAN_WORD:
        return False
    num_letters = sum(map(str.isalpha, sample))
    return len(UNSPACED.findall(sample)) <= num_letters / 2


def count_tokens(
    texts: np.ndarray, tokenization: Tokenization, most: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the vocabulary of texts `(n,)`, and how many tokens each text has `(n,)`.

    The most frequent tokens come first. `most` is the size of the vocabulary, 0 for an automatic
    one.
    """
    counts: Counter[bytes] = Counter()
    lengths = []
    for tokens in map_batches(lambda batch: split(batch, tokenization), texts):
        counts.update(tokens.flat_values.numpy().tolist())
        lengths.append(tokens.row_lengths().numpy())
    least = 1 if most or len(counts) < SMALL_VOCABULARY else 2
    # Ties in the order of the alphabet: the order in a file must not decide.
    ordered = sorted((-count, token) for token, count in counts.items() if count >= least)
    kept = ordered[: most or MOST_TOKENS]
    vocabulary = tuple(token.decode("utf-8", "replace") for _, token in kept)
    return vocabulary, np.concatenate(lengths)


def automatic_length(lengths: np.ndarray) -> int:
    """Return how many tokens of a text a network reads, for texts of these lengths `(n,)`."""
    return int(np.clip(np.percentile(lengths, COVERED), 1, LONGEST))
