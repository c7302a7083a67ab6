"""Delimited files without a header, such as MovieLens writes them: `1::1193::5::978300760`."""

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import DataError
from pipelines.io.tables import Table
from pipelines.io.text_files import read_text, split_lines

if TYPE_CHECKING:
    import pandas as pd

# In the order in which they are looked for: a title of MovieLens, between `::`, holds commas and |.
DELIMITERS = ("::", "\t", ",", ";", "|")
SHOWN_CHARACTERS = 80  # of a line that is quoted in a message


def looks_headerless(path: Path) -> bool:
    """Return whether the first line of a delimited file holds data, not column names.

    It does when it has two to four cells, and all from the third on (of two, both) are numbers.
    """
    with path.open("rb") as file:
        line = file.readline().decode("latin-1").strip()
    cells = line.split(_delimiter(line))
    if not 2 <= len(cells) <= 4:
        return False
    return all(re.fullmatch(r"-?\d+(\.\d*)?", cell.strip()) for cell in cells[2:] or cells)


def read_headerless(path: Path, names: tuple[str, ...]) -> Table:
    """Return the table in a file without a header: its columns get the first of `names`.

    All cells are texts, quotes are characters like others, empty cells are missing.

    Raises:
        DataError: the file is empty, or a line has another number of values than the first.
    """
    text = read_text(path)
    if not text.strip():
        raise DataError(f"{path}: is empty. Expected lines of {'::'.join(names)}")
    lines = split_lines(text)
    delimiter = _delimiter(lines[0])
    width = len(lines[0].split(delimiter))
    expected = delimiter.join(names)
    if not 2 <= width <= len(names):
        raise DataError(
            f"{path}: line 1: expected 2 to {len(names)} values, as in {expected}. "
            f"Received: {lines[0][:SHOWN_CHARACTERS]!r}"
        )
    for number, line in enumerate(lines, start=1):
        if line.strip() and len(line.split(delimiter)) != width:
            raise DataError(
                f"{path}: line {number}: expected {width} values, as in {expected}. "
                f"Received: {line[:SHOWN_CHARACTERS]!r}"
            )
    frame = _parse(text, delimiter, names[:width])
    return Table(frame, path, delimiter, has_header=False)


def _delimiter(line: str) -> str:
    for delimiter in DELIMITERS:
        if delimiter in line:
            return delimiter
    return ","


def _parse(text: str, delimiter: str, names: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    if delimiter == "::":  # pandas is fast with delimiters of one character only
        text, delimiter = text.replace("::", "\t"), "\t"
    return pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        names=list(names),
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        quoting=csv.QUOTE_NONE,
    )
