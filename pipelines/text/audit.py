"""What makes scores of texts doubtful: copies across parts, wrong labels, classes without test."""

from collections.abc import Mapping

import numpy as np

from pipelines.evaluation.audit import (
    COMPARED,
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
