"""What folders, split columns and TensorFlow Datasets may call the parts of a data set."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pipelines.splits import Part

PART_NAMES: Mapping[str, Part] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
        "test": "test",
        "testing": "test",
    }
)
SPLIT_COLUMNS = ("split", "part", "subset")


def part_folders(folders: Iterable[Path]) -> dict[Part, Path]:
    """Return the folders that have the name of a part (see `PART_NAMES`), by part."""
    by_part = {}
    for folder in folders:
        name = folder.name.lower()
        if name in PART_NAMES:
            by_part[PART_NAMES[name]] = folder
    return by_part
