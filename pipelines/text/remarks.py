"""What the person behind texts should know of them beside what the audit finds: very long ones."""

from collections.abc import Mapping

import numpy as np

from pipelines.errors import count_of
from pipelines.splits import Part
from pipelines.text.texts import Texts


def remarks(parts: Mapping[Part, Texts]) -> tuple[str, ...]:
    """Return notes on the texts of train."""
    return tuple(_long(parts["train"].x))


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
