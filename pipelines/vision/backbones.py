"""The names of pretrained backbones; asked before TensorFlow is imported."""

import functools
import importlib.util
import re
from pathlib import Path

from pipelines.errors import DataError, UsageError, shorten, suggest
from pipelines.pretrained import weights
from pipelines.pretrained.catalogue import names
from pipelines.vision.spec import BACKBONE_KEY

OWN_SUFFIX = ".keras"  # of a model that appline saved
IMAGENET = "imagenet"
MOST_NAMES = 8  # of keras.applications, in a message


@functools.cache
def application_names() -> tuple[str, ...]:
    """Return the classes of keras.applications, read from what it exports and not imported."""
    keras = importlib.util.find_spec("keras")
    if keras is None or keras.origin is None:
        return ()
    exports = Path(keras.origin).parent / "applications" / "__init__.py"
    text = exports.read_text() if exports.is_file() else ""
    return tuple(sorted(re.findall(r"\b([A-Z]\w+) as \1\b", text)))


def require_backbone(name: str, weights_file: str = IMAGENET) -> None:
    """Refuse a backbone that there is not, or whose weights are known and not on this machine.

    `weights_file` is of a class of keras.applications; that of `IMAGENET` may yet be downloaded.

    Raises:
        UsageError: nothing is called so; the nearest name is given.
        DataError: its file is not there.
    """
    catalogue = names("backbone")
    if name in catalogue:
        weights.find(name, BACKBONE_KEY, "backbone")
    elif name.endswith(OWN_SUFFIX):
        if not Path(name).is_file():
            raise DataError(
                f"{BACKBONE_KEY}: no such file: {name}. Expected a model.keras that appline saved"
            )
    elif name not in application_names():
        raise UsageError(
            f"{BACKBONE_KEY}: there is no backbone {name!r}."
            f"{suggest(name, [*catalogue, *application_names()])} "
            f"Known: {', '.join(catalogue)}, of keras.applications "
            f"{shorten(application_names(), MOST_NAMES)}; "
            "or the path of a model.keras that appline saved"
        )
    elif weights_file != IMAGENET and not Path(weights_file).is_file():
        raise DataError(
            f"transfer.weights: no such file: {weights_file}. "
            f"Expected {IMAGENET} or the path of a weights file"
        )
