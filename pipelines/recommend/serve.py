"""A trained network for its user: a user's id or a history in, the best items out.

Items come with their titles and scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
import pandas as pd

from pipelines.config.options import PredictOptions
from pipelines.errors import DataError
from pipelines.io.answers import join_answers
from pipelines.io.cell_lists import read_list
from pipelines.io.progress import counted
from pipelines.io.tables import cell_text, find_column, read_table
from pipelines.io.text_files import read_lines
from pipelines.networks.plan import KerasTensor
from pipelines.pipeline import RawInput, ServingFacts, ServingModel
from pipelines.recommend import predict
from pipelines.recommend.columns import ITEMS, USERS
from pipelines.recommend.layers import ItemModelScores, WeightedScores
from pipelines.recommend.options import RecommendPredictOptions, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.recommend.data import RecommendSplits

    Texts: TypeAlias = NDArray[np.object_]

HISTORIES = ("history", "items", "sequence")
SEPARATOR = "|"  # between the items of a history
OTHER_SEPARATORS = (";", ",", " ")  # where they make known items of it
BATCH_SIZE = 256  # users


@dataclass(frozen=True, kw_only=True)
class RecommendFacts(ServingFacts):
    """What recommending needs to know beside the network.

    User number u is `users[u - 1]`, item number i is `items[i - 1]`, as in the data;
    `histories[u - 1]` are the numbers of the user's items, all parts together. The columns are
    those that the training data was read by, empty where they were guessed.
    """

    task: Task
    user_column: str
    item_column: str
    users: list[str]
    items: list[str]
    titles: list[str]
    histories: list[list[int]]
    rating_range: list[float]  # the lowest and the highest; empty without ratings


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One row of the input: the user's number (0: unknown), the numbers of the history, a note."""

    user: int
    history: list[int]
    note: str


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    """Which items a user may get: `excluded` are numbers, `popularity` is `(items + 1,)`."""

    top: int
    repeat: bool
    excluded: np.ndarray
    popularity: np.ndarray


def serving_model(
    network: keras.Model, splits: "RecommendSplits", user_column: str = "", item_column: str = ""
) -> ServingModel:
    """Return the network over numbers of users and items, to rank with the item models added.

    The facts hold the ids of users and items. To rank, inputs are `user` (batch,) and `history`
    (batch, any length), left-padded with 0, and the answer is `scores` (batch, items + 1). To rate,
    they are `user`, `item` and `history`, and the answer is `rating` (batch, 1).
    """
    inputs: dict[str, KerasTensor] = {
        "user": keras.Input((), dtype="int32", name="user"),
        "history": keras.Input((None,), dtype="int32", name="history"),
    }
    if splits.task == "rate":
        inputs["item"] = keras.Input((), dtype="int32", name="item")
    names, length = predict.names_and_length(network)
    network_inputs = {**inputs, "history": _last_items(inputs["history"], length)}
    output = network({name: network_inputs[name] for name in names})
    notes: tuple[str, ...] = ()
    if splits.task == "rate":
        low, high = float(splits.rating.min()), float(splits.rating.max())
        answers = {"rating": keras.ops.clip(output, low, high)}
    else:
        answers = {"scores": _blended(network, output, inputs["history"], splits)}
        notes = (predict.describe_blend(predict.stacking_weights(network)),)
    rating_range = []
    if splits.rated:
        rating_range = [float(splits.rating.min()), float(splits.rating.max())]
    facts = RecommendFacts(
        domain="recommend",
        task=splits.task,
        user_column=user_column,
        item_column=item_column,
        users=list(splits.users),
        items=list(splits.items),
        titles=list(splits.titles),
        histories=_histories(splits),
        rating_range=rating_range,
    )
    return ServingModel(model=keras.Model(inputs, answers, name="served"), facts=facts, notes=notes)


def _last_items(history: KerasTensor, length: int) -> KerasTensor:
    """Return the last `length` items (batch, length), padded where there are fewer."""
    padded = keras.layers.ZeroPadding1D((length, 0), name="pad")(history[:, :, None])
    return padded[:, -length:, 0]


