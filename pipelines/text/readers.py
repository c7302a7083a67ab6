"""One reader for each form in which texts come: samples, TFDS, folders, and tables."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.folders import FileKind
from pipelines.io.label_patterns import read_pattern, require_files
from pipelines.io.other_files import UNPACK, said_of
from pipelines.io.paths import require_path, require_regular_file
from pipelines.io.progress import counted
from pipelines.io.table_folders import layout_or_tables
from pipelines.io.tables import DELIMITED_SUFFIXES, TABLE_SUFFIXES
from pipelines.io.text_files import TEXT_SUFFIX, plain_suffix, read_text
from pipelines.io.tfds import PREFIX, labelled_parts, tfds_builder, tfds_parts
from pipelines.splits import Part
from pipelines.text import tables
from pipelines.text.columns import LABEL_COLUMNS, TEXT_COLUMNS
from pipelines.text.fasttext_lines import is_fasttext, read_fasttext
from pipelines.text.options import TextOptions
from pipelines.text.samples import SAMPLES
from pipelines.text.texts import Texts, TextSource, as_texts, objects

# White space and control characters are no text.
HAS_TEXT = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]")
SHOWN_LINES = 5
SHOWN_NAMES = 10  # of usual columns
FILES = FileKind(
    what="texts",
    suffixes=(TEXT_SUFFIX,),
    bare_numbers=True,
    remedies=MappingProxyType(
        {
            **UNPACK,
            **dict.fromkeys((".md", ".rst", ".text"), "They are texts: rename them to .txt"),
            ".pdf": "PDF: `pdftotext a.pdf a.txt` makes texts of them",
            ".docx": "Word: `pandoc a.docx -t plain -o a.txt` makes texts of them",
            ".html": "HTML: `pandoc a.html -t plain -o a.txt` makes texts of them",
        }
    ),
)


def read(options: TextOptions, text_columns: Sequence[str] = ()) -> TextSource:
    """Read what `--data` names, by its form; rows without text are left out.

    The texts of a table are in `text_columns` where it has those and no others are asked for.

    Raises:
        DataError: there is nothing there, or it cannot be used; the message says what and where.
    """
    data = options.data
    if options.label_pattern:
        require_files(data, options.datasets)
    if data in SAMPLES:
        return SAMPLES[data]()
    if data.startswith(PREFIX):
        return _tfds(data)
    path = require_path(data, options.datasets, "text")
    if path.is_dir():
        return drop_empty(_folder(path, options, text_columns))
    if plain_suffix(path) not in TABLE_SUFFIXES:
        suffixes = ", ".join(TABLE_SUFFIXES)
        advice = FILES.remedies.get(path.suffix.lower()) or said_of(path)
        raise DataError(
            f"{path}: expected a folder of .txt files by class, or a table ({suffixes}). "
            f"Received: {path.suffix!r}{'. ' if advice else ''}{advice}"
        )
    require_regular_file(path)
    if plain_suffix(path) in DELIMITED_SUFFIXES and is_fasttext(path):
        return drop_empty(read_fasttext(path, several=options.multi_label))
    return drop_empty(tables.read(path, options, text_columns))


def _tfds(data: str) -> TextSource:
    import tensorflow_datasets as tfds

    builder = tfds_builder(data)
    features = builder.info.features
    text, label = _tfds_keys(data, list(features))
    names = tuple(getattr(features[label], "names", None) or ())
    rows: dict[Part, list[Any]] = {}
    numbers: dict[Part, list[int]] = {}
    for part, split in tfds_parts(builder, data).items():
        rows[part] = list(tfds.as_numpy(builder.as_dataset(split=split)))
        numbers[part] = [int(row[label]) for row in rows[part]] if names else []
    labelled, notes = labelled_parts(numbers, data)
    parts: dict[Part, Texts] = {}
    for part in labelled:
        texts = [row[text].decode("utf-8", "replace") for row in rows[part]]
        labels = [_label_name(row[label], names) for row in rows[part]]
        parts[part] = as_texts(texts, labels)
    present = set(np.concatenate([texts.labels for texts in parts.values()]))
    return TextSource(
        name=data,
        where=data,
        parts=parts,
        classes=tuple(name for name in names if name in present),
        notes=notes,
    )


def _tfds_keys(data: str, keys: list[str]) -> tuple[str, str]:
    """Return the features that are text and label."""
    text = _first(TEXT_COLUMNS, keys)
    label = _first(LABEL_COLUMNS, keys)
    if text is None or label is None:
        raise DataError(
            f"{data}: expected a text ({shorten(TEXT_COLUMNS, SHOWN_NAMES)}) and a label "
            f"({shorten(LABEL_COLUMNS, SHOWN_NAMES)}). Found: {', '.join(keys)}"
        )
    return text, label


def _first(names: Iterable[str], keys: list[str]) -> str | None:
    return next((name for name in names if name in keys), None)


def _label_name(value: Any, names: tuple[str, ...]) -> str:
    if names:
        return names[int(value)]
    if isinstance(value, bytes):
        return value.decode()
    return str(value)


def _folder(root: Path, options: TextOptions, text_columns: Sequence[str]) -> TextSource:
    """Read `root/<class>/*.txt`, `root/{train,val,test}/<class>/*.txt`, or the tables in `root`."""
    pattern = read_pattern(options.label_pattern)
    layout = layout_or_tables(root, FILES, pattern, drop_missing=options.drop_missing)
    if layout is None:
        return tables.read(root, options, text_columns)
    texts: dict[Part, list[str]] = {}
    labels: dict[Part, list[str]] = {}
    names: dict[Part, list[str]] = {}
    groups: dict[Part, list[str]] = {}
    for file in counted(layout.files, "texts", len(layout.files)):
        texts.setdefault(file.part, []).append(read_text(file.path))
        labels.setdefault(file.part, []).append(file.label)
        names.setdefault(file.part, []).append(file.path.relative_to(root).as_posix())
        groups.setdefault(file.part, []).append(file.group)
    parts: dict[Part, Texts] = {}
    for part in texts:
        part_texts = as_texts(texts[part], labels[part], names[part])
        if any(groups[part]):
            part_texts = dataclasses.replace(part_texts, groups=objects(groups[part]))
        parts[part] = part_texts
    return TextSource(name=root.name, where=str(root), parts=parts, notes=layout.notes)


def drop_empty(source: TextSource) -> TextSource:
    """Drop rows without text, and note how many and where they are."""
    parts: dict[Part, Texts] = {}
    empty: list[object] = []
    for part, texts in source.parts.items():
        has_text = np.asarray([bool(HAS_TEXT.search(text)) for text in texts.x])
        if not has_text.any():
            raise DataError(f"{source.where}: no row of the part {part} holds a text")
        parts[part] = texts.take(np.flatnonzero(has_text))
        empty += texts.origin[~has_text].tolist()
    if not empty:
        return source
    where = shorten(empty, SHOWN_LINES)
    if not isinstance(empty[0], str):
        where = f"{'line' if len(empty) == 1 else 'lines'} {where}"
    note = f"{source.where}: {count_of(len(empty), 'row')} without text left out ({where})"
    return dataclasses.replace(source, parts=parts, notes=(*source.notes, note))
