"""The recommending networks: how each encodes a history and a user, one entry each.

A new one is a plan over histories `(history, width)` of items' vectors, or a subclass of
`RecommendArchitecture` where a plan is not enough. None looks ahead, so all positions of a history
are trained at once: expanding every prefix costs as many times more as histories are long.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from pipelines.config.hyperparameters import ConvSpec
from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import CONV_KEYS, Conv, Dense, LayerNorm, Residual, conv
from pipelines.networks.plan import Cost, KerasTensor, Plan, Sight, apply, measure, sight
from pipelines.networks.receptive_field import ReceptiveField, measure_field
from pipelines.networks.registry import Architecture
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent
from pipelines.recommend.spec import ARCHITECTURES, RecommendSpec

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits

CASER_WINDOW = 5  # last items that caser looks at (Tang & Wang 2018 have 5 too)
CASER_PLACE_FILTERS = 2  # of each channel, over these items place by place
CASER_FEWEST_FILTERS = 8


@dataclass(frozen=True, kw_only=True)
class EncoderInputs:
    """The inputs of an encoder; each is None where its architecture does not use it.

    `items` (batch, history, width) and `user` (batch, width) are vectors; `is_item` (batch,
    history) is false where a history is padded.
    """

    items: KerasTensor = None
    user: KerasTensor = None
    is_item: KerasTensor = None


@dataclass(frozen=True, kw_only=True)
class RecommendArchitecture(Architecture):
    """A network from the vectors of a history and a user to states.

    States are compared with items.
    """

    sees_history: bool = True
    has_user_vectors: bool = False
    has_item_features: bool = False
    draws_from_batch: bool = False  # negatives are the targets of the same batch

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        """Return what the encoder costs, one user.

        Raises:
            ImpossibleSpec: no network can have this spec.
        """
        raise NotImplementedError

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        """Return what may come after each item: states (batch, positions, width)."""
        raise NotImplementedError

    def sight(self, spec: RecommendSpec) -> float:
        """Return how many items of the history one state sees; infinity: all of them."""
        return math.inf

    def cost(self, spec: RecommendSpec, splits: "RecommendSplits") -> Cost:
        """Return what the whole network costs for one user, without the item models beside it.

        Vectors made of features are mixed once for a whole batch when all items are ranked, which
        is left out.

        Raises:
            ImpossibleSpec: no network can have this spec.
        """
        encoder = self.encoder_cost(spec)
        width, users, items = spec.embedding.width, splits.num_users + 1, splits.num_items + 1
        params = encoder.params + items * (width + 1)
        macs = encoder.macs
        num_features = self.num_features(splits)
        if num_features:
            params += num_features * (items + width)
            macs += num_features * width * spec.history
        if self.has_user_vectors:
            params += users * width
        if splits.task == "rank":
            return Cost(shape=(items,), params=params, macs=macs + width * items)
        macs += num_features * width + width
        return Cost(shape=(1,), params=params + users + items, macs=macs)

    def num_features(self, splits: "RecommendSplits") -> int:
        """Return how many features of items the network uses."""
        if not self.has_item_features or splits.features is None:
            return 0
        return int(splits.features.shape[1])


def architecture_of(spec: RecommendSpec) -> RecommendArchitecture:
    """Return the entry that `spec` names."""
    return cast(RecommendArchitecture, ARCHITECTURES[spec.architecture])


def receptive_field(spec: RecommendSpec, splits: "RecommendSplits") -> ReceptiveField | None:
    """Return how many of the last items one state sees, beside those that a history has.

    These are what the network is given, or what 19 of 20 users have at most. None where the network
    sees no history.
    """
    if not architecture_of(spec).sees_history:
        return None

    def sees(candidate: RecommendSpec) -> float:
        entry = architecture_of(candidate)
        entry.encoder_cost(candidate)  # raises where there is no such network
        return min(entry.sight(candidate), candidate.history)

    return measure_field(
        spec, sees, min(splits.long_history, spec.history), what="a history", unit="items"
    )


# -------------------------------------------------------------------------------- the user by name


@dataclass(frozen=True, kw_only=True)
class MatrixFactorization(RecommendArchitecture):
    """The user alone: a vector each for users and items (Koren et al. 2009)."""

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        return Cost(shape=(1, spec.embedding.width))

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        import keras

        return keras.layers.Reshape((1, spec.embedding.width), name="user_state")(inputs.user)


@dataclass(frozen=True, kw_only=True)
class TwoTower(RecommendArchitecture):
    """The user's vector and the mean of the items so far, through two dense layers.

    This is the network of Covington et al. (2016).
    """

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        return measure(self._tower(spec), (spec.history, 2 * spec.embedding.width))

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        import keras

        from pipelines.recommend.layers import RunningMean

        mean = RunningMean(name="running_mean")(inputs.items, inputs.is_item)
        user = _at_every_position(inputs.user, inputs.items)
        both = keras.layers.Concatenate(name="tower")([mean, user])
        return apply(self._tower(spec), both, "tower")

    def _tower(self, spec: RecommendSpec) -> Plan:
        width = spec.embedding.width
        return (Dense(units=2 * width, activation=spec.dense.activation), Dense(units=width))


# ------------------------------------------------------------------------------------ convolutions


@dataclass(frozen=True, kw_only=True)
class DilatedConvolutions(RecommendArchitecture):
    """Causal convolutions with growing dilation (Yuan et al. 2019).

    With a stride, a coarser view is added first: one strided convolution, each of its steps
    repeated until the next.
    """

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        shape = (spec.history, spec.embedding.width)
        body = measure(self._body(spec), shape)
        return body.beside(measure(self._coarse(spec), shape))

    def sight(self, spec: RecommendSpec) -> float:
        # The newest step of the coarser view may lie right at the position: never less is seen.
        coarse = sight(self._coarse(spec)).size
        return sight(self._body(spec), Sight(size=coarse)).size

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        import keras

        x = inputs.items
        coarse = self._coarse(spec)
        if coarse:
            repeat = keras.layers.UpSampling1D(spec.conv.stride, name="coarse_repeated")
            repeated = repeat(apply(coarse, x, "coarse"))
            x = x + repeated[:, : x.shape[1]]
        return apply(self._body(spec), x, "body")

    def _coarse(self, spec: RecommendSpec) -> Plan:
        if spec.conv.stride == 1:
            return ()
        return (_causal(spec.conv, filters=spec.embedding.width, stride=spec.conv.stride),)

    def _body(self, spec: RecommendSpec) -> Plan:
        """Return residual blocks: `conv.filters` inside, then back to the width of the vectors."""
        blocks: list[Residual] = []
        for block in range(spec.conv.blocks):
            first = _causal(spec.conv, dilation=spec.conv.dilation * 2**block)
            second = replace(
                first,
                filters=spec.embedding.width,
                kernel_size=1,
                dilation=1,
                activation=None,
                norm="none",
            )
            blocks.append(Residual(body=(first, second)))
        return (*blocks, LayerNorm())


@dataclass(frozen=True, kw_only=True)
class Caser(RecommendArchitecture):
    """Runs of items and each of the last places, and the user's vector (Tang & Wang 2018).

    At every position at once: the strongest response of a run in a window is a moving maximum.
    """

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        width = spec.embedding.width
        views = [measure((run,), (spec.history, width)) for run in self._runs(spec)]
        place_channels = CASER_PLACE_FILTERS * width
        views.append(
            Cost(
                shape=(spec.history, place_channels),
                params=(CASER_WINDOW + 1) * place_channels,
                macs=CASER_WINDOW * place_channels * spec.history,
            )
        )
        channels = sum(view.shape[-1] for view in views)
        return measure(self._mix(spec), (spec.history, channels)).beside(*views)

    def sight(self, spec: RecommendSpec) -> float:
        longest = self._runs(spec)[-1]
        return longest.sight(Sight()).through(CASER_WINDOW).size

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        import keras

        x = inputs.items
        padding = (CASER_WINDOW - 1, 0)
        views = []
        for number, run in enumerate(self._runs(spec), start=1):
            pad = keras.layers.ZeroPadding1D(padding, name=f"run_{number}_pad")
            padded = pad(apply((run,), x, f"run_{number}"))
            pool = keras.layers.MaxPooling1D(CASER_WINDOW, strides=1, name=f"run_{number}_max")
            views.append(pool(padded))
        padded = keras.layers.ZeroPadding1D(padding, name="places_pad")(x)
        places = keras.layers.DepthwiseConv1D(
            CASER_WINDOW, depth_multiplier=CASER_PLACE_FILTERS, name="places"
        )
        views.append(places(padded))
        joined = keras.layers.Concatenate(name="views")(views)
        return apply(self._mix(spec), joined, "mix") + _at_every_position(inputs.user, x)

    def _runs(self, spec: RecommendSpec) -> tuple[Conv, ...]:
        """Return the convolutions over runs of 2 items, 3 items, ..."""
        filters = max(CASER_FEWEST_FILTERS, spec.conv.filters // 4)
        runs = []
        for size in range(2, 2 + spec.conv.kernel_size):
            runs.append(_causal(spec.conv, filters=filters, kernel_size=size))
        return tuple(runs)

    def _mix(self, spec: RecommendSpec) -> Plan:
        return (Dense(units=spec.embedding.width, activation=spec.dense.activation),)


def _causal(
    spec: ConvSpec,
    *,
    filters: int | None = None,
    kernel_size: int | None = None,
    stride: int = 1,
    dilation: int = 1,
) -> Conv:
    """Return the convolution that `spec` describes.

    Raises:
        ImpossibleSpec: it sees what comes later.
    """
    if spec.padding != "causal":
        raise ImpossibleSpec(
            "A recommender must not look ahead: conv.padding must be causal. "
            f"Received: {spec.padding}"
        )
    return conv(spec, filters=filters, kernel_size=kernel_size, stride=stride, dilation=dilation)


def _at_every_position(user: KerasTensor, x: KerasTensor) -> KerasTensor:
    import keras

    return keras.layers.RepeatVector(x.shape[1], name="user_everywhere")(user)


# -------------------------------------------------------------------- plans over the history alone


@dataclass(frozen=True, kw_only=True)
class PlanArchitecture(RecommendArchitecture):
    """The history alone, through the layers of a plan; their names begin with `layer_name`."""

    plan: Callable[[RecommendSpec], Plan]
    layer_name: str

    def encoder_cost(self, spec: RecommendSpec) -> Cost:
        return measure(self.plan(spec), (spec.history, spec.embedding.width))

    def sight(self, spec: RecommendSpec) -> float:
        return sight(self.plan(spec)).size

    def encode(self, spec: RecommendSpec, inputs: EncoderInputs) -> KerasTensor:
        return apply(self.plan(spec), inputs.items, self.layer_name, inputs.is_item)


def recurrent_layers(spec: RecommendSpec) -> Plan:
    """Return GRU layers over the history (Hidasi et al. 2016)."""
    layer = Recurrent(cell="gru", units=spec.recurrent.units, return_sequences=True)
    return (*[layer] * spec.recurrent.layers, Dense(units=spec.embedding.width))


def attention_layers(spec: RecommendSpec) -> Plan:
    """Return layers in which each item sees those before it (Kang & McAuley 2018)."""
    width, heads = spec.embedding.width, spec.attention.heads
    if width % heads:
        raise ImpossibleSpec(
            "embedding.width must be a multiple of attention.heads. "
            f"Received: embedding.width={width}, attention.heads={heads}"
        )
    layer = Attention(
        heads=heads,
        activation=spec.attention.activation,
        dropout=spec.attention.dropout,
        causal=True,
    )
    return (Positions(), *[layer] * spec.attention.layers, LayerNorm())


# ------------------------------------------------------------------------------------- the entries

ARCHITECTURES.add(
    MatrixFactorization(name="mf", reads=frozenset(), sees_history=False, has_user_vectors=True)
)
ARCHITECTURES.add(
    TwoTower(
        name="two_tower",
        reads=frozenset({"history", "dense.activation"}),
        has_user_vectors=True,
        has_item_features=True,
        draws_from_batch=True,
    )
)
ARCHITECTURES.add(
    DilatedConvolutions(
        name="conv",
        reads=frozenset({"history", "conv.stride", "conv.blocks", "conv.dilation", *CONV_KEYS}),
    )
)
ARCHITECTURES.add(
    Caser(
        name="caser",
        reads=frozenset({"history", "dense.activation", *CONV_KEYS}),
        has_user_vectors=True,
    )
)
ARCHITECTURES.add(
    PlanArchitecture(
        name="gru4rec",
        reads=frozenset({"history", "recurrent.units", "recurrent.layers"}),
        plan=recurrent_layers,
        layer_name="gru",
    )
)
ARCHITECTURES.add(
    PlanArchitecture(
        name="sasrec",
        reads=frozenset(
            {
                "history",
                "attention.layers",
                "attention.heads",
                "attention.activation",
                "attention.dropout",
            }
        ),
        plan=attention_layers,
        layer_name="attention",
    )
)
