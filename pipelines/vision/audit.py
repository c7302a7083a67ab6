"""What makes scores of images doubtful: copies across parts, wrong labels, classes without test."""

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
from pipelines.vision.data import VisionSplits
from pipelines.vision.thumbnails import image_keys, near_copies, thumbnails


def audit(splits: VisionSplits) -> tuple[Finding, ...]:
    """Return what is wrong with the division into parts, and with labels."""
    keys = {part: image_keys(splits.images(part).x) for part in PARTS}
    words = words_of(splits)
    counts = np.bincount(splits.test.y, minlength=len(splits.classes))
    return (
        *splits.findings,
        *exact_findings(keys, words),
        *_near_findings(splits, keys, words),
        *conflict_findings(keys, words),
        *class_findings(splits.classes, counts),
        *group_findings({part: splits.images(part).groups for part in PARTS}, words),
    )


def words_of(splits: VisionSplits) -> Words:
    """Return how findings speak of these images."""

    def place(part: Part, row: int) -> str:
        return splits.images(part).name(row)

    def label(part: Part, row: int) -> str:
        return splits.classes[int(splits.images(part).y[row])]

    return Words(one="image", many="images", place=place, label=label)


def _near_findings(
    splits: VisionSplits, keys: dict[Part, np.ndarray], words: Words
) -> list[Finding]:
    """Return findings on images that look like one of an earlier part and are no exact copies."""
    small = {part: thumbnails(splits.images(part).x, splits.scale) for part in PARTS}
    findings = []
    for parts in COMPARED:
        first, second = parts
        # What is the same in every pixel has been said already.
        others = small[second].copy()
        others[exact_copies(keys, parts).later] = 0
        copies = near_copies(small[first], others, parts)
        findings += copies_finding("near_duplicates", copies, splits.sizes(), words)
    return findings
