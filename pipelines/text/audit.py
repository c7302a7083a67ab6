"""What makes scores of texts doubtful: copies across parts, wrong labels, classes without test."""

import re
from collections.abc import Mapping

import numpy as np

from pipelines.evaluation.audit import (
    COMPARED,
    SHOWN,
    Words,
    class_findings,
    conflict_findings,
    copies_finding,
    exact_copies,
    exact_findings,
    group_findings,
)
from pipelines.splits import PARTS, Finding, Part
from pipelines.text.data import TextSplits
from pipelines.text.near_texts import near_copies, normalised
from pipelines.text.texts import objects

# The share of texts that hold the name of their label from which that is no chance, and the letters
# of a name that says something.
TELLING = 0.9
FEWEST_LETTERS = 3


def audit(splits: TextSplits) -> tuple[Finding, ...]:
    """Return what is wrong with the division into parts, and with labels.

    Texts are the same here that differ in case, blanks and the marks at their ends alone.
    """
    keys = {part: objects(map(normalised, splits.texts(part))) for part in PARTS}
    words = words_of(splits)
    counts = splits.one_hot("test").sum(axis=0).astype(int)
    return (
        *splits.findings,
        *exact_findings(keys, words),
        *_near_findings(keys, words),
        *conflict_findings(keys, words),
        *_label_findings(splits, words),
        *class_findings(splits.classes, counts),
        *group_findings({part: splits.of_part(part).groups for part in PARTS}, words),
    )


def words_of(splits: TextSplits) -> Words:
    """Return how findings speak of these texts."""

    def place(part: Part, row: int) -> str:
        origin = splits.of_part(part).origin[row]
        return f"line {origin}" if isinstance(origin, int | np.integer) else str(origin)

    def label(part: Part, row: int) -> str:
        names = splits.of_part(part).labels[row]
        if isinstance(names, tuple):
            return "|".join(names) or "none"
        return str(names)

    return Words(one="text", many="texts", place=place, label=label)


def _label_findings(splits: TextSplits, words: Words) -> list[Finding]:
    """Return a finding where test texts hold the name of their label, as `pos_0012 I like it` does.

    A column of identifiers or of file names among those of the text may have brought it there.
    """
    if not splits.exclusive:
        return []
    patterns = []
    for name in splits.classes:
        letters = sum(character.isalpha() for character in name)
        # Between letters it is a part of another word; between digits and marks it is not.
        pattern = rf"(?<![^\W\d_]){re.escape(name)}(?![^\W\d_])"
        patterns.append(re.compile(pattern, re.IGNORECASE) if letters >= FEWEST_LETTERS else None)
    telling = []
    for row, (text, number) in enumerate(zip(splits.test.x, splits.y["test"], strict=True)):
        found = patterns[number]
        if found is not None and found.search(text):
            telling.append(row)
    count, total = len(telling), len(splits.test.x)
    if count < TELLING * total:
        return []
    shown = [f"test {words.place('test', row)} ({words.label('test', row)})" for row in telling]
    return [
        Finding(
            kind="label_in_input",
            parts=("test",),
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} test texts ({count / total:.1%}) hold the name of "
            "their label",
            advice="a model reads it there, and new texts will not say it. Leave out the column "
            "that does: --text-column NAME",
            shown=tuple(shown[:SHOWN]),
        )
    ]


def _near_findings(keys: Mapping[Part, np.ndarray], words: Words) -> list[Finding]:
    """Return findings on texts that say nearly what one of an earlier part says."""
    sizes = {part: len(texts) for part, texts in keys.items()}
    findings = []
    for parts in COMPARED:
        first, second = parts
        same = exact_copies(keys, parts).later
        copies = near_copies(keys[first].tolist(), keys[second].tolist(), parts, same)
        findings += copies_finding("near_duplicates", copies, sizes, words)
    return findings
