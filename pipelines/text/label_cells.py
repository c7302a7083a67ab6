"""The cells of a table as labels: one in a cell, several in a cell, or a column for each class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.cell_lists import is_list, read_list
from pipelines.io.several_labels import SEPARATORS, several_in_one
from pipelines.io.tables import Table, cell_text
from pipelines.text.columns import ZEROS_AND_ONES, Cells
from pipelines.text.options import TextOptions
from pipelines.text.texts import objects

# So many distinct labels that are no whole numbers look like classes; more are measurements.
MOST_FRACTIONS = 20
# So many rows of which nearly each has another label: no classes.
MANY_ROWS = 20
DIFFERENT = 0.9
# What programs write where there is no label. None and N/A are answers of people, too.
GAPS = ("NaN", "nan", "NULL", "null", "<NA>", "#N/A", "\\N")
# Where Label Studio keeps what was said of a text, with much else.
ANNOTATIONS = ("annotations", "completions")
OF_LABEL_STUDIO = " (in Label Studio: Export, JSON-MIN or CSV)"
SHOWN_CHARACTERS = 60  # of a cell
SHOWN_CLASSES = 5


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The label of each row `(rows,)`: a string, or with `several` a tuple of strings.

    `missing` `(rows,)` is true where a row has none, though it should.
    """

    values: np.ndarray
    missing: np.ndarray
    several: bool
    notes: tuple[str, ...] = ()


def read_labels(table: Table, columns: Sequence[str], options: TextOptions) -> Labels:
    """Return the labels in a column, or in several of 0 and 1, a class each.

    Raises:
        DataError: cells are no labels, or measurements; the message names the line.
    """
    if len(columns) > 1:
        if any(Cells(name, table.frame[name]).are_zeros_and_ones for name in columns):
            return _zeros_and_ones(table, columns, options)
        return _of_columns(table, columns)
    column = columns[0]
    cells = table.frame[column]
    for row, cell in enumerate(cells):
        if isinstance(cell, dict) or _holds_objects(cell):
            raise DataError(
                f"{table.where}: line {table.lines[row]}: the label in column {column!r} is an "
                "object. Expected a word, or a list of words: write what counts of it into a "
                f"column of its own{OF_LABEL_STUDIO if column in ANNOTATIONS else ''}. Received: "
                f"{str(cell)[:SHOWN_CHARACTERS]}"
            )
    if any(isinstance(cell, list | tuple | np.ndarray) for cell in cells):
        return _lists(table, [_list_values(cell) for cell in cells], options)
    texts = objects(text.strip() for text in table.identifiers(column))
    present = [text for text in texts if text]
    if present and all(is_list(text) for text in present):
        return _lists(table, [read_list(text) or [] for text in texts], options)
    if options.multi_label:
        return _separated(table, texts, options.label_separator)
    _require_classes(table, column, texts)
    notes = (*_note_gaps(table, column, texts), *_note_several(column, texts))
    return Labels(values=texts, missing=_empty(texts), several=False, notes=notes)


def _holds_objects(cell: object) -> bool:
    return isinstance(cell, list | np.ndarray) and any(isinstance(entry, dict) for entry in cell)


def _note_gaps(table: Table, column: str, texts: np.ndarray) -> tuple[str, ...]:
    """Note labels that are written as programs write gaps; they are classes like others."""
    for word in GAPS:
        is_gap = texts == word
        if is_gap.any():
            count = count_of(int(is_gap.sum()), "label")
            line = table.lines[int(is_gap.argmax())]
            return (
                f"column {column!r}: {count} {word!r} (the first on line {line}), which is read as "
                "a class. If it stands for no label, leave those cells empty, and add "
                "--drop-missing",
            )
    return ()


def _note_several(column: str, texts: np.ndarray) -> tuple[str, ...]:
    """Note labels that look like several in one cell: parts of each stand in others, too."""
    several = several_in_one(texts)
    return (f"column {column!r}: {several}. If they are several: --multi-label",) if several else ()


# ----------------------------------------------------------------------------- a column for a class


def _zeros_and_ones(table: Table, columns: Sequence[str], options: TextOptions) -> Labels:
    """Return the names of the columns that hold 1 in each row."""
    known = np.zeros((len(table.frame), len(columns)), dtype=bool)
    chosen = np.zeros_like(known)
    for position, column in enumerate(columns):
        texts = [cell_text(cell).strip().lower() for cell in table.frame[column]]
        for row, text in enumerate(texts):
            if text and text not in ZEROS_AND_ONES:
                raise DataError(
                    f"{table.where}: line {table.lines[row]}: the column {column!r} holds "
                    f"{text[:SHOWN_CHARACTERS]!r}. Expected 0 or 1 where several columns hold "
                    "labels, one for each class. For one column: --label-column NAME"
                )
            value = ZEROS_AND_ONES.get(text)
            known[row, position] = value is not None
            chosen[row, position] = value == 1
    missing = np.asarray(~known.all(axis=1))
    names = np.asarray(columns, dtype=object)
    values = objects(tuple(names[row]) for row in chosen)
    count = f"{len(columns)} columns of 0 and 1, a class each"
    if (chosen[~missing].sum(axis=1) == 1).all() and not options.multi_label:
        single = objects(label[0] if label else "" for label in values)
        note = f"{count}: every text has exactly one label"
        return Labels(values=single, missing=missing, several=False, notes=(note,))
    labels = Labels(values=values, missing=missing, several=True)
    return _noted(labels, f"{count}: a text may have several labels")


