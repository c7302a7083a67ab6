"""Which columns of a table hold the texts, the labels and the parts.

Names decide first. Where none is usual, the cells do, if they leave no doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.io.parts import PART_NAMES, part_of_yes
from pipelines.io.tables import Table, cell_text, find_column
from pipelines.text.options import TextOptions

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = (
    *("text", "sentence", "review", "content", "message", "question", "query"),
    *("sequence", "document", "comment", "tweet"),
    *("review_text", "comment_text", "tweet_text", "review_body", "body", "utterance", "sms"),
    *("post", "email", "phrase", "statement", "abstract", "description"),
    # Beside one of the others they are not the whole text.
    *("title", "headline", "summary"),
)
LABEL_COLUMNS = (
    *("label", "target", "class", "category", "sentiment", "intent", "topic", "y"),
    *("labels", "categories", "topics", "tags", "genres"),
    *("emotion", "polarity", "airline_sentiment", "stars", "rating", "overall", "score", "tag"),
    *("genre", "is_spam", "spam", "label_text"),
)
SHOWN_NAMES = 6  # of usual columns
SHOWN_COLUMNS = 20  # of those that a table has
LOOKED_AT = 2_000  # cells, to say what a column holds
# A column of texts: words in a cell on average, and the least share of distinct cells.
WORDS_OF_TEXTS = 3.0
CHARACTERS_OF_TEXTS = 20.0
DISTINCT_TEXTS = 0.3
FILLED = 0.5  # the least share of cells that hold something
MUCH_LONGER = 2.0  # times as long as the next, to be taken for the text without a name
# A column of labels recurs: at most this share of its cells are distinct, and so many at most.
DISTINCT_LABELS = 0.34
MOST_LABELS = 200
# What only a program reads: links, paths, and hashes or ids without a blank.
TIME = re.compile(r".*\d{1,2}:\d\d|\d{4}-\d\d-\d\d|\d{1,2}([/.])\d{1,2}\1\d{2,4}")
NO_TEXT = re.compile(r"(https?://|www\.|[a-z]:\\|/)\S*|[0-9a-f-]{16,}|[-+]?[\d.,:/-]+", re.I)


@dataclass(frozen=True, kw_only=True)
class TextColumns:
    """The columns of texts, of labels (several hold 0 and 1, a class each), parts and groups."""

    text: tuple[str, ...]
    labels: tuple[str, ...]
    split: str | None
    group: str | None
    notes: tuple[str, ...]


def choose_columns(
    table: Table, options: TextOptions, text_columns: Sequence[str] = ()
) -> TextColumns:
    """Return which columns of a table with labels are used, and say so in a note.

    Where no column of texts is asked for, `text_columns` are taken, if the table has them all.

    Raises:
        DataError: a column is not there, or the cells leave it open which is meant.
    """
    split = find_split(table)
    group = table.find_column(options.group_column, (), role="groups", flag="--group-column")
    others = (split or "", group or "")
    labels = given_columns(table, options.label_column, role="label")
    if not labels:
        labels = _named(table, LABEL_COLUMNS, without=others)
    text = given_columns(table, options.text_column, role="text")
    if not text and text_columns and set(text_columns) <= set(table.columns):
        text = tuple(text_columns)
    if not text:
        usual = _named(table, TEXT_COLUMNS, without=others)
        text = _named(table, TEXT_COLUMNS, without=(*labels, *others)) or usual
    both = [column for column in text if column in labels]
    if both:
        raise DataError(
            f"{table.where}: the column {both[0]!r} cannot hold both the text and the label. "
            "Choose another: --text-column NAME or --label-column NAME"
        )
    if not text or not labels:
        text, labels = _by_cells(table, text, labels, split)
    used = {"text": text, "label": labels, "split": split, "group": group}
    notes = [table.describe_columns(used), *_other_texts(table, text, labels, split)]
    return TextColumns(text=text, labels=labels, split=split, group=group, notes=tuple(notes))


def find_split(table: Table) -> str | None:
    """Return the column that says train, val or test; one with other words alone is none."""
    split = table.split_column()
    if split is None or part_of_yes(split):
        return split
    words = {cell_text(cell).strip().lower() for cell in table.frame[split].unique()}
    # Where nothing is said at all, the message about an empty column is the right one.
    return split if words <= {""} or words & set(PART_NAMES) else None


def given_columns(table: Table, given: str, *, role: str) -> tuple[str, ...]:
    """Return the columns that a person named, separated by commas.

    Raises:
        DataError: one is not there.
    """
    flag = f"--{role}-column"
    if not given:
        return ()
    names = [given] if given in table.columns else given.split(",")
    found = []
    for name in names:
        column = table.find_column(name.strip(), (), role=role, flag=flag)
        if column is not None:
            found.append(column)
    return tuple(dict.fromkeys(found))


def text_columns(frame: "pd.DataFrame", where: str) -> tuple[str, ...]:
    """Return the column of texts of a table that has no labels, () where none is plain."""
    name = find_column(frame, "", TEXT_COLUMNS, role="text", flag="", where=where)
    if name is not None:
        return (name,)
    columns = list(map(str, frame.columns))
    if len(columns) == 1:
        return (columns[0],)
    longest = _longest([Cells(name, frame[name]) for name in columns])
    return () if longest is None else (longest.name,)


def _named(table: Table, names: Sequence[str], without: Sequence[str]) -> tuple[str, ...]:
    """Return the first column of these names that is in no other role."""
    others = table.frame.drop(columns=[name for name in without if name in table.frame])
    name = find_column(others, "", names, role="", flag="", where=table.where)
    return () if name is None else (name,)


def _by_cells(
    table: Table, text: tuple[str, ...], labels: tuple[str, ...], split: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return columns of texts and labels, by what the cells hold where no name is usual."""
    taken = (*text, *labels, split or "")
    free = [Cells(name, table.frame[name]) for name in table.columns if name not in taken]
    if not text:
        longest = _longest(free) or _only_one(free, has_labels=bool(labels))
        if longest is None:
            raise _refusal(table, "text", [cells for cells in free if cells.are_texts])
        text = (longest.name,)
        free.remove(longest)
    if not labels:
        labels = _label_columns(table, free)
    return text, labels


