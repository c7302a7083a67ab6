"""Excel workbooks as tables; openpyxl reads them, which comes with `appline[excel]`."""

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import DataError, shorten

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
READABLE = (".xlsx", ".xlsm")
# A workbook is a zip archive: one that unpacks to more than this would fill the memory.
LARGEST_UNPACKED = 2 * 2**30  # bytes


def read_workbook(path: Path) -> "tuple[pd.DataFrame, tuple[str, ...]]":
    """Return the first sheet of a workbook with all cells as texts, and notes.

    Raises:
        DataError: it is no such workbook, or nothing here can read it.
    """
    if path.suffix.lower() not in READABLE:
        raise DataError(f"{path}: workbooks of this kind are not read. Save it as CSV or .xlsx")
    if importlib.util.find_spec("openpyxl") is None:
        raise DataError(
            f"{path}: is an Excel workbook. Save it as CSV, or install what reads it: "
            "pip install 'appline[excel]'"
        )
    import pandas as pd

    _require_sane_size(path)
    try:
        sheets = pd.read_excel(
            path, sheet_name=None, dtype=str, keep_default_na=False, na_values=[""]
        )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile):
        raise DataError(f"{path}: cannot be read as an Excel workbook. Save it as CSV") from None
    filled = {name: frame for name, frame in sheets.items() if not frame.empty}
    if not filled:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    name, frame = next(iter(filled.items()))
    others = [str(other) for other in sheets if other != name]
    if not others:
        return frame, ()
    return frame, (f"{path}: the sheet {name!r} is read, not: {shorten(others, 5)}",)


def _require_sane_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise DataError(f"{path}: is no Excel workbook, or is damaged. Save it as CSV") from None
    if unpacked > LARGEST_UNPACKED:
        raise DataError(
            f"{path}: would unpack to {unpacked:,} bytes. Expected at most {LARGEST_UNPACKED:,}"
        )
