"""What the person behind texts should know of them: copies, contradictions, very long ones."""

from collections.abc import Mapping

import numpy as np

from pipelines.errors import count_of
from pipelines.splits import PARTS, SCORED_PARTS, Part
from pipelines.text.texts import Texts

PART_NAMES = {"val": "validation", "test": "test"}
SHOWN_PAIRS = 3


def remarks(parts: Mapping[Part, Texts]) -> tuple[str, ...]:
    """Return notes on the texts of all parts.

    Texts of val and test that also occur in train make scores look better than they are.
    """
    return (*_copies(parts), *_contradictions(parts), *_long(parts["train"].x))


def _copies(parts: Mapping[Part, Texts]) -> list[str]:
    notes = []
    in_train = set(parts["train"].x)
    for part in SCORED_PARTS:
        texts = parts[part].x
        copies = sum(text in in_train for text in texts)
        if copies:
            notes.append(
                f"{copies:,} of {len(texts):,} {PART_NAMES[part]} texts are duplicates of training "
                "texts"
            )
    return notes


def _contradictions(parts: Mapping[Part, Texts]) -> list[str]:
    """Note texts that stand under two labels: nothing can answer both."""
    first: dict[str, tuple[object, object]] = {}
    pairs: dict[str, str] = {}
    for part in PARTS:
        texts = parts[part]
        for text, label, origin in zip(texts.x, texts.labels, texts.origin, strict=True):
            other_label, other_origin = first.setdefault(text, (label, origin))
            if label != other_label and text not in pairs:
                pairs[text] = (
                    f"{_place(other_origin)} as {_words(other_label)} and "
                    f"{_place(origin)} as {_words(label)}"
                )
    if not pairs:
        return []
    listed = "; ".join(list(pairs.values())[:SHOWN_PAIRS])
    what = "text stands" if len(pairs) == 1 else "texts stand"
    return [f"{len(pairs):,} {what} under two labels: {listed}"]


def _place(origin: object) -> str:
    return f"line {origin}" if isinstance(origin, int | np.integer) else str(origin)


def _words(label: object) -> str:
    if isinstance(label, tuple):
        return "|".join(label) or "none"
    return str(label)


def _long(train: np.ndarray) -> list[str]:
    # Here: texts are refused before TensorFlow is imported.
    from pipelines.text.tokens import MOST_CHARACTERS

    longest = max(map(len, train))
    if longest <= MOST_CHARACTERS:
        return []
    count = sum(len(text) > MOST_CHARACTERS for text in train)
    return [
        f"the longest text has {longest:,} characters; "
        f"the first {MOST_CHARACTERS:,} of each are read ({count_of(count, 'text')} longer)"
    ]