def _longest(columns: "Sequence[Cells]") -> "Cells | None":
    """Return the column of texts, None where there is none or several are about as long."""
    texts = [cells for cells in columns if cells.are_texts]
    texts.sort(key=lambda cells: -cells.characters)
    if not texts:
        return None
    if len(texts) > 1 and texts[0].characters < MUCH_LONGER * texts[1].characters:
        return None
    return texts[0]


def _only_one(columns: "Sequence[Cells]", *, has_labels: bool) -> "Cells | None":
    """Return the only column that may hold texts, however short: codes and links are classified."""
    left = [cells for cells in columns if not cells.are_empty]
    if not has_labels:
        left = [cells for cells in left if not cells.recur]
        if len(left) == len(columns):  # nothing is left that may be the label
            return None
    return left[0] if len(left) == 1 else None


def _label_columns(table: Table, free: "Sequence[Cells]") -> tuple[str, ...]:
    """Return the only column that may hold labels, or those of 0 and 1 with a class each."""
    zeros_and_ones = [cells.name for cells in free if cells.are_zeros_and_ones]
    if len(zeros_and_ones) > 1:
        return tuple(zeros_and_ones)
    free = [cells for cells in free if not cells.are_empty]
    if len(free) == 1:
        return (free[0].name,)
    recurring = [cells for cells in free if cells.recur]
    if len(recurring) == 1:
        return (recurring[0].name,)
    raise _refusal(table, "label", recurring)


def _refusal(table: Table, role: str, candidates: "Sequence[Cells]") -> DataError:
    names = TEXT_COLUMNS if role == "text" else LABEL_COLUMNS
    hint = ""
    if candidates:
        listed = shorten([cells.describe() for cells in candidates], SHOWN_NAMES)
        hint = f". It may be one of these: {listed}"
        if role == "text" and len(candidates) > 1:
            together = ",".join(cells.name for cells in candidates[:SHOWN_NAMES])
            hint += f". To join them: --text-column {_quoted(together)}"
    if len(table.columns) == 1 and table.delimiter:
        hint = ". Are columns separated by something other than , ; | or a tab?"
    elif not table.delimiter and table.notes:  # of a workbook, which sheet was read
        hint += f". {'. '.join(table.notes)}"
    return DataError(
        f"{table.where}: has no column of {role}s. "
        f"Expected one called {', '.join(names[:SHOWN_NAMES])}, or --{role}-column NAME. "
        f"Its columns: {shorten(table.columns, SHOWN_COLUMNS)}{hint}"
    )


