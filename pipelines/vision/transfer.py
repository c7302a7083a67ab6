"""Backbones trained elsewhere: any class of keras.applications, or a model that appline saved."""

import warnings
from pathlib import Path
from typing import Any

import keras

from pipelines.errors import DataError, UsageError, suggest
from pipelines.vision.pipeline import TransferSpec

KerasTensor = Any
# The smallest image that a backbone of keras.applications takes; 32 where none is named.
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71, "NASNetMobile": 32, "NASNetLarge": 32}


def features(spec: TransferSpec, inputs: KerasTensor, scale: float) -> KerasTensor:
    """Return the frozen backbone's features `(batch, features)` of `inputs`, images in units of 0 to `scale`.

    Raises:
        UsageError: no such backbone.
        DataError: its weights are neither on this machine nor to be had.
    """
    if spec.backbone.endswith(".keras"):
        return _own(Path(spec.backbone), inputs, scale)
    backbone, preprocess = _application(spec)
    size = backbone.input_shape[1:3]
    x = keras.layers.Rescaling(255.0 / scale, name="to_bytes")(inputs)
    x = _with_channels(x, 3)
    if tuple(x.shape[1:3]) != size:
        x = keras.layers.Resizing(*size, name="resize")(x)
    backbone.trainable = False
    # Batch statistics of a few images would spoil those of the millions that the backbone has seen.
    return backbone(preprocess(x), training=False)


def unfreeze(model: keras.Model, count: int) -> None:
    """Let the top `count` layers of the backbone learn; batch normalisation stays as it is."""
    backbone = model.get_layer("backbone")
    backbone.trainable = True
    for layer in backbone.layers[: max(0, len(backbone.layers) - count)]:
        layer.trainable = False
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _application(spec: TransferSpec) -> tuple[keras.Model, Any]:
    makers: dict[str, Any] = {name: maker for name, maker in vars(keras.applications).items() if isinstance(maker, type(features))}
    if spec.backbone not in makers:
        raise UsageError(
            f"transfer.backbone: keras.applications has no {spec.backbone!r}.{suggest(spec.backbone, makers)} "
            f"Known: {', '.join(sorted(makers))}; or the path of a model.keras that appline saved"
        )
    maker = makers[spec.backbone]
    if spec.weights != "imagenet" and not Path(spec.weights).is_file():
        raise DataError(f"transfer.weights: no such file: {spec.weights}. Expected imagenet or the path of a weights file")
    side = max(96 if spec.weights == "imagenet" else 32, SMALLEST.get(spec.backbone, 32))
    module = next(
        module for module in vars(keras.applications).values() if hasattr(module, "preprocess_input") and hasattr(module, spec.backbone)
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # MobileNet says that its weights were made at another size
            made = maker(
                include_top=False,
                weights="imagenet" if spec.weights == "imagenet" else None,
                input_shape=(side, side, 3),
                pooling="avg",
            )
        if spec.weights != "imagenet":
            made.load_weights(spec.weights)
    except ValueError as error:
        raise DataError(f"transfer.weights: {spec.weights} does not fit {spec.backbone}: {error}") from error
    except Exception as error:  # keras raises a bare Exception when the download fails
        if "URL fetch failure" not in str(error):
            raise
        file = str(error).rsplit("/", maxsplit=1)[-1].split(":")[0].split(" ")[0]
        raise DataError(
            f"The weights of {spec.backbone} cannot be downloaded. Put the file {file} into {Path('~/.keras/models')} (from a machine "
            f"with internet), or name a local file: --set transfer.weights=PATH. Random weights are never used in their place"
        ) from error
    made.name = "backbone"
    return made, module.preprocess_input


def _own(path: Path, inputs: KerasTensor, scale: float) -> KerasTensor:
    """Return the features of a network that appline trained, on images of another size, range or number of channels."""
    if not path.is_file():
        raise DataError(f"transfer.backbone: no such file: {path}. Expected a model.keras that appline saved")
    saved = keras.saving.load_model(path, compile=False)
    try:
        network = saved.get_layer("network")
        inner = keras.Model(network.inputs, network.get_layer("features").output, name="backbone")
    except ValueError as error:
        raise DataError(f"transfer.backbone: {path} is no vision model that appline saved: {error}") from error
    *size, channels = inner.input_shape[1:]
    its_scale = float(saved.get_layer("scale").get_config()["scale"])
    x = keras.layers.Rescaling(its_scale / scale, name="to_its_scale")(inputs)
    x = _with_channels(x, channels)
    if list(x.shape[1:3]) != size:
        x = keras.layers.Resizing(*size, name="resize")(x)
    inner.trainable = False
    return inner(x, training=False)


def _with_channels(x: KerasTensor, channels: int) -> KerasTensor:
    if x.shape[-1] == channels:
        return x
    grey = x if x.shape[-1] == 1 else keras.ops.mean(x[..., : min(3, x.shape[-1])], axis=-1, keepdims=True)
    if channels > 1 and x.shape[-1] > channels:
        return x[..., :channels]
    return keras.layers.Concatenate(name="to_colour")([grey] * channels) if channels > 1 else grey
