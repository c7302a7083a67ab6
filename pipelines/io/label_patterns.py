"""Labels in the names of files, as in `cat.0.jpg`: read by a regular expression, and recognised."""

import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import DataError, UsageError, shorten
from pipelines.io.parts import part_of
from pipelines.io.tfds import PREFIX

FLAG = "--label-pattern"
LABEL, GROUP = "label", "group"  # names of groups of a pattern
SHOWN_LABELS = 5
FEWEST_OF_LABEL = 2  # files of each label that is recognised in names
EXAMPLE = r"'^(.+?)_\d+\.jpg$' reads `cat` in cat_12.jpg"
# How people write labels into names, in the order in which they are tried: before the number at the
# end, as the first word, as the last one.
USUAL = (
    r"^(.+?)[ _.-]*\(?\d+\)?\.\w+$",
    r"^([^ _.-]+)[ _.-]",
    r"[ _.-]([^ _.-]+)\.\w+$",
)
# The lowest folder of files that lie as <id>/<class>/<file>, and the same with what belongs
# together.
LOWEST_FOLDER = r"/([^/]+)/[^/]+$"
FOLDER_OF_GROUP = r"/(?P<group>[^/]+)/(?P<label>[^/]+)/[^/]+$"
HIGHEST_FOLDER = r"^/([^/]+)/"


@dataclass(frozen=True, kw_only=True)
class LabelPattern:
    """A regular expression, and the group of it that is the label.

    It is searched in the name of a file, or, where it holds a slash, in the path from the data
    folder on, as in `/patient7/benign/12.png`.
    """

    expression: re.Pattern[str]
    label_group: str | int

    def subject(self, path: Path, root: Path) -> str:
        """Return the text that is searched of a file below the data folder `root`."""
        if "/" not in self.expression.pattern:
            return path.name
        return "/" + path.relative_to(root).as_posix()

    def find(self, path: Path, root: Path) -> tuple[str, str]:
        """Return the label of a file and what it belongs to, "" where its name does not say so."""
        match = self.expression.search(self.subject(path, root))
        if match is None:
            return "", ""
        named = match.groupdict()
        return (match[self.label_group] or "").strip(), (named.get(GROUP) or "").strip()

    def typed(self) -> str:
        """Return the pattern as it is typed in a shell."""
        return typed_pattern(self.expression.pattern)


def typed_pattern(pattern: str) -> str:
    """Return the flag with a pattern as they are typed in a shell."""
    return f"{FLAG} {shlex.quote(pattern)}"


def read_pattern(text: str) -> LabelPattern | None:
    """Return what `--label-pattern` says, None where it is empty.

    Raises:
        UsageError: it is no regular expression, or has no group.
    """
    if not text:
        return None
    try:
        expression = re.compile(text)
    except re.error as error:
        mark = "" if error.pos is None else f" at character {error.pos + 1}"
        raise UsageError(
            f"{FLAG} {text!r}: is no regular expression: {error.msg}{mark}. For example: {EXAMPLE}"
        ) from None
    labels = [name for name in expression.groupindex if name != GROUP]
    if LABEL in labels:
        return LabelPattern(expression=expression, label_group=LABEL)
    if len(labels) > 1:
        raise UsageError(
            f"{FLAG} {text!r}: which of the groups {', '.join(labels)} is the label? "
            f"Call that one {LABEL}: (?P<{LABEL}>...)"
        )
    if labels:
        return LabelPattern(expression=expression, label_group=labels[0])
    if expression.groups == len(expression.groupindex):
        raise UsageError(
            f"{FLAG} {text!r}: no group says which part is the label. Put it between parentheses: "
            f"{EXAMPLE}"
        )
    first = 1 if expression.groupindex.get(GROUP) != 1 else 2
    return LabelPattern(expression=expression, label_group=first)


def require_files(data: str, datasets: Collection[str]) -> None:
    """Refuse `--label-pattern` for what `--data` names where examples have no files of their own.

    Raises:
        DataError: it says what to leave out.
    """
    path = Path(data).expanduser()
    if data in datasets or data.startswith(PREFIX) or (path.exists() and not path.is_dir()):
        raise DataError(
            f"{data}: {FLAG} reads labels in the names of files, and this is no folder of files. "
            f"Leave it out (of a run that has it: {FLAG} '')"
        )


@dataclass(frozen=True, kw_only=True)
class LabelsInNames:
    """Labels that the names of files plainly carry, and the pattern that reads them."""

    pattern: str
    counts: Counter[str]

    def advice(self) -> str:
        """Return a sentence that names some labels and the flag."""
        listed = [f"{label} ({count:,})" for label, count in self.counts.most_common()]
        return (
            f"The names of the files look like labels: {shorten(listed, SHOWN_LABELS)}. If they "
            f"are, read them: {typed_pattern(self.pattern)}"
        )


def labels_in_names(names: Sequence[str]) -> LabelsInNames | None:
    """Return the labels that these names of files carry, None where they carry none plainly.

    They do where one of the usual patterns fits all names and finds two or more labels, which hold
    letters and are some files' each.
    """
    for usual in USUAL:
        expression = re.compile(usual)
        matches = [expression.search(name) for name in names]
        counts = Counter(match[1] for match in matches if match is not None)
        if len(counts) < 2 or counts.total() < len(names):
            continue
        have_letters = all(any(map(str.isalpha, label)) for label in counts)
        if have_letters and min(counts.values()) >= FEWEST_OF_LABEL:
            return LabelsInNames(pattern=usual, counts=counts)
    return None


def label_of_hold_out(
    path: Path, root: Path, classes: Sequence[str], pattern: LabelPattern | None
) -> str:
    """Return the label of a file of a hold-out, "" where it has none.

    It is what its name says, or the last of the folders that it is in, where a model knows that
    class. Otherwise it is what its name says, or the first folder that is no part: parts may lie
    above or below the classes, and `root` may be the folder of one class.
    """
    by_name = "" if pattern is None else pattern.find(path, root)[0]
    folders = path.relative_to(root).parts[:-1]
    for name in (by_name, *reversed(folders), root.resolve().name):
        if name in classes:
            return name
    return by_name or next((name for name in folders if part_of(name) is None), "")
