"""The image networks: classic families, scaled to the image's size, all made from one `ConvSpec`.

A new network is a function from a spec and an image's shape to named stages; `staged` enters it
into the registry.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from pipelines.config.hyperparameters import ConvSpec, HeadSpec, TrainSpec
from pipelines.networks.layers import (
    CONV_KEYS,
    Conv,
    Dense,
    Dropout,
    GlobalPool,
    Parallel,
    Residual,
    conv,
    pool,
)
from pipelines.networks.plan import Cost, KerasTensor, Layer, Plan, Shape, apply, measure, sight
from pipelines.networks.receptive_field import ReceptiveField, measure_field
from pipelines.networks.registry import Architecture
from pipelines.pipeline import Phase
from pipelines.vision.spec import ARCHITECTURES, BACKBONE_KEY, TRANSFER, VisionSpec

if TYPE_CHECKING:
    import keras

    from pipelines.vision.data import VisionSplits

Stages: TypeAlias = dict[str, Plan]

SMALL_IMAGE = 16  # pixels each way, of what vgg does not pool after every convolution
WIDEST = 8  # no block has more than this many times the first block's filters
# Positions each way to which images of at least twice as many are brought, by a first convolution
# with a stride: the time of a network grows with the square.
STEM_EXTENT = 64

# What a convolution and its block read of the spec, whatever the family.
BLOCK_KEYS = (
    *CONV_KEYS,
    "conv.stride",
    "conv.blocks",
    "conv.pooling",
    "conv.pool_size",
    "head.units",
)


@dataclass(frozen=True, kw_only=True)
class VisionArchitecture(Architecture):
    """The part of an image network from the images to the vector of their features.

    The last layer, from features to logits, is the same for all.
    """

    def cost(self, spec: VisionSpec, shape: Shape, num_classes: int) -> Cost | None:
        """Return the cost of the whole network for one image of `shape`.

        None: the network must be built to know.
        """
        return None

    def sight(self, spec: VisionSpec, shape: Shape) -> float | None:
        """Return how many pixels each way one feature sees of an image of `shape`.

        None: arithmetic cannot tell.
        """
        return None

    def features(
        self, spec: VisionSpec, images: KerasTensor, splits: "VisionSplits"
    ) -> KerasTensor:
        """Return the features `(batch, features)` of images `(batch, height, width, channels)`."""
        raise NotImplementedError

    def phases(self, spec: VisionSpec, train: TrainSpec) -> Sequence[Phase]:
        """Return the phases of a training, in order."""
        return (Phase(name="fit", epochs=train.epochs, learning_rate=train.learning_rate),)

    def on_phase_start(self, phase: Phase, model: "keras.Model", spec: VisionSpec) -> None:
        """Prepare `model` for `phase`."""


@dataclass(frozen=True, kw_only=True)
class StagedArchitecture(VisionArchitecture):
    """A network of named stages, trained from random weights."""

    stages: Callable[[VisionSpec, Shape], Stages]

    def cost(self, spec: VisionSpec, shape: Shape, num_classes: int) -> Cost:
        return measure((*self._layers(spec, shape), *head(spec, num_classes)), shape)

    def sight(self, spec: VisionSpec, shape: Shape) -> float:
        return sight(self._layers(spec, shape)).size

    def _layers(self, spec: VisionSpec, shape: Shape) -> Plan:
        layers: list[Layer] = []
        for stage in self.stages(spec, shape).values():
            layers += stage
        return tuple(layers)

    def features(
        self, spec: VisionSpec, images: KerasTensor, splits: "VisionSplits"
    ) -> KerasTensor:
        import keras

        mean, variance = splits.moments
        normalize = keras.layers.Normalization(mean=mean, variance=variance, name="normalize")
        x = normalize(images)
        for name, stage in self.stages(spec, splits.shape).items():
            x = apply(stage, x, name)
        return x


@dataclass(frozen=True, kw_only=True)
class BackboneArchitecture(VisionArchitecture):
    """A pretrained network as backbone: frozen first, then its top layers learn too."""

    def features(
        self, spec: VisionSpec, images: KerasTensor, splits: "VisionSplits"
    ) -> KerasTensor:
        from pipelines.vision import transfer

        return transfer.features(spec.transfer, images, splits.scale)

    def phases(self, spec: VisionSpec, train: TrainSpec) -> Sequence[Phase]:
        if not spec.transfer.layers or train.epochs < 2:
            return super().phases(spec, train)
        frozen_epochs = max(1, round(train.epochs * spec.transfer.frozen))
        return (
            Phase(name="features", epochs=frozen_epochs, learning_rate=train.learning_rate),
            Phase(
                name="fine-tune",
                epochs=max(1, train.epochs - frozen_epochs),
                learning_rate=train.learning_rate * spec.transfer.slower,
            ),
        )

    def on_phase_start(self, phase: Phase, model: "keras.Model", spec: VisionSpec) -> None:
        from pipelines.vision import transfer

        if phase.name == "fine-tune":
            transfer.unfreeze(model, spec.transfer.layers)


def architecture_of(spec: VisionSpec) -> VisionArchitecture:
    """Return the entry that `spec` names."""
    return cast(VisionArchitecture, ARCHITECTURES[spec.architecture])


def receptive_field(spec: VisionSpec, shape: Shape, num_classes: int) -> ReceptiveField | None:
    """Return how many pixels each way one feature sees, beside half of the shorter side.

    That is the size of an object that fills a fair part of the picture. None where arithmetic
    cannot tell.
    """
    shorter = min(shape[:2])

    def sees(candidate: VisionSpec) -> float:
        entry = architecture_of(candidate)
        entry.cost(candidate, shape, num_classes)  # raises where there is no such network
        return min(entry.sight(candidate, shape) or 0, shorter)

    if architecture_of(spec).sight(spec, shape) is None:
        return None
    return measure_field(
        spec,
        sees,
        math.ceil(shorter / 2),
        what="an object of half the picture",
        unit="pixels each way",
    )


def head(spec: VisionSpec, num_classes: int) -> Plan:
    """Return what turns features into logits."""
    return (Dropout(rate=spec.head.dropout), Dense(units=num_classes))


StageFunction: TypeAlias = Callable[[VisionSpec, Shape], Stages]


def staged(*further_keys: str) -> Callable[[StageFunction], StageFunction]:
    """Register a function from spec and shape to stages as an architecture of the function's name.

    The architecture reads the hyperparameters of `BLOCK_KEYS` and `further_keys`.
    """

    def enter(stages: StageFunction) -> StageFunction:
        reads = frozenset((*BLOCK_KEYS, *further_keys))
        ARCHITECTURES.add(StagedArchitecture(name=stages.__name__, reads=reads, stages=stages))
        return stages

    return enter


# ------------------------------------------------------------------------------------- the families


@staged("conv.dilation", "head.pooling", "head.activation")
def vgg(spec: VisionSpec, shape: Shape) -> Stages:
    """Convolution and pooling in turn, twice the filters in each block (Simonyan & Zisserman 2015).

    One convolution in each block and one more at the end, as their VGG-11 begins: 1.1 ms for an
    image of Fashion-MNIST on two cores, against 2.2 ms for pairs. Small images cost little and can
    be pooled only a few times: they get the pairs, and keep their last map (accuracy on val .9826
    to .9931 on digits, .9908 to .9948 on optdigits).
    """
    widths = _widths(spec.conv)
    if max(shape[:-1]) > SMALL_IMAGE:
        blocks: list[Plan] = []
        for width in widths:
            blocks.append((conv(spec.conv, filters=width, stride=spec.conv.stride, pooled=True),))
        blocks.append((conv(spec.conv, filters=widths[-1], dilation=spec.conv.dilation),))
        return _stages(_stem(spec.conv, shape), blocks, _pooled(spec.head))
    is_pooled = spec.conv.blocks > 1
    first = conv(spec.conv, filters=widths[0], stride=spec.conv.stride, pooled=is_pooled)
    blocks = [(first,)]
    for number, width in enumerate(widths[1:], start=2):
        is_pooled = number < spec.conv.blocks
        entry = conv(spec.conv, filters=width, stride=spec.conv.stride)
        second = conv(spec.conv, filters=width, dilation=spec.conv.dilation, pooled=is_pooled)
        blocks.append((entry, second))
    return _stages((), blocks, _pooled(spec.head))


@staged("conv.dilation", "head.pooling", "head.activation")
def resnet(spec: VisionSpec, shape: Shape) -> Stages:
    """A wide, shallow residual network, the ResNet-9 of Page (2018).

    Each block is a convolution, pooling, and a residual pair.
    """
    blocks: list[Plan] = []
    for number, width in enumerate(_widths(spec.conv), start=1):
        layer = conv(spec.conv, filters=width, dilation=spec.conv.dilation)
        entry = conv(spec.conv, filters=width, stride=spec.conv.stride, pooled=number > 1)
        blocks.append((entry, Residual(body=(layer, layer), norm=spec.conv.norm)))
    return _stages(_stem(spec.conv, shape), blocks, _pooled(spec.head))


@staged("head.pooling", "head.activation")
def inception(spec: VisionSpec, shape: Shape) -> Stages:
    """Kernels of several sizes side by side, behind 1x1 convolutions (Szegedy et al. 2015)."""
    blocks: list[Plan] = []
    for number, width in enumerate(_widths(spec.conv), start=1):
        block: Plan = (
            conv(spec.conv, filters=width, stride=spec.conv.stride),
            _several_kernels(spec.conv, width),
        )
        if number < spec.conv.blocks:
            block = (*block, *pool(spec.conv))
        blocks.append(block)
    return _stages(_stem(spec.conv, shape), blocks, _pooled(spec.head))


@staged("head.activation")
def lenet(spec: VisionSpec, shape: Shape) -> Stages:
    """Convolution and pooling in turn, few filters, two dense layers (LeCun et al. 1998)."""
    blocks: list[Plan] = []
    for width in _widths(spec.conv):
        filters = max(4, width // 2)
        blocks.append((conv(spec.conv, filters=filters, stride=spec.conv.stride, pooled=True),))
    units = spec.conv.filters * 4
    second_units = max(8, units * 84 // 120)  # 120 and 84 units in the paper
    flatten = GlobalPool(kind="flatten")
    blocks.append((flatten, _dense(spec.conv, units), _dense(spec.conv, second_units)))
    return _stages(_stem(spec.conv, shape), blocks, _hidden(spec.head))


@staged("conv.dilation", "head.activation")
def alexnet(spec: VisionSpec, shape: Shape) -> Stages:
    """A large strided kernel, then smaller ones and wide dense layers (Krizhevsky et al. 2012)."""
    filters = spec.conv.filters
    first = conv(
        spec.conv,
        kernel_size=spec.conv.kernel_size + 2,
        stride=max(spec.conv.stride, max(shape[:-1]) // STEM_EXTENT),
        pooled=True,
    )
    middle = conv(spec.conv, filters=filters * 2, pooled=True)
    last: list[Conv] = []
    for _ in range(spec.conv.blocks):
        last.append(conv(spec.conv, filters=filters * 3, dilation=spec.conv.dilation))
    dense: Plan = (
        GlobalPool(kind="flatten"),
        _dense(spec.conv, filters * 8),
        Dropout(rate=spec.head.dropout),
        _dense(spec.conv, filters * 8),
    )
    return _stages((), [(first,), (middle,), tuple(last), dense], _hidden(spec.head))


ARCHITECTURES.add(
    BackboneArchitecture(
        name=TRANSFER,
        weights_key=BACKBONE_KEY,
        reads=frozenset(
            {
                BACKBONE_KEY,
                "transfer.weights",
                "transfer.side",
                "transfer.layers",
                "transfer.frozen",
                "transfer.slower",
            }
        ),
    )
)


# -------------------------------------------------------------------------- what the families share


def _stages(stem: Plan, blocks: Sequence[Plan], features: Plan) -> Stages:
    stages: Stages = {}
    if stem:
        stages["stem"] = stem
    for number, block in enumerate(blocks, start=1):
        stages[f"block{number}"] = block
    stages["features"] = features
    return stages


def _stem(spec: ConvSpec, shape: Shape) -> Plan:
    """Return the strided convolution that brings large images below 128 positions each way."""
    shrink = max(shape[:-1]) // STEM_EXTENT
    if shrink <= 1:
        return ()
    filters = max(8, spec.filters // 2)
    return (conv(spec, filters=filters, kernel_size=2 * shrink + 1, stride=shrink),)


def _widths(spec: ConvSpec) -> list[int]:
    """Return the filters of each block: twice as many from block to block."""
    return [spec.filters * min(2**block, WIDEST) for block in range(spec.blocks)]


def _pooled(spec: HeadSpec) -> Plan:
    return (GlobalPool(kind=spec.pooling), *_hidden(spec))


def _hidden(spec: HeadSpec) -> Plan:
    if not spec.units:
        return ()
    return (Dense(units=spec.units, activation=spec.activation),)


def _dense(spec: ConvSpec, units: int) -> Dense:
    return Dense(units=units, activation=spec.activation, l1=spec.l1, l2=spec.l2)


def _several_kernels(spec: ConvSpec, width: int) -> Parallel:
    quarter, half = max(1, width // 4), max(1, width // 2)
    squeeze = conv(spec, filters=quarter, kernel_size=1)
    return Parallel(
        branches=(
            (conv(spec, filters=quarter, kernel_size=1),),
            (squeeze, conv(spec, filters=half)),
            (squeeze, conv(spec, filters=quarter, kernel_size=spec.kernel_size + 2)),
        )
    )
