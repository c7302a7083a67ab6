"""One reader for each form in which texts come: the sample, TFDS, folders, and tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import DataError
from pipelines.io import tables
from pipelines.io.parts import SPLIT_COLUMNS, part_folders
from pipelines.io.paths import is_hidden, require_path, visible_folders
from pipelines.io.samples import embedded_table
from pipelines.io.tables import TABLE_SUFFIXES, cell_text, find_column, read_table
from pipelines.io.text_files import read_text
from pipelines.io.tfds import labelled_parts, tfds_builder, tfds_parts
from pipelines.splits import Part

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.text.pipeline import TextPipeline

TEXTS = (
    "text",
    "sentence",
    "review",
    "content",
    "title",
    "message",
    "question",
    "query",
    "sequence",
    "document",
    "comment",
    "tweet",
)
LABELS = ("label", "target", "class", "category", "sentiment", "intent", "topic", "y")
HOLDS_TOKENS = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]")  # white space and control characters are none
MOST_MEASURED = 20  # distinct labels that are no whole numbers look like measurements beyond this


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts `(n,)` and their labels `(n,)`, both strings."""

    x: np.ndarray
    labels: np.ndarray

    def take(self, positions: np.ndarray) -> "Texts":
        return Texts(x=self.x[positions], labels=self.labels[positions])


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a reader found: at least the part `train`; `classes` in order where the source names them."""

    name: str
    where: str  # what error messages call it
    parts: Mapping[Part, Texts]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def read(options: "TextPipeline") -> Read:
    """Read what `--data` names, by its form."""
    data = options.data
    if data == "reviews":
        return _reviews()
    if data.startswith("tfds:"):
        return _tfds(data)
    path = require_path(data, options.datasets, "text")
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise DataError(
            f"{path}: expected a folder of .txt files by class, or a table ({known}). Received: {path.suffix!r}"
        )
    return _table(path, options)


def _texts(x: Any, labels: Any) -> Texts:
    return Texts(x=np.asarray(list(x), dtype=object), labels=np.asarray(list(labels), dtype=object))


def _reviews() -> Read:
    """Read the food reviews with their official split, without the texts that train holds twice or test holds too."""
    train, test = (
        embedded_table("modeldata", "training_data"),
        embedded_table("modeldata", "testing_data"),
    )
    distinct = train.drop_duplicates("review")
    kept = distinct[~distinct["review"].isin(set(test["review"]))]
    parts: dict[Part, Texts] = {
        "train": _texts(kept["review"], kept["score"]),
        "test": _texts(test["review"], test["score"]),
    }
    note = f"{len(train) - len(kept)} of {len(train)} training texts stand twice or in test too; they are left out of train"
    return Read(name="reviews", where="reviews", parts=parts, notes=(note,))


def _tfds(data: str) -> Read:
    import tensorflow_datasets as tfds

    builder = tfds_builder(data)
    keys = list(builder.info.features)
    text, label = (
        next((key for key in names if key in keys), None)
        for names in ((*TEXTS, "description"), LABELS)
    )
    if text == "title" and "description" in keys:
        text = "description"
    if text is None or label is None:
        raise DataError(
            f"{data}: expected a text ({', '.join(TEXTS)}) and a label ({', '.join(LABELS)}). Found: {', '.join(keys)}"
        )
    names = tuple(getattr(builder.info.features[label], "names", None) or ())

    def name(value: Any) -> str:
        return (
            names[int(value)]
            if names
            else value.decode()
            if isinstance(value, bytes)
            else str(value)
        )

    found = {
        part: list(tfds.as_numpy(builder.as_dataset(split=split)))
        for part, split in tfds_parts(builder, data).items()
    }
    shown, notes = labelled_parts(
        {part: [int(row[label]) for row in rows] if names else [] for part, rows in found.items()},
        data,
    )
    parts = {
        part: _texts(
            (row[text].decode("utf-8", "replace") for row in found[part]),
            (name(row[label]) for row in found[part]),
        )
        for part in shown
    }
    present = {label for texts in parts.values() for label in texts.labels}
    return Read(
        name=data,
        where=data,
        parts=parts,
        classes=tuple(one for one in names if one in present),
        notes=notes,
    )


def _folder(root: Path) -> Read:
    """Read `root/<class>/*.txt` or `root/{train,val,test}/<class>/*.txt`; hidden files and folders are passed over."""
    below = visible_folders(root)
    folders: dict[Part, Path] = part_folders(below)
    if "train" not in folders:
        folders = {"train": root}
    parts: dict[Part, Texts] = {}
    for part, folder in folders.items():
        files = [
            (group.name, path)
            for group in visible_folders(folder)
            for path in sorted(group.rglob("*.txt"))
            if not is_hidden(path, group)
        ]
        if not files:
            raise DataError(
                f"{folder}: holds no texts in folders of classes. Expected {folder}/<class>/<name>.txt; found {len(below)} folders and "
                f"{sum(1 for path in folder.iterdir() if path.is_file())} files"
            )
        parts[part] = _texts((read_text(path) for _, path in files), (group for group, _ in files))
    return _without_empty(Read(name=root.name, where=str(root), parts=parts), dict.fromkeys(parts))


def _table(path: Path, options: "TextPipeline") -> Read:
    """Read a table with columns of texts, labels and perhaps split."""
    table = read_table(path, as_texts=True)
    where = str(path)
    text = find_column(
        table, options.text_column, TEXTS, role="text", flag="--text-column", where=where
    )
    label = find_column(
        table, options.label_column, LABELS, role="label", flag="--label-column", where=where
    )
    for role, column, names in (("text", text, TEXTS), ("label", label, LABELS)):
        if column is None:
            listed = ", ".join(map(str, table.columns))
            raise DataError(
                f"{where}: has no column of {role}s. Expected one called {', '.join(names[:6])}, or --{role}-column NAME. "
                f"Its columns: {listed}"
                + (
                    ". Are they separated by something else than , ; | or a tab?"
                    if len(table.columns) == 1
                    else ""
                )
            )
    assert text is not None
    assert label is not None
    if text == label:
        raise DataError(f"{where}: the column {text!r} cannot be text and label at once")
    lines = _lines(table, path)
    for role, column in (("text", text), ("label", label)):
        nested = next(
            (
                row
                for row, value in enumerate(table[column])
                if isinstance(value, list | dict | np.ndarray)
            ),
            None,
        )
        if nested is not None:
            raise DataError(
                f"{where}: line {lines[nested]}: the {role} is a list or an object. Expected one value in a cell, several labels as a|b. "
                f"Received: {str(table[column].iloc[nested])[:60]}"
            )
    missing = (table[label].isna() | (table[label].astype(str).str.strip() == "")).to_numpy()
    if missing.any():
        raise DataError(
            f"{where}: line {lines[missing.argmax()]}: no label in column {label!r} ({missing.sum()} such rows)"
        )
    if table[text].isna().all():
        raise DataError(
            f"{where}: the column {text!r} is empty in all {len(table)} rows. Choose another: --text-column NAME"
        )
    split = find_column(table, "", SPLIT_COLUMNS, role="split", flag="", where=where)
    words = np.asarray(tables.split_column(table, split, where, lines=lines.tolist()), dtype=object)
    labels = _labels(table[label], where, label)
    texts = table[text].fillna("").astype(str).to_numpy(dtype=object)
    rows = {part: np.flatnonzero(words == part) for part in dict.fromkeys(words)}
    if "train" not in rows:
        raise DataError(f"{where}: the column {split!r} names no row for train")
    parts: dict[Part, Texts] = {
        part: Texts(x=texts[at], labels=labels[at]) for part, at in rows.items()
    }
    notes = _swallowed(texts, labels, lines, path)
    return _without_empty(
        Read(name=path.stem, where=where, parts=parts, notes=notes),
        {part: lines[at] for part, at in rows.items()},
    )


def _lines(table: "pd.DataFrame", path: Path) -> np.ndarray:
    """Return for each row the line of the file on which it begins: below a header, and below cells of several lines."""
    rows = np.arange(1, 1 + len(table))
    if path.suffix.lower() in (".jsonl", ".parquet"):
        return rows
    breaks = sum(column.fillna("").str.count("\n").to_numpy() for _, column in table.items())
    return np.asarray(rows + 1 + np.cumsum(breaks) - breaks, dtype=int)


def _swallowed(
    texts: np.ndarray, labels: np.ndarray, lines: np.ndarray, path: Path
) -> tuple[str, ...]:
    """Note texts that hold other rows: a quote at a text's begin makes one text of all rows up to the next quote."""
    if path.suffix.lower() == ".tsv":
        hold = np.asarray(["\t" in text and "\n" in text for text in texts])
        what = "hold tabs and line breaks"
    else:
        names = set(labels)
        ends = tuple(f"{delimiter}{name}" for delimiter in ",;|\t" for name in names)
        begins = tuple(f"{name}{delimiter}" for delimiter in ",;|\t" for name in names)

        def holds(text: str) -> bool:
            pieces = [piece.strip('\r"') for piece in text.split("\n")]
            return any(piece.endswith(ends) for piece in pieces[:-1]) or any(
                piece.startswith(begins) for piece in pieces[1:]
            )

        hold = np.asarray(["\n" in text and holds(text) for text in texts])
        what = "hold whole rows of the table"
    if not hold.any():
        return ()
    return (
        f"{path}: {hold.sum()} texts {what} (line {lines[hold.argmax()]} ...): are their quotes meant as such?",
    )


