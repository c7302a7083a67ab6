"""Texts from anywhere to `TextSplits`: read, checked, and split.

They are split before a vocabulary or anything else is fitted to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io.digest import data_digest
from pipelines.runtime import import_tensorflow
from pipelines.splits import PARTS, SCORED_PARTS, Part, Splits
from pipelines.text import readers
from pipelines.text.labels import LabelledParts, split_labelled
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts, TextSource

if TYPE_CHECKING:
    from pipelines.text.numbering import NumberedTexts
    from pipelines.text.tokens import Tokenization

SHOWN_CLASSES = 20
UNIT_NAMES = {"word": "words", "char": "characters"}
PART_NAMES = {"val": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class TextSplits(Splits):
    """Texts and their classes for each part, and what a network must know.

    All that it knows is taken from train alone. `ids` `(n, length)` are the tokens' numbers,
    computed once for all trials (see `TokenIds`); `y` are class numbers `(n,)`, or zeros and ones
    `(n, classes)` where a text may have several. With `val_in_train` the texts of val come after
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
    val_in_train: bool = False

    def texts(self, part: Part) -> np.ndarray:
        """Return the texts `(n,)` of a part."""
        return {"train": self.train, "val": self.val, "test": self.test}[part].x

    def labels(self, part: Part) -> np.ndarray:
        """Return the classes of each text as they are in `y`."""
        return self.y[part]

    @property
    def exclusive(self) -> bool:
        """Whether each text has exactly one class."""
        return self.y["train"].ndim == 1

    def one_hot(self, part: Part) -> np.ndarray:
        """Return the classes of each text as zeros and ones `(n, classes)`."""
        y = self.y[part]
        if self.exclusive:
            return np.asarray(np.eye(len(self.classes), dtype=np.float32)[y])
        return y.astype(np.float32)

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.y[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        from pipelines.text.tokens import PADDING, UNKNOWN

        counts = np.sum([self.one_hot(part).sum(axis=0) for part in PARTS], axis=0)
        named = [f"{name} {int(count)}" for name, count in zip(self.classes, counts, strict=True)]
        listed = ", ".join(named[:SHOWN_CLASSES])
        more = f" and {len(named) - SHOWN_CLASSES} more" if len(named) > SHOWN_CLASSES else ""
        ids = self.ids["val"]
        unknown = float((ids == UNKNOWN).sum() / max(1, (ids != PADDING).sum()))
        return {
            "classes": f"{len(self.classes)}: {listed}{more}",
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
    return TextSplits(
        dataset=source.name,
        digest=_digest(labelled, numbered),
        notes=_notes(source, labelled),
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
    )


def merge_train_val(splits: TextSplits) -> TextSplits:
    """Return splits whose train holds the texts of val too, behind its own.

    Classes and tokens keep their numbers.
    """
    train = Texts(
        x=np.concatenate([splits.train.x, splits.val.x]),
        labels=np.concatenate([splits.train.labels, splits.val.labels]),
    )
    y = np.concatenate([splits.y["train"], splits.y["val"]])
    ids = np.concatenate([splits.ids["train"], splits.ids["val"]])
    return replace(
        splits,
        train=train,
        y={**splits.y, "train": y},
        ids={**splits.ids, "train": ids},
        val_in_train=True,
    )


def _digest(labelled: LabelledParts, numbered: "NumberedTexts") -> str:
    arrays: list[np.ndarray] = []
    for part in PARTS:
        arrays += [labelled.parts[part].x, labelled.y[part]]
    tokenization = numbered.tokenization
    settings = [tokenization.unit, tokenization.lower, numbered.length]
    return data_digest(*arrays, np.asarray(settings))


def _notes(source: TextSource, labelled: LabelledParts) -> tuple[str, ...]:
    """Return the notes of the source, of the labels and on the texts.

    Texts of val and test that also occur in train make scores look better than they are.
    """
    from pipelines.text.tokens import MOST_CHARACTERS

    notes = [*source.notes, *labelled.notes]
    train = labelled.parts["train"].x
    in_train = set(train)
    for part in SCORED_PARTS:
        texts = labelled.parts[part].x
        copies = sum(text in in_train for text in texts)
        if copies:
            notes.append(
                f"{copies} of {len(texts)} {PART_NAMES[part]} texts are duplicates of training "
                "texts"
            )
    longest = max(map(len, train))
    if longest > MOST_CHARACTERS:
        notes.append(
            f"the longest text has {longest:,} characters; "
            f"the first {MOST_CHARACTERS:,} of each are read"
        )
    return tuple(notes)
