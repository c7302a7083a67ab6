"""The text network: embedded tokens, a body, and logits that may correct those of the closed form.

Inputs are `tokens` (batch, length) and, with `start_from=baseline`, `start` (batch, classes): the closed form's logits.
"""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.networks import blocks
from pipelines.networks.layers import GlobalPool
from pipelines.networks.models import embedding_layer, predict_in_batches
from pipelines.networks.plan import apply
from pipelines.splits import Part
from pipelines.text import plans
from pipelines.text.layers import HashedNgrams, ResidualLogits
from pipelines.text.spec import TextSpec
from pipelines.text.tokens import PADDING, in_batches

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

KerasTensor = Any
SERVED = "served"  # the name of a model that takes raw texts
ANSWERED = 256  # texts at a time


def build(spec: TextSpec, splits: "TextSplits") -> keras.Model:
    """Return the network. With `start_from=baseline` its answers equal the closed form's before training."""
    classes = len(splits.classes)
    tokens = keras.Input((splits.length,), dtype="int32", name="tokens")
    real = keras.ops.not_equal(tokens, PADDING)

    embedded = _embedded(spec, splits, tokens)
    match spec.architecture:
        case "fasttext":
            features = _summed(spec, tokens, embedded, real)
        case "transformer":
            features = _pooled(
                spec, apply(plans.attended(spec), embedded, "attention", seen=real), real
            )
        case _:
            features = apply(plans.body(spec), embedded, "body")
    features = keras.layers.Identity(name="features")(features)
    logits = apply(plans.head(spec, classes), features, "head")

    if spec.start_from == "none":
        return keras.Model({"tokens": tokens}, logits, name="network")
    start = keras.Input((classes,), name="start")
    corrected = ResidualLogits(spec.start_dropout, name="corrected")(start, logits)
    return keras.Model({"tokens": tokens, "start": start}, corrected, name="network")


def _embedded(spec: TextSpec, splits: "TextSplits", tokens: KerasTensor) -> KerasTensor:
    """Return a vector for each token (batch, length, width): learned, or taken from a file and, perhaps, learned further."""
    if spec.embedding.vectors:
        from pipelines.text.vectors import table

        layer = embedding_layer(
            table(spec.embedding.vectors, splits.vocabulary),
            "embedding",
            trainable=spec.embedding.trainable,
        )
    else:
        start = keras.initializers.RandomNormal(stddev=0.1)
        layer = keras.layers.Embedding(
            2 + len(splits.vocabulary),
            spec.embedding.width,
            embeddings_initializer=start,
            name="embedding",
        )
    x = layer(tokens)
    return (
        keras.layers.SpatialDropout1D(spec.embedding.dropout, name="embedding_dropout")(x)
        if spec.embedding.dropout
        else x
    )


def _summed(
    spec: TextSpec, tokens: KerasTensor, embedded: KerasTensor, real: KerasTensor
) -> KerasTensor:
    """Return the sum of the vectors of tokens and of runs of tokens by the root of their number.

    Joulin et al. (2017) take the mean, which shrinks with the length of a text and learns slowly by Adam, whose steps are not in
    proportion to gradients. On val of trec, sst2, clinc150 and the reviews its log loss was .644, .478, .957 and .459; this has .515,
    .461, .587 and .471.
    """
    vectors, masks = [embedded], [real]
    for size in plans.runs(spec, tokens.shape[1]):
        runs = HashedNgrams(size, plans.BUCKETS, name=f"runs_{size}")(tokens)
        table = keras.layers.Embedding(
            1 + plans.BUCKETS,
            embedded.shape[-1],
            embeddings_initializer="zeros",
            name=f"embedding_runs_{size}",
        )
        vectors.append(table(runs))
        masks.append(keras.ops.not_equal(runs, PADDING))
    return _over(
        keras.ops.concatenate(vectors, axis=1), keras.ops.concatenate(masks, axis=1), power=0.5
    )


def _pooled(spec: TextSpec, x: KerasTensor, real: KerasTensor) -> KerasTensor:
    """Return one vector of all tokens; padding counts nothing in their mean."""
    if spec.head.pooling == "average":
        return _over(x, real, power=1.0)
    return blocks.global_pool(GlobalPool(kind=spec.head.pooling), x, "last")


def _over(x: KerasTensor, real: KerasTensor, power: float) -> KerasTensor:
    """Return the sum (batch, width) of the real steps of x (batch, steps, width) by a power of their number; 0 where none is real."""
    weight = keras.ops.cast(real, x.dtype)[..., None]
    return (
        keras.ops.sum(x * weight, axis=1)
        / keras.ops.maximum(keras.ops.sum(weight, axis=1), 1) ** power
    )


def compile_arguments(spec: TextSpec, multi_label: bool) -> dict[str, Any]:
    """Return loss and metrics: one class of several, or each class by itself; `accuracy` counts texts that are wholly right."""
    if multi_label:
        loss: keras.losses.Loss = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=spec.label_smoothing
        )
        return {
            "loss": loss,
            "metrics": [keras.metrics.MeanMetricWrapper(_wholly_right, name="accuracy")],
        }
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=spec.label_smoothing
    )
    return {"loss": loss, "metrics": [keras.metrics.CategoricalAccuracy(name="accuracy")]}


@keras.saving.register_keras_serializable("appline")  # type: ignore[untyped-decorator]
def _wholly_right(truth: KerasTensor, logits: KerasTensor) -> KerasTensor:
    return keras.ops.cast(
        keras.ops.all(keras.ops.equal(truth > 0.5, logits > 0), axis=-1), "float32"
    )


def batches(
    splits: "TextSplits", part: Part, spec: TextSpec, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of the network's inputs and the classes as zeros and ones; shuffled anew each epoch with a seed."""
    rows = tf.data.Dataset.from_tensor_slices(
        (_inputs(splits, part, start=spec.start_from != "none"), splits.hot(part))
    )
    if shuffle_seed is not None:
        rows = rows.shuffle(min(len(splits.labels(part)), 100_000), seed=shuffle_seed)
    return rows.batch(spec.train.batch_size).prefetch(2)


def _inputs(splits: "TextSplits", part: Part, *, start: bool) -> dict[str, np.ndarray]:
    return {"tokens": splits.ids[part], **({"start": splits.start(part)} if start else {})}


def logits(
    model: keras.Model, splits: "TextSplits", part: Part, batch_size: int = 512
) -> np.ndarray:
    """Return the logits `(n, classes)` of a part."""
    names = {tensor.name for tensor in model.inputs}
    return predict_in_batches(model, _inputs(splits, part, start="start" in names), batch_size)


def answers(served: keras.Model, texts: np.ndarray) -> np.ndarray:
    """Return the class probabilities `(n, classes)` that a served model gives to raw texts `(n,)`."""
    return np.concatenate(
        in_batches(
            lambda batch: np.asarray(served(batch, training=False)["probabilities"]),
            texts,
            ANSWERED,
        )
    )


def probabilities(model: keras.Model, splits: "TextSplits", part: Part) -> np.ndarray:
    """Return the class probabilities `(n, classes)` of a part, by a network or by a served model."""
    from pipelines.text import closed

    if model.name == SERVED:
        return answers(model, splits.texts(part))
    return closed.probabilities(logits(model, splits, part), exclusive=splits.exclusive)
