"""Interactions to `RecommendSplits`: read, split, then numbered by what train holds.

They are split before anything is fitted to them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from pipelines.errors import DataError
from pipelines.evaluation.splitting import sample_indices
from pipelines.io.digest import data_digest
from pipelines.recommend import item_facts, readers, splitting
from pipelines.recommend.cells import FIRST_DATE
from pipelines.recommend.columns import ColumnNames, saying
from pipelines.recommend.interactions import (
    Interactions,
    drop_duplicates,
    drop_rare,
    encode_ids,
    keep_one_per_pair,
    number_by_train,
    subsample,
)
from pipelines.recommend.options import RecommendOptions, SplitMethod, Task
from pipelines.recommend.raw_findings import pair_findings, random_split_finding
from pipelines.recommend.readers import RawInteractions
from pipelines.splits import PARTS, SCORED_PARTS, Part, Splits

if TYPE_CHECKING:
    from scipy import sparse

EVERYTHING = slice(None)
# Cases of val on which settings are chosen; more would only take longer.
LARGEST_VALIDATION_SAMPLE = 4_000
SHOWN_TITLES = 3
SHOWN_FEATURES = 5

TASKS: Mapping[Task, str] = {
    "rank": "which item comes next, among all that the user has not had",
    "rate": "how a user rates an item",
}
WITH_REPEATS = "which item comes next, among all"
METHODS: Mapping[SplitMethod, str] = {
    "leave-last": "the last interactions of each user are test, those before them val",
    "time": "by time: the oldest 80 % of interactions are train, the newest 10 % test",
    "random": "random",
    "column": "as the column split says",
    "hold-out": "all of it is test, behind what the model knows of each user",
}
# What targets and what users get that never occur in train.
COLD: Mapping[Task, tuple[str, str]] = {
    "rank": ("no model can rank them", "they can only get popular items"),
    "rate": ("they are rated like an average item", "they rate like an average user"),
}
LONG_HISTORY = 0.95  # of all users have as many interactions or fewer
BY_TEXTS = "--item-texts minilm"
NAMED_PARTS: tuple[tuple[Part, str], ...] = (("val", "validation"), ("test", "test"))


@dataclass(frozen=True, kw_only=True)
class EvaluationCases:
    """The cases of one part, one row a case.

    A case's history is the rows [start, end) of the interactions. `user` (cases,) is 0 for a user
    that train does not hold; `person` (cases,) tells those apart too. `target` (cases,) is 0 for an
    item that train does not hold (cold: a miss for everyone). `rating` (cases,) is float32, NaN
    without ratings.
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

    User number u is `users[u - 1]` and item number i is `items[i - 1]`; only what train holds has a
    number. 0 is padding, and what train does not hold. `titles[i - 1]` is for people, the id where
    there is none. `features` (items + 1, names), None without, is 1 where an item has one of
    `feature_names`.

    Where items are ranked by their texts too, `texts[i - 1]` is that of an item, and behind the
    items of train those that a table describes have numbers: their texts make them known. Otherwise
    there are no `texts`. `encoder` is the name of the encoder that reads them.

    Of the columns (rows,), `person` numbers all users: first those of train, by their number, then
    those that train does not hold; `people[person - 1]` is the id. `rating` is NaN without ratings,
    `time` (seconds) 0 without times, and `part` 0, 1 or 2 for train, val or test.

    `weight` (rows,) float32 says how much each counts in training, None where all count the same.
    With `repeats`, users have items several times, and what they had may come again.

    `target_rows` holds the rows that are the targets of val and test. With `rolling`, all rows of
    the same user before the target are its history; without, those of the parts before.
    """

    task: Task
    method: SplitMethod
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
    target_rows: Mapping[Part, np.ndarray]
    rolling: bool
    seed: int
    repeats: bool = False
    weight: np.ndarray | None = None
    texts: tuple[str, ...] = ()
    encoder: str = ""

    @property
    def num_users(self) -> int:
        """How many users train holds."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """How many items have a number."""
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
        """Return the interactions of train, and how many cases val and test have."""
        return {
            "train": int((self.part == 0).sum()),
            "val": len(self.cases("val")),
            "test": len(self.cases("test")),
        }

    def describe(self) -> dict[str, str]:
        per_user = np.bincount(self.person)[1:]
        pairs = len(self.people) * max(self.num_items, 1)
        titles = _shorten(self.titles, SHOWN_TITLES)
        interactions = f"{len(self.item):,}, {100 * len(self.item) / pairs:.2g} % of all pairs"
        if self.repeats:
            interactions = f"{len(self.item):,}, with repeats"
        facts = {
            "users": f"{len(self.people):,}, {self.num_users:,} of them in train",
            "items": f"{int(self.known_items('val').sum()):,} in train ({titles})",
            "interactions": interactions,
            "of one user": f"{np.median(per_user):g} in the median, {per_user.min():,} to "
            f"{per_user.max():,}",
        }
        if self.rated:
            low, high, mean = self.rating.min(), self.rating.max(), self.rating.mean()
            facts["ratings"] = f"{low:g} to {high:g}, mean {mean:.3g}"
        if self.timed and self.time.min() >= FIRST_DATE:
            ends = np.array([self.time.min(), self.time.max()])
            first, last = ends.astype("datetime64[s]").astype("datetime64[D]")
            facts["dates"] = f"{first} to {last}"
        if self.feature_names:
            shown = _shorten(self.feature_names, SHOWN_FEATURES)
            facts["features"] = f"{len(self.feature_names):,} ({shown})"
        return {
            **facts,
            "task": f"{self.task}: {WITH_REPEATS if self.repeats else TASKS[self.task]}",
            "split": METHODS[self.method],
        }

    def cases(self, part: Part) -> EvaluationCases:
        """Return the cases of `part`.

        In train they are all interactions; to rank, those that have one of the same user before
        them.
        """
        return self._cases[part]

    @cached_property
    def _cases(self) -> dict[Part, EvaluationCases]:
        return {part: self._find_cases(part) for part in PARTS}

    @cached_property
    def long_history(self) -> int:
        """How many interactions a user with many has in train: 19 of 20 have as many or fewer."""
        counts = np.bincount(self.person[self.part == 0])
        return int(np.quantile(counts[counts > 0], LONG_HISTORY))

    def case_rows(self, part: Part) -> np.ndarray:
        """Return the rows that are the targets of the cases of `part`: (cases,)."""
        if part != "train":
            return self.target_rows[part]
        has_history = self._first < np.arange(len(self.item))
        return np.flatnonzero((self.part == 0) & ((self.task == "rate") | has_history))

    def _find_cases(self, part: Part) -> EvaluationCases:
        rows = self.case_rows(part)
        end = rows
        if not self.rolling and part != "train":
            known_people = self.person[self.known_mask(part)]
            known_per_person = np.bincount(known_people, minlength=len(self.people) + 1)
            end = self._first[rows] + known_per_person[self.person[rows]]
        return EvaluationCases(
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
        """The items that train holds, row by row, and how many of them precede each row.

        The shapes are (rows with such an item,) and (rows + 1,).
        """
        in_train = self.item > 0
        return self.item[in_train], np.concatenate([[0], np.cumsum(in_train)])

    def _spans(self, part: Part, rows: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cases, num_before = self.cases(part), self._packed[1]
        return num_before[cases.start[rows]], num_before[cases.end[rows]]

    def histories(
        self, part: Part, length: int = 0, rows: slice | np.ndarray = EVERYTHING
    ) -> np.ndarray:
        """Return the last `length` items before each target, left-padded with 0: int32.

        The shape is (cases, length); a `length` of 0 takes all items. `rows` chooses among the
        cases. Items that train does not hold are left out.
        """
        items, (first, last) = self._packed[0], self._spans(part, rows)
        length = length or max(int((last - first).max(initial=0)), 1)
        positions = last[:, None] - np.arange(length, 0, -1)
        inside = positions >= first[:, None]
        return np.where(inside, items[np.where(inside, positions, 0)], 0).astype(np.int32)

    def seen(self, part: Part, rows: slice | np.ndarray = EVERYTHING) -> "sparse.csr_matrix":
        """Return 1 for what is not recommended to each case: (cases, items + 1) int8.

        That is what its user has had, unless it may come again.
        """
        from scipy import sparse

        if not self.repeats:
            return self.owned(part, rows)
        shape = (len(self.cases(part).user[rows]), self.num_items + 1)
        no_rows = np.zeros(0, np.int8), (np.zeros(0, np.int64), np.zeros(0, np.int64))
        return sparse.csr_matrix(no_rows, shape=shape)

    def owned(self, part: Part, rows: slice | np.ndarray = EVERYTHING) -> "sparse.csr_matrix":
        """Return above 0 for the items of each case's history: (cases, items + 1) int8."""
        from scipy import sparse

        items, (first, last) = self._packed[0], self._spans(part, rows)
        bounds = np.concatenate([[0], np.cumsum(last - first)])
        positions = np.repeat(first - bounds[:-1], last - first) + np.arange(bounds[-1])
        shape = (len(first), self.num_items + 1)
        ones = np.ones(len(positions), np.int8)
        return sparse.csr_matrix((ones, items[positions], bounds), shape=shape)

    def known_mask(self, part: Part) -> np.ndarray:
        """Return which rows may be known when `part` is predicted: (rows,) bool.

        These are train for val, and train and val for test.
        """
        return np.asarray(self.part < max(PARTS.index(part), 1))

    def known_items(self, part: Part) -> np.ndarray:
        """Return which items somebody has had in what may be known of `part`: (items + 1,) bool.

        Number 0 is none.
        """
        rows = self.known_mask(part) & (self.item > 0)
        return np.bincount(self.item[rows], minlength=self.num_items + 1) > 0

    def train_users(self) -> np.ndarray:
        """Return how many users of train have each item: (items + 1,)."""
        rows = self.part == 0
        pairs = np.unique(np.stack([self.person[rows], self.item[rows]]), axis=1)
        return np.bincount(pairs[1], minlength=self.num_items + 1)

    def train_counts(self) -> np.ndarray:
        """Return how many interactions of train each item has: (items + 1,)."""
        return np.bincount(self.item[self.part == 0], minlength=self.num_items + 1)

    def validation_sample(self) -> "RecommendSplits":
        """Return these splits with the cases of val on which settings are chosen, at most 4,000."""
        keep = np.zeros(len(self.cases("val")), bool)
        keep[sample_indices(len(keep), LARGEST_VALIDATION_SAMPLE, self.seed)] = True
        return self.only("val", keep)

    def merge_into_train(self, parts: Sequence[Part]) -> "RecommendSplits":
        """Return these splits with the interactions of `parts` in train."""
        merged = np.isin(self.part, [PARTS.index(part) for part in parts])
        return dataclasses.replace(self, part=np.where(merged, 0, self.part))

    def only(self, part: Part, keep: np.ndarray) -> "RecommendSplits":
        """Return splits with only the cases of `part` (val or test) that `keep` (cases,) marks."""
        rows = {**self.target_rows, part: self.target_rows[part][keep]}
        return dataclasses.replace(self, target_rows=rows)