def _blended(
    network: keras.Model, scores: KerasTensor, history: KerasTensor, splits: "RecommendSplits"
) -> KerasTensor:
    """Return the network's scores summed with those of the item models.

    The item models are fitted to everything that may be known for test.
    """
    weights = predict.stacking_weights(network)
    item_models = predict.item_models_of(weights, splits, "test")
    if not item_models:
        return scores
    parts = [scores]
    score_weights = [weights.network]
    for number, (name, item_model) in enumerate(item_models.items(), start=1):
        parts.append(ItemModelScores.of(item_model, f"item_model_{number}")(history))
        score_weights.append(weights.item_models[name]["weight"])
    return WeightedScores(score_weights, name="weighted")(parts)


def _histories(splits: "RecommendSplits") -> list[list[int]]:
    """Return the numbers of each known user's items, all parts together.

    This is what is known when the model is used.
    """
    in_train = (splits.user > 0) & (splits.item > 0)
    user, item = splits.user[in_train], splits.item[in_train]
    bounds = np.searchsorted(user, np.arange(1, splits.num_users + 2))
    return [item[begin:end].tolist() for begin, end in pairwise(bounds)]


def restore_network(serving: ServingModel, splits: "RecommendSplits") -> keras.Model:
    """Return the network inside, for splits whose users and items have the same numbers.

    For a hold-out it is the whole model, with the item models that it was saved with.

    Raises:
        DataError: another task, other users or other items.
    """
    facts: RecommendFacts = serving.facts
    if splits.method == "hold-out":
        return serving.model
    if facts.task != splits.task:
        raise DataError(
            f"{splits.dataset}: the model was trained to {facts.task}, and this data is split to "
            f"{splits.task}. Add --task {facts.task}"
        )
    _require_same(splits.dataset, "users", facts.users, splits.users)
    _require_same(splits.dataset, "items", facts.items, splits.items)
    return serving.model.get_layer("network")


def _require_same(dataset: str, what: str, of_model: Sequence[str], of_data: Sequence[str]) -> None:
    if list(of_model) != list(of_data):
        raise DataError(
            f"{dataset}: the {what} differ from those of the training data "
            f"({len(of_data):,} here, {len(of_model):,} there)"
        )


# ------------------------------------------------------------------------------------- predict_raw