def _labels(column: "pd.Series", where: str, name: str) -> np.ndarray:
    """Return labels as texts, the 1.0 of a column of numbers as 1; refuse measurements."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        whole = bool((numbers % 1 == 0).all())
        if not whole and numbers.nunique() > MOST_MEASURED:
            raise DataError(
                f"{where}: the column {name!r} holds measurements ({column.iloc[0]}, {column.iloc[1]} ...), not classes. "
                "Classification needs a few distinct labels: --label-column NAME"
            )
        if whole and column.astype(str).str.contains(".", regex=False).any():
            return np.asarray([cell_text(float(value)) for value in numbers], dtype=object)
    return column.astype(str).str.strip().to_numpy(dtype=object)


def _without_empty(read: Read, lines: Mapping[Part, np.ndarray | None]) -> Read:
    """Leave out rows without text, and note how many and where."""
    parts: dict[Part, Texts] = {}
    gone, shown = 0, []
    for part, texts in read.parts.items():
        full = np.asarray([bool(HOLDS_TOKENS.search(text)) for text in texts.x])
        at = lines[part]
        gone += int((~full).sum())
        shown += [f"line {line}" for line in at[~full][:5]] if at is not None else []
        if not full.any():
            raise DataError(f"{read.where}: no row of the part {part} holds a text")
        parts[part] = texts.take(np.flatnonzero(full))
    if not gone:
        return read
    note = f"{read.where}: {gone} rows without text are left out" + (
        f" ({', '.join(shown[:5])}{' ...' if gone > 5 else ''})" if shown else ""
    )
    return Read(
        name=read.name,
        where=read.where,
        parts=parts,
        classes=read.classes,
        notes=(*read.notes, note),
    )