def _shorten(names: tuple[str, ...], count: int) -> str:
    more = ", ..." if len(names) > count else ""
    return ", ".join(names[:count]) + more


def column_names(options: RecommendOptions) -> ColumnNames:
    """Return what the options say of the columns."""
    return ColumnNames(
        user=options.user_column,
        item=options.item_column,
        rating=options.rating_column,
        time=options.time_column,
        title=options.title_column,
        time_format=options.time_format,
        day_first=options.day_first,
        drop_missing=options.drop_missing,
        weight=options.weight_column,
    )


def load(options: RecommendOptions) -> RecommendSplits:
    """Return the interactions that the options name, split.

    Raises:
        DataError: the data cannot be read, or has nothing to score.
        UsageError: an option that does not exist or does not fit.
    """
    splitting.require_options(options)
    raw = readers.read(options.data, column_names(options), options.items)
    with saying(raw.guess):
        return _split(raw, options)


def _split(raw: RawInteractions, options: RecommendOptions) -> RecommendSplits:
    notes = list(raw.notes)
    task = splitting.choose_task(options, raw)
    splitting.require_ranking(options, task)
    splitting.require_texts(options, raw, task)
    method = splitting.choose_method(options, raw, task, notes)
    interactions = subsample(encode_ids(raw), options.limit, options.seed)
    timed = raw.time is not None
    if timed or not options.keep_repeats:
        # Without times, who had something twice has the same row twice.
        interactions = drop_duplicates(interactions, notes)
    if task == "rank" and method == "random":
        # The last ones in a random order are a random choice; a user's history has no order then.
        timed = False
        order = np.random.default_rng(options.seed).permutation(len(interactions.item))
        interactions = replace(interactions, time=order)
    order = np.lexsort((interactions.time, interactions.part, interactions.person))
    interactions = interactions.take(order)
    findings = []
    if not options.keep_repeats:
        findings += pair_findings(interactions, task, timed=timed)
        interactions = keep_one_per_pair(interactions, task, notes)
    part = splitting.assign_parts(interactions, task, method, options, raw.where, notes)
    interactions = replace(interactions, part=part)
    interactions = interactions.take(np.lexsort((part, interactions.person)))
    interactions = drop_rare(interactions, options.min_count, raw.where, notes)
    if method == "random" and raw.time is not None:
        findings.append(random_split_finding(int((part == PARTS.index("test")).sum())))
    if not timed:
        interactions = replace(interactions, time=np.zeros(len(interactions.item), np.int64))
    rolling = task == "rank" and not (method == "column" and not timed)
    splits = _build_splits(interactions, raw, task, method, rolling=rolling, options=options)
    _require_cases(splits, raw.where)
    return replace(
        splits,
        notes=(*notes, *splits.notes, *_cold_notes(splits, raw), *_repeat_notes(splits)),
        findings=tuple(findings),
    )


