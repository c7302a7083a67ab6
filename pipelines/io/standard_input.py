"""The file that stands for standard input, as readers know it."""

from pathlib import Path

from pipelines.io.temporary import PREFIX

STEM = "standard-input"
NAME = "standard input"  # in messages and answers


def is_standard_input(path: Path) -> bool:
    """Return whether a file holds what was piped in: paths in it are those of the caller."""
    return path.stem == STEM and path.parent.name.startswith(PREFIX)
