"""Names of classes that a Parquet file of Hugging Face `datasets` gives to the numbers in it."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

METADATA = b"huggingface"  # the key of the schema's metadata
CLASS_LABEL = "ClassLabel"


def with_class_names(frame: "pd.DataFrame", path: Path) -> "pd.DataFrame":
    """Return the rows of a Parquet file with names of classes in the place of their numbers.

    A number without a name, as the -1 of hidden labels, is missing.
    """
    import pandas as pd

    for column, names in _names_by_column(path).items():
        if column in frame:
            named = [_named(cell, names) for cell in frame[column]]
            frame[column] = pd.Series(named, index=frame.index, dtype=object)
    return frame


def _names_by_column(path: Path) -> Mapping[str, Sequence[str]]:
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_schema(path).metadata or {}
    found: dict[str, Sequence[str]] = {}
    # Whoever wrote something else there has no names for us.
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        features = json.loads(metadata.get(METADATA, b"{}")).get("info", {}).get("features", {})
        for column, feature in features.items():
            names = _names_of(feature)
            if names:
                found[column] = names
    return found


def _names_of(feature: Any) -> Sequence[str]:
    """Return the names of a feature or, of a list of labels, of what is in it."""
    if isinstance(feature, list) and feature:
        return _names_of(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == CLASS_LABEL:
        return list(map(str, feature.get("names") or []))
    return _names_of(feature.get("feature"))


def _named(cell: Any, names: Sequence[str]) -> Any:
    if hasattr(cell, "__len__"):
        return [_named(number, names) for number in cell]
    is_named = cell is not None and cell == cell and 0 <= cell < len(names)  # NaN equals nothing
    return names[int(cell)] if is_named else None
