"""Pieces of Keras models that domains share."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.io.progress import counted
from pipelines.networks.plan import KerasTensor


def class_answers(probabilities: KerasTensor, classes: Sequence[str]) -> dict[str, KerasTensor]:
    """Return what a served classifier answers, from `probabilities` `(batch, classes)`.

    The answers are `label` `(batch,)` strings, `probability` `(batch,)` of that label, and
    `probabilities` as given.
    """
    to_name = keras.layers.StringLookup(
        vocabulary=list(classes), num_oov_indices=0, invert=True, name="labels"
    )
    return {
        "label": to_name(keras.ops.argmax(probabilities, axis=-1)),
        "probability": keras.ops.max(probabilities, axis=-1),
        "probabilities": probabilities,
    }


def embedding_layer(
    vectors: np.ndarray, name: str, *, trainable: bool = True
) -> keras.layers.Embedding:
    """Return an embedding layer that begins with these vectors `(ids, width)`.

    They are set as weights: an initializer would write them as JSON into a saved model's file.
    """
    layer = keras.layers.Embedding(
        *vectors.shape, embeddings_initializer="zeros", trainable=trainable, name=name
    )
    layer.build(None)
    layer.set_weights([vectors])
    return layer


def answers_of(model: keras.Model, inputs: Any) -> Any:
    """Return what a model answers, by the layers as they are when nothing is trained."""
    return model(inputs, training=False)


# A server asks one and the same model again and again.
@lru_cache(maxsize=4)
def graph_of(
    model: keras.Model, call: Callable[[keras.Model, Any], Any] = answers_of
) -> Callable[[Any], Any]:
    """Return `call` of the model and its inputs as a graph, kept for the latest few models.

    It is traced in the first call, in half a second more than that takes by itself, and then
    answers some ten times as fast.
    """
    graph: Callable[[Any], Any] = tf.function(
        lambda inputs: call(model, inputs), reduce_retracing=True
    )
    return graph


def graph_of_constants(call: Callable[[Any], Any], signature: Any) -> Any:
    """Return `call` as a graph that takes the `signature`, its weights as constants.

    TensorFlow then computes a convolution together with the normalization and activation behind
    it: images go through EfficientNet-Lite0 a quarter to two fifths faster. It answers a list.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(tf.function(call).get_concrete_function(signature))


def predict_in_batches(
    network: keras.Model, inputs: Mapping[str, np.ndarray], batch_size: int
) -> np.ndarray:
    """Return the network's output for inputs `(n, ...)` by name, computed in batches."""
    count = len(next(iter(inputs.values())))
    outputs = []
    starts = range(0, count, batch_size)
    for start in counted(starts, "batches", len(starts)):
        stop = start + batch_size
        batch = {name: values[start:stop] for name, values in inputs.items()}
        outputs.append(np.asarray(network(batch, training=False)))
    return np.concatenate(outputs)
