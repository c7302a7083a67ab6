"""Pretrained backbones: of the catalogue, of keras.applications, or a model that appline saved."""

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from pipelines.errors import DataError, ImpossibleSpec
from pipelines.networks.plan import KerasTensor
from pipelines.pretrained import efficientnet_lite, weights
from pipelines.pretrained.catalogue import names
from pipelines.pretrained.feature_cache import weights_digest
from pipelines.vision.backbones import IMAGENET, OWN_SUFFIX, require_backbone
from pipelines.vision.spec import BACKBONE_KEY, TransferSpec

USUAL_SIDE, LARGE_SIDE = 128, 224  # pixels in which a backbone of the catalogue sees images
SMALLEST_KNOWN_SIDE = 32  # it halves them five times
# The smallest image, in pixels each way, that a backbone of keras.applications takes; 32 where none
# is named.
SMALLEST_SIDE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
SMALLEST_PRETRAINED_SIDE = 96  # for weights of ImageNet, whose images are large


def features(spec: TransferSpec, inputs: KerasTensor, scale: float) -> KerasTensor:
    """Return the features `(batch, features)` of `inputs` from a frozen, pretrained backbone.

    `inputs` are images in units of 0 to `scale`.

    Raises:
        UsageError: there is no such backbone.
        DataError: its weights are not on this machine and cannot be downloaded.
    """
    if spec.backbone.endswith(OWN_SUFFIX):
        return _appline_backbone(Path(spec.backbone), inputs, scale)
    if spec.backbone in names("backbone"):
        backbone, preprocess = _known(spec, max(inputs.shape[1:3])), _as_it_is
    else:
        backbone, preprocess = _application(spec)
    size = backbone.input_shape[1:3]
    x = keras.layers.Rescaling(255.0 / scale, name="to_bytes")(inputs)
    x = _with_channels(x, 3)
    if tuple(x.shape[1:3]) != size:
        x = keras.layers.Resizing(*size, name="resize")(x)
    backbone.trainable = False
    # Batch statistics of a few images would spoil those of the millions that the backbone has seen.
    return backbone(preprocess(x), training=False)


def weights_name(spec: TransferSpec) -> str:
    """Return what stands for the weights of a backbone: the digest of their file, or their name.

    Raises:
        DataError: the file is not on this machine.
    """
    if spec.backbone.endswith(OWN_SUFFIX):
        return weights_digest(Path(spec.backbone))
    if spec.backbone in names("backbone"):
        return weights_digest(_folder(spec) / efficientnet_lite.WEIGHTS)
    if spec.weights == IMAGENET:
        return f"keras {keras.__version__} {IMAGENET}"
    return weights_digest(Path(spec.weights))


def side_of(spec: TransferSpec, extent: int) -> int:
    """Return the height and width in which a backbone of the catalogue sees images.

    `extent` is the larger of those that the images have. Of 4,500 pictures of 32 pixels, logistic
    regression on the features named .741, .767 and .788 rightly at 96, 128 and 224, and the
    features cost 14, 25 and 67 seconds.
    """
    if spec.side:
        return spec.side
    return LARGE_SIDE if extent >= LARGE_SIDE else USUAL_SIDE


def _known(spec: TransferSpec, extent: int) -> keras.Model:
    """Return a backbone of the catalogue with its weights; it takes bytes."""
    side = side_of(spec, extent)
    if side < SMALLEST_KNOWN_SIDE:
        raise ImpossibleSpec(
            f"transfer.side={side}: {spec.backbone} takes images of {SMALLEST_KNOWN_SIDE} pixels "
            "a side and more"
        )
    backbone = efficientnet_lite.build(side)
    efficientnet_lite.load_weights(backbone, _folder(spec))
    return backbone


def _folder(spec: TransferSpec) -> Path:
    return weights.find(spec.backbone, BACKBONE_KEY, "backbone")


def _as_it_is(x: KerasTensor) -> KerasTensor:
    return x


