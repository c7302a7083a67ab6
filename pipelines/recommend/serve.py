"""A trained network for its user: a user's id or a history in, the best items out.

Items come with their titles and scores.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from pipelines.config.options import PredictOptions
from pipelines.errors import ApplineError, DataError, UsageError
from pipelines.io.answers import ERROR
from pipelines.networks.plan import KerasTensor
from pipelines.pipeline import RawInput, RawRequest, RequestForm, ServingModel
from pipelines.recommend import answers, item_vectors, predict
from pipelines.recommend.excluded import read_excluded
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.layers import ItemModelScores, WeightedScores
from pipelines.recommend.predict_options import RecommendPredictOptions
from pipelines.recommend.requests import HISTORIES, of_all_users, read_requests
from pipelines.together import answer_together, only_answer

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits


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
        outputs = {"rating": keras.ops.clip(output, low, high)}
    else:
        outputs = {"scores": _blended(network, output, inputs["history"], splits)}
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
        repeats=splits.repeats,
        untrained=np.flatnonzero(~splits.known_items("test"))[1:].tolist(),
    )
    return ServingModel(model=keras.Model(inputs, outputs, name="served"), facts=facts, notes=notes)


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
    by_content = [False]
    for number, (name, item_model) in enumerate(item_models.items(), start=1):
        parts.append(ItemModelScores.of(item_model, f"item_model_{number}")(history))
        score_weights.append(weights.item_models[name]["weight"])
        by_content.append(item_model.by_content)
    layer = WeightedScores(score_weights, by_content, splits.num_items + 1, name="weighted")
    if any(by_content):
        layer.known.assign(splits.known_items("test").astype(np.float32))
    return layer(parts)


def _histories(splits: "RecommendSplits") -> list[list[int]]:
    """Return the numbers of each known user's items, all parts together.

    This is what is known when the model is used.
    """
    in_train = (splits.user > 0) & (splits.item > 0)
    user, item = splits.user[in_train], splits.item[in_train]
    bounds = np.searchsorted(user, np.arange(1, splits.num_users + 2))
    return [item[begin:end].tolist() for begin, end in pairwise(bounds)]


def served_inputs(facts: RecommendFacts, count: int) -> dict[str, np.ndarray]:
    """Return what the model takes for the first users that it knows; to rate, with an item each."""
    histories = facts.histories[:count]
    length = max(1, *map(len, histories))
    padded = np.zeros((len(histories), length), dtype=np.int32)
    for row, history in enumerate(histories):
        padded[row, length - len(history) :] = history
    users = np.arange(1, len(histories) + 1, dtype=np.int32)
    inputs = {"user": users, "history": padded}
    if facts.task == "rate":
        inputs["item"] = 1 + users % len(facts.items)
    return inputs


def example(facts: RecommendFacts) -> pd.DataFrame:
    """Return the first user that the model knows; to rate, with the first item."""
    columns = {facts.user_column or "user": facts.users[:1]}
    if facts.task == "rate":
        columns[facts.item_column or "item"] = facts.items[:1]
    return pd.DataFrame(columns)


def request_form(facts: RecommendFacts) -> RequestForm:
    """Return the column that a history is pasted into; what is rated are pairs in a table."""
    if facts.task == "rate":
        return RequestForm(kind="table", field="", label="Users and items to rate")
    return RequestForm(kind="text", field=HISTORIES[0], label="A history: ids of items")


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
    """Return the best items for each row of `source`, or a rating for each.

    `source` is a table with a column of users, of histories (lists of items as people's tools write
    them) or both, a log of what users had since, a .txt file with a user or a history on each line,
    or an array of users or histories. To rate, it is a table of users and items. All its columns
    are kept. A user without a known item gets what is popular, and the column `note` says so.

    Raises:
        DataError: the input cannot be read, or lacks a column.
    """
    said = [] if notes is None else notes
    request = RawRequest(source=source, options=options, notes=said)
    return only_answer(predict_many(serving, [request]))


def predict_many(
    serving: ServingModel, requests: Sequence[RawRequest]
) -> list[pd.DataFrame | ApplineError]:
    """Return what `predict_raw` returns or raises for each request; all rows go together."""
    facts: RecommendFacts = serving.facts

    def answer(
        read: Sequence[tuple[RawRequest, answers.Question | pd.DataFrame]],
    ) -> list[pd.DataFrame]:
        questions = [question for _, question in read if isinstance(question, answers.Question)]
        ask = answers.rate if facts.task == "rate" else answers.recommend
        answered = iter(ask(serving, questions) if questions else [])
        tables: list[pd.DataFrame] = []
        for _, question in read:
            tables.append(question if isinstance(question, pd.DataFrame) else next(answered))
        return tables

    return answer_together(requests, lambda request: _read_request(serving, request), answer)


def _read_request(serving: ServingModel, request: RawRequest) -> answers.Question | pd.DataFrame:
    """Return what is asked, or the answer where the network is not needed for it."""
    options, source, said = request.options, request.source, request.notes
    chosen = options if isinstance(options, RecommendPredictOptions) else RecommendPredictOptions()
    facts: RecommendFacts = serving.facts
    if facts.task == "rate":
        _require_ranker(chosen)
    if chosen.vectors:
        item_vectors.write_item_vectors(serving, Path(chosen.vectors), said)
        if not chosen.all_users and isinstance(source, str) and not source:
            return pd.DataFrame()
    excluded = read_excluded(chosen.exclude, facts, said)
    try:
        rows = (
            of_all_users(facts) if chosen.all_users else read_requests(source, facts, chosen, said)
        )
    except DataError as error:
        if not chosen.skip_unreadable:
            raise
        return pd.DataFrame({"source": [str(source)], ERROR: [str(error)]})
    if chosen.query_vectors:
        item_vectors.write_query_vectors(serving, rows, Path(chosen.query_vectors), said)
    said += [*answers.unknown_users(facts, rows), *answers.unknown_items(facts, rows)]
    return answers.Question(rows=rows, options=chosen, excluded=excluded, notes=said)


def _require_ranker(options: RecommendPredictOptions) -> None:
    defaults = RecommendPredictOptions()
    for name in ("top", "exclude", "repeat", "new_only", "all_users", "explain"):
        if getattr(options, name) != getattr(defaults, name):
            flag = name.replace("_", "-")
            raise UsageError(
                f"--{flag} is for models that rank, and this one rates pairs of users and items. "
                "Train one that ranks: appline recommend train --task rank"
            )
