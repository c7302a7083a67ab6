"""The recommending networks as plans, measured by arithmetic before Keras is called.

Plans stand over histories (history, width) of items' vectors; `width` is `conv.filters` everywhere.
"""

import dataclasses

from pipelines.errors import ImpossibleSpec
from pipelines.networks.layers import Conv, Dense, LayerNorm, Residual, conv
from pipelines.networks.plan import Cost, Plan, measure
from pipelines.networks.sequence_layers import Attention, Positions, Recurrent
from pipelines.recommend.spec import RecommendSpec
from pipelines.recommend.splits import RecommendSplits

WINDOW = 5  # items that caser looks at (Tang & Wang 2018 have 5 too)
PLACES = 2  # what caser says of each channel of them, place by place
BY_USER = ("mf", "two_tower", "caser")  # networks that know users by a vector of their own
BY_HISTORY = ("two_tower", "conv", "caser", "gru4rec", "sasrec")


def cost(spec: RecommendSpec, splits: RecommendSplits) -> Cost:
    """Return what the whole network costs, one user, without the closed forms that it is added to.

    Vectors made of features are mixed once for a whole batch when all items are ranked, which is left out.

    Raises:
        ImpossibleSpec: no network can have this spec.
    """
    if spec.conv.padding != "causal":
        raise ImpossibleSpec(
            f"A recommender must not look ahead: conv.padding is causal. Received: {spec.conv.padding}"
        )
    if spec.architecture == "sasrec" and spec.conv.filters % spec.heads:
        raise ImpossibleSpec(
            f"conv.filters must be a multiple of heads. Received: conv.filters={spec.conv.filters}, heads={spec.heads}"
        )
    width, users, items = spec.conv.filters, splits.num_users + 1, splits.num_items + 1
    encoder = _encoder(spec)
    features = (
        splits.features.shape[1]
        if spec.architecture == "two_tower" and splits.features is not None
        else 0
    )
    params = encoder.params + items * (width + 1) + features * (items + width)
    params += users * width if spec.architecture in BY_USER else 0
    mixed = features * width * spec.history
    if splits.task == "rank":
        return Cost(shape=(items,), params=params, macs=encoder.macs + mixed + width * items)
    return Cost(
        shape=(1,),
        params=params + users + items,
        macs=encoder.macs + mixed + features * width + width,
    )


def _encoder(spec: RecommendSpec) -> Cost:
    shape = (spec.history, spec.conv.filters)
    match spec.architecture:
        case "mf":
            return Cost(shape=(1, spec.conv.filters))
        case "two_tower":
            return measure(tower(spec), (spec.history, 2 * spec.conv.filters))
        case "conv":
            return measure(dilated(spec), shape).beside(measure(coarse(spec), shape))
        case "caser":
            views = [measure((run,), shape) for run in runs(spec)]
            places = PLACES * spec.conv.filters
            views.append(
                Cost(
                    shape=(spec.history, places),
                    params=(WINDOW + 1) * places,
                    macs=WINDOW * places * spec.history,
                )
            )
            mixed = measure(mix(spec), (spec.history, sum(view.shape[-1] for view in views)))
            return mixed.beside(*views)
        case "gru4rec":
            return measure(recurrent(spec), shape)
        case "sasrec":
            return measure(attended(spec), shape)


def tower(spec: RecommendSpec) -> Plan:
    """Return the dense layers over a user's vector beside the mean of the items so far."""
    width = spec.conv.filters
    return (Dense(units=2 * width, activation=spec.conv.activation), Dense(units=width))


def coarse(spec: RecommendSpec) -> Plan:
    """Return the strided convolution that gives `conv` a coarser view; none with a stride of 1."""
    return (conv(spec.conv, stride=spec.conv.stride),) if spec.conv.stride > 1 else ()


def dilated(spec: RecommendSpec) -> Plan:
    """Return residual blocks of causal convolutions whose taps lie ever further apart (Yuan et al. 2019)."""
    body: list[Residual] = []
    for block in range(spec.conv.blocks):
        first: Conv = conv(spec.conv, dilation=spec.conv.dilation * 2**block)
        second = dataclasses.replace(first, kernel_size=1, dilation=1, activation=None, norm="none")
        body.append(Residual(body=(first, second)))
    return (*body, LayerNorm())


def runs(spec: RecommendSpec) -> tuple[Conv, ...]:
    """Return the convolutions of `caser` over runs of 2 items, 3 items, ..."""
    return tuple(
        conv(spec.conv, filters=max(8, spec.conv.filters // 4), kernel_size=size)
        for size in range(2, 2 + spec.conv.kernel_size)
    )


def mix(spec: RecommendSpec) -> Plan:
    """Return the dense layer over all that `caser` has seen."""
    return (Dense(units=spec.conv.filters, activation=spec.conv.activation),)


def recurrent(spec: RecommendSpec) -> Plan:
    """Return the recurrent layers of `gru4rec`."""
    return (
        *[Recurrent(cell="gru", units=spec.recurrent.units, sequences=True)]
        * spec.recurrent.layers,
        Dense(units=spec.conv.filters),
    )


def attended(spec: RecommendSpec) -> Plan:
    """Return the layers of `sasrec` in which each item sees those before it (Kang & McAuley 2018)."""
    seen = Attention(
        heads=spec.heads, activation=spec.conv.activation, dropout=spec.dropout, causal=True
    )
    return (Positions(), *[seen] * spec.conv.blocks, LayerNorm())