def _build_splits(
    interactions: Interactions,
    raw: RawInteractions,
    task: Task,
    method: SplitMethod,
    *,
    rolling: bool,
    options: RecommendOptions,
) -> RecommendSplits:
    """Return the splits, users and items numbered from 1, what train holds first."""
    by_text = bool(options.item_texts)
    numbered = number_by_train(interactions, raw.facts.catalogue if by_text else ())
    person, item, interactions = numbered.person, numbered.item, numbered.interactions
    items = tuple(map(str, numbered.items))
    texts = tuple(map(raw.facts.text, items)) if by_text else ()
    features = item_facts.feature_matrix(items, raw.facts.features)
    target_rows: dict[Part, np.ndarray] = {}
    for part in SCORED_PARTS:
        number = PARTS.index(part)
        target_rows[part] = splitting.target_rows(interactions, person, number, task, method)
    return RecommendSplits(
        dataset=raw.name,
        digest=data_digest(
            person,
            item,
            interactions.rating,
            interactions.time,
            interactions.part,
            *target_rows.values(),
            numbered.people,
            numbered.items,
            *([interactions.weight] if raw.weight is not None else []),
            *([np.asarray(texts, dtype=object)] if by_text else []),
        ),
        task=task,
        method=method,
        users=tuple(map(str, numbered.people[: numbered.num_users])),
        items=items,
        people=tuple(map(str, numbered.people)),
        titles=tuple(raw.facts.titles.get(name, name) for name in items),
        features=features.matrix,
        feature_names=features.names,
        notes=features.notes,
        person=person.astype(np.int32),
        user=np.where(person <= numbered.num_users, person, 0).astype(np.int32),
        item=item,
        rating=interactions.rating,
        time=interactions.time.astype(np.int64),
        part=interactions.part,
        target_rows=target_rows,
        rolling=rolling,
        seed=options.seed,
        repeats=options.keep_repeats,
        weight=interactions.weight if raw.weight is not None else None,
        texts=texts,
        encoder=options.item_texts,
    )


