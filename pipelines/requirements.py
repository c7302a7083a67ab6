"""The versions of other packages that this one needs, as its own metadata says."""

import importlib.metadata
import re

from pipelines.errors import ApplineError

PACKAGE = "appline"
# Of these an older version fails with an error of its own, which names nothing to type.
CHECKED = ("tensorflow", "keras", "keras-tuner", "mlflow")


def require_versions(names: tuple[str, ...] = CHECKED) -> None:
    """Refuse packages that are missing or too old.

    Raises:
        ApplineError: the message says what to install.
    """
    for name in names:
        least = _least_version(name)
        if not least:  # as where a model is served without this package
            continue
        command = f"Install it: pip install --upgrade '{name}>={least}'"
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise ApplineError(
                f"{name} is not installed, and {PACKAGE} needs it. {command}"
            ) from None
        if _numbers(installed) < _numbers(least):
            raise ApplineError(
                f"{name} {installed} is installed, and {PACKAGE} needs {least} or newer. {command}"
            )


def _least_version(name: str) -> str:
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    for requirement in requirements:
        found = re.fullmatch(rf"{re.escape(name)}\s*>=\s*([\d.]+)", requirement)
        if found:
            return found[1]
    return ""


def _numbers(version: str) -> list[int]:
    """Return the release of a version: [3, 15, 0] of 3.15.0rc1."""
    release = re.match(r"[\d.]*\d", version)
    return [int(part) for part in release[0].split(".")] if release else []
