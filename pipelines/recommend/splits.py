"""The log of who had what, in numbers, divided into parts; what is asked in each part, and what may be known then."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from pipelines.evaluation.splitting import sample_indices
from pipelines.splits import PARTS, Part, Splits

if TYPE_CHECKING:
    from scipy import sparse

    from pipelines.recommend.baselines import Chosen, Ranker
    from pipelines.recommend.closed import Linear

Task: TypeAlias = Literal["rank", "rate"]
Method: TypeAlias = Literal["leave-last", "time", "random", "column"]
FIRST_DATE = 10**8  # smaller times are steps or places in a list, not seconds since 1970
EVERYTHING = slice(None)
MOST_JUDGED = 4_000


@dataclass(frozen=True, kw_only=True)
class Cases:
    """What is asked in one part, one row a case. A case's history is the rows [start, end) of the log.

    `user` (cases,) is 0 for a user that train does not hold; `person` (cases,) tells those apart too.
    `target` (cases,) is 0 for an item that train does not hold (cold: a miss for everyone).
    `rating` (cases,) is float32, NaN without ratings.
    """

    user: np.ndarray
    person: np.ndarray
    target: np.ndarray
    start: np.ndarray
    end: np.ndarray
    rating: np.ndarray

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, kw_only=True)
class RecommendSplits(Splits):
    """Interactions of users with items, rows in the order of (user, time, the order of the source).

    User number u is `users[u - 1]` and item number i is `items[i - 1]`; only what train holds has a number. 0 is
    padding, and what train does not hold. `titles[i - 1]` is for people, the id where there is none. `features`
    (items + 1, names), None without, is 1 where an item has one of `feature_names`.

    Of the log's columns (rows,), `person` tells all users apart: the known ones by their number, then those that train
    does not hold; `people[person - 1]` is the id. `rating` is NaN without ratings, `time` (seconds) 0 without times,
    and `part` 0, 1 or 2 for train, val or test.

    `asked` holds the rows of the log that are the targets of val and test. With `rolling`, all rows of the same user
    before the target are its history; without, those of the parts before.
    """

    task: Task
    method: Method
    users: tuple[str, ...]
    items: tuple[str, ...]
    people: tuple[str, ...]
    titles: tuple[str, ...]
    features: "sparse.csr_matrix | None"
    feature_names: tuple[str, ...]
    person: np.ndarray
    user: np.ndarray
    item: np.ndarray
    rating: np.ndarray
    time: np.ndarray
    part: np.ndarray
    asked: Mapping[Part, np.ndarray]
    rolling: bool
    seed: int

    @property
    def num_users(self) -> int:
        return len(self.users)

    @property
    def num_items(self) -> int:
        return len(self.items)

    @property
    def rated(self) -> bool:
        """Whether there are ratings."""
        return bool(len(self.rating)) and not np.isnan(self.rating[0])

    @property
    def timed(self) -> bool:
        """Whether there are times."""
        return bool(self.time.any())

    def sizes(self) -> dict[Part, int]:
        """Return the interactions of train, and how many cases val and test ask."""
        return {
            "train": int((self.part == 0).sum()),
            "val": len(self.cases("val")),
            "test": len(self.cases("test")),
        }

    def describe(self) -> dict[str, str]:
        each = np.bincount(self.person)[1:]
        cells = len(self.people) * max(self.num_items, 1)
        facts = {
            "users": f"{len(self.people):,}, {self.num_users:,} of them in train",
            "items": f"{self.num_items:,} in train ({', '.join(self.titles[:3])}{', ...' if self.num_items > 3 else ''})",
            "interactions": f"{len(self.item):,}, {100 * len(self.item) / cells:.2g} % of all pairs",
            "of one user": f"{np.median(each):g} in the median, {each.min():,} to {each.max():,}",
        }
        if self.rated:
            facts["ratings"] = (
                f"{self.rating.min():g} to {self.rating.max():g}, mean {self.rating.mean():.3g}"
            )
        if self.timed and self.time.min() >= FIRST_DATE:
            first, last = (
                np.array([self.time.min(), self.time.max()])
                .astype("datetime64[s]")
                .astype("datetime64[D]")
            )
            facts["dates"] = f"{first} to {last}"
        if self.feature_names:
            facts["features"] = (
                f"{len(self.feature_names):,} ({', '.join(self.feature_names[:5])}{', ...' if len(self.feature_names) > 5 else ''})"
            )
        ask = {
            "rank": "which item comes next, among all that the user has not had",
            "rate": "how a user rates an item",
        }
        return {**facts, "task": f"{self.task}: {ask[self.task]}", "split": _SPLITS[self.method]}

    def cases(self, part: Part) -> Cases:
        """Return what is asked in `part`; in train, every interaction, to rank those that have one of the same user before them."""
        return self._cases[part]

    @cached_property
    def _cases(self) -> dict[Part, Cases]:
        return {part: self._cases_of(part) for part in PARTS}

    def _cases_of(self, part: Part) -> Cases:
        if part == "train":
            rows = np.flatnonzero(
                (self.part == 0)
                & ((self.task == "rate") | (self._first < np.arange(len(self.item))))
            )
        else:
            rows = self.asked[part]
        end = rows
        if not self.rolling and part != "train":
            known = np.bincount(self.person[self.known(part)], minlength=len(self.people) + 1)
            end = self._first[rows] + known[self.person[rows]]
        return Cases(
            user=self.user[rows],
            person=self.person[rows],
            target=self.item[rows],
            start=self._first[rows],
            end=end,
            rating=self.rating[rows],
        )

    @cached_property
    def _first(self) -> np.ndarray:
        """The first row of each row's user: (rows,)."""
        return np.searchsorted(self.person, self.person)

    @cached_property
    def _packed(self) -> tuple[np.ndarray, np.ndarray]:
        """The items of the rows whose item is known, and how many of those stand before each row: (known,), (rows + 1,)."""
        known = self.item > 0
        return self.item[known], np.concatenate([[0], np.cumsum(known)])

    def _spans(self, part: Part, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cases, before = self.cases(part), self._packed[1]
        return before[cases.start[rows]], before[cases.end[rows]]

    def histories(
        self, part: Part, length: int = 0, rows: slice | np.ndarray = EVERYTHING
    ) -> np.ndarray:
        """Return the last `length` items before each target (0: all), left-padded with 0: (cases, length) int32.

        `rows` chooses among the cases. Items that train does not hold are passed over.
        """
        items, (first, last) = self._packed[0], self._spans(part, rows)
        length = length or max(int((last - first).max(initial=0)), 1)
        at = last[:, None] - np.arange(length, 0, -1)
        inside = at >= first[:, None]
        return np.where(inside, items[np.where(inside, at, 0)], 0).astype(np.int32)

    def seen(self, part: Part, rows: slice | np.ndarray = EVERYTHING) -> "sparse.csr_matrix":
        """Return 1 for the items of each case's history, which are not recommended again: (cases, items + 1) int8."""
        from scipy import sparse

        items, (first, last) = self._packed[0], self._spans(part, rows)
        bounds = np.concatenate([[0], np.cumsum(last - first)])
        at = np.repeat(first - bounds[:-1], last - first) + np.arange(bounds[-1])
        shape = (len(first), self.num_items + 1)
        return sparse.csr_matrix((np.ones(len(at), np.int8), items[at], bounds), shape=shape)

    def known(self, part: Part) -> np.ndarray:
        """Return which rows of the log may be known when `part` is answered: train for val, train and val for test. (rows,) bool."""
        return np.asarray(self.part < max(PARTS.index(part), 1))

    @cached_property
    def judged(self) -> "RecommendSplits":
        """These splits with so many cases of val as settings are chosen on; more would only take longer."""
        keep = np.zeros(len(self.cases("val")), bool)
        keep[sample_indices(len(keep), MOST_JUDGED, self.seed)] = True
        return self.only("val", keep)

    @cached_property
    def baselines(self) -> "Mapping[str, Chosen]":
        """The closed forms with their best settings on val: the baselines, one of which a network may start from."""
        from pipelines.recommend import baselines

        return baselines.chosen(self)

    @cached_property
    def fitted(self) -> "dict[tuple[Ranker, Part], Linear]":
        """What `baselines.fitted` has fitted so far: a choice on val, its scores and a saved model ask for the same ones."""
        return {}

    def merge_train_val(self) -> "RecommendSplits":
        """Return these splits with the interactions of val in train."""
        return dataclasses.replace(self, part=np.where(self.part == 1, 0, self.part))

    def only(self, part: Part, keep: np.ndarray) -> "RecommendSplits":
        """Return these splits with the cases of `part` (val or test) for which `keep` (cases,) is true."""
        return dataclasses.replace(self, asked={**self.asked, part: self.asked[part][keep]})


_SPLITS: Mapping[Method, str] = {
    "leave-last": "the last interactions of each user are test, those before them val",
    "time": "by time: the oldest 80 % of interactions are train, the newest 10 % test",
    "random": "random",
    "column": "as the column split says",
}
