"""Excel workbooks as tables; openpyxl reads them, which comes with `appline[excel]`."""

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, count_of, shorten

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
READABLE = (".xlsx", ".xlsm")
# A workbook is a zip archive: one that unpacks to more than this would fill the memory.
LARGEST_UNPACKED = 2 * 2**30  # bytes


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A sheet that was read: its rows as texts, and their numbers as the workbook counts them."""

    frame: "pd.DataFrame"
    lines: np.ndarray
    notes: tuple[str, ...]


def read_workbook(path: Path) -> Sheet:
    """Return the first sheet of a workbook that holds rows.

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
            path, sheet_name=None, header=None, dtype=str, keep_default_na=False, na_values=[""]
        )
    except (ValueError, KeyError, OSError, zipfile.BadZipFile):
        raise DataError(f"{path}: cannot be read as an Excel workbook. Save it as CSV") from None
    filled = {name: frame for name, frame in sheets.items() if len(frame) > 1}
    if not filled:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    name, cells = next(iter(filled.items()))
    notes = []
    others = [str(other) for other in sheets if other != name]
    if others:
        notes.append(f"{path}: the sheet {name!r} is read, not: {shorten(others, 5)}")
    header = _row_of_header(cells)
    if header:
        notes.append(f"{path}: {count_of(header, 'row')} above the header left out")
    frame = cells.iloc[header + 1 :].reset_index(drop=True)
    frame.columns = _names(cells.iloc[header])
    lines = np.arange(header + 2, header + 2 + len(frame))  # counted from 1
    return Sheet(frame=frame, lines=lines, notes=tuple(notes))


def _row_of_header(cells: "pd.DataFrame") -> int:
    """Return the row of the names of columns: the first, or behind a title and empty rows."""
    num_filled = cells.notna().sum(axis=1).to_numpy()
    if cells.shape[1] < 2:
        return 0
    full = np.flatnonzero(num_filled > 1)
    return int(full[0]) if len(full) and full[0] < len(cells) - 1 else 0


def _names(header: "pd.Series") -> list[str]:
    """Return the names of columns, each once, as pandas calls those of a delimited file."""
    names: list[str] = []
    for place, cell in enumerate(header):
        name = "" if cell != cell else str(cell).strip()
        name = name or f"Unnamed: {place}"
        count = sum(other == name or other.startswith(f"{name}.") for other in names)
        names.append(f"{name}.{count}" if name in names else name)
    return names


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
