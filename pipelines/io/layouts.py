"""Folders of labelled files: which parts and classes they stand for, and what is left out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import DataError, count_of, shorten
from pipelines.io.beside import classes_beside, folders_in, tables_around, tables_in, typed
from pipelines.io.folders import FileKind, Folder, counted_endings, scan
from pipelines.io.label_patterns import (
    FOLDER_OF_GROUP,
    HIGHEST_FOLDER,
    LOWEST_FOLDER,
    LabelPattern,
    labels_in_names,
    typed_pattern,
)
from pipelines.io.parts import part_folders, part_of
from pipelines.splits import Part

SHOWN_FOLDERS = 5
SHOWN_FILES = 5
# What folders with numbers are called that divide data, whatever the classes are.
OF_SETS = frozenset(
    [
        *("fold", "split", "part", "batch", "session", "subject", "patient", "user", "case"),
        *("day", "video", "site", "set", "slide"),
    ]
)
UNLABELLED_NAMES = frozenset({"unsup", "unlabeled", "unlabelled"})


@dataclass(frozen=True)
class LabelledFile:
    """A file, the part it belongs to, its label, and what it belongs to in a table that says so.

    Where the table itself holds the file, `content` are its bytes, and `path` is its name.
    """

    part: Part
    path: Path
    label: str
    group: str = ""
    content: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The labelled files of a folder, and sentences on what was left out."""

    files: list[LabelledFile]
    notes: tuple[str, ...]


def read_layout(
    root: Path, kind: FileKind, pattern: LabelPattern | None = None, *, drop_missing: bool = False
) -> Layout:
    """Return the labelled files of `root/<class>/<file>` or `root/<part>/<class>/<file>`.

    Folders that only wrap others are gone through, `root/<class>/<part>/<file>` is known too, and a
    part without folders of classes is left out. With a `pattern` the names of the files hold the
    labels, whatever folders they are in; with `drop_missing` others are left out.

    Raises:
        DataError: no such layout; the message says what was found and which folder is meant.
    """
    tree = scan(root, kind)
    reading = _Reading(root=root, kind=kind, tree=tree, notes=[])
    if pattern is None:
        return reading.layout()
    return reading.labelled_by_names(pattern, drop_missing=drop_missing)


