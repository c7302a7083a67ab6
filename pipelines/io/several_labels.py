"""Labels that look like several in one cell, as `rust|scab`."""

from collections import Counter
from collections.abc import Iterable

from pipelines.errors import count_of

SEPARATORS = "|;,\n"  # of several labels in one cell, the first that occurs


def several_in_one(labels: Iterable[str]) -> str:
    """Return how many classes look like several labels, as a sentence, "" where none does.

    They do where a part of each stands in others, too.
    """
    classes = set(labels) - {""}
    for mark in SEPARATORS:
        parts: Counter[str] = Counter()
        for name in classes:
            parts.update({part.strip() for part in name.split(mark)})
        joined = [name for name in classes if mark in name]
        recurring = []
        for name in joined:
            if any(parts[part.strip()] > 1 for part in name.split(mark)):
                recurring.append(name)
        if joined and len(recurring) == len(joined):
            of_classes = count_of(len(classes), "class", "classes")
            return (
                f"{len(joined):,} of {of_classes} hold {mark!r}, such as {min(joined)!r}, and are "
                "read as one label each"
            )
    return ""
