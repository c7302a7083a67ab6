"""What makes scores better than they will be: the checks that audits of all domains share.

An audit compares the parts of the data with each other and fits nothing. Each of its findings says
what it is, how many examples it concerns, which ones, and what helps.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.errors import count_of, shorten
from pipelines.splits import PARTS, Finding, Part

# The kinds of findings, with what the audit looks for.
KINDS: Mapping[str, str] = {
    "exact_duplicates": "the same example in two parts",
    "near_duplicates": "nearly the same example in two parts",
    "conflicting_labels": "the same input under two labels",
    "label_in_input": "inputs that hold the name of their label",
    "classes_alike": "classes that differ in case or blanks alone",
    "classes_untested": "classes that test lacks",
    "classes_scarce": "classes with two or fewer test examples",
    "groups_split": "groups whose examples are in two parts",
    "repeated_windows": "windows of test that occur in train",
    "copied_series": "series that are copies of others",
    "leaked_future": "covariates that hold the future of the target",
    "repeated_pairs": "the same user and item in two parts",
    "copied_users": "users with the same history as another",
    "random_split": "a random split of data with times",
}
# Copies of what is scored are looked for in what is learned from, or chosen on, before it.
COMPARED: tuple[tuple[Part, Part], ...] = (("train", "test"), ("train", "val"), ("val", "test"))
FEW = 2  # test examples of a class, of which nothing can be said
SHOWN = 5
FIX = "Take them out: check --fix NEW"
HARM: Mapping[tuple[Part, Part], str] = {
    ("train", "test"): "test scores look better than the model is",
    ("train", "val"): "settings are chosen on what was learned by heart",
    ("val", "test"): "settings were chosen on a part of the test",
}


@dataclass(frozen=True, kw_only=True)
class Words:
    """How findings speak of examples: their name, and where one is and its label by part and row.

    An empty label is not said.
    """

    one: str
    many: str
    place: Callable[[Part, int], str]
    label: Callable[[Part, int], str]


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Examples of the second of two parts that the first one holds too.

    `later` `(copies,)` are their positions in the second part, `partner` `(copies,)` the position
    of one copy of each in the first; `earlier` are all positions in the first part that have a
    copy in the second.
    """

    parts: tuple[Part, Part]
    later: np.ndarray
    partner: np.ndarray
    earlier: np.ndarray


def exact_copies(keys: Mapping[Part, np.ndarray], parts: tuple[Part, Part]) -> Copies:
    """Return the examples of two parts that have the same key; `keys` are `(n,)` for each part."""
    import pandas as pd

    first, second = parts
    codes, _ = pd.factorize(np.concatenate([keys[first], keys[second]]))
    earlier, later = codes[: len(keys[first])], codes[len(keys[first]) :]
    known, position = np.unique(earlier, return_index=True)
    is_copy = np.isin(later, known)
    partner = position[np.searchsorted(known, later[is_copy])]
    return Copies(
        parts=parts,
        later=np.flatnonzero(is_copy),
        partner=partner,
        earlier=np.flatnonzero(np.isin(earlier, later)),
    )


def exact_findings(keys: Mapping[Part, np.ndarray], words: Words) -> list[Finding]:
    """Return findings on examples whose key another part holds too."""
    sizes = {part: len(values) for part, values in keys.items()}
    findings = []
    for parts in COMPARED:
        findings += copies_finding("exact_duplicates", exact_copies(keys, parts), sizes, words)
    return findings


def copies_finding(
    kind: str, copies: Copies, sizes: Mapping[Part, int], words: Words
) -> list[Finding]:
    """Return a finding on copies, none where there are none; `sizes` are those of the parts."""
    count = len(copies.later)
    if not count:
        return []
    first, second = copies.parts
    total = sizes[second]
    what = "also in" if kind == "exact_duplicates" else "nearly the same as in"
    verb = "is" if count == 1 else "are"
    shown = []
    # Those whose labels contradict each other are worth more to a reader.
    differing: list[tuple[int, int]] = []
    agreeing: list[tuple[int, int]] = []
    for pair in zip(copies.partner.tolist(), copies.later.tolist(), strict=True):
        is_differing = _labels_differ(copies.parts, pair, words)
        (differing if is_differing else agreeing).append(pair)
    for pair in [*differing, *agreeing][:SHOWN]:
        shown.append(_describe(copies.parts, pair, words))
    conflict = f", {len(differing):,} of them under another label" if differing else ""
    return [
        Finding(
            kind=kind,
            parts=copies.parts,
            count=count,
            total=total,
            sentence=f"{count:,} of {total:,} {second} {words.many} ({count / total:.1%}) {verb} "
            f"{what} {first}{conflict}",
            advice=f"{HARM[copies.parts]}. {FIX}",
            shown=tuple(shown),
            rows=tuple(copies.earlier.tolist()),
        )
    ]


