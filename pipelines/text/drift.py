"""What texts are as a whole: how long they are, and how much of them is known."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines.evaluation.drift import Measure, Seen, drift_note, seen_in
from pipelines.text.tokens import PADDING, UNKNOWN, map_batches

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

LENGTH, UNKNOWN_SHARE = "characters", "share of unknown tokens"
MEASURES = (
    Measure(name=LENGTH, low="shorter", high="longer"),
    Measure(name=UNKNOWN_SHARE, low="", high="in other words"),
)
FEWEST_TOKENS = 8  # of a text of which a share says something
# All texts together are in other words where their share of unknown tokens is twice that of
# validation and five points more.
FACTOR, POINTS = 2.0, 0.05


def seen(splits: "TextSplits") -> dict[str, Seen]:
    """Return how long the training texts were, and how much of those of val was unknown.

    Of train next to nothing is unknown: the vocabulary is made of it.
    """
    lengths = np.asarray([len(text) for text in splits.texts("train")], np.float64)
    known = {LENGTH: seen_in(lengths)}
    shares = unknown_shares(splits.ids["val"])
    if np.isfinite(shares).any():
        known[UNKNOWN_SHARE] = Seen(low=0.0, high=seen_in(shares).high)
    return known


def measured(texts: np.ndarray, to_ids: keras.layers.Layer | None) -> dict[str, np.ndarray]:
    """Return length and share of unknown tokens of texts `(n,)`: `(n,)` each.

    Where a network has no vocabulary of its own, nothing is unknown.
    """
    lengths = np.asarray([len(text) for text in texts], np.float64)
    shares = np.full(len(texts), np.nan)
    if to_ids is not None:
        ids = map_batches(lambda some: np.asarray(to_ids(some)), texts)
        shares = unknown_shares(np.concatenate(ids))
    return {LENGTH: lengths, UNKNOWN_SHARE: shares}


def unknown_shares(ids: np.ndarray) -> np.ndarray:
    """Return the share of unknown tokens, NaN for a text of a few tokens; `ids` `(n, length)`."""
    counts = (ids != PADDING).sum(axis=1)
    shares = (ids == UNKNOWN).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts >= FEWEST_TOKENS, shares, np.nan)


def mean_share(shares: np.ndarray) -> float:
    """Return the mean of the shares `(n,)` of unknown tokens that say something, 0 without any."""
    known = shares[np.isfinite(shares)]
    return float(known.mean()) if len(known) else 0.0


def notes(drift: np.ndarray, shares: np.ndarray, of_val: float) -> list[str]:
    """Return a sentence where texts leave what training has seen: all together, or some.

    `of_val` is the mean share of unknown tokens in validation.
    """
    share = mean_share(shares)
    if share > FACTOR * of_val + POINTS:
        return [
            f"{share:.0%} of the tokens are not in the model's vocabulary, {of_val:.1%} were in "
            "validation: these texts are in other words, so that answers are less sure"
        ]
    return drift_note(drift, "texts")
