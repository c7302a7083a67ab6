"""Names of metrics and parameters in groups: `val/accuracy`, `baseline.C`."""

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `prefix` before each name."""
    return {f"{prefix}{name}": value for name, value in values.items()}


def without_prefix(prefix: str, values: Mapping[str, T]) -> dict[str, T]:
    """Return the values whose names begin with `prefix`, by what stands behind it."""
    return {
        key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)
    }
