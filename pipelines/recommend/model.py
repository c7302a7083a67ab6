"""The recommending network: vectors of items and users, an encoder of the history, and scores of all items or of one.

To rank: `user` (batch,) and `history` (batch, history), as far as the architecture uses them, give scores
(batch, items + 1). To rate, `item` (batch,) is given too and the answer is a rating (batch, 1).
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from pipelines.networks.models import embedding_layer
from pipelines.recommend import encoders, plans
from pipelines.recommend.closed import Biases
from pipelines.recommend.layers import ItemTable
from pipelines.recommend.spec import RecommendSpec
from pipelines.recommend.splits import EVERYTHING, RecommendSplits
from pipelines.splits import Part

KerasTensor = Any
START = "start"
DAMPED = Biases(
    user_penalty=5.0, item_penalty=3.0
)  # what a rating network starts from and corrects


def build(spec: RecommendSpec, splits: RecommendSplits) -> keras.Model:
    """Return the network. The layer `states` (batch, positions, width) is what next items are learned on."""
    table = _table(spec, splits)
    inputs: dict[str, KerasTensor] = {}
    x = user = real = None
    if spec.architecture in plans.BY_HISTORY:
        inputs["history"] = keras.Input((spec.history,), dtype="int32", name="history")
        real = keras.ops.not_equal(inputs["history"], 0)
        x = table(inputs["history"])
        if spec.dropout:
            x = keras.layers.Dropout(spec.dropout, name="history_dropout")(x)
    if spec.architecture in plans.BY_USER or splits.task == "rate":
        inputs["user"] = keras.Input((), dtype="int32", name="user")
    if spec.architecture in plans.BY_USER:
        user = _vectors(splits.num_users + 1, spec.conv.filters, "user_vectors")(inputs["user"])

    states = encoders.encode(spec, x, user, real)
    if spec.dropout:
        states = keras.layers.Dropout(spec.dropout, name="states_dropout")(states)
    states = keras.layers.Identity(name="states")(states)
    last = states[:, -1]
    if splits.task == "rank":
        scores = table(last, scores=True)
        if spec.start_from == "baseline":
            scores = Start(name=START)(scores)
        return keras.Model(inputs, scores, name="network")
    inputs["item"] = keras.Input((), dtype="int32", name="item")
    return keras.Model(inputs, _rating(table, last, inputs, splits), name="network")


@keras.saving.register_keras_serializable("appline")
class Start(keras.layers.Layer):
    """Scores (batch, items + 1) as they are, and what they are added to outside of the network: closed forms with weights.

    It holds the choice made on val: how much the network's scores count, and by the names of the closed forms their
    `settings` (see `baselines.plain`) and `weight`. The network alone counts until `calibrate` is called. `evidence` says in a
    sentence what the choice was worth.
    """

    def __init__(
        self,
        network: float = 1.0,
        closed: Mapping[str, Mapping[str, Any]] | None = None,
        evidence: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.calibrate(network, closed or {}, evidence)

    def calibrate(
        self, network: float, closed: Mapping[str, Mapping[str, Any]], evidence: str = ""
    ) -> None:
        self.network, self.closed, self.evidence = (
            float(network),
            {name: dict(one) for name, one in closed.items()},
            evidence,
        )

    def choice(self) -> dict[str, Any]:
        return {"network": self.network, "closed": self.closed, "evidence": self.evidence}

    def call(self, scores: KerasTensor) -> KerasTensor:
        return scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.choice()}


def asked(
    names: set[str], splits: RecommendSplits, part: Part, length: int, rows: slice = EVERYTHING
) -> dict[str, np.ndarray]:
    """Return what a network with inputs of these `names` is asked, one row for each of those cases of `part`."""
    cases = splits.cases(part)
    found: dict[str, np.ndarray] = {}
    if "user" in names:
        found["user"] = cases.user[rows].astype(np.int32)
    if "history" in names:
        found["history"] = splits.histories(part, length, rows)
    if "item" in names:
        found["item"] = cases.target[rows].astype(np.int32)
    return found


def _table(spec: RecommendSpec, splits: RecommendSplits) -> ItemTable:
    """Return the items' vectors and biases; scores begin at the logarithm of popularity."""
    features = (
        splits.features.toarray()
        if spec.architecture == "two_tower" and splits.features is not None
        else None
    )
    table = ItemTable(
        splits.num_items + 1,
        spec.conv.filters,
        num_features=0 if features is None else features.shape[1],
        biased=splits.task == "rank",
        name="items",
    )
    table.build(None)
    counts = np.bincount(splits.item[splits.part == 0], minlength=splits.num_items + 1).astype(
        np.float32
    )
    table.start(np.log(np.maximum(counts, 0.5) / counts.mean()), features)
    return table


def _vectors(count: int, width: int, name: str) -> keras.layers.Embedding:
    return keras.layers.Embedding(
        count, width, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05), name=name
    )


def _rating(
    table: ItemTable, state: KerasTensor, inputs: dict[str, KerasTensor], splits: RecommendSplits
) -> KerasTensor:
    """Return mean + user's and item's difference + the product of their vectors; the differences begin as the closed form has them."""
    closed = DAMPED.fit(splits, splits.known("val"))
    parts = []
    for name, values in (("user", closed.users), ("item", closed.items)):
        parts.append(embedding_layer(values[:, None], f"{name}_difference")(inputs[name]))
    # 1 / width: products of small vectors begin near zero whatever the width.
    product = keras.layers.Dot(axes=-1, name="product")([state, table(inputs["item"])])
    return keras.layers.Add(name="rating")([*parts, product]) + closed.mean
