"""Answers of a trained recommender: the best items for each row that was asked, or a rating."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import shorten
from pipelines.io.answers import join_answers
from pipelines.io.picture_files import PICTURE
from pipelines.io.progress import counted
from pipelines.networks.models import graph_of
from pipelines.pipeline import ServingModel
from pipelines.recommend import explain
from pipelines.recommend.excluded import Excluded
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.predict_options import RecommendPredictOptions
from pipelines.recommend.requests import Requests

BATCH_SIZE = 256  # users
SHOWN = 3  # of unknown users or items


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One row of the input: the user's number (0: unknown), the numbers of the history, a note."""

    user: int
    history: list[int]
    note: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """The rows that one request asks about, and what may be answered to them.

    `notes` is the list that what is to be said of the answer goes to.
    """

    rows: Requests
    options: RecommendPredictOptions
    excluded: Excluded
    notes: list[str]


def network_inputs(facts: RecommendFacts, requests: Requests) -> dict[str, np.ndarray]:
    """Return what a served model takes for all requests: `user` (rows,), `history` (rows, any)."""
    return _inputs(_cases(facts, requests))


def unknown_users(facts: RecommendFacts, requests: Requests) -> list[str]:
    """Return a sentence on users whom the model does not know, none where it knows all.

    Those who come with a history need not be known.
    """
    if requests.users is None or requests.histories is not None:
        return []
    unknown = [user for user in requests.users if user not in facts.user_numbers]
    if not unknown:
        return []
    verb = "is" if len(unknown) == 1 else "are"
    return [
        f"{len(unknown):,} of {len(requests.users):,} users {verb} unknown to the model and "
        f"answered as an average one; the column note says which: {shorten(unknown, SHOWN)}"
    ]


def unknown_items(facts: RecommendFacts, requests: Requests) -> list[str]:
    """Return a sentence on items that the model does not know, none where it knows all.

    They are those of the histories that are given, or those to rate.
    """
    where, treated = "", "rated like an average one"
    given: Iterable[str] = () if requests.items is None else requests.items
    if requests.histories is not None:
        where, treated = " in the histories", "ignored"
        given = chain.from_iterable(requests.histories)
    items = list(dict.fromkeys(given))
    unknown = [item for item in items if item not in facts.item_numbers]
    if not unknown:
        return []
    verb = "is" if len(unknown) == 1 else "are"
    return [
        f"{len(unknown):,} of {len(items):,} items{where} {verb} unknown to the model and "
        f"{treated}; the column note says where: {shorten(unknown, SHOWN)}"
    ]


# --------------------------------------------------------------------------------------- recommend


def recommend(serving: ServingModel, questions: Sequence[Question]) -> list[pd.DataFrame]:
    """Return the best items for the rows of each question, the rows as they were given beside."""
    facts: RecommendFacts = serving.facts
    cases, excluded, keeps_seen = [], [], []
    for question in questions:
        of_question = _cases(facts, question.rows)
        cases += of_question
        excluded += question.excluded.of_rows(facts, question.rows)
        keeps_seen += [_keeps_seen(facts, question.options)] * len(of_question)
    most = max(question.options.top for question in questions)
    ranker = _Ranker(serving, cases, most, excluded, np.asarray(keeps_seen))
    best_parts = []
    score_parts = []
    begins = range(0, len(cases), BATCH_SIZE)
    for begin in counted(begins, "batches of users", len(begins)):
        best, scores = ranker.best_items(slice(begin, begin + BATCH_SIZE))
        best_parts.append(best)
        score_parts.append(scores)
    best, scores = np.concatenate(best_parts), np.concatenate(score_parts)
    tables, begin = [], 0
    for question in questions:
        rows = slice(begin, begin + len(question.rows))
        top = question.options.top
        answered = _Best(best[rows, :top], scores[rows, :top], cases[rows])
        explained = answered.explained(serving, question) if question.options.explain else {}
        tables.append(_table(facts, question.rows, answered, explained))
        begin = rows.stop
    return tables


