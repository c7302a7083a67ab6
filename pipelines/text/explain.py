"""Which words have moved an answer: the model is asked again without each of them.

What is asked is the model that answers, with the TF-IDF that it may be blended with.
"""

import re
from collections.abc import Sequence

import keras
import numpy as np

from pipelines.io.progress import counted
from pipelines.text import predict

BECAUSE = "because"
MOST_PIECES = 100  # of a text: longer ones are taken out a few words at a time
SHOWN = 5  # pieces for each text
DIGITS = 3
WORD = re.compile(r"\S+")


def contributions(served: keras.Model, text: str, label: int) -> tuple[list[str], np.ndarray]:
    """Return the words of a text, and by how much each has raised the probability of a class.

    That is the probability less the one of the text without this word, wherever it stands:
    `(words,)`. Of a text with more than `MOST_PIECES` words, neighbours are taken out together.
    """
    words = WORD.findall(text)
    pieces, without = _occluded(words)
    asked = np.asarray([text, *without], dtype=object)
    of_label = predict.predict_texts(served, asked)[:, label].astype(np.float64)
    return pieces, of_label[0] - of_label[1:]


def _occluded(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what is taken out of a text, and what is left of it each time."""
    different = list(dict.fromkeys(words))
    if len(different) <= MOST_PIECES:
        left = [" ".join(word for word in words if word != piece) for piece in different]
        return different, left
    length = -(-len(words) // MOST_PIECES)
    starts = range(0, len(words), length)
    pieces = [" ".join(words[start : start + length]) for start in starts]
    left = [" ".join([*words[:start], *words[start + length :]]) for start in starts]
    return pieces, left


def because(served: keras.Model, texts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each text `(n,)` the words that have moved the probability of its label most."""
    told = np.full(len(texts), "", dtype=object)
    for row in counted(range(len(texts)), "texts explained", len(texts)):
        pieces, raised = contributions(served, texts[row], labels[row])
        order = np.argsort(-np.abs(raised), kind="stable")[:SHOWN]
        shown = raised.round(DIGITS) + 0.0  # without a minus before 0
        told[row] = ", ".join(f"{pieces[n]} {shown[n]:+.{DIGITS}f}" for n in order)
    return told
