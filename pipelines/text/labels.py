"""The labels of texts as classes, one or several for each text, and the split by them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.evaluation import splitting
from pipelines.evaluation.folds import parse_fold
from pipelines.io.several_labels import SEPARATORS
from pipelines.splits import SCORED_PARTS, Part
from pipelines.text.options import TextOptions
from pipelines.text.texts import Texts, TextSource, objects

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
    if "train" not in source.parts:
        raise DataError(
            f"{source.where}: its split column assigns no row to train. Expected train beside the "
            "others; `evaluate` scores a model on all of such a file"
        )
    if options.group_column:
        splitting.require_groups(
            [texts.groups for texts in source.parts.values()], options.group_column, source.where
        )
    if options.multi_label and not source.several:
        parts: dict[Part, Texts] = {}
        for part, texts in source.parts.items():
            parts[part] = replace(texts, labels=objects((label,) for label in texts.labels))
        source = replace(source, parts=parts, several=True)
    if options.min_class:
        source = _without_small_classes(source, options.min_class)
    if source.several:
        split = _split_by_rarest_class(source, options)
        return split.subsample(options.limit, options.seed) if options.limit else split
    split = _split_by_class(source, options)
    if options.limit:
        split = split.subsample(options.limit, options.seed)
    splitting.require_known(split.y, split.classes, source.where)
    return split


def _without_small_classes(source: TextSource, least: int) -> TextSource:
    """Return the source without classes of fewer training texts, with a note on them.

    Where a text may have several labels it stays, without the small ones.
    """
    if source.several:
        return _without_small_labels(source, least)
    labels = {part: list(texts.labels) for part, texts in source.parts.items()}
    rows, note = splitting.without_small_classes(labels, least)
    if not note:
        return source
    parts = {part: source.parts[part].take(kept) for part, kept in rows.items()}
    classes = tuple(name for name in source.classes if name in set(parts["train"].labels))
    return replace(source, parts=parts, classes=classes, notes=(*source.notes, note))


def _without_small_labels(source: TextSource, least: int) -> TextSource:
    counts: Counter[str] = Counter()
    for label in source.parts["train"].labels:
        counts.update(label)
    small = {name for texts in source.parts.values() for label in texts.labels for name in label}
    small -= {name for name, count in counts.items() if count >= least}
    if not small:
        return source
    parts: dict[Part, Texts] = {}
    for part, texts in source.parts.items():
        kept = [tuple(name for name in label if name not in small) for label in texts.labels]
        parts[part] = replace(texts, labels=objects(kept))
    listed = shorten([f"{name} ({counts[name]})" for name in sorted(small)], SHOWN_CLASSES)
    note = (
        f"{count_of(len(small), 'class', 'classes')} with fewer than {least:,} training texts left "
        f"out, their texts stay: {listed}"
    )
    return replace(source, parts=parts, notes=(*source.notes, note))


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


def _split_by_class(source: TextSource, options: TextOptions) -> LabelledParts:
    present: set[str] = set()
    for texts in source.parts.values():
        present.update(texts.labels)
    classes = source.classes or splitting.class_names(present)
    given = {}
    for part, texts in source.parts.items():
        given[part] = splitting.class_numbers(list(texts.labels), classes)
    counts = splitting.count_classes(given["train"], classes)
    fold = parse_fold(options.fold)
    least = splitting.smallest_class(given, fold)
    combined = _note_combined_labels(classes, source.where)
    notes = (*source.notes, *combined)
    try:
        splitting.require_classes(counts, source.where, least=least, notes=notes)
    except DataError as error:
        if combined and combined[0] not in str(error):
            raise DataError(f"{error}. {combined[0]}") from None
        raise
    rows = splitting.split_parts(given, options.seed, source.parts["train"].groups, fold)
    return _take(source, given, rows, classes, notes)


def _note_combined_labels(classes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Note labels that look like several in one cell.

    All that they are made of are labels too, or they are made of fewer words than there are of
    them, as `Comedy|Drama` and `Drama|Crime` are.
    """
    for separator in SEPARATORS:
        combined = [name for name in classes if separator in name]
        alone = {name for name in classes if separator not in name}
        pieces: set[str] = set()
        for name in combined:
            pieces.update(piece.strip() for piece in name.split(separator))
        if combined and (pieces <= alone or len(pieces) < len(combined)):
            return (
                f"{where}: labels such as {combined[0]!r} look like several labels in one cell. "
                "If they are, add --multi-label",
            )
    return ()


# ------------------------------------------------------------------------------ several classes


def _split_by_rarest_class(source: TextSource, options: TextOptions) -> LabelledParts:
    where = source.where
    names: dict[Part, list[tuple[str, ...]]] = {}
    present: set[str] = set()
    for part, texts in source.parts.items():
        names[part] = list(texts.labels)
        present.update(*names[part])
    classes = splitting.class_names(present)
    given = {part: many_hot(rows, classes) for part, rows in names.items()}
    train = given["train"]
    counts = dict(zip(classes, train.sum(axis=0).tolist(), strict=True))
    fold = parse_fold(options.fold)
    least = splitting.smallest_class(given, fold)
    splitting.require_classes(counts, where, least=least, notes=source.notes)
    groups = {part: _rarest_class(labels, train) for part, labels in given.items()}
    together = source.parts["train"].groups
    divided = splitting.split_parts(groups, options.seed, together, fold)
    rows = _keep_classes_in_train(divided, train)
    split = _take(source, given, rows, classes, source.notes)
    _require_usable(split, where, has_limit=bool(options.limit))
    return split


def many_hot(rows: Sequence[Collection[str]], classes: Sequence[str]) -> np.ndarray:
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
        listed = shorten(lacking, SHOWN_CLASSES)
        raise DataError(f"{where}: val or test hold classes that train lacks: {listed}")
