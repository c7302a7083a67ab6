"""Standard input as a file, so that everything that reads files can read what is piped in."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apps.checks import STANDARD_INPUT
from pipelines.errors import UsageError
from pipelines.io.standard_input import STEM
from pipelines.io.temporary import temporary_folder

IMAGE_SUFFIX = ".png"  # of bytes that are no text; Pillow goes by what is in a file
# How a JSON file begins, and the suffix of one.
JSON_SUFFIXES = {b"{": ".jsonl", b"[": ".json"}


@contextmanager
def standard_input_as_file(inputs: Sequence[str], suffix: str) -> Iterator[list[str]]:
    """Yield the inputs of a command with a file's path in the place of `-`.

    `suffix` is that of a text that does not say what it is.

    Raises:
        UsageError: nothing is piped in, or `-` stands there twice.
    """
    if STANDARD_INPUT not in inputs:
        yield list(inputs)
        return
    if list(inputs).count(STANDARD_INPUT) > 1:
        raise UsageError("Standard input (-) can be read once. Received: - twice")
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise UsageError("Standard input (-) is empty. Expected e.g.: cat FILE | appline ... -")
    with temporary_folder() as folder:
        path = folder / f"{STEM}{_suffix(content, suffix)}"
        path.write_bytes(content)
        yield [str(path) if name == STANDARD_INPUT else name for name in inputs]


def _suffix(content: bytes, otherwise: str) -> str:
    if b"\0" in content:
        return IMAGE_SUFFIX
    return JSON_SUFFIXES.get(content.lstrip()[:1], otherwise)
