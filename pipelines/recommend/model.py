"""The recommending network in Keras: from a history to scores of all items, or a rating of one.

It has vectors of items and users, and an encoder of the history. To rank: `user` (batch,) and
`history` (batch, history), as far as the architecture uses them, give scores (batch, items + 1). To
rate, `item` (batch,) is given too and the answer is a rating (batch, 1).
"""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from pipelines.networks.models import embedding_layer
from pipelines.networks.plan import KerasTensor
from pipelines.recommend import next_item
from pipelines.recommend.architectures import EncoderInputs, architecture_of
from pipelines.recommend.baselines import starting_biases
from pipelines.recommend.layers import VECTOR_SPREAD, ItemTable, StackingWeights
from pipelines.recommend.spec import RecommendSpec

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits

FEWEST_COUNTED = 0.5  # interactions of an item that has none: its logarithm must exist


def build(spec: RecommendSpec, splits: "RecommendSplits") -> keras.Model:
    """Return the network.

    The layer `states` (batch, positions, width) is where the loss of next items is computed.
    """
    # --- inputs
    architecture = architecture_of(spec)
    table = _item_table(spec, splits)
    inputs: dict[str, KerasTensor] = {}
    items = user = is_item = None
    if architecture.sees_history:
        inputs["history"] = keras.Input((spec.history,), dtype="int32", name="history")
        is_item = keras.ops.not_equal(inputs["history"], 0)
        items = _dropout(spec, table(inputs["history"]), "history_dropout")
    if architecture.has_user_vectors or splits.task == "rate":
        inputs["user"] = keras.Input((), dtype="int32", name="user")
    if architecture.has_user_vectors:
        user = _user_vectors(spec, splits)(inputs["user"])

    # --- states
    states = architecture.encode(spec, EncoderInputs(items=items, user=user, is_item=is_item))
    states = _dropout(spec, states, "states_dropout")
    states = keras.layers.Identity(name="states")(states)
    last = states[:, -1]

    # --- scores, or a rating
    if splits.task == "rank":
        scores = table(last, scores=True)
        if spec.start_from == "baseline":
            scores = StackingWeights(name="stacking_weights")(scores)
        return keras.Model(inputs, scores, name="network")
    inputs["item"] = keras.Input((), dtype="int32", name="item")
    return keras.Model(inputs, _rating(table, last, inputs, splits), name="network")


def _dropout(spec: RecommendSpec, x: KerasTensor, name: str) -> KerasTensor:
    if not spec.embedding.dropout:
        return x
    return keras.layers.Dropout(spec.embedding.dropout, name=name)(x)


def _item_table(spec: RecommendSpec, splits: "RecommendSplits") -> ItemTable:
    """Return the items' vectors and biases; scores begin at the logarithm of popularity."""
    num_features = architecture_of(spec).num_features(splits)
    table = ItemTable(
        splits.num_items + 1,
        spec.embedding.width,
        num_features=num_features,
        biased=splits.task == "rank",
        name="items",
    )
    table.build(None)
    counts = splits.train_counts().astype(np.float32)
    features = None
    if num_features and splits.features is not None:
        features = splits.features.toarray()
    table.start(np.log(np.maximum(counts, FEWEST_COUNTED) / counts.mean()), features)
    return table


def _user_vectors(spec: RecommendSpec, splits: "RecommendSplits") -> keras.layers.Embedding:
    return keras.layers.Embedding(
        splits.num_users + 1,
        spec.embedding.width,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=VECTOR_SPREAD),
        name="user_vectors",
    )


def _rating(
    table: ItemTable, state: KerasTensor, inputs: dict[str, KerasTensor], splits: "RecommendSplits"
) -> KerasTensor:
    """Return mean + the user's and the item's difference + the product of their vectors.

    The differences begin with the values of the fitted biases.
    """
    biases = starting_biases(splits)
    parts = []
    for name, values in (("user", biases.users), ("item", biases.items)):
        parts.append(embedding_layer(values[:, None], f"{name}_difference")(inputs[name]))
    # 1 / width: products of small vectors begin near zero whatever the width.
    product = keras.layers.Dot(axes=-1, name="product")([state, table(inputs["item"])])
    return keras.layers.Add(name="rating")([*parts, product]) + biases.mean


def compile_arguments(splits: "RecommendSplits") -> dict[str, Any]:
    """Return loss and metrics: to rank, `NextItem` has a loss of its own."""
    if splits.task == "rate":
        return {"loss": "mse", "metrics": [keras.metrics.MeanSquaredError(name="mse")]}
    wrap = keras.metrics.MeanMetricWrapper
    metrics = [wrap(next_item.ndcg_10, name="ndcg_10"), wrap(next_item.hit_10, name="hr_10")]
    return {"loss": None, "metrics": metrics}