def _of_columns(table: Table, columns: Sequence[str]) -> Labels:
    """Return the labels in several columns, such as a coarse and a fine one, of each row."""
    texts = [table.identifiers(column) for column in columns]
    values = objects(_distinct(cells) for cells in zip(*texts, strict=True))
    labels = Labels(values=values, missing=np.zeros(len(values), dtype=bool), several=True)
    return _noted(labels, f"{len(columns)} columns of labels: a text may have several")


def _noted(labels: Labels, note: str) -> Labels:
    """Return labels with a note, and one on the texts without any."""
    notes = [note]
    without = sum(not label for label in labels.values[~labels.missing])
    if without:
        notes.append(f"{count_of(without, 'text')} without a label: none of the classes")
    return replace(labels, notes=tuple(notes))


# ------------------------------------------------------------------------------------------- lists


def _lists(table: Table, lists: Sequence[Sequence[str]], options: TextOptions) -> Labels:
    if _are_vectors(lists):
        return _vectors(table, lists)
    names = [_distinct(values) for values in lists]
    missing = np.zeros(len(names), dtype=bool)
    if max(map(len, names)) <= 1 and not options.multi_label:
        single = objects(label[0] if label else "" for label in names)
        return Labels(values=single, missing=_empty(single), several=False)
    classes = {name for label in names for name in label}
    note = f"{table.where}: labels are lists: {len(classes):,} classes, and a text may have several"
    return _noted(Labels(values=objects(names), missing=missing, several=True), note)


def _are_vectors(lists: Sequence[Sequence[str]]) -> bool:
    """Return whether each list has a 0 or 1 for every class: as long as all others."""
    lengths = {len(values) for values in lists if values}
    written = {value.lower() for values in lists for value in values}
    return len(lengths) == 1 and lengths.pop() > 1 and written == {"0", "1"}


def _vectors(table: Table, lists: Sequence[Sequence[str]]) -> Labels:
    """Return the positions of 1, counted from 0, as labels: nothing else names the classes."""
    names = []
    for values in lists:
        names.append(tuple(str(place) for place, value in enumerate(values) if value == "1"))
    missing = np.asarray([not values for values in lists], dtype=bool)
    size = max(map(len, lists))
    note = (
        f"{table.where}: labels are lists of 0 and 1: {size} classes, called by their place in the "
        f"list from 0 to {size - 1}"
    )
    return _noted(Labels(values=objects(names), missing=missing, several=True), note)


def _list_values(cell: object) -> list[str]:
    """Return the values in a cell of a file that has lists; what is no list is one value."""
    if isinstance(cell, list | tuple | np.ndarray):
        return [cell_text(value) for value in np.ravel(objects(cell))]
    text = cell_text(cell)
    return [text] if text else []


def _empty(texts: np.ndarray) -> np.ndarray:
    return np.asarray([not text for text in texts], dtype=bool)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without blanks around them, each once, in order."""
    stripped = [name.strip() for name in names]
    return tuple(dict.fromkeys(name for name in stripped if name))


# --------------------------------------------------------------------------- several in one cell


def _separated(table: Table, texts: np.ndarray, given: str) -> Labels:
    separator = _separator(table.where, texts, given)
    names = objects(_distinct(text.split(separator) if separator else [text]) for text in texts)
    classes = {name for label in names for name in label}
    missing = np.zeros(len(names), dtype=bool)
    how = f"labels are separated by {separator!r}" if separator else "a text has one label or none"
    note = f"{table.where}: {how}: {len(classes)} classes"
    return _noted(Labels(values=names, missing=missing, several=True), note)


def _separator(where: str, texts: np.ndarray, given: str) -> str:
    for separator in [given] if given else SEPARATORS:
        if any(separator in text for text in texts):
            return separator
    first = next((text for text in texts if text), "")
    if given:
        raise DataError(
            f"{where}: --label-separator {given!r} occurs in no label. The first label: {first!r}"
        )
    if (texts == "").any():
        return ""
    raise DataError(
        f"{where}: --multi-label, but no label contains | ; or , between several. "
        f"Say what separates them: --label-separator TEXT. The first label: {first!r}"
    )


# -------------------------------------------------------------------------------------- one in one


def _require_classes(table: Table, column: str, texts: np.ndarray) -> None:
    """Refuse measurements, and ids: cells of which nearly each is another."""
    import pandas as pd

    present = pd.Series(texts[texts != ""], dtype=object)
    if present.empty:
        raise DataError(
            f"{table.where}: the column {column!r} is empty in all {len(texts):,} rows. "
            "Choose another: --label-column NAME"
        )
    numbers = pd.to_numeric(present, errors="coerce")
    shown = shorten(list(present.unique()[:3]), 2)
    if numbers.notna().all() and (numbers % 1 != 0).any() and numbers.nunique() > MOST_FRACTIONS:
        raise DataError(
            f"{table.where}: the column {column!r} holds measurements ({present.iloc[0]}, "
            f"{present.iloc[1]} ...), not classes. Expected a few distinct labels: divide them "
            "into ranges such as low and high, or choose another column: --label-column NAME"
        )
    count = present.nunique()
    if len(present) > MANY_ROWS and count > DIFFERENT * len(present):
        raise DataError(
            f"{table.where}: the column {column!r} holds {count:,} different values in "
            f"{len(present):,} rows ({shown}), not classes. Expected a few distinct labels. "
            "Choose another column: --label-column NAME"
        )
