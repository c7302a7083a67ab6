"""The labels of texts as classes, one or several for each text, and the split by them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.errors import DataError
from pipelines.evaluation import splitting
from pipelines.splits import SCORED_PARTS, Part
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts, TextSource

SEPARATORS = "|;,"  # of several labels in one cell, the first that occurs
# Texts with the same rarest class that are split in its share; fewer are split with all others.
FEWEST_IN_GROUP = 5
SHOWN_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class LabelledParts:
    """The three parts with their classes `y`.

    They are numbers `(n,)`, or zeros and ones `(n, classes)` with `--multi-label`.
    """

    parts: Mapping[Part, Texts]
    y: Mapping[Part, np.ndarray]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    def subsample(self, limit: int, seed: int) -> "LabelledParts":
        """Return `limit` texts of all parts together, the first of each class among them."""
        first_class: dict[Part, np.ndarray] = {}
        for part, numbers in self.y.items():
            first_class[part] = numbers if numbers.ndim == 1 else numbers.argmax(axis=1)
        parts: dict[Part, Texts] = {}
        y: dict[Part, np.ndarray] = {}
        for part, kept in splitting.limit_parts(first_class, limit, seed).items():
            parts[part] = self.parts[part].take(kept)
            y[part] = self.y[part][kept]
        return LabelledParts(parts=parts, y=y, classes=self.classes, notes=self.notes)


def split_labelled(source: TextSource, options: TextOptions) -> LabelledParts:
    """Split what is not split yet, and number the classes.

    Raises:
        DataError: a class is too small, or train lacks one.
    """
    if options.multi_label:
        split = _split_by_rarest_class(source, options)
        return split.subsample(options.limit, options.seed) if options.limit else split
    split = _split_by_class(source, options.seed)
    if options.limit:
        split = split.subsample(options.limit, options.seed)
    splitting.require_known(split.y, split.classes, source.where)
    return split


def _take(
    source: TextSource,
    given: Mapping[Part, np.ndarray],
    rows: Mapping[Part, tuple[Part, np.ndarray]],
    classes: tuple[str, ...],
    notes: tuple[str, ...],
) -> LabelledParts:
    """Return the parts that `rows` selects from the given ones.

    For each part, `rows` holds the given part that it comes from and the positions there.
    """
    parts: dict[Part, Texts] = {}
    y: dict[Part, np.ndarray] = {}
    for part, (origin, positions) in rows.items():
        parts[part] = source.parts[origin].take(positions)
        y[part] = given[origin][positions]
    return LabelledParts(parts=parts, y=y, classes=classes, notes=notes)


# ------------------------------------------------------------------------------ one class each


def _split_by_class(source: TextSource, seed: int) -> LabelledParts:
    present: set[str] = set()
    for texts in source.parts.values():
        present.update(texts.labels)
    classes = source.classes or splitting.class_names(present)
    given = {}
    for part, texts in source.parts.items():
        given[part] = splitting.class_numbers(list(texts.labels), classes)
    counts = splitting.count_classes(given["train"], classes)
    least = splitting.smallest_class(given)
    splitting.require_classes(counts, source.where, least=least, notes=source.notes)
    rows = splitting.split_parts(given, seed)
    return _take(source, given, rows, classes, _note_combined_labels(classes, source.where))


def _note_combined_labels(classes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Note labels that look like several in one cell: all that they are made of are labels too."""
    for separator in SEPARATORS:
        combined = [name for name in classes if separator in name]
        alone = {name for name in classes if separator not in name}
        pieces: set[str] = set()
        for name in combined:
            pieces.update(piece.strip() for piece in name.split(separator))
        if combined and pieces <= alone:
            return (
                f"{where}: labels such as {combined[0]!r} look like several labels in one cell. "
                "If they are, add --multi-label",
            )
    return ()


# ------------------------------------------------------------------------------ several classes


