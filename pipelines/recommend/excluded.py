"""Items that are not to be answered: those of a file, for everybody or for each user."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.errors import DataError, shorten
from pipelines.io.tables import SHOWN_COLUMNS, Table, read_table
from pipelines.io.text_files import read_lines
from pipelines.recommend.columns import ITEMS, USERS
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.item_facts import ITEM_TABLE_IDS
from pipelines.recommend.requests import Requests

NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Numbers of items that nobody gets, and those that a user does not get, by its id."""

    everywhere: np.ndarray = field(default_factory=lambda: NOTHING)
    by_user: dict[str, list[int]] = field(default_factory=dict)

    def of_rows(self, facts: RecommendFacts, requests: Requests) -> list[np.ndarray]:
        """Return the numbers of the items that each request does not get."""
        rows = []
        for row in range(len(requests)):
            own: list[int] = []
            if requests.users is not None:
                own = self.by_user.get(requests.users[row], [])
            rows.append(np.concatenate([self.everywhere, np.asarray(own, np.int64)]))
        return rows


def read_excluded(name: str, facts: RecommendFacts, notes: list[str]) -> Excluded:
    """Return the items that the file `name` holds; ids that the model does not know are counted.

    Raises:
        DataError: the file cannot be read, or has no column of items.
    """
    if not name:
        return Excluded()
    path = Path(name).expanduser()
    if path.suffix.lower() == ".txt":
        names = [line.strip() for line in read_lines(path)]
        ids = np.array([item for item in names if item], dtype=object)
        return _excluded(ids, None, facts, path, notes)
    table = read_table(path)
    item, user = _find_columns(table)
    users = table.identifiers(user) if user else None
    return _excluded(table.identifiers(item), users, facts, path, notes)


def _find_columns(table: Table) -> tuple[str, str | None]:
    """Return the columns of items and of users; a single column is that of items."""
    if len(table.columns) == 1:
        return table.columns[0], None
    item = table.find_column("", ITEM_TABLE_IDS, role="item", flag="")
    if item is None:
        raise DataError(
            f"{table.where}: has no column of items to exclude. Expected one called "
            f"{', '.join(ITEMS[:3])}, or a file of ids, one a line. "
            f"Its columns: {shorten(table.columns, SHOWN_COLUMNS)}"
        )
    return item, table.find_column("", USERS, role="user", flag="")


def _excluded(
    items: np.ndarray, users: np.ndarray | None, facts: RecommendFacts, path: Path, notes: list[str]
) -> Excluded:
    numbers = np.array([facts.item_numbers.get(item, 0) for item in items], dtype=np.int64)
    known = numbers > 0
    notes.append(
        f"{path}: {int(known.sum()):,} of {len(items):,} items are known and left out (--exclude)"
    )
    if users is None:
        return Excluded(everywhere=numbers[known])
    by_user: dict[str, list[int]] = {}
    for user, number in zip(users[known], numbers[known], strict=True):
        by_user.setdefault(user, []).append(int(number))
    return Excluded(by_user=by_user)