def _keeps_seen(facts: RecommendFacts, options: RecommendPredictOptions) -> bool:
    return options.repeat or (facts.repeats and not options.new_only)


@dataclass(frozen=True)
class _Best:
    """The numbers and scores of the best items `(cases, top)`."""

    items: np.ndarray
    scores: np.ndarray
    cases: Sequence[_Case]

    def explained(self, serving: ServingModel, question: Question) -> dict[str, np.ndarray]:
        """Return columns `(cases, top)`: what is behind each answer, and its picture."""
        facts: RecommendFacts = serving.facts
        users = [case.user for case in self.cases]
        histories = [case.history for case in self.cases]
        reasons = explain.reasons(serving.model, users, histories, self.items)
        names = np.asarray(facts.items, dtype=object)
        because = np.full(self.items.shape, "", dtype=object)
        for row, place in np.ndindex(*because.shape):
            because[row, place] = reasons[row].tell(place, names)
        columns = {explain.BECAUSE: because}
        folder = question.options.explain
        if isinstance(folder, str):
            left = np.where(np.isfinite(self.scores), self.items, 0)
            titles = [title or item for title, item in zip(facts.titles, facts.items, strict=True)]
            files = explain.draw_all(reasons, left, titles, Path(folder), question.notes)
            columns[PICTURE] = np.broadcast_to(files[:, None], self.items.shape)
        return columns


