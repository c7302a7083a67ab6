"""The texts of a data set as a pretrained encoder reads them: ids of pieces, and vectors.

Computed when they are first asked for. Vectors are kept on disk too, for later runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from pipelines.io.progress import working
from pipelines.pretrained import weights
from pipelines.pretrained.sentences import (
    Encoder,
    SentencePooling,
    TokenRows,
    find_encoder,
    graph_of_ids,
    join_rows,
    pooled_network,
    sentence_vectors,
    tokenize,
)
from pipelines.splits import PARTS, Part
from pipelines.text.spec import ARCHITECTURES, ENCODER_KEY, PRETRAINED, TextSpec
from pipelines.timing import BATCH_SIZES, first_rows, latencies

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

T = TypeVar("T")
# Characters of all texts up to which a pretrained encoder is tried by itself: 4 million are read in
# one to five minutes.
MOST_CHARACTERS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """What the encoding of a text depends on: see `pipelines.text.spec.EncoderSpec`."""

    name: str
    length: int
    pooling: SentencePooling

    def encoder(self) -> Encoder:
        """Return the encoder.

        Raises:
            UsageError, DataError: there is none, or not on this machine.
        """
        return find_encoder(self.name, ENCODER_KEY)


def encoder_settings(spec: TextSpec) -> EncoderSettings | None:
    """Return how the texts of a pretrained network are encoded; None for any other network."""
    if not ARCHITECTURES[spec.architecture].weights_key:
        return None
    encoder = spec.encoder
    return EncoderSettings(name=encoder.name, length=encoder.length, pooling=encoder.pooling)


def default_settings() -> EncoderSettings | None:
    """Return how the default encoder reads texts; None where it is not on this machine."""
    spec = TextSpec(architecture=PRETRAINED)
    if not weights.is_here(spec.encoder.name):
        return None
    return encoder_settings(spec)


def is_affordable(splits: "TextSplits") -> bool:
    """Whether these texts are few enough to be read by an encoder without being asked."""
    characters = 0
    for part in PARTS:
        characters += sum(map(len, splits.texts(part)))
    return characters <= MOST_CHARACTERS


class EncodedTexts:
    """The encoded texts of data sets, by part.

    A pipeline holds them, so that the trials of a sweep share them.
    """

    def __init__(self) -> None:
        self._vectors: dict[_Key, np.ndarray] = {}
        self._rows: dict[_Key, TokenRows] = {}
        self._latencies: dict[_Key, dict[str, float]] = {}

    def __getstate__(self) -> dict[str, object]:
        # Worker processes read vectors from the disk: they are not sent.
        return {"_vectors": {}, "_rows": {}, "_latencies": self._latencies}

    def vectors(self, splits: "TextSplits", part: Part, settings: EncoderSettings) -> np.ndarray:
        """Return the vectors `(n, width)` of a part by the frozen encoder."""

        def compute(texts: np.ndarray) -> np.ndarray:
            return sentence_vectors(
                settings.encoder(), texts, length=settings.length, pooling=settings.pooling
            )

        parts = _of_part(self._vectors, splits, part, settings, compute)
        return np.concatenate(parts)

    def rows(self, splits: "TextSplits", part: Part, settings: EncoderSettings) -> TokenRows:
        """Return the ids of the pieces of each text of a part."""

        def compute(texts: np.ndarray) -> TokenRows:
            return tokenize(settings.encoder(), texts, settings.length)

        return join_rows(_of_part(self._rows, splits, part, settings, compute))

    def latencies(self, splits: "TextSplits", settings: EncoderSettings) -> dict[str, float]:
        """Return the times of the encoder's answers to texts of val, taken once for a data set.

        See `pipelines.timing.latencies`.
        """

        def measure(texts: np.ndarray) -> dict[str, float]:
            import tensorflow as tf

            encoder = settings.encoder()
            rows = tokenize(encoder, texts[: max(BATCH_SIZES)], settings.length)
            answer = graph_of_ids(pooled_network(encoder.network(), settings.pooling))
            batches = {}
            for size in BATCH_SIZES:
                batches[size] = tf.constant(rows.padded(first_rows(size, len(rows))))
            with working(f"how long {settings.name} takes for a text"):
                return latencies(lambda size: answer(batches[size]))

        (found,) = _of_part(self._latencies, splits, "val", settings, measure)
        return found


_Key: TypeAlias = tuple[str, int, Part, EncoderSettings]


def _of_part(
    known: dict[_Key, T],
    splits: "TextSplits",
    part: Part,
    settings: EncoderSettings,
    compute: Callable[[np.ndarray], T],
) -> list[T]:
    """Return what `compute` returns for the texts of a part, computed once for a data set.

    Where others are merged into train, what is known of each is returned, one after the other.
    """
    texts = splits.texts(part)
    parts: list[tuple[Part, np.ndarray]] = [(part, texts)]
    if part == "train":
        parts = [("train", texts[: splits.num_own])]
        parts += [(other, splits.texts(other)) for other in splits.merged]
    encoded = []
    for name, own in parts:
        key = (splits.digest, splits.seed, name, settings)
        if key not in known:
            known[key] = compute(own)
        encoded.append(known[key])
    return encoded
