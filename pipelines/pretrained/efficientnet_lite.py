"""EfficientNet-Lite0 in plain Keras layers, with weights that were trained on ImageNet.

M. Tan and Q. Le, "EfficientNet" (ICML 2019), in the Lite form of Google (2020): without
squeeze-and-excitation, ReLU6 in place of swish. Layers are called as in the file of weights, but
for its dots and underscores: "blocks-3-expand_conv" is "_blocks.3._expand_conv" there.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pipelines.errors import DataError
from pipelines.networks.plan import KerasTensor
from pipelines.pretrained.torch_file import read_tensors

WEIGHTS = "efficientnet-lite0.pth"
STEM_FILTERS = 32
WIDTH = 1280  # of the features
# Bytes are brought to about -1 to 1, as in the training of the weights.
MIDDLE, HALF_RANGE = 127.0, 128.0
EPSILON = 1e-3
# Of a file of weights, and not used here: the layer to the classes of ImageNet, and how many
# batches the averages are of.
UNUSED = ("_fc.", "num_batches_tracked")


@dataclass(frozen=True)
class Stage:
    """Blocks of one size: how many, and the sizes of each; the first one has the stride."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(side: int, name: str = "backbone") -> keras.Model:
    """Return the network with random weights.

    It takes images `(batch, side, side, 3)` in bytes, 0 to 255, to features `(batch, 1280)`.
    """
    images = keras.Input((side, side, 3), name="image")
    x = keras.layers.Rescaling(1 / HALF_RANGE, offset=-MIDDLE / HALF_RANGE, name="scale")(images)
    x = _relu6(_norm(_conv(x, STEM_FILTERS, 3, "conv_stem", stride=2), "bn0"))
    number = 0
    for stage in STAGES:
        for position in range(stage.blocks):
            stride = stage.stride if position == 0 else 1
            x = _block(x, stage, stride, f"blocks-{number}")
            number += 1
    x = _relu6(_norm(_conv(x, WIDTH, 1, "conv_head"), "bn1"))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def load_weights(network: keras.Model, folder: Path) -> None:
    """Give `network`, as `build` returned it, the weights in a folder.

    Raises:
        DataError: the file is missing or truncated, holds more than tensors, or belongs to another
            network; the message says what.
    """
    path = folder / WEIGHTS
    tensors = read_tensors(path)
    unread = {name for name in tensors if not _is_unused(name)}
    for layer in network.layers:
        names = _tensor_names(layer)
        weights = []
        for name, expected in zip(names, layer.get_weights(), strict=True):
            if name not in tensors:
                raise DataError(f"{path}: holds no tensor {name!r}: it is of another network")
            weights.append(_as_keras(path, name, layer, tensors[name], expected.shape))
            unread.discard(name)
        layer.set_weights(weights)
    if unread:
        raise DataError(
            f"{path}: holds {min(unread)!r}, which EfficientNet-Lite0 has not: it is of another "
            "network"
        )


def _block(x: KerasTensor, stage: Stage, stride: int, prefix: str) -> KerasTensor:
    """Return an inverted residual block: widened, each channel filtered by itself, narrowed."""
    before, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = _conv(x, channels * stage.expansion, 1, f"{prefix}-expand_conv")
        x = _relu6(_norm(x, f"{prefix}-bn0"))
    depthwise = keras.layers.DepthwiseConv2D(
        stage.kernel_size, stride, "same", use_bias=False, name=f"{prefix}-depthwise_conv"
    )
    x = _relu6(_norm(depthwise(x), f"{prefix}-bn1"))
    x = _norm(_conv(x, stage.filters, 1, f"{prefix}-project_conv"), f"{prefix}-bn2")
    if stride == 1 and channels == stage.filters:
        return keras.layers.Add()([before, x])
    return x


def _conv(
    x: KerasTensor, filters: int, kernel_size: int, name: str, stride: int = 1
) -> KerasTensor:
    layer = keras.layers.Conv2D(filters, kernel_size, stride, "same", use_bias=False, name=name)
    return layer(x)


def _norm(x: KerasTensor, name: str) -> KerasTensor:
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=name)(x)


def _relu6(x: KerasTensor) -> KerasTensor:
    return keras.layers.ReLU(6.0)(x)


def _is_unused(name: str) -> bool:
    return any(part in name for part in UNUSED)


def _tensor_names(layer: keras.layers.Layer) -> list[str]:
    """Return the names of a layer's weights in the file, in the order in which Keras has them."""
    parts = [part if part.isdigit() else f"_{part}" for part in layer.name.split("-")]
    name = ".".join(parts)
    if isinstance(layer, keras.layers.BatchNormalization):
        tensors = ("weight", "bias", "running_mean", "running_var")
        return [f"{name}.{tensor}" for tensor in tensors]
    return [f"{name}.weight"] if layer.weights else []


def _as_keras(
    path: Path,
    name: str,
    layer: keras.layers.Layer,
    tensor: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return a tensor with its axes as Keras has them: height, width, input, output."""
    if tensor.ndim == len(("output", "input", "height", "width")):
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        tensor = tensor.transpose(2, 3, 0, 1) if is_depthwise else tensor.transpose(2, 3, 1, 0)
    if tensor.shape != shape:
        raise DataError(
            f"{path}: {name} has the shape {tensor.shape} in Keras' order. Expected: {shape}"
        )
    return tensor.astype(np.float32)
