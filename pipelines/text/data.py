"""Texts from anywhere to `TextSplits`: read, checked, and split.

They are split before a vocabulary or anything else is fitted to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import shorten
from pipelines.evaluation import class_balance
from pipelines.io.digest import data_digest
from pipelines.runtime import import_tensorflow
from pipelines.splits import PARTS, Part, Splits
from pipelines.text import readers
from pipelines.text.labels import LabelledParts, split_labelled
from pipelines.text.options import TextOptions
from pipelines.text.remarks import remarks
from pipelines.text.texts import Texts, join_texts

if TYPE_CHECKING:
    from pipelines.text.numbering import NumberedTexts
    from pipelines.text.tokens import Tokenization

SHOWN_CLASSES = 20
LONG_SENTENCE = 0.95  # of all sentences are as long or shorter
UNIT_NAMES = {"word": "words", "char": "characters"}


@dataclass(frozen=True, kw_only=True)
class TextSplits(Splits):
    """Texts and their classes for each part, and what a network must know.

    All that it knows is taken from train alone. `ids` `(n, length)` are the tokens' numbers,
    computed once for all trials (see `TokenIds`); `y` are class numbers `(n,)`, or zeros and ones
    `(n, classes)` where a text may have several. The texts of the parts in `merged` come after
    those of train, too.
    """

    train: Texts
    val: Texts
    test: Texts
    y: Mapping[Part, np.ndarray]
    ids: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    length: int
    tokenization: "Tokenization"
    seed: int
    text_columns: tuple[str, ...] = ()  # of the table that the texts come from
    merged: tuple[Part, ...] = ()

    def of_part(self, part: Part) -> Texts:
        """Return the texts of a part with their labels and origins."""
        return {"train": self.train, "val": self.val, "test": self.test}[part]

    def texts(self, part: Part) -> np.ndarray:
        """Return the texts `(n,)` of a part."""
        return self.of_part(part).x

    def labels(self, part: Part) -> np.ndarray:
        """Return the classes of each text as they are in `y`."""
        return self.y[part]

    @property
    def exclusive(self) -> bool:
        """Whether each text has exactly one class."""
        return self.y["train"].ndim == 1

    @property
    def num_own(self) -> int:
        """How many texts of train are its own, and come from no part that was merged into it."""
        return len(self.y["train"]) - sum(len(self.y[part]) for part in self.merged)

    @cached_property
    def sentence_length(self) -> int:
        """The tokens of a long sentence in train, of those that are read; nothing is longer."""
        from pipelines.text.tokens import sentence_lengths

        lengths = sentence_lengths(self.ids["train"], self.vocabulary)
        return int(np.quantile(lengths, LONG_SENTENCE)) if len(lengths) else 0

    def one_hot(self, part: Part) -> np.ndarray:
        """Return the classes of each text as zeros and ones `(n, classes)`."""
        y = self.y[part]
        if self.exclusive:
            return np.asarray(np.eye(len(self.classes), dtype=np.float32)[y])
        return y.astype(np.float32)

    def class_counts(self) -> np.ndarray:
        """Return the training texts of each class `(classes,)`."""
        return np.asarray(self.one_hot("train").sum(axis=0))

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.y[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        from pipelines.text.tokens import PADDING, UNKNOWN

        counts = np.sum([self.one_hot(part).sum(axis=0) for part in PARTS], axis=0)
        named = [f"{name} {int(count):,}" for name, count in zip(self.classes, counts, strict=True)]
        ids = self.ids["val"]
        unknown = float((ids == UNKNOWN).sum() / max(1, (ids != PADDING).sum()))
        return {
            "classes": f"{len(self.classes):,}: {shorten(named, SHOWN_CLASSES)}",
            "tokens": f"{UNIT_NAMES[self.tokenization.unit]}, {len(self.vocabulary):,} in the "
            f"vocabulary; {unknown:.1%} of those in val are not in it",
            "length": f"the first {self.length} tokens of each text are read",
        }


def load(options: TextOptions) -> TextSplits:
    """Read what `--data` names, split what is not split yet, and number the tokens of train.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    source = readers.read(options)
    labelled = split_labelled(source, options)
    # Here: what is refused is refused before TensorFlow is imported.
    import_tensorflow()
    from pipelines.text.numbering import number_texts

    numbered = number_texts(labelled.parts, options)
    parts = labelled.parts
    splits = TextSplits(
        dataset=source.name,
        digest=_digest(labelled, numbered),
        notes=(*labelled.notes, *remarks(parts)),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        y=labelled.y,
        ids=numbered.ids,
        classes=labelled.classes,
        vocabulary=numbered.vocabulary,
        length=numbered.length,
        tokenization=numbered.tokenization,
        seed=options.seed,
        text_columns=source.text_columns,
    )
    if not splits.exclusive:
        return splits
    uneven = class_balance.remarks(splits.class_counts(), splits.classes, options.metric)
    return replace(splits, notes=(*splits.notes, *uneven))


def merge_into_train(splits: TextSplits, parts: Sequence[Part]) -> TextSplits:
    """Return splits whose train holds the texts of `parts` too, behind its own.

    Classes and tokens keep their numbers.
    """
    joined: list[Part] = ["train", *parts]
    y = np.concatenate([splits.y[part] for part in joined])
    ids = np.concatenate([splits.ids[part] for part in joined])
    return replace(
        splits,
        train=join_texts([splits.of_part(part) for part in joined]),
        y={**splits.y, "train": y},
        ids={**splits.ids, "train": ids},
        merged=tuple(parts),
    )


def _digest(labelled: LabelledParts, numbered: "NumberedTexts") -> str:
    arrays: list[np.ndarray] = []
    for part in PARTS:
        arrays += [labelled.parts[part].x, labelled.y[part]]
    tokenization = numbered.tokenization
    settings = [tokenization.unit, tokenization.lower, numbered.length]
    return data_digest(*arrays, np.asarray(settings))