def _other_texts(
    table: Table, text: tuple[str, ...], labels: tuple[str, ...], split: str | None
) -> list[str]:
    """Note columns that hold texts too, which may be joined, and texts that look like none."""
    notes = []
    taken = (*text, *labels, split or "")
    others = []
    for name in table.columns:
        if name not in taken and Cells(name, table.frame[name]).are_texts:
            others.append(name)
    if others:
        joined = ",".join([*text, *others[: SHOWN_NAMES - 1]])
        notes.append(
            f"{shorten(others, SHOWN_NAMES)}: texts too. To join them: --text-column "
            f"{_quoted(joined)}"
        )
    for name in text:
        what = Cells(name, table.frame[name]).no_texts
        if what:
            notes.append(
                f"the column {name!r} holds {what} rather than texts, such as "
                f"{_example(table, name)!r}. If others are meant: --text-column NAME"
            )
    return notes


def _quoted(words: str) -> str:
    import shlex

    return shlex.quote(words)


def _example(table: Table, name: str) -> str:
    return str(table.frame[name].dropna().iloc[0])[:40]


class Cells:
    """What the first cells of a column look like."""

    def __init__(self, name: str, column: "pd.Series") -> None:
        self.name = name
        first = column.iloc[:LOOKED_AT]
        present = first.dropna()
        self._has_objects = any(isinstance(cell, list | dict | np.ndarray) for cell in present)
        texts = [cell_text(cell).strip() for cell in present]
        self._texts = [text for text in texts if text]
        self._is_filled = len(self._texts) >= max(1.0, FILLED * len(first))

    @cached_property
    def characters(self) -> float:
        """The mean length of a cell."""
        return sum(map(len, self._texts)) / max(1, len(self._texts))

    @property
    def are_empty(self) -> bool:
        """Whether most of the cells hold nothing."""
        return not self._is_filled

    @cached_property
    def are_texts(self) -> bool:
        """Whether cells are words of people, most of them different."""
        if self.are_empty or self._has_objects or self.no_texts or self._are_times:
            return False
        words = sum(len(text.split()) for text in self._texts) / len(self._texts)
        is_long = words >= WORDS_OF_TEXTS or self.characters >= CHARACTERS_OF_TEXTS
        return is_long and self._distinct > DISTINCT_TEXTS

    @cached_property
    def no_texts(self) -> str:
        """What cells hold that no person wrote as a text: links, ids or numbers; "" for texts."""
        few = [text for text in self._texts if NO_TEXT.fullmatch(text)]
        if len(few) <= len(self._texts) / 2 or self._distinct <= DISTINCT_TEXTS:
            return ""
        return "links, ids or numbers"

    @cached_property
    def are_zeros_and_ones(self) -> bool:
        """Whether all cells are 0 or 1 (or -1 for what nobody knows), or true and false."""
        return bool(self._texts) and {text.lower() for text in self._texts} <= set(ZEROS_AND_ONES)

    @cached_property
    def recur(self) -> bool:
        """Whether cells recur like labels: at least two different ones, few of many."""
        count = len(set(self._texts))
        few = 2 <= count <= MOST_LABELS and self._distinct <= DISTINCT_LABELS
        return few and self._is_filled and not self._are_times

    @cached_property
    def _are_times(self) -> bool:
        return all(map(TIME.match, self._texts))

    @cached_property
    def _distinct(self) -> float:
        return len(set(self._texts)) / max(1, len(self._texts))

    def describe(self) -> str:
        """Return the name of the column with how many values it has, or how long they are."""
        if self.are_texts:
            return f"{self.name} ({self.characters:,.0f} characters)"
        return f"{self.name} ({len(set(self._texts)):,} values)"


ZEROS_AND_ONES = {
    "0": 0,
    "1": 1,
    "0.0": 0,
    "1.0": 1,
    "false": 0,
    "true": 1,
    "-1": None,
    "-1.0": None,
}