def names_below(folders: Sequence[Folder]) -> list[str]:
    """Return the names of the folders in `folders`, [] where some are in one of these alone."""
    counts: Counter[str] = Counter()
    for folder in folders:
        counts.update(below.name for below in folder.filled())
    return sorted(counts) if counts and min(counts.values()) > 1 else []


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """One reading of a folder, with the notes that it makes on its way."""

    root: Path
    kind: FileKind
    tree: Folder
    notes: list[str]

    def layout(self) -> Layout:
        top = self.unwrapped(self.tree, known=())
        if top is not self.tree:
            self.notes.append(f"read from {top.path}, the only folder with {self.kind.what}")
        parts = self.parts(top)
        files = self.in_parts(top, parts) if parts else self.in_classes("train", top, known=())
        if not files:
            raise self.refusal(top)
        if not parts:
            self.note_siblings({file.label for file in files})
        if len({file.label for file in files}) == 1:
            self.require_no_labels_in_names(files)
            self.note_tables()
        self.note_left_out()
        return Layout(files=files, notes=tuple(self.notes))

    def labelled_by_names(self, pattern: LabelPattern, *, drop_missing: bool) -> Layout:
        """Return the files whose names say their label, in the parts that folders stand for."""
        files: list[LabelledFile] = []
        unlabelled: list[Path] = []
        top = self.unwrapped(self.tree, known=())
        parts = self.parts_by_name(top)
        for part, folder in parts.items():
            without: list[Path] = []
            labelled: list[LabelledFile] = []
            for path in folder.all_files():
                label, group = pattern.find(path, self.root)
                if label:
                    labelled.append(LabelledFile(part, path, label, group))
                else:
                    without.append(path)
            if part != "train" and without and not labelled:
                self.note_unlabelled(folder, part, f"whose names {pattern.typed()} does not fit")
                continue
            files += labelled
            unlabelled += without
        total = len(files) + len(unlabelled)
        if unlabelled and not (drop_missing and files):
            listed = [pattern.subject(path, self.root) for path in unlabelled]
            left_out = ", or leave them out: --drop-missing" if files else ""
            raise DataError(
                f"{self.root}: {pattern.typed()} does not fit the names of {len(unlabelled):,} of "
                f"{total:,} {self.kind.what}: {shorten(listed, SHOWN_FILES)}. Expected a regular "
                f"expression whose first group is the label in each of them{left_out}"
            )
        if not files:
            raise self.refusal(top)
        if unlabelled:
            listed = [path.name for path in unlabelled]
            self.notes.append(
                f"{self.count(unlabelled)} without a label in their names left out: "
                f"{shorten(listed, SHOWN_FILES)}"
            )
        if len(parts) > 1:
            self.note_others(top, list(parts.values()))
        self.notes.append(f"labels are read from the names of files by {pattern.typed()}")
        self.note_left_out()
        return Layout(files=files, notes=tuple(self.notes))

    def parts_by_name(self, top: Folder) -> dict[Part, Folder]:
        """Return the folders that are called as parts; all is train where none is for training."""
        by_path = {below.path: below for below in top.filled()}
        named = part_folders(by_path)
        if "train" not in named:
            return {"train": top}
        self.require_one_folder_each(top, named)
        return {part: by_path[paths[0]] for part, paths in named.items()}

    def unwrapped(self, folder: Folder, known: Sequence[str]) -> Folder:
        """Return the folder inside folders that only wrap another one with folders of its own.

        One that bears the name of a class that is `known` is no wrapping.
        """
        filled = folder.filled()
        while len(filled) == 1 and filled[0].filled() and not folder.files:
            if filled[0].name in known:
                break
            folder = filled[0]
            filled = folder.filled()
        return folder

    # --- parts

    def parts(self, top: Folder) -> dict[Part, Folder]:
        """Return the folders that are parts, {} where all are classes.

        A class may be called `train` too, among others that are called `car` and `bus`: folders
        are parts where the one for training holds folders itself.
        """
        filled = top.filled()
        by_path = {below.path: below for below in filled}
        named = part_folders(by_path)
        all_are_parts = sum(map(len, named.values())) == len(filled)
        if not any(by_path[path].filled() for paths in named.values() for path in paths):
            if "train" in named and all_are_parts:
                raise self.without_classes(filled)
            return {}
        if "train" not in named:
            if not all_are_parts:
                return {}
            raise DataError(
                f"{top.path}: holds parts ({self.names(filled)}) but none for training. Expected a "
                f"folder called train beside them, or give one of them alone: "
                f"--data {typed(filled[0].path)}"
            )
        self.require_one_folder_each(top, named)
        return {part: by_path[paths[0]] for part, paths in named.items()}

    def require_one_folder_each(self, top: Folder, named: Mapping[Part, Sequence[Path]]) -> None:
        """Refuse several folders for one part."""
        twice = [paths for paths in named.values() if len(paths) > 1]
        if twice:
            listed = ", ".join(path.name for path in twice[0])
            raise DataError(
                f"{top.path}: several folders could be the same part: {listed}. Move all but one "
                "out of the data folder, or rename them train, val and test"
            )

    def in_parts(self, top: Folder, parts: Mapping[Part, Folder]) -> list[LabelledFile]:
        train = self.unwrapped(parts["train"], known=())
        files = self.in_classes("train", train, known=())
        if not files:
            raise self.refusal(train)
        known = sorted({file.label for file in files})
        for part, folder in parts.items():
            if part == "train":
                continue
            inner = self.unwrapped(folder, known=known)
            classes = inner.filled()
            unlabelled = len(classes) == 1 and classes[0].name not in known
            if not classes or unlabelled:
                self.note_unlabelled(folder, part, "without folders of classes")
            else:
                files += self.in_classes(part, inner, known=known)
        self.note_others(top, list(parts.values()))
        return files

    # --- classes

    def in_classes(self, part: Part, folder: Folder, known: Sequence[str]) -> list[LabelledFile]:
        """Return the files of the folders of classes in `folder`."""
        groups = [group for group in folder.filled() if group.name.lower() not in UNLABELLED_NAMES]
        if not known and part == "train":
            self.require_no_parts_in_classes(groups)
            self.require_classes_above(groups)
            by_class_first = self.classes_before_parts(groups)
            if by_class_first:
                return by_class_first
        files = []
        for group in groups:
            for path in group.all_files():
                files.append(LabelledFile(part, path, group.name))
        if files:
            self.note_classes(part, folder, groups)
        return files

    def classes_before_parts(self, groups: Sequence[Folder]) -> list[LabelledFile]:
        """Return the files of `<class>/<part>/<file>`, none where that is not the layout."""
        files = []
        for group in groups:
            by_path = {below.path: below for below in group.filled()}
            named = part_folders(by_path)
            if "train" not in named or group.files or len(by_path) != len(named):
                return []
            for part, paths in named.items():
                for path in by_path[paths[0]].all_files():
                    files.append(LabelledFile(part, path, group.name))
        if files:
            self.notes.append("each class has folders for its parts: <class>/<part>/<file>")
        return files

    def require_no_parts_in_classes(self, groups: Sequence[Folder]) -> None:
        """Refuse a folder of several data sets, each with parts of its own."""
        sets = []
        for group in groups:
            train = [below for below in group.filled() if part_of(below.name) == "train"]
            if train and train[0].filled():
                sets.append(group)
        if len(sets) > 1 or (sets and len(groups) > 1):
            raise DataError(
                f"{self.root}: is one folder too high: {self.names(sets)} hold parts and classes "
                f"of their own. Give one of them: --data {typed(sets[0].path)}"
            )

    def require_classes_above(self, groups: Sequence[Folder]) -> None:
        """Refuse <id>/<class>/<file>: more folders with numbers than there are names below them."""
        recurring = names_below(groups)
        are_ids = all(any(map(str.isdigit, group.name)) for group in groups)
        stems = {re.sub(r"[\d\W_]+", "", group.name).lower() for group in groups}
        if not 2 <= len(recurring) < len(groups) and not (recurring and stems <= OF_SETS):
            return
        if are_ids and not any(group.files for group in groups):
            raise DataError(
                f"{self.root}: which folders are the classes: {self.names(groups)}, or the lower "
                f"ones, {shorten(recurring, SHOWN_FOLDERS)}? For the lower ones, with what lies in "
                f"one folder kept together: {typed_pattern(FOLDER_OF_GROUP)}. For the upper ones: "
                f"{typed_pattern(HIGHEST_FOLDER)}"
            )

    def require_no_labels_in_names(self, files: Sequence[LabelledFile]) -> None:
        """Refuse files in one folder whose names carry labels, as `images/cat_1.png` does."""
        found = labels_in_names([file.path.name for file in files])
        if found:
            raise DataError(
                f"{self.root}: all {self.kind.what} lie in one folder, {files[0].label}, so that "
                f"there is one class alone. {found.advice()}"
            )

    # --- notes

    def note_classes(self, part: Part, folder: Folder, groups: Sequence[Folder]) -> None:
        what = self.kind.what
        if folder.files:
            self.notes.append(
                f"{self.count(folder.files)} directly in {self.shown(folder)} without the folder "
                "of a class left out"
            )
        empty = []
        for group in folder.folders:
            if not group.all_files():
                empty.append(group.name)
        if empty:
            self.notes.append(
                f"folders of {self.shown(folder)} that hold no {what} are no classes: "
                f"{shorten(empty, SHOWN_FOLDERS)}"
            )
        unlabelled = [group for group in folder.filled() if group not in groups]
        for group in unlabelled:
            self.notes.append(
                f"{self.count(group.all_files())} without labels in {self.shown(group)} left out"
            )
        deeper: list[str] = []
        files: list[Path] = []
        for group in groups:
            for below in group.filled():
                deeper.append(self.shown(below))
                files += below.all_files()
        if deeper:
            lower = f"give the one above them: --data {typed(groups[0].path)}"
            if names_below(groups):
                lower = typed_pattern(LOWEST_FOLDER)
            self.notes.append(
                f"{self.count(files)} of {part} in folders below those of the classes count for "
                f"the class above: {shorten(deeper, SHOWN_FOLDERS)}. If the classes are the lower "
                f"folders, {lower}"
            )

    def note_unlabelled(self, folder: Folder, part: Part, why: str) -> None:
        count = self.count(folder.all_files())
        self.notes.append(
            f"{self.shown(folder)} holds {count} {why}, "
            f"thus without labels: left out, and {part} is split off from train instead"
        )

    def note_others(self, top: Folder, parts: Sequence[Folder]) -> None:
        """Note folders beside the parts."""
        for below in top.filled():
            if below not in parts:
                self.notes.append(
                    f"{self.count(below.all_files())} in {self.shown(below)} left out: "
                    "it is not called like a part (train, val, test)"
                )

    def note_siblings(self, classes: set[str]) -> None:
        """Note parts with the same classes that lie beside the folder that was given."""
        here = self.root.resolve()
        if part_of(here.name) is None:
            return
        beside = []
        for path in folders_in(here.parent):
            is_part = path != here and part_of(path.name) not in (None, "train")
            if is_part and any((path / name).is_dir() for name in classes):
                beside.append(path.name)
        if beside:
            self.notes.append(
                f"beside it lie {shorten(beside, SHOWN_FOLDERS)}, which are not used. To use them "
                f"give the folder above: --data {typed(here.parent)}"
            )

    def note_tables(self) -> None:
        """Note tables in a folder that has one class only: its labels may be there."""
        tables = tables_in(self.root)
        if tables:
            self.notes.append(
                f"the folder holds {shorten([path.name for path in tables], SHOWN_FOLDERS)}; if "
                f"the labels are there: --data {typed(tables[0])}"
            )

    def note_left_out(self) -> None:
        endings: Counter[str] = Counter()
        links: list[Path] = []
        for folder in self.tree.walk():
            endings += folder.others
            links += folder.links
        if endings:
            remedies = [self.kind.remedies.get(ending, "") for ending in endings]
            advice = "".join(f". {remedy}" for remedy in dict.fromkeys(remedies) if remedy)
            self.notes.append(
                f"{count_of(endings.total(), 'file')} left out, not read as {self.kind.what}: "
                f"{counted_endings(endings)}{advice}"
            )
        if links:
            names = [str(path.relative_to(self.root)) for path in links]
            self.notes.append(
                f"{count_of(len(links), 'link')} to folders or out of {self.root} not followed: "
                f"{shorten(names, SHOWN_FOLDERS)}. Put the files themselves there"
            )

    # --- refusals

    def without_classes(self, parts: Sequence[Folder]) -> DataError:
        count = sum(len(part.files) for part in parts)
        verb = "holds" if len(parts) == 1 else "hold"
        (train,) = [part for part in parts if part_of(part.name) == "train"][:1]
        in_names = labels_in_names([path.name for path in train.files])
        remedy = (
            "Where labels are in a table with the columns path and label: "
            f"--data {self.likely_table() or 'TABLE.csv'}"
        )
        if in_names:
            remedy = in_names.advice()
        return DataError(
            f"{self.root}: {self.names(parts)} {verb} {count:,} {self.kind.what} but no folders of "
            f"classes, thus no labels. Expected <part>/<class>/<file>. {remedy}"
        )

    def likely_table(self) -> str:
        """Return the table that may hold the labels as it is typed, "" where there is none."""
        tables = tables_around(self.root)
        if not tables:
            return ""
        table = typed(tables[0])
        if tables[0].parent not in (self.root, self.root.resolve()):
            has_own_images = tables[0].parent.resolve().is_relative_to(self.root.resolve())
            if not has_own_images:
                table += f" --image-root {typed(self.root)}"
        return table

    def refusal(self, folder: Folder) -> DataError:
        """Return the error for a folder without classes, with the folder that may be meant."""
        what, path = self.kind.what, folder.path
        folders = count_of(len(folder.folders), "folder")
        files = count_of(len(folder.files) + folder.others.total(), "file")
        words = [
            f"{path}: holds no {what} in folders of classes. Expected {path}/<class>/<file>, with "
            f"files ending in {' '.join(self.kind.suffixes)}; found {folders} and {files}"
        ]
        endings: Counter[str] = Counter()
        for below in folder.walk():
            endings += below.others
        if endings:
            words.append(f". Files of other kinds: {counted_endings(endings)}")
            for ending in endings:
                if ending in self.kind.remedies:
                    words.append(f". {self.kind.remedies[ending]}")
        links = [str(link.name) for below in folder.walk() for link in below.links]
        if links:
            words.append(f". Links are not followed: {shorten(links, SHOWN_FOLDERS)}")
        table = self.likely_table() if self.kind.what == "images" else ""
        tables = tables_in(self.root)
        in_names = labels_in_names([file.name for file in folder.files])
        if in_names:
            words.append(f". {in_names.advice()}")
        if table:
            words.append(f". If the labels are in a table: --data {table}")
        elif tables:
            words.append(f". If the labels are in a table: --data {typed(tables[0])}")
        elif folder.files and not in_names:
            words.append(self.folder_above(path))
        return DataError("".join(words))

    def folder_above(self, path: Path) -> str:
        """Return advice for somebody who gave the folder of one class."""
        above = path.resolve().parent
        beside = classes_beside(above, self.kind.suffixes)
        if len(beside) < 2:
            return ""
        return (
            f". It looks like the folder of one class: {above} holds "
            f"{shorten(beside, SHOWN_FOLDERS)}. Give that one: --data {typed(above)}"
        )

    # --- names

    def count(self, files: Sequence[Path]) -> str:
        return count_of(len(files), self.kind.what.removesuffix("s"), self.kind.what)

    def names(self, folders: Sequence[Folder]) -> str:
        return shorten([folder.name for folder in folders], SHOWN_FOLDERS)

    def shown(self, folder: Folder) -> str:
        if folder.path == self.root:
            return str(self.root)
        return f"{folder.path.relative_to(self.root)}/"
