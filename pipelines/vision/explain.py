"""Where a network looks: Grad-CAM, drawn over each picture.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (ICCV 2017): the last feature maps, each by the mean slope of the answer in it. A
network without feature maps is explained by slope times input.
"""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines.io.picture_files import new_files

HEATMAP = "heatmap"  # the column of files
SMALLEST_SIDE = 224  # pixels of a drawing
AT_ONCE = 32  # pictures
OPACITY = 0.55  # of the heat where it is greatest


def heatmaps(network: keras.Model, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how much each place has spoken for the label `(n,)`: `(n, height, width)`, 0 to 1.

    The pictures `x` are in the network's units. All is 0 where nothing speaks for the label.
    """
    layer = _last_maps(network)
    images = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits, maps = _with_maps(network, layer, images)
        of_label = tf.gather(logits, tf.constant(labels), axis=1, batch_dims=1)
    slopes = tape.gradient(of_label, maps)
    if layer is None:
        heat = tf.reduce_sum(slopes * maps, axis=-1)
    else:
        heat = tf.reduce_sum(tf.reduce_mean(slopes, axis=(1, 2), keepdims=True) * maps, axis=-1)
    heat = tf.nn.relu(heat)[..., None]
    heat = np.asarray(tf.image.resize(heat, x.shape[1:3]))[..., 0]
    largest = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(heat, largest, out=np.zeros_like(heat), where=largest > 0))


def _last_maps(network: keras.Model) -> keras.layers.Layer | None:
    """Return the last layer whose output has places, of those that have learned something."""
    found, has_learned = None, False
    for layer in _layers(network):
        has_learned = has_learned or bool(layer.weights)
        if has_learned and _has_places(layer):
            found = layer
    return found


def _has_places(layer: keras.layers.Layer) -> bool:
    if not isinstance(layer.output, keras.KerasTensor):
        return False
    shape = tuple(layer.output.shape)
    return len(shape) == 4 and all(extent is None or extent > 1 for extent in shape[1:3])


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model in order, also those of a backbone inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _with_maps(
    network: keras.Model, layer: keras.layers.Layer | None, images: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the logits of images, and what `layer` has answered on the way; else the images."""
    if layer is None:
        return network(images, training=False), images
    seen: list[tf.Tensor] = []
    plain_call = layer.call

    def call(*arguments: object, **named: object) -> tf.Tensor:
        seen.append(plain_call(*arguments, **named))
        return seen[-1]

    # A model of this layer's output could not be cut out of a backbone that is one layer here.
    layer.call = call
    try:
        logits = network(images, training=False)
    finally:
        del layer.call
    return logits, seen[-1]


def draw(picture: np.ndarray, heat: np.ndarray, path: Path) -> None:
    """Draw a picture as it is, and beside it the heat over its grey.

    The picture is `(height, width, channels)` with values from 0 to 1.
    """
    import matplotlib

    colours = matplotlib.colormaps["inferno"](heat)[..., :3]
    shown = picture[..., :3].clip(0, 1)
    grey = shown.mean(axis=-1, keepdims=True)
    plain = shown if shown.shape[-1] == 3 else np.repeat(grey, 3, axis=-1)
    opacity = OPACITY * heat[..., None]
    both = np.concatenate([plain, opacity * colours + (1 - opacity) * grey], axis=1)
    drawn = (255 * both).round().astype("uint8")
    enlarged = max(1, -(-SMALLEST_SIDE // min(heat.shape)))
    size = (drawn.shape[1] * enlarged, drawn.shape[0] * enlarged)
    Image.fromarray(drawn).resize(size, Image.Resampling.NEAREST).save(path)


def write(
    network: keras.Model,
    pictures: np.ndarray,
    labels: np.ndarray,
    names: list[str],
    units: tuple[float, float],
    folder: Path,
) -> list[str]:
    """Write a heatmap for each of the pictures `(n, height, width, channels)`; return the files.

    `units` are the smallest and the largest value of a pixel; files are numbered behind those that
    the folder holds already.
    """
    lowest, scale = units
    heat = heatmaps(network, pictures, labels)
    paths = new_files(folder, names)
    for row, shown in enumerate((pictures - lowest) / (scale - lowest)):
        draw(shown, heat[row], paths[row])
    return list(map(str, paths))