def predict_raw(
    serving: ServingModel,
    source: RawInput,
    options: PredictOptions | None = None,
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Return the best new items for each row of `source`, or a rating for each.

    `source` is a table with a column of users, of histories (ids of items with | between them, or
    lists as people's tools write them) or both, a .txt file with a user on each line, or an array
    of users. To rate, it is a table of users and items. All its columns are kept. A user without a
    known item gets what is popular, and the column `note` says so.

    Raises:
        DataError: the input cannot be read, or lacks a column.
    """
    chosen = options if isinstance(options, RecommendPredictOptions) else RecommendPredictOptions()
    table = pd.DataFrame({"user": serving.facts.users}) if chosen.all_users else _read(source)
    if not len(table):
        raise DataError("The input holds no rows, so there is nothing to answer")
    if serving.facts.task == "rate":
        return _rate(serving, table, chosen)
    return _recommend(serving, table, chosen, [] if notes is None else notes)


def _read(source: RawInput) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, np.ndarray):
        return pd.DataFrame({"user": [str(user) for user in source.ravel()]})
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected a table with a column user or history, "
            "or a .txt file with a user on each line"
        )
    if path.suffix.lower() == ".txt":
        return _read_lines(path)
    frame: pd.DataFrame = read_table(path, as_text=True).frame
    return frame


def _read_lines(path: Path) -> pd.DataFrame:
    """Return a user for each line, or a history where lines are lists."""
    lines = [line.strip() for line in read_lines(path)]
    filled = [line for line in lines if line]
    role = "user"
    if filled and all(SEPARATOR in line or read_list(line) is not None for line in filled):
        role = "history"
    return pd.DataFrame({role: filled})


def _column(
    table: pd.DataFrame, of_training: str, names: Sequence[str], role: str, given: str = ""
) -> "Texts | None":
    """Return the column of a role as texts.

    It is the given one, the one that the training data had for it, or one with a usual name.
    """
    name: str | None = of_training
    if given or of_training not in table:
        flag = f"--{role}-column"
        name = find_column(table, given, names, role=role, flag=flag, where="the input")
    if name is None:
        return None
    return np.asarray([_text(cell) for cell in table[name]], dtype=object)


def _text(cell: object) -> str:
    """Return a cell's text.

    A list of items, as Parquet, JSON or Python write it, is written as a history.
    """
    entries = read_list(cell)
    return cell_text(cell) if entries is None else SEPARATOR.join(entries)


def _numbers(ids: Sequence[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(ids, start=1)}


def _pad(histories: Sequence[Sequence[int]]) -> np.ndarray:
    """Return histories (rows, length of the longest), padded on the left with 0."""
    padded = np.zeros((len(histories), max(1, *map(len, histories))), np.int32)
    for row, items in enumerate(histories):
        if items:
            padded[row, -len(items) :] = items
    return padded


# --------------------------------------------------------------------------------------- recommend


def _recommend(
    serving: ServingModel,
    table: pd.DataFrame,
    options: RecommendPredictOptions,
    notes: list[str],
) -> pd.DataFrame:
    facts: RecommendFacts = serving.facts
    users = _column(table, facts.user_column, USERS, "user", options.user_column)
    histories = _column(table, "", HISTORIES, "history", options.history_column)
    requests = _requests(facts, table, users, histories)
    ranking = _Ranking(
        top=min(options.top, len(facts.items)),
        repeat=options.repeat,
        excluded=_excluded_items(facts, options.exclude, notes),
        popularity=_popularity(facts),
    )
    best_parts = []
    score_parts = []
    starts = range(0, len(requests), BATCH_SIZE)
    for begin in counted(starts, f"batches of {BATCH_SIZE} users", len(starts)):
        best, scores = _best_items(serving, requests[begin : begin + BATCH_SIZE], ranking)
        best_parts.append(best)
        score_parts.append(scores)
    best, scores = np.concatenate(best_parts), np.concatenate(score_parts)
    count = best.shape[1]
    rows = np.repeat(np.arange(len(table)), count)
    positions = best.ravel() - 1
    frame = pd.DataFrame({"place": np.tile(np.arange(1, count + 1), len(table))})
    frame["item"] = np.asarray(facts.items, dtype=object)[positions]
    frame["title"] = np.asarray(facts.titles, dtype=object)[positions]
    frame["score"] = scores.ravel().round(4)
    frame["note"] = np.repeat([request.note for request in requests], count)
    asked = table.iloc[rows].reset_index(drop=True)
    asked.insert(0, _new_name("row", asked), rows + 1)
    answers = join_answers(asked, frame)
    # Fewer where fewer are left to recommend.
    is_there = np.isfinite(scores.ravel())
    kept: pd.DataFrame = answers.loc[is_there].reset_index(drop=True)
    return kept


def _new_name(name: str, table: pd.DataFrame) -> str:
    while name in table:
        name = f"{name}_"
    return name


def _excluded_items(facts: RecommendFacts, file: str, notes: list[str]) -> np.ndarray:
    """Return the numbers of the items in the file that `--exclude` names.

    Raises:
        DataError: there is no such file, or it has no column of items.
    """
    if not file:
        return np.empty(0, np.int64)
    path = Path(file).expanduser()
    if not path.is_file():
        raise DataError(f"--exclude {file}: no such file. Expected a table with a column of items")
    if path.suffix.lower() == ".txt":
        names = np.asarray([line.strip() for line in read_lines(path)], dtype=object)
    else:
        table = read_table(path, as_text=True)
        column = table.find_column("", (facts.item_column, *ITEMS), role="item", flag="")
        names = table.identifiers(column or table.columns[0])
    item_numbers = _numbers(facts.items)
    known = [item_numbers[name] for name in names if name in item_numbers]
    notes.append(
        f"{path}: {len(known):,} of {len(names):,} items are known and left out (--exclude)"
    )
    return np.asarray(known, dtype=np.int64)


def _requests(
    facts: RecommendFacts,
    table: pd.DataFrame,
    users: "Texts | None",
    histories: "Texts | None",
) -> list[_Request]:
    if users is None and histories is None:
        columns = ", ".join(map(str, table.columns))
        raise DataError(
            "The input has neither a column of users nor one of histories. "
            f"Expected user or history. Its columns: {columns}"
        )
    user_numbers, item_numbers = _numbers(facts.users), _numbers(facts.items)
    requests = []
    for row in range(len(table)):
        number = 0
        if users is not None:
            number = user_numbers.get(users[row], 0)
        given: list[str] = []
        if histories is not None:
            given = _split_history(histories[row], item_numbers)
        known_items = [item_numbers[item] for item in given if item in item_numbers]
        history = known_items
        if not known_items and number:
            history = facts.histories[number - 1]
        note = _note(
            is_unknown_user=users is not None and not number and not given,
            num_unknown_items=len(given) - len(known_items),
            has_history=bool(history),
        )
        requests.append(_Request(user=number, history=history, note=note))
    return requests


def _split_history(cell: str, item_numbers: Mapping[str, int]) -> list[str]:
    """Return the ids in a cell, which are separated by bars.

    Semicolons, commas or spaces separate them too, where that gives known items.
    """
    text = cell.strip()
    if not text:
        return []
    if text in item_numbers:
        return [text]
    if SEPARATOR in text:
        return _between(text, SEPARATOR)
    for separator in OTHER_SEPARATORS:
        items = _between(text, separator)
        if separator in text and any(item in item_numbers for item in items):
            return items
    return [text]


def _between(text: str, separator: str) -> list[str]:
    parts = [part.strip() for part in text.split(separator)]
    return [part for part in parts if part]


def _note(*, is_unknown_user: bool, num_unknown_items: int, has_history: bool) -> str:
    notes = ["unknown user"] if is_unknown_user else []
    if num_unknown_items:
        plural = "s" if num_unknown_items > 1 else ""
        notes.append(f"{num_unknown_items} unknown item{plural} ignored")
    if not has_history:
        notes.append("no history: popular items")
    return "; ".join(notes)


def _popularity(facts: RecommendFacts) -> np.ndarray:
    """Return the share of the known users who have each item: (items + 1,)."""
    items = np.fromiter(chain.from_iterable(facts.histories), np.int64)
    counts = np.bincount(items, minlength=len(facts.items) + 1)
    return counts / max(1, len(facts.users))


def _best_items(
    serving: ServingModel, requests: Sequence[_Request], ranking: _Ranking
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers and scores of the best items, (rows, top) each.

    What is in the history is left out unless it may be repeated, and -inf is the score of what
    nobody gets. A request without a history gets what is popular.
    """
    history = _pad([request.history for request in requests])
    inputs: dict[str, Any] = {
        "user": np.asarray([request.user for request in requests], np.int32),
        "history": history,
    }
    scores = np.array(serving.model(inputs, training=False)["scores"])
    # No network has learned what to recommend without a user and a history.
    scores[~history.any(axis=1)] = ranking.popularity
    if not ranking.repeat:
        np.put_along_axis(scores, history, -np.inf, axis=1)
    scores[:, ranking.excluded] = -np.inf
    scores[:, 0] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, : ranking.top]
    return best, np.take_along_axis(scores, best, axis=1)


# -------------------------------------------------------------------------------------------- rate


def _rate(
    serving: ServingModel, table: pd.DataFrame, options: RecommendPredictOptions
) -> pd.DataFrame:
    facts: RecommendFacts = serving.facts
    users = _column(table, facts.user_column, USERS, "user", options.user_column)
    items = _column(table, facts.item_column, ITEMS, "item")
    if users is None or items is None:
        columns = ", ".join(map(str, table.columns))
        raise DataError(f"To rate, the input needs columns user and item. Its columns: {columns}")
    user_numbers, item_numbers = _numbers(facts.users), _numbers(facts.items)
    user = np.asarray([user_numbers.get(name, 0) for name in users], np.int32)
    item = np.asarray([item_numbers.get(name, 0) for name in items], np.int32)
    ratings = []
    for begin in range(0, len(user), BATCH_SIZE):
        rows = slice(begin, begin + BATCH_SIZE)
        histories = [facts.histories[number - 1] if number else [] for number in user[rows]]
        inputs = {"user": user[rows], "history": _pad(histories), "item": item[rows]}
        ratings.append(np.asarray(serving.model(inputs, training=False)["rating"])[:, 0])
    low, high = facts.rating_range
    notes = []
    for user_number, item_number in zip(user, item, strict=True):
        unknown = [] if user_number else ["unknown user"]
        if not item_number:
            unknown.append("unknown item")
        notes.append("; ".join(unknown))
    rating = np.concatenate(ratings).clip(low, high).round(3)
    return join_answers(table, pd.DataFrame({"rating": rating, "note": notes}))
