"""Texts from anywhere to `TextSplits`: read, checked, split before a vocabulary or anything else is fitted to them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.evaluation.splitting import (
    class_names,
    class_numbers,
    require_classes,
    require_known,
    split_parts,
    subsample,
)
from pipelines.io.digest import data_digest
from pipelines.splits import PARTS, Part, Splits
from pipelines.text import readers
from pipelines.text.readers import Texts

if TYPE_CHECKING:
    from pipelines.text.closed import Closed
    from pipelines.text.pipeline import TextPipeline
    from pipelines.text.tokens import Unit

MOST_TOKENS = 30_000  # in an automatic vocabulary
LONGEST = 400  # tokens, of an automatic length
COVERED = 98  # per cent of training texts that an automatic length holds whole
SHOWN_CLASSES = 20
FEWEST_ALIKE = 5  # texts with the same rarest class that are divided by their shares
# Letters of scripts that put no space between words: Thai and its neighbours, kana, Chinese characters.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
UNITS = {"word": "words", "char": "characters"}


@dataclass(frozen=True, kw_only=True)
class TextSplits(Splits):
    """Texts and their classes for each part, and what a network must know: all of it taken from train alone.

    `ids` `(n, length)` are the tokens' numbers, computed once for all trials (see `tokens.TokenIds`); `y` `(n,)` class
    numbers, or `(n, classes)` zeros and ones where a text may have several; `starts` the closed form's logits
    `(n, classes)` where these splits were made from others that have them.
    """

    train: Texts
    val: Texts
    test: Texts
    y: Mapping[Part, np.ndarray]
    ids: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    length: int
    unit: "Unit"
    lower: bool
    seed: int
    starts: Mapping[Part, np.ndarray] | None = None

    def texts(self, part: Part) -> np.ndarray:
        return {"train": self.train, "val": self.val, "test": self.test}[part].x

    def labels(self, part: Part) -> np.ndarray:
        return self.y[part]

    @property
    def exclusive(self) -> bool:
        """Whether each text has exactly one class."""
        return self.y["train"].ndim == 1

    def hot(self, part: Part) -> np.ndarray:
        """Return the classes of each text as zeros and ones `(n, classes)`."""
        y = self.y[part]
        return (
            np.eye(len(self.classes), dtype=np.float32)[y]
            if self.exclusive
            else y.astype(np.float32)
        )

    def sizes(self) -> dict[Part, int]:
        return {part: len(self.y[part]) for part in PARTS}

    def describe(self) -> dict[str, str]:
        counts = sum(self.hot(part).sum(axis=0) for part in PARTS)
        shown = [
            f"{name} {int(count)}"
            for name, count in zip(self.classes, np.atleast_1d(counts), strict=True)
        ]
        more = f" and {len(shown) - SHOWN_CLASSES} more" if len(shown) > SHOWN_CLASSES else ""
        from pipelines.text.tokens import UNKNOWN

        unknown = float((self.ids["val"] == UNKNOWN).sum() / max(1, (self.ids["val"] > 0).sum()))
        return {
            "classes": f"{len(self.classes)}: {', '.join(shown[:SHOWN_CLASSES])}{more}",
            "tokens": f"{UNITS[self.unit]}, {len(self.vocabulary):,} known; {unknown:.1%} of those in val are not",
            "length": f"{self.length} tokens are read of each text",
        }

    @cached_property
    def closed(self) -> "Closed":
        """TF-IDF and logistic regression on these splits: the baseline, and what a network may start from."""
        from pipelines.text import closed

        texts = {part: self.texts(part) for part in PARTS}
        hot = {part: self.hot(part) for part in PARTS}
        return closed.fit(
            texts, hot, exclusive=self.exclusive, unit=self.unit, lower=self.lower, seed=self.seed
        )

    def start(self, part: Part) -> np.ndarray:
        """Return the logits `(n, classes)` that a network corrects: none comes from a model that has seen the text."""
        return (self.starts or self.closed.logits)[part]

    def merge_train_val(self) -> "TextSplits":
        """Return these splits with the texts of val in train; the logits to start from stay those of models that have not seen them."""

        def both(of: Callable[[Part], np.ndarray]) -> np.ndarray:
            return np.concatenate([of("train"), of("val")])

        return replace(
            self,
            train=Texts(
                x=both(self.texts), labels=np.concatenate([self.train.labels, self.val.labels])
            ),
            y={**self.y, "train": both(self.labels)},
            ids={**self.ids, "train": both(lambda part: self.ids[part])},
            starts={**self.closed.logits, "train": both(self.start)},
        )


def load(options: "TextPipeline") -> TextSplits:
    """Read what `--data` names, split what is not split yet, and number the tokens that train knows.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    from pipelines.text.tokens import TokenIds, in_batches

    read = readers.read(options)
    labelled = (
        _multi_labelled(read, options) if options.multi_label else _labelled(read, options.seed)
    )
    parts, y, classes, notes = labelled.parts, labelled.y, labelled.classes, labelled.notes
    if options.limit:
        chosen = {
            part: subsample(_first_classes(y[part]), options.limit, options.seed) for part in parts
        }
        parts = {part: texts.take(chosen[part]) for part, texts in parts.items()}
        y = {part: y[part][chosen[part]] for part in y}
        if not options.multi_label:
            require_known(y, classes, read.where)

    train = parts["train"].x
    unit: Unit = (
        options.tokens if options.tokens != "auto" else ("word" if _has_words(train) else "char")
    )
    vocabulary, lengths = _vocabulary(train, unit, options.lower, options.vocabulary)
    length = options.length or int(np.clip(np.percentile(lengths, COVERED), 1, LONGEST))
    numbered = TokenIds(list(vocabulary), length, unit, options.lower)
    splits = TextSplits(
        dataset=read.name,
        digest=data_digest(
            *(array for part in PARTS for array in (parts[part].x, y[part])),
            np.asarray([unit, options.lower, length]),
        ),
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        y=y,
        ids={
            part: np.concatenate(in_batches(lambda batch: numbered(batch).numpy(), parts[part].x))
            for part in PARTS
        },
        classes=classes,
        vocabulary=vocabulary,
        length=length,
        unit=unit,
        lower=options.lower,
        seed=options.seed,
    )
    return replace(splits, notes=(*read.notes, *notes, *_notes(splits)))


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """The three parts with their classes: numbers `(n,)`, or zeros and ones `(n, classes)` with `--multi-label`."""

    parts: Mapping[Part, Texts]
    y: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        read: readers.Read,
        rows: Mapping[Part, tuple[Part, np.ndarray]],
        given: Mapping[Part, np.ndarray],
        classes: tuple[str, ...],
        notes: tuple[str, ...],
    ) -> "_Labelled":
        """Return the parts that `rows` makes of the given ones: where each comes from, and the positions there."""
        return cls(
            parts={
                part: read.parts[source].take(positions)
                for part, (source, positions) in rows.items()
            },
            y={part: given[source][positions] for part, (source, positions) in rows.items()},
            classes=classes,
            notes=notes,
        )