def unfreeze(model: keras.Model, count: int) -> None:
    """Let the top `count` layers of the backbone learn, except batch normalisation."""
    backbone = model.get_layer("backbone")
    backbone.trainable = True
    for layer in backbone.layers[: max(0, len(backbone.layers) - count)]:
        layer.trainable = False
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _application(spec: TransferSpec) -> tuple[keras.Model, Any]:
    """Return the backbone of keras.applications that `spec` names, and its preprocessing."""
    require_backbone(spec.backbone, spec.weights)
    constructors = _constructors()
    is_imagenet = spec.weights == IMAGENET
    side = SMALLEST_SIDE.get(spec.backbone, 32)
    if is_imagenet:
        side = max(SMALLEST_PRETRAINED_SIDE, side)
    side = spec.side or side
    try:
        # Keras tells of a download on standard output, where results stand.
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            # MobileNet says that its weights were made at another size.
            warnings.simplefilter("ignore", UserWarning)
            backbone = constructors[spec.backbone](
                include_top=False,
                weights=IMAGENET if is_imagenet else None,
                input_shape=(side, side, 3),
                pooling="avg",
            )
        if not is_imagenet:
            backbone.load_weights(spec.weights)
    except ValueError as error:
        raise DataError(
            f"transfer.weights: {spec.weights} does not fit {spec.backbone}: {error}"
        ) from error
    except Exception as error:  # keras raises a bare Exception when the download fails
        if "URL fetch failure" not in str(error):
            raise
        raise DataError(_cannot_download(spec.backbone, str(error))) from error
    backbone.name = "backbone"
    return backbone, _preprocessing(spec.backbone)


def _constructors() -> dict[str, Callable[..., keras.Model]]:
    functions: dict[str, Callable[..., keras.Model]] = {}
    for name, value in vars(keras.applications).items():
        if inspect.isfunction(value):
            functions[name] = value
    return functions


def _preprocessing(backbone: str) -> Any:
    for module in vars(keras.applications).values():
        if hasattr(module, "preprocess_input") and hasattr(module, backbone):
            return module.preprocess_input
    raise ValueError(backbone)


def _cannot_download(backbone: str, reason: str) -> str:
    """Return the message for weights that could not be downloaded; `reason` holds their address."""
    file = reason.rsplit("/", maxsplit=1)[-1].split(":")[0].split(" ")[0]
    return (
        f"The weights of {backbone} cannot be downloaded. Put the file {file} into "
        f"{Path('~/.keras/models')} (from a machine with internet), or name a local file: "
        "--set transfer.weights=PATH. Random weights are never used in their place"
    )


def _appline_backbone(path: Path, inputs: KerasTensor, scale: float) -> KerasTensor:
    """Return the features of a network that appline trained.

    Its training images may differ from `inputs` in size, range and number of channels.
    """
    require_backbone(str(path))
    saved = keras.saving.load_model(path, compile=False)
    try:
        network = saved.get_layer("network")
        features = network.get_layer("features").output
        backbone = keras.Model(network.inputs, features, name="backbone")
    except ValueError as error:
        raise DataError(
            f"transfer.backbone: {path} is not a vision model that appline saved: {error}"
        ) from error
    *size, channels = backbone.input_shape[1:]
    backbone_scale = float(saved.get_layer("scale").get_config()["scale"])
    x = keras.layers.Rescaling(backbone_scale / scale, name="to_its_scale")(inputs)
    x = _with_channels(x, channels)
    if list(x.shape[1:3]) != size:
        x = keras.layers.Resizing(*size, name="resize")(x)
    backbone.trainable = False
    return backbone(x, training=False)


def _with_channels(x: KerasTensor, channels: int) -> KerasTensor:
    """Return images with so many channels.

    Grey is repeated, colours are averaged to grey, further channels are left out.
    """
    if x.shape[-1] == channels:
        return x
    if channels > 1 and x.shape[-1] > channels:
        return x[..., :channels]
    grey = x
    if x.shape[-1] > 1:
        grey = keras.ops.mean(x[..., : min(3, x.shape[-1])], axis=-1, keepdims=True)
    if channels == 1:
        return grey
    return keras.layers.Concatenate(name="to_colour")([grey] * channels)
