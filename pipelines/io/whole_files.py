"""Files and folders that are whole wherever they are: an interrupt leaves no half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to, which takes its place at `path` behind the block.

    What was there before stays until then, and for good where the block fails.
    """
    is_special = path.exists() and not path.is_file()  # such as /dev/stdout
    target = path.resolve()  # a link stays one
    if is_special or not os.access(target.parent, os.W_OK):
        yield path
        return
    unfinished = target.with_name(f".{target.stem}.unfinished{target.suffix}")
    _remove(unfinished)  # of a process that was killed
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        _remove(unfinished)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_table(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table without its index, as Parquet where the name says so and as CSV elsewhere."""
    with written_whole(path) as unfinished:
        if path.suffix.lower() == ".parquet":
            frame.to_parquet(unfinished, index=False)
        else:
            frame.to_csv(unfinished, index=False)
