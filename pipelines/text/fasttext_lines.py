"""Lines as fastText has them: `__label__sports __label__news the text`, labels before the text."""

from pathlib import Path

import numpy as np

from pipelines.errors import DataError, count_of
from pipelines.io.text_files import read_lines
from pipelines.text.texts import Texts, TextSource, objects

MARK = "__label__"
SHOWN_CHARACTERS = 60


def is_fasttext(path: Path) -> bool:
    """Return whether the first line of a file begins with a label of fastText."""
    with path.open("rb") as file:
        return file.readline(len(MARK) + 3).removeprefix(b"\xef\xbb\xbf").startswith(MARK.encode())


def read_fasttext(path: Path, *, several: bool) -> TextSource:
    """Return the texts of such a file; with `several`, or where a line has several, all labels.

    Raises:
        DataError: a line begins with no label.
    """
    labels: list[tuple[str, ...]] = []
    texts: list[str] = []
    origin: list[int] = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        names, text = _divide(line)
        if not names and not several:
            raise DataError(
                f"{path}: line {number}: no {MARK} at its beginning, as on line 1. "
                f"Received: {line[:SHOWN_CHARACTERS]!r}"
            )
        labels.append(names)
        texts.append(text)
        origin.append(number)
    several = several or max(map(len, labels)) > 1
    values = objects(labels) if several else objects(names[0] for names in labels)
    how = "a text may have several labels" if several else "one label each"
    note = f"{path.name}: {count_of(len(texts), 'line')} in fastText's format, {how}"
    part = Texts(x=objects(texts), labels=values, origin=np.asarray(origin, dtype=object))
    return TextSource(
        name=path.stem, where=str(path), parts={"train": part}, several=several, notes=(note,)
    )


def _divide(line: str) -> tuple[tuple[str, ...], str]:
    """Return the labels at the beginning of a line, and the text behind them."""
    names = []
    rest = line.strip()
    while rest.startswith(MARK):
        first, _, rest = rest.partition(" ") if " " in rest else (rest, "", "")
        names.append(first.removeprefix(MARK).rstrip(","))
        rest = rest.lstrip()
    return tuple(dict.fromkeys(names)), rest
