"""Tables of interactions from files and TensorFlow Datasets: with a header, or as MovieLens writes them, without one."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import DataError
from pipelines.io.tables import read_table
from pipelines.io.text_files import read_text
from pipelines.io.tfds import tfds_builder

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("user", "item", "rating", "timestamp")
DELIMITERS = ("::", "\t", ",", ";", "|")
HEADLESS = (".dat", ".data")  # never with a header
TFDS_COLUMNS = ("user_id", "movie_id", "user_rating", "timestamp", "movie_title", "movie_genres")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table and where its rows stand; `items` is a table about items (column `item`) that was found beside it."""

    frame: "pd.DataFrame"
    where: str
    first_line: int
    items: "Table | None" = None
    notes: tuple[str, ...] = ()


def read_file(path: Path) -> Table:
    """Return the table in a CSV, TSV, Parquet or JSONL file, or in one of MovieLens without a header (.dat, .data).

    Raises:
        DataError: the file is no such table; the message names the line.
    """
    if path.is_dir():
        raise DataError(
            f"{path}: is a folder. Expected a file with the columns user,item[,rating][,timestamp]"
        )
    if path.name == "movies.dat":
        return _headless(path, ("item", "title", "genres"), "")
    if path.suffix in HEADLESS:
        return _headless(
            path,
            NAMES,
            f"{path.name}: has no header; its columns are taken as user, item, rating, timestamp",
        )
    plain = path.suffix not in (".parquet", ".jsonl")
    if plain and _looks_headless(path):
        note = f"{path.name}: its first line is no header, so its columns are taken as user, item, rating, timestamp"
        return _headless(path, NAMES, note)
    frame = read_table(path, as_texts=True)
    return Table(
        frame=frame,
        where=path.name,
        first_line=2 if plain else 1,
        notes=_swallowed(path, len(frame)) if plain else (),
    )


def _swallowed(path: Path, rows: int) -> tuple[str, ...]:
    """Note lines that are no rows of their own: a stray quote makes one cell of all up to the next quote."""
    with path.open("rb") as file:
        inside = sum(1 for line in file if line.strip()) - 1 - rows
    if inside <= 0:
        return ()
    return (
        f"{path.name}: {inside:,} lines stand between quotes, as parts of a cell: are the quotes meant as such?",
    )


def _delimiter(line: str) -> str:
    return next((each for each in DELIMITERS if each in line), ",")


def _looks_headless(path: Path) -> bool:
    """Whether the first line holds numbers where ratings and times stand, or two numbers."""
    with path.open("rb") as file:
        line = file.readline().decode("latin-1").strip()
    cells = line.split(_delimiter(line))
    return 2 <= len(cells) <= 4 and all(
        re.fullmatch(r"-?\d+(\.\d*)?", cell.strip()) for cell in (cells[2:] or cells)
    )


def _headless(path: Path, names: tuple[str, ...], note: str) -> Table:
    """Return a table without a header whose columns, so many as there are, have these names; ids stay as written."""
    import pandas as pd

    text = read_text(path)
    lines = [
        line.rstrip("\r") for line in text.split("\n")
    ]  # not splitlines, which ends a line at the NEL of Latin-1 too
    if not any(line.strip() for line in lines):
        raise DataError(f"{path.name}: is empty. Expected lines of {'::'.join(names)}")
    delimiter = _delimiter(lines[0])
    width = len(lines[0].split(delimiter))
    for number, line in enumerate(lines, start=1):
        if (line.strip() and len(line.split(delimiter)) != width) or not 2 <= width <= len(names):
            expected = delimiter.join(names)
            raise DataError(
                f"{path.name}: line {number}: expected {width} values, as in {expected}. Received: {line[:80]!r}"
            )
    frame = pd.read_csv(
        io.StringIO(text.replace("::", "\t") if delimiter == "::" else text),
        sep="\t" if delimiter == "::" else delimiter,
        header=None,
        names=list(names[:width]),
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        quoting=csv.QUOTE_NONE,
    )
    beside = path.with_name("movies.dat")
    items = (
        read_file(beside) if path.suffix == ".dat" and path != beside and beside.exists() else None
    )
    return Table(
        frame=frame,
        where=path.name,
        first_line=1,
        items=items,
        notes=(note,) if note and path.suffix not in HEADLESS else (),
    )


def read_tfds(data: str) -> Table:
    """Return the table of a set of TensorFlow Datasets with the features of `movielens/*-ratings`.

    Raises:
        DataError: there is no such set, it has other features, or it cannot be downloaded.
    """
    import pandas as pd

    builder = tfds_builder(data)
    features = builder.info.features
    found = [column for column in TFDS_COLUMNS if column in features]
    if not {"user_id", "movie_id"} <= set(found):
        raise DataError(
            f"{data}: expected the features user_id and movie_id, as movielens/100k-ratings has them. Found: {', '.join(features)}"
        )
    dataset = builder.as_dataset(split="train").map(
        lambda row: {column: row[column] for column in found}
    )
    columns: dict[str, list[object]] = {column: [] for column in found}
    for batch in dataset.ragged_batch(8192):
        for column in found:
            ragged = hasattr(batch[column], "to_list")
            columns[column] += batch[column].to_list() if ragged else batch[column].numpy().tolist()
    return Table(frame=pd.DataFrame(columns), where=data, first_line=1)
