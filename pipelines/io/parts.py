"""What folders, split columns and TensorFlow Datasets may call the parts of a data set."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.io.headers import normal_name
from pipelines.splits import Part

PART_NAMES: Mapping[str, Part] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "validate": "val",
        "dev": "val",
        "test": "test",
        "testing": "test",
        "holdout": "test",
        # Of competitions: what the board shows at first, and what decides.
        "publictest": "val",
        "privatetest": "test",
    }
)
# They mean val in some data sets and test in others: val unless another one is called so.
EVALUATION_NAMES = ("eval", "evaluation")
SPLIT_COLUMNS = ("split", "part", "subset")
# Columns that say of each row yes or no, as fastai has them: the part of those that say yes.
YES_COLUMNS: Mapping[str, Part] = MappingProxyType(
    {"isvalid": "val", "isval": "val", "isvalidation": "val", "istest": "test"}
)
YES, NO = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
# Trailing words that some write together with the name of a part: trainset, valdata.
TOGETHER = re.compile(r"^(train|training|val|valid|validation|test|testing)(set|data|images|ing)$")


def part_of_yes(column: str) -> Part | None:
    """Return the part of the rows that say yes in a column called so, None for other columns."""
    return YES_COLUMNS.get(normal_name(column))


def part_of(name: str) -> Part | None:
    """Return the part that a folder's name stands for, None where it stands for none.

    It does with any of its words: `training_set`, `Train images`, `seg_train`, `val2017`; a name
    with words for two parts stands for none.
    """
    parts = {PART_NAMES[word] for word in _words(name) if word in PART_NAMES}
    if any(word in EVALUATION_NAMES for word in _words(name)):
        parts.add("val")
    if len(parts) == 1:
        return parts.pop()
    return None


def whole_part(name: str) -> Part | None:
    """Return the part that a name stands for with all of its words: `train`, `test_data`.

    `train_labels` and `test_images` are something of a part, and stand for none.
    """
    words = [word for word in _words(name) if word not in ("data", "set", "split")]
    if len(words) != 1:
        return None
    return "val" if words[0] in EVALUATION_NAMES else PART_NAMES.get(words[0])


def part_folders(folders: Iterable[Path]) -> dict[Part, list[Path]]:
    """Return the folders that are named after a part (see `part_of`), by part.

    One that is called exactly as the part stands for it alone, whatever others are called.
    """
    by_part: dict[Part, list[Path]] = {}
    for folder in sorted(folders):
        part = part_of(folder.name)
        if part is not None:
            by_part.setdefault(part, []).append(folder)
    validation = by_part.get("val", [])
    evaluation = [folder for folder in validation if _is_evaluation(folder.name)]
    if evaluation and len(validation) > len(evaluation):
        by_part["val"] = [folder for folder in validation if folder not in evaluation]
        by_part.setdefault("test", []).extend(evaluation)
    for part, several in by_part.items():
        exact = [folder for folder in several if folder.name.lower() in PART_NAMES]
        if len(exact) == 1:
            by_part[part] = exact
    return by_part


def _is_evaluation(name: str) -> bool:
    return any(word in EVALUATION_NAMES for word in _words(name))


def _words(name: str) -> list[str]:
    # TrainImages, train_images, train-2017, train2017.
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = []
    for word in re.findall(r"[a-z]+", separated):
        match = TOGETHER.match(word)
        words.append(match.group(1) if match else word)
    return words