def _labels_differ(parts: tuple[Part, Part], pair: tuple[int, int], words: Words) -> bool:
    return words.label(parts[0], pair[0]) != words.label(parts[1], pair[1])


def _describe(parts: tuple[Part, Part], pair: tuple[int, int], words: Words) -> str:
    """Return two copies with their labels: "train a.png = test b.png (cat)"."""
    labels = [words.label(part, row) for part, row in zip(parts, pair, strict=True)]
    said = ", ".join(dict.fromkeys(label for label in labels if label))
    places = [f"{part} {words.place(part, row)}" for part, row in zip(parts, pair, strict=True)]
    return " = ".join(places) + (f" ({said})" if said else "")


def conflict_findings(keys: Mapping[Part, np.ndarray], words: Words) -> list[Finding]:
    """Return a finding on keys `(n,)` that stand under two labels: one of the labels is wrong."""
    first: dict[object, tuple[Part, int]] = {}
    pairs: dict[object, str] = {}
    total = 0
    for part in PARTS:
        total += len(keys[part])
        for row, key in enumerate(keys[part]):
            there = first.setdefault(key, (part, row))
            if key in pairs or words.label(*there) == words.label(part, row):
                continue
            places = []
            for where in (there, (part, row)):
                places.append(f"{where[0]} {words.place(*where)} as {words.label(*where)}")
            pairs[key] = " and ".join(places)
    if not pairs:
        return []
    stand = f"{words.one} stands" if len(pairs) == 1 else f"{words.many} stand"
    return [
        Finding(
            kind="conflicting_labels",
            parts=PARTS,
            count=len(pairs),
            total=total,
            sentence=f"{len(pairs):,} {stand} under two labels",
            advice="one of the labels is wrong, and no model can give both. Correct them in the "
            "data",
            shown=tuple(list(pairs.values())[:SHOWN]),
        )
    ]


def class_findings(classes: Sequence[str], counts: np.ndarray) -> list[Finding]:
    """Return findings on classes that may be one, and on those that test can say nothing about.

    `counts` `(classes,)` are the test examples of each class.
    """
    findings = []
    alike = classes_alike(classes)
    if alike:
        findings.append(
            Finding(
                kind="classes_alike",
                parts=PARTS,
                count=len(alike),
                total=len(classes),
                sentence=f"classes that differ in case or blanks alone: {shorten(alike, SHOWN)}",
                advice="a model is told that they are different. Give them one name in the data",
                shown=tuple(alike[:SHOWN]),
            )
        )
    untested = [name for name, count in zip(classes, counts, strict=True) if not count]
    scarce = [name for name, count in zip(classes, counts, strict=True) if 0 < count <= FEW]
    few = f"{FEW} test examples or fewer"
    for kind, names, what in (
        ("classes_untested", untested, "no test example"),
        ("classes_scarce", scarce, few),
    ):
        if not names:
            continue
        have = "classes has" if len(names) == 1 else "classes have"
        findings.append(
            Finding(
                kind=kind,
                parts=("test",),
                count=len(names),
                total=len(classes),
                sentence=f"{len(names):,} of {len(classes):,} {have} {what}: "
                f"{shorten(names, SHOWN)}",
                advice="nothing can be said about how well they are told apart. Add examples, or "
                "leave small classes out: --min-class N",
                shown=tuple(names[:SHOWN]),
            )
        )
    return findings


def classes_alike(classes: Sequence[str]) -> list[str]:
    """Return classes that somebody may have meant to be one: `Spam = spam`."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault("".join(name.lower().split()), []).append(name)
    return [" = ".join(names) for names in alike.values() if len(names) > 1]


def group_findings(given: Mapping[Part, np.ndarray | None], words: Words) -> list[Finding]:
    """Return findings on groups `(n,)` whose examples are in two parts; an empty name is none."""
    groups: dict[Part, np.ndarray] = {}
    for part, names in given.items():
        groups[part] = np.asarray([] if names is None else names, dtype=object)
    findings = []
    for first, second in COMPARED:
        split = (set(groups[first]) & set(groups[second])) - {""}
        if not split:
            continue
        counts = Counter(groups[second].tolist())
        concerned = sum(counts[name] for name in split)
        total = len(groups[second])
        findings.append(
            Finding(
                kind="groups_split",
                parts=(first, second),
                count=concerned,
                total=total,
                sentence=f"{concerned:,} of {total:,} {second} {words.many} "
                f"({concerned / total:.1%}) are of {count_of(len(split), 'group')} that {first} "
                "holds too",
                advice=f"{HARM[first, second]}. Leave out the column of parts, so that groups are "
                "kept together, or correct it",
                shown=tuple(sorted(map(str, split))[:SHOWN]),
                rows=tuple(np.flatnonzero(np.isin(groups[first], sorted(split))).tolist()),
            )
        )
    return findings