def _require_cases(splits: RecommendSplits, where: str) -> None:
    if splits.num_items < 2:
        _refuse(where, f"train holds only {splits.num_items} item", splits)
    for part in SCORED_PARTS:
        if not len(splits.cases(part)):
            _refuse(where, f"the part {part} is empty", splits)


def _refuse(where: str, what: str, splits: RecommendSplits) -> NoReturn:
    counts = np.bincount(splits.part, minlength=len(PARTS))
    parts = [f"{part} {count:,}" for part, count in zip(PARTS, counts, strict=True)]
    raise DataError(
        f"{where}: {what}. Interactions: {', '.join(parts)}. Expected some in each part and at "
        "least 2 items: add rows, or use another --split"
    )


def _repeat_notes(splits: RecommendSplits) -> list[str]:
    """Return a note on how many targets of test their users have had before."""
    if not splits.repeats:
        return []
    cases = splits.cases("test")
    is_repeat = splits.owned("test")[np.arange(len(cases)), cases.target] > 0
    known = cases.target > 0
    count = int((np.asarray(is_repeat).ravel() & known).sum())
    return [
        f"{count:,} of {len(cases):,} test targets are items that their users have had before "
        "(--keep-repeats)"
    ]


def _cold_notes(splits: RecommendSplits, raw: RawInteractions) -> list[str]:
    """Return notes on what a model cannot know: targets and users that train does not hold."""
    cold_target, cold_user = COLD[splits.task]
    if splits.task == "rank" and raw.facts.catalogue and not splits.texts:
        cold_target += f" by interactions. To rank what --items describes: {BY_TEXTS}"
    in_train = splits.known_items("val")
    notes = []
    for part, name in NAMED_PARTS:
        cases = splits.cases(part)
        num_cold = int((cases.target == 0).sum())
        if num_cold:
            notes.append(
                f"{num_cold:,} of {len(cases):,} {name} targets never occur in train; {cold_target}"
            )
        num_described = int((~in_train[cases.target] & (cases.target > 0)).sum())
        if num_described:
            notes.append(
                f"{num_described:,} of {len(cases):,} {name} targets never occur in train; their "
                "texts alone rank them"
            )
        num_users = len(np.unique(cases.person))
        num_new = len(np.unique(cases.person[cases.user == 0]))
        if num_new:
            notes.append(
                f"{num_new:,} of {num_users:,} {name} users never occur in train; {cold_user}"
            )
    return notes
