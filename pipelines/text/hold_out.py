"""New texts with labels, in the terms of a model that was trained on others."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.evaluation import splitting
from pipelines.evaluation.classification import absent_classes_note
from pipelines.io.digest import data_digest
from pipelines.io.folders import scan
from pipelines.io.label_patterns import LabelPattern, label_of_hold_out, read_pattern
from pipelines.io.progress import counted
from pipelines.io.table_folders import is_folder_of_tables
from pipelines.io.text_files import read_text
from pipelines.pipeline import ServingModel
from pipelines.splits import Part
from pipelines.text import readers
from pipelines.text.data import TextSplits
from pipelines.text.labels import many_hot
from pipelines.text.options import TextOptions
from pipelines.text.serve import token_layer
from pipelines.text.texts import Texts, TextSource, as_texts, join_texts, objects
from pipelines.text.tokens import Tokenization

if TYPE_CHECKING:
    from pipelines.text.serve import TextFacts

SHOWN_CLASSES = 10

WORDS = Tokenization(unit="word", lower=True)  # where a model has no tokens of ours


def load(options: TextOptions, serving: ServingModel) -> TextSplits:
    """Return all labelled texts that `--data` names as the test part, with the model's classes.

    Texts without a label or of classes that the model does not know are left out and counted.

    Raises:
        DataError: there is nothing there, or nothing of it has a class that the model knows.
    """
    facts: TextFacts = serving.facts
    asked = replace(
        options,
        drop_missing=True,
        multi_label=not facts.exclusive,
        min_class=0,
        group_column="",
    )
    source = _read(asked, facts)
    texts = join_texts(source.parts.values())
    if facts.exclusive:
        texts, y, notes = _of_one_class(source, texts, facts.classes)
    else:
        texts, y, notes = _of_several(source, texts, facts.classes)
    if 0 < options.limit < len(texts.x):
        notes.append(
            f"{options.limit:,} of {len(texts.x):,} texts are scored (limit={options.limit}; "
            "all: --limit 0)"
        )
        kept = splitting.sample_indices(len(texts.x), options.limit, options.seed)
        texts, y = texts.take(kept), y[kept]
    return _splits(options, serving, source, texts, y, notes)


def _read(options: TextOptions, facts: "TextFacts") -> TextSource:
    path = Path(options.data).expanduser()
    if options.data in options.datasets or not path.is_dir() or is_folder_of_tables(path):
        return readers.read(replace(options, label_pattern=""), facts.text_columns)
    return _folder(path, facts.classes, read_pattern(options.label_pattern))


def _folder(root: Path, classes: list[str], pattern: LabelPattern | None) -> TextSource:
    """Return the texts whose names say a class, or that are below folders called so."""
    found = scan(root, readers.FILES)
    texts, labels, names = [], [], []
    num_unlabelled = 0
    paths = found.all_files()
    for path in counted(paths, "texts", len(paths)):
        label = label_of_hold_out(path, root, classes, pattern)
        if not label:
            num_unlabelled += 1
            continue
        texts.append(read_text(path))
        labels.append(label)
        names.append(path.relative_to(root).as_posix())
    if not texts:
        raise DataError(
            f"{root}: holds no texts in folders with the names of classes. "
            f"The model knows: {shorten(classes, SHOWN_CLASSES)}"
        )
    notes = []
    if num_unlabelled:
        notes.append(f"{count_of(num_unlabelled, 'text')} in no folder of a class left out")
    part = as_texts(texts, labels, names)
    where = str(root)
    source = TextSource(name=root.name, where=where, parts={"test": part}, notes=tuple(notes))
    return readers.drop_empty(source)


def _of_one_class(
    source: TextSource, texts: Texts, classes: list[str]
) -> tuple[Texts, np.ndarray, list[str]]:
    if source.several:
        raise DataError(
            f"{source.where}: texts have several labels, and the model answers with exactly one. "
            "Expected one label in each row"
        )
    known = np.asarray([label in classes for label in texts.labels], dtype=bool)
    unknown = Counter(texts.labels[~known])
    kept = texts.take(np.flatnonzero(known))
    _require_some(source, bool(len(kept.x)), unknown, classes)
    notes = []
    if unknown:
        listed = shorten(
            [f"{name} ({count:,})" for name, count in unknown.most_common()], SHOWN_CLASSES
        )
        notes.append(
            f"{count_of(int((~known).sum()), 'text')} of classes that the model does not know left "
            f"out: {listed}"
        )
    notes += absent_classes_note(set(kept.labels), classes)
    return kept, splitting.class_numbers(list(kept.labels), classes), notes


def _of_several(
    source: TextSource, texts: Texts, classes: list[str]
) -> tuple[Texts, np.ndarray, list[str]]:
    if not source.several:
        labels = objects((label,) if label else () for label in texts.labels)
        texts = replace(texts, labels=labels)
    unknown: Counter[str] = Counter()
    kept = []
    for label in texts.labels:
        unknown.update(name for name in label if name not in classes)
        kept.append(tuple(name for name in label if name in classes))
    has_known = any(kept) or not unknown
    _require_some(source, has_known, unknown, classes)
    notes = []
    if unknown:
        listed = shorten(
            [f"{name} ({count:,})" for name, count in unknown.most_common()], SHOWN_CLASSES
        )
        notes.append(f"labels that the model does not know left out, their texts stay: {listed}")
    notes += absent_classes_note({name for names in kept for name in names}, classes)
    return replace(texts, labels=objects(kept)), many_hot(kept, classes), notes


def _require_some(
    source: TextSource, has_known: bool, unknown: "Counter[str]", classes: list[str]
) -> None:
    if has_known:
        return
    raise DataError(
        f"{source.where}: no text has a class that the model knows. "
        f"It knows {shorten(classes, SHOWN_CLASSES)}. "
        f"This data has {shorten(list(unknown), SHOWN_CLASSES)}. "
        "Is another column meant? --label-column NAME"
    )


def _splits(
    options: TextOptions,
    serving: ServingModel,
    source: TextSource,
    texts: Texts,
    y: np.ndarray,
    notes: list[str],
) -> TextSplits:
    """Return splits whose test part is everything; train and val are empty."""
    tokens = token_layer(serving)
    vocabulary: tuple[str, ...] = ()
    length, tokenization = 0, WORDS
    if tokens is not None:  # a pretrained encoder has tokens of its own
        vocabulary, length = tuple(tokens.vocabulary), tokens.length
        tokenization = Tokenization(unit=tokens.unit, lower=tokens.lower)
    nothing = as_texts([], [])
    no_ids = np.zeros((0, length), np.int32)
    labels: dict[Part, np.ndarray] = {"train": y[:0], "val": y[:0], "test": y}
    return TextSplits(
        dataset=source.name,
        digest=data_digest(texts.x, y),
        notes=(*source.notes, *notes),
        train=nothing,
        val=nothing,
        test=texts,
        y=labels,
        # A served model makes its own from the texts.
        ids={"train": no_ids, "val": no_ids, "test": no_ids},
        classes=tuple(serving.facts.classes),
        vocabulary=vocabulary,
        length=length,
        tokenization=tokenization,
        seed=options.seed,
        text_columns=source.text_columns,
    )
