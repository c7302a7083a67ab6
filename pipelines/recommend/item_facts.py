"""What is known of items: titles for people, and features (genres, categories) for two_tower."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pipelines.io.tables import Table, cell_text
from pipelines.recommend import cells, columns
from pipelines.recommend.columns import ITEMS, ColumnNames

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

ITEM_TABLE_IDS = (*ITEMS, "id")
TITLES = (
    *("title", "name", "item_title", "movie_title", "item_name", "product_name", "product_title"),
    *("book_title", "artist_name", "track_name", "song_name", "game_title", "movie", "description"),
)
FEATURES = ("genres", "genre", "movie_genres", "categories", "category", "tags")
NO_FEATURES = ("", "(no genres listed)")
SEPARATOR = "|"  # between the features in one cell


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    """Titles and features by item id; items that have none are missing.

    `catalogue` are the ids of a table of items, in its order; empty where there is none.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    catalogue: tuple[str, ...] = ()

    def text(self, item: str) -> str:
        """Return what is known of an item as a text: its title and features, or nothing."""
        title = self.titles.get(item, "")
        features = ", ".join(self.features.get(item, ()))
        return ": ".join(part for part in (title, features) if part)


@dataclass(frozen=True, kw_only=True)
class FeatureMatrix:
    """Which item has which feature: (items + 1, names), 1 where it does; None without features."""

    matrix: "sparse.csr_matrix | None"
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def of_interactions(table: Table, items: np.ndarray, names: ColumnNames) -> ItemFacts:
    """Return what a table of interactions says about its items, whose ids are `items` (rows,).

    Each item is described by its first row.
    """
    title = columns.find(table, "title", names.title, TITLES)
    feature = table.find_column("", FEATURES, role="features", flag="")
    first_rows = _first_rows(items)
    return ItemFacts(
        titles=_titles(table.frame, title, items, first_rows),
        features=_features(table.frame, [feature] if feature else [], items, first_rows),
    )


def of_items(
    table: Table, names: ColumnNames, used: Collection[str], used_where: str, notes: list[str]
) -> ItemFacts:
    """Return titles and features of items: every column but id and title holds features.

    Columns of numbers are left out. It is noted where some of the `used` items, those of the
    interactions in `used_where`, are missing.
    """
    frame = table.frame
    # The flags name columns of the interactions; a table of items may have others.
    given_id = names.item if names.item in table.columns else ""
    id_column = columns.find(table, "item", given_id, ITEM_TABLE_IDS)
    if id_column is None:
        columns.refuse_columns(table, "item", ITEM_TABLE_IDS)
    items = cells.ids(table, id_column)
    given_title = names.title if names.title in table.columns else ""
    title = columns.find(table, "title", given_title, TITLES)
    feature_columns: list[str] = []
    numeric_columns: list[str] = []
    for column in table.columns:
        if column in (id_column, title):
            continue
        chosen = numeric_columns if _holds_numbers(frame[column]) else feature_columns
        chosen.append(column)
    if numeric_columns:
        notes.append(
            f"{table.where}: columns of numbers cannot be features and are left out: "
            f"{', '.join(numeric_columns)}"
        )
    _note_missing(table, items, used, used_where, notes)
    first_rows = _first_rows(items)
    return ItemFacts(
        titles=_titles(frame, title, items, first_rows),
        features=_features(frame, feature_columns, items, first_rows),
        catalogue=tuple(items[first_rows]),
    )


def _note_missing(
    table: Table, items: np.ndarray, used: Collection[str], used_where: str, notes: list[str]
) -> None:
    described = len(set(used) & set(items))
    if described < len(used):
        hint = "" if described else ". Are its ids written the same way there?"
        notes.append(
            f"{table.where}: describes {described:,} of the {len(used):,} items in "
            f"{used_where}{hint}"
        )


def _first_rows(items: np.ndarray) -> np.ndarray:
    import pandas as pd

    return ~pd.Series(items).duplicated().to_numpy()


def _titles(
    frame: "pd.DataFrame", column: str | None, items: np.ndarray, first_rows: np.ndarray
) -> dict[str, str]:
    import pandas as pd

    titles: dict[str, str] = {}
    if column is None:
        return titles
    cells = frame[column].to_numpy(dtype=object)[first_rows]
    for item, cell in zip(items[first_rows], cells, strict=True):
        if not pd.isna(cell):
            titles[item] = cell_text(cell)
    return titles


def _features(
    frame: "pd.DataFrame", names: Sequence[str], items: np.ndarray, first_rows: np.ndarray
) -> dict[str, tuple[str, ...]]:
    """Return the features of each item: `colour=red` if several columns hold them, else `red`."""
    features: dict[str, tuple[str, ...]] = {}
    for name in names:
        prefix = f"{name}=" if len(names) > 1 else ""
        cells = frame[name].to_numpy(dtype=object)[first_rows]
        for item, cell in zip(items[first_rows], cells, strict=True):
            values = tuple(prefix + value for value in _split_cell(cell))
            if values:
                features[item] = (*features.get(item, ()), *values)
    return features


def _holds_numbers(column: "pd.Series") -> bool:
    import pandas as pd

    if not column.map(lambda cell: np.ndim(cell) == 0).all():
        return False  # lists
    numbers = pd.to_numeric(column, errors="coerce")
    return bool((numbers.notna() | column.isna()).all())


def _split_cell(cell: object) -> tuple[str, ...]:
    """Return the features in one cell: texts between bars, or the elements of a list."""
    if isinstance(cell, list | tuple | np.ndarray):
        return tuple(cell_text(value) for value in cell)
    if cell is None or cell != cell:  # NaN
        return ()
    values = [value.strip() for value in cell_text(cell).split(SEPARATOR)]
    return tuple(value for value in values if value not in NO_FEATURES)


def feature_matrix(items: Sequence[str], features: Mapping[str, tuple[str, ...]]) -> FeatureMatrix:
    """Return the matrix of numbered items and features.

    A feature that one item alone has is left out, with a note: it adds nothing to the item's
    own vector.
    """
    from scipy import sparse

    distinct = [tuple(dict.fromkeys(features.get(item, ()))) for item in items]
    counts: Counter[str] = Counter()
    for values in distinct:
        counts.update(values)
    names = tuple(sorted(name for name, count in counts.items() if count > 1))
    lonely = len(counts) - len(names)
    notes: tuple[str, ...] = ()
    if lonely:
        notes = (
            f"{lonely:,} of {len(counts):,} features belong to a single item and are left out",
        )
    if not names:
        return FeatureMatrix(matrix=None, names=(), notes=notes)
    positions = {name: position for position, name in enumerate(names)}
    rows = []
    cells = []
    for number, values in enumerate(distinct, start=1):
        for name in values:
            if name in positions:
                rows.append(number)
                cells.append(positions[name])
    ones = np.ones(len(rows), np.float32)
    matrix = sparse.csr_matrix((ones, (rows, cells)), shape=(len(items) + 1, len(names)))
    return FeatureMatrix(matrix=matrix, names=names, notes=notes)