def _labelled(read: readers.Read, seed: int) -> _Labelled:
    """Divide texts that have one class each."""
    classes = read.classes or class_names(
        {label for texts in read.parts.values() for label in texts.labels}
    )
    given = {part: class_numbers(list(texts.labels), classes) for part, texts in read.parts.items()}
    notes = _suspicion(classes, read)
    found = _Labelled.of(read, split_parts(given, classes, read.where, seed), given, classes, notes)
    require_known(found.y, classes, read.where)
    return found


def _multi_labelled(read: readers.Read, options: "TextPipeline") -> _Labelled:
    """Divide texts that have any number of classes, by the rarest one of each."""
    separator = _separator(read, options.label_separator)
    several = {
        part: [_apart(label, separator) for label in texts.labels]
        for part, texts in read.parts.items()
    }
    classes = class_names({name for rows in several.values() for names in rows for name in names})
    given = {
        part: np.asarray([[name in names for name in classes] for names in rows], np.int8)
        for part, rows in several.items()
    }
    missing = [part for part in PARTS if part not in given]
    require_classes(
        dict(zip(classes, given["train"].sum(axis=0).tolist(), strict=True)),
        read.where,
        least=1 + len(missing),
    )
    keys = {part: _rarest(hot, given["train"]) for part, hot in given.items()}
    rows = _none_lacking(
        split_parts(keys, ("other", *classes), read.where, options.seed, checked=True),
        given["train"],
    )
    notes = (f"{read.where}: labels are separated by {separator!r}: {len(classes)} classes",)
    found = _Labelled.of(read, rows, given, classes, notes)
    for part in PARTS[1:]:
        if not len(found.y[part]):
            raise DataError(
                f"{read.where}: no text is left for {part}: each has a class that train would lack. Expected more texts of a class"
            )
    lacking = [
        name for name, count in zip(classes, found.y["train"].sum(axis=0), strict=True) if not count
    ]
    if lacking and not options.limit:
        raise DataError(
            f"{read.where}: val or test hold classes that train lacks: {', '.join(lacking[:10])}"
        )
    return found


