"""Tables that a spreadsheet program may open without running anything."""

import pandas as pd

# A cell that begins so is taken for a formula, which can read files and call addresses (OWASP, "CSV
# injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def neutralise_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before every text that looks like a formula.

    Numbers stay as they are. Names of columns are treated like cells.
    """
    safe = frame.rename(columns=_neutralise)
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_neutralise)
    return safe


def _neutralise(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell
