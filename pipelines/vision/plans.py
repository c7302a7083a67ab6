"""The vision architectures as plans: classic families, scaled to the image's size, all made from one `ConvSpec`."""

from collections.abc import Callable
from typing import TypeAlias

from pipelines.config.hyperparameters import ConvSpec
from pipelines.networks import plan
from pipelines.networks.plan import Conv, Dense, Dropout, GlobalPool, Parallel, Plan, Residual, Shape
from pipelines.vision.pipeline import VisionSpec

Stages: TypeAlias = dict[str, Plan]
DENSE = ("lenet", "alexnet")  # families that flatten and go through dense layers of their own
SMALL = 16  # pixels each way, of what vgg does not pool after every convolution
WIDEST = 8  # no block has more than this many times the first block's filters


def stages(spec: VisionSpec, shape: Shape) -> Stages:
    """Return the network's named stages from the image to the vector of features (its last stage is `features`)."""
    families: dict[str, Callable[[VisionSpec, Shape], Stages]] = {
        "lenet": _lenet,
        "alexnet": _alexnet,
        "vgg": _vgg,
        "resnet": _resnet,
        "inception": _inception,
    }
    body = families[spec.architecture](spec, shape)
    pooled: Plan = () if spec.architecture in DENSE else (GlobalPool(kind=spec.head.pooling),)
    dense: Plan = (_dense(spec.conv, spec.head.units),) if spec.head.units else ()
    return {**body, "features": (*pooled, *dense)}


def _dense(spec: ConvSpec, units: int) -> Dense:
    return Dense(units=units, activation=spec.activation, l1=spec.l1, l2=spec.l2)


def head(spec: VisionSpec, classes: int) -> Plan:
    """Return what turns features into logits."""
    return (Dropout(rate=spec.head.dropout), Dense(units=classes))


def whole(spec: VisionSpec, shape: Shape, classes: int) -> Plan:
    """Return the whole network as one plan, for arithmetic."""
    return (*(layer for stage in stages(spec, shape).values() for layer in stage), *head(spec, classes))


def _stem(spec: ConvSpec, shape: Shape) -> Plan:
    """Large images are first brought to at most 64 positions each way by one strided convolution."""
    shrink = max(shape[:-1]) // 64
    return (plan.conv(spec, filters=max(8, spec.filters // 2), kernel_size=2 * shrink + 1, stride=shrink),) if shrink > 1 else ()


def _widths(spec: ConvSpec) -> list[int]:
    return [spec.filters * min(2**block, WIDEST) for block in range(spec.blocks)]


def _named(stem: Plan, blocks: list[Plan]) -> Stages:
    named: Stages = {"stem": stem} if stem else {}
    return named | {f"block{number}": block for number, block in enumerate(blocks, start=1)}


def _vgg(spec: VisionSpec, shape: Shape) -> Stages:
    """Convolution and pooling by turns, twice the filters in each block (Simonyan & Zisserman 2015).

    One convolution a block and one more at the end, as their VGG-11 begins: 1.1 ms an image of Fashion-MNIST on two cores against
    2.2 for pairs. Small images cost little and can be pooled only a few times: they get the pairs, and keep their last map.
    """
    conv = spec.conv
    widths = _widths(conv)
    if max(shape[:-1]) > SMALL:
        blocks: list[Plan] = [(plan.conv(conv, filters=width, stride=conv.stride, pooled=True),) for width in widths]
        blocks.append((plan.conv(conv, filters=widths[-1], dilation=conv.dilation),))
        return _named(_stem(conv, shape), blocks)
    blocks = [(plan.conv(conv, filters=widths[0], stride=conv.stride, pooled=conv.blocks > 1),)]
    for number, width in enumerate(widths[1:], start=2):
        entry = plan.conv(conv, filters=width, stride=conv.stride)
        blocks.append((entry, plan.conv(conv, filters=width, dilation=conv.dilation, pooled=number < conv.blocks)))
    return _named((), blocks)


def _resnet(spec: VisionSpec, shape: Shape) -> Stages:
    """A wide, shallow residual net (the ResNet-9 of Page 2018): convolution, pooling, then a residual pair in each block."""
    conv = spec.conv
    blocks: list[Plan] = []
    for number, width in enumerate(_widths(conv), start=1):
        body: Plan = (plan.conv(conv, filters=width, dilation=conv.dilation), plan.conv(conv, filters=width, dilation=conv.dilation))
        entry = plan.conv(conv, filters=width, stride=conv.stride, pooled=number > 1)
        blocks.append((entry, Residual(body=body, norm=conv.norm)))
    return _named(_stem(conv, shape), blocks)


def _inception(spec: VisionSpec, shape: Shape) -> Stages:
    """Kernels of several sizes side by side, each behind a 1x1 convolution (Szegedy et al. 2015)."""
    conv = spec.conv
    blocks: list[Plan] = []
    for number, width in enumerate(_widths(conv), start=1):
        entry = plan.conv(conv, filters=width, stride=conv.stride)
        blocks.append((entry, _many_kernels(conv, width), *(plan.pool(conv) if number < conv.blocks else ())))
    return _named(_stem(conv, shape), blocks)


def _many_kernels(conv: ConvSpec, width: int) -> Parallel:
    quarter, half = max(1, width // 4), max(1, width // 2)
    squeeze = plan.conv(conv, filters=quarter, kernel_size=1)
    return Parallel(
        branches=(
            (plan.conv(conv, filters=quarter, kernel_size=1),),
            (squeeze, plan.conv(conv, filters=half)),
            (squeeze, plan.conv(conv, filters=quarter, kernel_size=conv.kernel_size + 2)),
        )
    )


def _lenet(spec: VisionSpec, shape: Shape) -> Stages:
    """Convolution and pooling by turns, few filters, then two dense layers (LeCun et al. 1998)."""
    conv = spec.conv
    widths = [max(4, width // 2) for width in _widths(conv)]
    blocks: list[Plan] = [(plan.conv(conv, filters=width, stride=conv.stride, pooled=True),) for width in widths]
    units = conv.filters * 4
    dense: Plan = (GlobalPool(kind="flatten"), _dense(conv, units), _dense(conv, max(8, units * 84 // 120)))
    return _named(_stem(conv, shape), [*blocks, dense])


def _alexnet(spec: VisionSpec, shape: Shape) -> Stages:
    """A large strided kernel first, then smaller ones, three convolutions in a row, wide dense layers (Krizhevsky et al. 2012)."""
    conv = spec.conv
    first = plan.conv(conv, kernel_size=conv.kernel_size + 2, stride=max(conv.stride, max(shape[:-1]) // 64), pooled=True)
    middle = plan.conv(conv, filters=conv.filters * 2, pooled=True)
    last: tuple[Conv, ...] = tuple(plan.conv(conv, filters=conv.filters * 3, dilation=conv.dilation) for _ in range(conv.blocks))
    dense: Plan = (
        GlobalPool(kind="flatten"),
        _dense(conv, conv.filters * 8),
        Dropout(rate=spec.head.dropout),
        _dense(conv, conv.filters * 8),
    )
    return _named((), [(first,), (middle,), last, dense])