def _none_lacking(
    rows: Mapping[Part, tuple[Part, np.ndarray]], hot: np.ndarray
) -> dict[Part, tuple[Part, np.ndarray]]:
    """Return a division in which train has every class that the rows divided from it have: those of a lacking one come back."""
    train = rows["train"][1]
    lacking = hot[train].sum(axis=0) == 0
    found: dict[Part, tuple[Part, np.ndarray]] = {"train": rows["train"]}
    for part in PARTS[1:]:
        source, positions = rows[part]
        back = (
            hot[positions][:, lacking].any(axis=1)
            if source == "train"
            else np.zeros(len(positions), bool)
        )
        train = np.concatenate([train, positions[back]])
        found[part] = (source, positions[~back])
    found["train"] = ("train", np.sort(train))
    return found


def _rarest(hot: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return what a division goes by: 1 + each text's rarest class in train, 0 (all others) where too few texts would share it."""
    order = np.argsort(np.argsort(train.sum(axis=0), kind="stable"))

    def keys(rows: np.ndarray) -> np.ndarray:
        return np.where(
            rows.any(axis=1), 1 + np.where(rows > 0, order, rows.shape[1]).argmin(axis=1), 0
        )

    counts = np.bincount(keys(train), minlength=train.shape[1] + 1)
    found = keys(hot)
    found[counts[found] < FEWEST_ALIKE] = 0
    if (
        0 < (counts[counts < FEWEST_ALIKE].sum() + counts[0]) < FEWEST_ALIKE
    ):  # too few others: they go with the most frequent
        found[found == 0] = counts.argmax()
    return found


def _first_classes(y: np.ndarray) -> np.ndarray:
    return y if y.ndim == 1 else y.argmax(axis=1)


def _suspicion(classes: tuple[str, ...], read: readers.Read) -> tuple[str, ...]:
    """Note labels that look like several in one cell."""
    for separator in "|;,":
        joined = [name for name in classes if separator in name]
        alone = {name for name in classes if separator not in name}
        if joined and all(
            part.strip() in alone for name in joined for part in name.split(separator)
        ):
            return (
                f"{read.where}: labels such as {joined[0]!r} look like several in one: add --multi-label",
            )
    return ()


def _separator(read: readers.Read, given: str) -> str:
    for separator in [given] if given else "|;,":
        if any(separator in label for label in read.parts["train"].labels):
            return separator
    if given:
        raise DataError(
            f"{read.where}: --label-separator {given!r}: no label holds it, such as {read.parts['train'].labels[0]!r}"
        )
    raise DataError(
        f"{read.where}: --multi-label, but no label holds | ; or , between several. What stands there? --label-separator TEXT"
    )


def _apart(label: str, separator: str) -> set[str]:
    return {name.strip() for name in label.split(separator) if name.strip()}


def _has_words(texts: np.ndarray) -> bool:
    """Return whether white space divides these texts into words: not so in DNA, proteins, Chinese."""
    some = " ".join(texts[:: max(1, len(texts) // 2000)])[:1_000_000]
    words = some.split()
    if not words or len(some) / len(words) > 20:
        return False
    return len(UNSPACED.findall(some)) <= sum(map(str.isalpha, some)) / 2


def _vocabulary(
    texts: np.ndarray, unit: "Unit", lower: bool, most: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the known tokens, the most frequent first, and how many tokens each text has `(n,)`."""
    from pipelines.text import tokens

    counts: Counter[bytes] = Counter()
    lengths = []
    for found in tokens.in_batches(lambda batch: tokens.split(batch, unit, lower), texts):
        counts.update(found.flat_values.numpy().tolist())
        lengths.append(found.row_lengths().numpy())
    least = 1 if most or len(counts) < 1000 else 2
    # Ties in the order of the alphabet: the order in a file must not decide.
    ordered = sorted((-count, token) for token, count in counts.items() if count >= least)
    return tuple(
        token.decode("utf-8", "replace") for _, token in ordered[: most or MOST_TOKENS]
    ), np.concatenate(lengths)


def _notes(splits: TextSplits) -> tuple[str, ...]:
    """Count val and test texts that also stand in train: they make scores look better than they are."""
    seen = set(splits.train.x)
    notes = []
    for part in ("val", "test"):
        texts = splits.texts(part)
        twice = sum(text in seen for text in texts)
        if twice:
            notes.append(f"{twice} of {len(texts)} {part} texts also stand in train")
    from pipelines.text.tokens import MOST_CHARACTERS

    longest = max(map(len, splits.train.x))
    if longest > MOST_CHARACTERS:
        notes.append(
            f"the longest text has {longest:,} characters; the first {MOST_CHARACTERS:,} of each are read"
        )
    return tuple(notes)