def _table(
    facts: RecommendFacts,
    requests: Requests,
    answered: _Best,
    explained: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Return the best items as a table, a row for each item."""
    best, scores = answered.items, answered.scores
    notes = [case.note for case in answered.cases]
    # Fewer where fewer are left to recommend.
    row, place = np.nonzero(np.isfinite(scores))
    positions = best[row, place] - 1
    answers = pd.DataFrame(
        {
            "place": place + 1,
            "item": np.asarray(facts.items, dtype=object)[positions],
            "title": np.asarray(facts.titles, dtype=object)[positions],
            "score": scores[row, place].round(4),
            "note": np.asarray(notes, dtype=object)[row],
        }
    )
    for name, cells in explained.items():
        answers[name] = cells[row, place]
    asked = requests.frame.iloc[row].reset_index(drop=True)
    asked.insert(0, _new_name("row", asked), row + 1)
    return join_answers(asked, answers)


def _new_name(name: str, table: pd.DataFrame) -> str:
    while name in table:
        name = f"{name}_"
    return name


@dataclass
class _Ranker:
    """Scores cases by a served model, and takes out what must not be answered."""

    serving: ServingModel
    cases: Sequence[_Case]
    most: int  # items for a case
    excluded: Sequence[np.ndarray]  # numbers of items, for each case
    keeps_seen: np.ndarray  # (cases,)

    def __post_init__(self) -> None:
        self._popularity = None
        if not all(case.history for case in self.cases):
            self._popularity = _popularity(self.serving.facts)

    def best_items(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and scores of the best items of some cases, best first.

        Both are (cases, top); a score is -inf where no item is left. A case without a history gets
        what is popular.
        """
        inputs = _inputs(self.cases[rows])
        history = inputs["history"]
        scores = np.array(graph_of(self.serving.model)(inputs)["scores"])
        if self._popularity is not None:
            # No network has learned what to recommend without a user and a history.
            scores[~history.any(axis=1)] = self._popularity
        without_seen = np.flatnonzero(~self.keeps_seen[rows])
        scores[without_seen[:, None], history[without_seen]] = -np.inf
        for row, items in enumerate(self.excluded[rows]):
            scores[row, items] = -np.inf
        scores[:, 0] = -np.inf
        return _largest(scores, min(self.most, scores.shape[1] - 1))


def _largest(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions and values of the largest scores, largest first: (rows, count) each.

    Lower positions come first among equals.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return best, np.take_along_axis(scores, best, axis=1)


def _cases(facts: RecommendFacts, requests: Requests) -> list[_Case]:
    cases = []
    for row in range(len(requests)):
        number = 0
        if requests.users is not None:
            number = facts.user_numbers.get(requests.users[row], 0)
        given: list[str] = []
        if requests.histories is not None:
            given = requests.histories[row]
        known = [facts.item_numbers[item] for item in given if item in facts.item_numbers]
        stored = facts.histories[number - 1] if number else []
        history = [*stored, *known] if requests.goes_on else known or stored
        note = _note(
            is_unknown_user=requests.users is not None and not number and not given,
            num_unknown_items=len(given) - len(known),
            has_history=bool(history),
        )
        cases.append(_Case(user=number, history=history, note=note))
    return cases


def _note(*, is_unknown_user: bool, num_unknown_items: int, has_history: bool) -> str:
    notes = ["unknown user"] if is_unknown_user else []
    if num_unknown_items:
        plural = "s" if num_unknown_items > 1 else ""
        notes.append(f"{num_unknown_items} unknown item{plural} ignored")
    if not has_history:
        notes.append("no history: popular items")
    return "; ".join(notes)


def _inputs(cases: Sequence[_Case]) -> dict[str, Any]:
    return {
        "user": np.asarray([case.user for case in cases], np.int32),
        "history": _pad([case.history for case in cases]),
    }


def _pad(histories: Sequence[Sequence[int]]) -> np.ndarray:
    """Return histories (rows, length of the longest), padded on the left with 0."""
    padded = np.zeros((len(histories), max(1, *map(len, histories))), np.int32)
    for row, items in enumerate(histories):
        if items:
            padded[row, -len(items) :] = items
    return padded


def _popularity(facts: RecommendFacts) -> np.ndarray:
    """Return the share of the known users who have each item: (items + 1,)."""
    owned = chain.from_iterable(map(set, facts.histories))
    counts = np.bincount(np.fromiter(owned, np.int64), minlength=len(facts.items) + 1)
    return counts / max(1, len(facts.users))


# -------------------------------------------------------------------------------------------- rate


def rate(serving: ServingModel, questions: Sequence[Question]) -> list[pd.DataFrame]:
    """Return a rating for each row of each question, the rows as they were given beside it."""
    facts: RecommendFacts = serving.facts
    users, items = [], []
    for question in questions:
        assert question.rows.users is not None
        assert question.rows.items is not None
        users.append(_numbers_of(question.rows.users, facts.user_numbers))
        items.append(_numbers_of(question.rows.items, facts.item_numbers))
    user, item = np.concatenate(users), np.concatenate(items)
    ratings = []
    begins = range(0, len(user), BATCH_SIZE)
    for begin in counted(begins, "batches of rows", len(begins)):
        rows = slice(begin, begin + BATCH_SIZE)
        histories = [facts.histories[number - 1] if number else [] for number in user[rows]]
        inputs = {"user": user[rows], "history": _pad(histories), "item": item[rows]}
        ratings.append(np.asarray(graph_of(serving.model)(inputs)["rating"])[:, 0])
    low, high = facts.rating_range
    unknown_user = np.where(user == 0, "unknown user", "")
    unknown_item = np.where(item == 0, "unknown item", "")
    notes = []
    for words in zip(unknown_user, unknown_item, strict=True):
        notes.append("; ".join(word for word in words if word))
    rating = np.concatenate(ratings).clip(low, high).round(3)
    answers = pd.DataFrame({"rating": rating, "note": notes})
    tables, begin = [], 0
    for question in questions:
        end = begin + len(question.rows)
        tables.append(join_answers(question.rows.frame, answers.iloc[begin:end]))
        begin = end
    return tables


def _numbers_of(names: np.ndarray, numbers: Mapping[str, int]) -> np.ndarray:
    return np.asarray([numbers.get(name, 0) for name in names], np.int32)
