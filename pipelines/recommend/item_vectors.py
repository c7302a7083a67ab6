"""The vectors of a trained recommender: tables for a search index, and items that are alike.

A network scores an item as `bias + vector * query`, where the query is the state of the network
behind a history. Item models that a network is blended with have no vectors.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from pipelines.config.options import PredictOptions
from pipelines.errors import DataError, count_of, shorten, suggest
from pipelines.io.text_files import read_lines
from pipelines.io.whole_files import write_table
from pipelines.pipeline import RawInput, ServingModel
from pipelines.recommend import answers, predict
from pipelines.recommend.facts import RecommendFacts
from pipelines.recommend.predict_options import SimilarOptions
from pipelines.recommend.requests import Requests

QUERIED_AT_ONCE = 512  # histories
SHOWN_ITEMS = 5
NOTHING_ADDED = (
    "the network's weight in this model's answers is 0: its vectors are what it learned, and the "
    "answers come from item models"
)


def item_vectors(serving: ServingModel) -> pd.DataFrame:
    """Return a row for each item: `item`, `title`, `bias`, and the vector in `v1`, `v2`, ...

    The network's score of an item is `bias` plus the dot product of its vector and a query vector.
    To rate, that sum differs from the rating by the same amount for all items of a user.
    """
    facts: RecommendFacts = serving.facts
    network = serving.model.get_layer("network")
    numbers = np.arange(1, len(facts.items) + 1, dtype=np.int32)
    table = network.get_layer("items")
    if facts.task == "rate":
        bias = np.asarray(network.get_layer("item_difference")(numbers)).ravel()
    else:
        bias = np.asarray(table.bias)[1:]
    frame = pd.DataFrame({"item": facts.items, "title": facts.titles, "bias": bias})
    return frame.join(_as_columns(np.asarray(table(numbers))))


def query_vectors(serving: ServingModel, requests: Requests) -> np.ndarray:
    """Return the vectors (rows, width) that the network compares with items: its last states."""
    facts: RecommendFacts = serving.facts
    network = serving.model.get_layer("network")
    names, length = predict.names_and_length(network)
    names -= {"item"}
    inputs = {tensor.name: tensor for tensor in network.inputs if tensor.name in names}
    encoder = keras.Model(inputs, network.get_layer("states").output)
    asked = answers.network_inputs(facts, requests)
    padded = np.pad(asked["history"], ((0, 0), (length, 0)))
    asked["history"] = padded[:, -length:]
    vectors = []
    for begin in range(0, len(requests), QUERIED_AT_ONCE):
        rows = slice(begin, begin + QUERIED_AT_ONCE)
        batch = {name: asked[name][rows] for name in names}
        vectors.append(np.asarray(encoder(batch, training=False))[:, -1])
    return np.concatenate(vectors)


def write_item_vectors(serving: ServingModel, path: Path, notes: list[str]) -> None:
    """Write the vectors of all items that somebody has had to a CSV or Parquet file."""
    facts: RecommendFacts = serving.facts
    frame = item_vectors(serving).drop(index=[number - 1 for number in facts.untrained])
    write_table(frame, path)
    _note(serving, notes)
    if facts.untrained:
        left_out = count_of(len(facts.untrained), "item")
        notes.append(f"{left_out} left out that nobody has had: the network has no vectors of them")
    width = len(frame.columns) - 3
    notes.append(
        f"{path}: the vectors of {count_of(len(frame), 'item')}, {width} numbers each; the "
        "network's score of an item is its bias plus the dot product with a query vector "
        "(--query-vectors)"
    )


def write_query_vectors(
    serving: ServingModel, requests: Requests, path: Path, notes: list[str]
) -> None:
    """Write the vector of each request, behind its columns, to a CSV or Parquet file."""
    frame = requests.frame.reset_index(drop=True)
    write_table(frame.join(_as_columns(query_vectors(serving, requests))), path)
    notes.append(f"{path}: {count_of(len(frame), 'query vector')}, in the order of the input")


def _as_columns(vectors: np.ndarray) -> pd.DataFrame:
    names = [f"v{number}" for number in range(1, vectors.shape[1] + 1)]
    return pd.DataFrame(vectors.astype(np.float32), columns=names)


def _note(serving: ServingModel, notes: list[str]) -> None:
    weights = predict.stacking_weights(serving.model.get_layer("network"))
    if weights.item_models and not weights.network:
        notes.append(NOTHING_ADDED)


# ----------------------------------------------------------------------------------------- similar


def similar(
    serving: ServingModel,
    source: RawInput,
    options: PredictOptions | None = None,
    notes: list[str] | None = None,
) -> pd.DataFrame:
    """Return the items whose vectors lie nearest to those of some items, by cosine.

    `source` is an item's id or title, a .txt file with one on each line, or an array of ids.

    Raises:
        DataError: the model does not know an item; the nearest ones are named.
    """
    chosen = options if isinstance(options, SimilarOptions) else SimilarOptions()
    said = [] if notes is None else notes
    if chosen.vectors:
        write_item_vectors(serving, Path(chosen.vectors), said)
        if isinstance(source, str) and not source:
            return pd.DataFrame()
    facts: RecommendFacts = serving.facts
    numbers = [_number_of(name, facts) for name in _names(source)]
    _require_trained(numbers, facts)
    _note(serving, said)
    frame = item_vectors(serving)
    vectors = frame[[column for column in frame if str(column).startswith("v")]].to_numpy()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    cosines = directions[np.asarray(numbers) - 1] @ directions.T
    cosines[np.arange(len(numbers)), np.asarray(numbers) - 1] = -np.inf
    cosines[:, np.asarray(facts.untrained, dtype=int) - 1] = -np.inf
    count = min(chosen.top, len(facts.items) - len(facts.untrained) - 1)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    ids, titles = np.asarray(facts.items, object), np.asarray(facts.titles, object)
    of = np.repeat(np.asarray(numbers) - 1, count)
    return pd.DataFrame(
        {
            "item": ids[of],
            "title": titles[of],
            "place": np.tile(np.arange(1, count + 1), len(numbers)),
            "similar_item": ids[best.ravel()],
            "similar_title": titles[best.ravel()],
            "cosine": np.take_along_axis(cosines, best, axis=1).ravel().round(4),
        }
    )


def _require_trained(numbers: Sequence[int], facts: RecommendFacts) -> None:
    untrained = set(facts.untrained)
    for number in numbers:
        if number in untrained:
            raise DataError(
                f"{facts.items[number - 1]!r}: nobody has had this item, so that the network has "
                "learned no vector of it. Name items that somebody has had"
            )


def _names(source: RawInput) -> list[str]:
    if isinstance(source, pd.DataFrame):
        return [str(name) for name in source.iloc[:, 0]]
    if isinstance(source, np.ndarray):
        return [str(name) for name in source.ravel()]
    if str(source).endswith(".txt") and Path(source).is_file():
        lines = [line.strip() for line in read_lines(Path(source))]
        return [line for line in lines if line]
    return [str(source).strip()]


def _number_of(name: str, facts: RecommendFacts) -> int:
    """Return the number of the item with this id, or else with this title."""
    if name in facts.item_numbers:
        return facts.item_numbers[name]
    titled = _titled(name, facts)
    if len(titled) == 1:
        return titled[0]
    if titled:
        shown = [f"{facts.items[number - 1]} ({facts.titles[number - 1]})" for number in titled]
        raise DataError(
            f"{name!r}: {len(titled):,} items have this in their title: "
            f"{shorten(shown, SHOWN_ITEMS)}. Name one by its id"
        )
    hint = suggest(name, facts.items) or suggest(name, facts.titles)
    raise DataError(
        f"{name!r}: the model knows no item of this id or title.{hint} "
        f"It knows {len(facts.items):,} items, e.g. {shorten(facts.items, 3)}"
    )


def _titled(name: str, facts: RecommendFacts) -> list[int]:
    """Return the numbers of the items with this title, else of those whose title has it within."""
    wanted = name.casefold()
    titles = [title.casefold() for title in facts.titles]
    whole = [number for number, title in enumerate(titles, start=1) if title == wanted]
    if whole:
        return whole
    return [number for number, title in enumerate(titles, start=1) if wanted in title]