def _split_by_rarest_class(source: TextSource, options: TextOptions) -> LabelledParts:
    where = source.where
    separator = _separator(source, options.label_separator)
    names: dict[Part, list[set[str]]] = {}
    present: set[str] = set()
    for part, texts in source.parts.items():
        names[part] = [_label_names(label, separator) for label in texts.labels]
        present.update(*names[part])
    classes = splitting.class_names(present)
    given = {part: _many_hot(rows, classes) for part, rows in names.items()}
    train = given["train"]
    counts = dict(zip(classes, train.sum(axis=0).tolist(), strict=True))
    splitting.require_classes(counts, where, least=splitting.smallest_class(given))
    groups = {part: _rarest_class(labels, train) for part, labels in given.items()}
    rows = _keep_classes_in_train(splitting.split_parts(groups, options.seed), train)
    notes = (f"{where}: labels are separated by {separator!r}: {len(classes)} classes",)
    split = _take(source, given, rows, classes, notes)
    _require_usable(split, where, has_limit=bool(options.limit))
    return split


def _separator(source: TextSource, given: str) -> str:
    labels = source.parts["train"].labels
    for separator in [given] if given else SEPARATORS:
        if any(separator in label for label in labels):
            return separator
    if given:
        raise DataError(
            f"{source.where}: --label-separator {given!r} occurs in no label. "
            f"The first label: {labels[0]!r}"
        )
    raise DataError(
        f"{source.where}: --multi-label, but no label contains | ; or , between several. "
        "Say what separates them: --label-separator TEXT"
    )


def _label_names(label: str, separator: str) -> set[str]:
    names = {name.strip() for name in label.split(separator)}
    return names - {""}


def _many_hot(rows: list[set[str]], classes: tuple[str, ...]) -> np.ndarray:
    """Return `(n, classes)` 1 where a text has the class."""
    number = {name: position for position, name in enumerate(classes)}
    many_hot = np.zeros((len(rows), len(classes)), np.int8)
    for row, names in enumerate(rows):
        many_hot[row, [number[name] for name in names]] = 1
    return many_hot


def _rarest_class(labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the group `(n,)` by which each text is split: 1 + its rarest class in train.

    Classes with too few texts in train make up group 0 together.
    """
    order = np.argsort(np.argsort(train.sum(axis=0), kind="stable"))
    group = _first_class(labels, order)
    counts = np.bincount(_first_class(train, order), minlength=train.shape[1] + 1)
    group[counts[group] < FEWEST_IN_GROUP] = 0
    num_others = counts[counts < FEWEST_IN_GROUP].sum() + counts[0]
    # Too few others go with the most frequent group.
    if 0 < num_others < FEWEST_IN_GROUP:
        group[group == 0] = counts.argmax()
    return group


def _first_class(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return 1 + the class of each text that comes first in `order`; 0 without a class: `(n,)`.

    `order` is `(classes,)`.
    """
    num_classes = labels.shape[1]
    first = np.where(labels > 0, order, num_classes).argmin(axis=1)
    return np.where(labels.any(axis=1), 1 + first, 0)


def _keep_classes_in_train(
    rows: Mapping[Part, tuple[Part, np.ndarray]], train: np.ndarray
) -> dict[Part, tuple[Part, np.ndarray]]:
    """Return a split in which train has every class of the texts that were split off from it.

    Texts with a class that train would lack come back. `train` `(n, classes)` are the labels of the
    given part that the others are split off from.
    """
    kept = rows["train"][1]
    lacking = train[kept].sum(axis=0) == 0
    division: dict[Part, tuple[Part, np.ndarray]] = {"train": rows["train"]}
    for part in SCORED_PARTS:
        origin, positions = rows[part]
        if origin == "train":
            comes_back = train[positions][:, lacking].any(axis=1)
            kept = np.concatenate([kept, positions[comes_back]])
            positions = positions[~comes_back]
        division[part] = (origin, positions)
    division["train"] = ("train", np.sort(kept))
    return division


def _require_usable(split: LabelledParts, where: str, *, has_limit: bool) -> None:
    """Refuse empty parts, and classes that train lacks.

    Train may lack classes where a limit keeps some out anyway.
    """
    for part in SCORED_PARTS:
        if not len(split.y[part]):
            raise DataError(
                f"{where}: no text is left for {part}, because train would lack a class of each. "
                "Expected more texts of each class"
            )
    counts = split.y["train"].sum(axis=0)
    lacking = [name for name, count in zip(split.classes, counts, strict=True) if not count]
    if lacking and not has_limit:
        listed = ", ".join(lacking[:SHOWN_CLASSES])
        raise DataError(f"{where}: val or test hold classes that train lacks: {listed}")
