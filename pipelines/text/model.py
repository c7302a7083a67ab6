"""The text network: features by its architecture, and logits.

The logits may correct those of TF-IDF. Its inputs are what the architecture reads (see
`input_names`) and, with `start_from=baseline`, `start_logits` `(batch, classes)`: the logits of
TF-IDF with logistic regression.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras

from pipelines.errors import ImpossibleSpec
from pipelines.networks.plan import Cost, KerasTensor, apply, measure
from pipelines.networks.uneven_classes import BalancedAccuracy
from pipelines.text.architectures import architecture_of, head
from pipelines.text.input_names import START_LOGITS, THRESHOLDS
from pipelines.text.layers import ClassThresholds, ResidualLogits
from pipelines.text.spec import TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits


def cost(spec: TextSpec, splits: "TextSplits") -> Cost:
    """Return what the whole network costs for one text.

    Raises:
        ImpossibleSpec: texts of this length cannot go through this network, or texts with several
            labels are to be weighted by class.
        DataError: the file of word vectors cannot be read.
    """
    if spec.train.class_weight == "auto" and not splits.exclusive:
        raise ImpossibleSpec(
            "train.class_weight=auto: a text has several labels here, so that it belongs to no one "
            "class. Expected: train.class_weight=none"
        )
    features = architecture_of(spec).cost(spec, splits)
    whole = features.then(measure(head(spec, len(splits.classes)), features.shape))
    params = whole.params
    if starts_from_baseline(spec):
        params += ResidualLogits.NUM_WEIGHTS
    if not splits.exclusive:
        params += len(splits.classes)  # a threshold for each
    return dataclasses.replace(whole, params=params)


def build(spec: TextSpec, splits: "TextSplits") -> keras.Model:
    """Return the network from its inputs to logits `(batch, classes)`.

    With `start_from=baseline` its predictions are those of TF-IDF before it is trained.
    """
    # --- features
    num_classes = len(splits.classes)
    inputs, x = architecture_of(spec).features(spec, splits)
    x = keras.layers.Identity(name="features")(x)

    # --- logits
    logits = apply(head(spec, num_classes), x, "head")
    several = not splits.exclusive
    if not starts_from_baseline(spec):
        answer = _with_thresholds(logits) if several else logits
        return keras.Model(inputs, answer, name="network")
    start = keras.Input((num_classes,), name=START_LOGITS)
    corrected = ResidualLogits(spec.start_dropout, name="corrected")(start, logits)
    answer = _with_thresholds(corrected) if several else corrected
    return keras.Model({**inputs, START_LOGITS: start}, answer, name="network")


def _with_thresholds(logits: KerasTensor) -> KerasTensor:
    """Return the logits as they are, by a layer that keeps a threshold for each class."""
    return ClassThresholds(name=THRESHOLDS)(logits)


def starts_from_baseline(spec: TextSpec) -> bool:
    """Whether the network corrects the logits of TF-IDF."""
    return spec.start_from == "baseline"


def compile_arguments(spec: TextSpec, num_classes: int, *, multi_label: bool) -> dict[str, Any]:
    """Return loss and metrics: one class of several, or with `multi_label` each class by itself.

    `accuracy` counts the texts all of whose classes are right.
    """
    metrics: list[keras.metrics.Metric] = []
    if multi_label:
        loss: keras.losses.Loss = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=spec.label_smoothing
        )
        metrics.append(keras.metrics.MeanMetricWrapper(_all_classes_right, name="accuracy"))
    else:
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=spec.label_smoothing
        )
        metrics.append(keras.metrics.CategoricalAccuracy(name="accuracy"))
        metrics.append(BalancedAccuracy(num_classes))
    return {"loss": loss, "metrics": metrics}


@keras.saving.register_keras_serializable("appline")  # type: ignore[untyped-decorator]
def _all_classes_right(truth: KerasTensor, logits: KerasTensor) -> KerasTensor:
    """Return 1 for each text whose classes are all right, else 0: `(batch,)`.

    A logit of 0 is a probability of one half.
    """
    is_right = keras.ops.equal(truth > 0.5, logits > 0)
    return keras.ops.cast(keras.ops.all(is_right, axis=-1), "float32")
