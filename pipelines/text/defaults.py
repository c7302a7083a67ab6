"""What nobody has set about a text network: its architecture, and how a pretrained one is tuned.

Decided on train and val alone.
"""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from pipelines.config.search_space import replace
from pipelines.errors import count_of
from pipelines.evaluation.likelihood import blend_logits, example_losses, is_clearly_lower
from pipelines.pretrained import weights
from pipelines.pretrained.sentences import find_encoder, freeze, pooled_network
from pipelines.runtime import idle_clock
from pipelines.text.encoded import encoder_settings, is_affordable
from pipelines.text.references import References
from pipelines.text.spec import AFFORDABLE, ARCHITECTURES, ENCODER_KEY, PRETRAINED, TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

AFFORDABLE_SECONDS = 600.0  # of tuning
TUNED_EPOCHS = 4
# What only networks of other architectures read: somebody who sets it has decided.
OF_OTHERS = ("embedding.", "conv.", "recurrent.", "attention.")
OF_ENCODERS = "encoder."
# Of the head of a tuned encoder and of the one of frozen vectors, where nobody has said otherwise;
# chosen on val of trec and sst2.
TUNED = {
    "train.epochs": TUNED_EPOCHS,
    "train.batch_size": 32,
    "train.learning_rate": 1e-3,
    "train.warmup": 0.1,
    "train.refit": False,
    "head.dropout": 0.1,
}
FROZEN = {"head.dropout": 0.2}
WORTH_SAYING = 0.02  # of the training texts
TIMED_TEXTS = 32
TIMED_STEPS = 3


def fit_defaults(
    spec: TextSpec,
    splits: "TextSplits",
    given: Collection[str],
    references: References,
    notes: list[str],
) -> TextSpec:
    """Return `spec` with a named architecture, and with the settings that suit an encoder.

    Hyperparameters in `given` were set by a person and stay as they are.
    """
    # A search through architectures has decided already.
    if not ARCHITECTURES.is_decided(spec.architecture) and "architecture" not in given:
        chosen = _choose_architecture(spec, splits, given, references, notes)
        spec = replace(spec, {"architecture": chosen})
    if encoder_settings(spec) is None:
        return spec
    if spec.encoder.layers == AFFORDABLE and "encoder.layers" not in given:
        spec = _with_affordable_layers(spec, splits, references, notes)
    _tell_of_long_texts(spec, splits, references, notes)
    # A search through the number of layers tunes some in most of its trials.
    usual = TUNED if spec.encoder.layers else FROZEN
    wanted = {key: value for key, value in usual.items() if key not in given}
    return replace(spec, wanted)


def _choose_architecture(
    spec: TextSpec,
    splits: "TextSplits",
    given: Collection[str],
    references: References,
    notes: list[str],
) -> str:
    usual = ARCHITECTURES.usual
    if any(key.startswith(OF_ENCODERS) for key in given):
        return PRETRAINED
    if any(key.startswith(OF_OTHERS) for key in given):
        return usual
    name = spec.encoder.name
    if not weights.is_here(name):
        notes.append(f"architecture={usual}: {weights.worth_fetching(name, 'texts')}")
        return usual
    if not is_affordable(splits):
        notes.append(
            f"architecture={usual}: these texts are too long or too many to try a pretrained "
            "encoder unasked. To try one: --architecture pretrained --set encoder.layers=0"
        )
        return usual
    return _better_on_val(spec, splits, references, notes)


def _better_on_val(
    spec: TextSpec, splits: "TextSplits", references: References, notes: list[str]
) -> str:
    """Return what is better on val: an encoder's vectors beside TF-IDF, or TF-IDF alone.

    Both are fitted in closed form; a network of its own, which costs minutes, is not tried.
    """
    settings = encoder_settings(replace(spec, {"architecture": PRETRAINED}))
    assert settings is not None
    began = time.perf_counter()
    model = references.regression.model(splits, settings)
    seconds = time.perf_counter() - began
    one_hot = splits.one_hot("val")
    of_tfidf = references.tfidf.logits(splits, "val")
    logits = np.stack([of_tfidf, model.logits["val"]], axis=-1)
    blend_weights = blend_logits(logits, one_hot, exclusive=splits.exclusive)
    alone = example_losses(of_tfidf, one_hot, exclusive=splits.exclusive)
    blended = example_losses(logits @ blend_weights, one_hot, exclusive=splits.exclusive)
    told = (
        f"beside {settings.name} TF-IDF has a log loss of {blended.mean():.3f} on validation, "
        f"alone {alone.mean():.3f} ({seconds:.0f} s)"
    )
    if is_clearly_lower(blended, alone):
        notes.append(f"architecture=pretrained: {told}")
        return PRETRAINED
    notes.append(f"architecture={ARCHITECTURES.usual}: {told}, no clear gain")
    return ARCHITECTURES.usual


def _with_affordable_layers(
    spec: TextSpec, splits: "TextSplits", references: References, notes: list[str]
) -> TextSpec:
    """Return `spec` with as many tuned layers as the time allows, from all to none."""
    settings = encoder_settings(spec)
    assert settings is not None
    encoder = find_encoder(settings.name, ENCODER_KEY)
    depth = encoder.config.num_hidden_layers
    rows = references.encoded.rows(splits, "train", settings)
    epochs = spec.train.epochs or TUNED_EPOCHS
    tokens = int(rows.lengths.sum()) * epochs
    forward, backward = _seconds_a_token(encoder.network(), rows.padded(_typical(rows.lengths)))
    for tuned in (depth + 1, depth // 2, depth // 3, 0):
        share = min(tuned, depth) / depth
        seconds = tokens * (forward + backward * share)
        if seconds <= AFFORDABLE_SECONDS or not tuned:
            break
    spec = replace(spec, {"encoder.layers": tuned})
    notes.append(_told_layers(settings.name, tuned, depth, seconds))
    return spec


def _tell_of_long_texts(
    spec: TextSpec, splits: "TextSplits", references: References, notes: list[str]
) -> None:
    settings = encoder_settings(spec)
    assert settings is not None
    lengths = references.encoded.rows(splits, "train", settings).lengths
    share = float((lengths >= settings.length).mean())
    if share >= WORTH_SAYING:
        notes.append(
            f"encoder.length={settings.length}: {share:.0%} of the training texts are longer; the "
            "encoder reads their beginning"
        )


def _told_layers(name: str, tuned: int, depth: int, seconds: float) -> str:
    if not tuned:
        return f"encoder.layers=0: {name} stays as it is, tuning would take more than 10 minutes"
    what = "all layers and the embeddings"
    if tuned <= depth:
        what = f"the top {count_of(tuned, 'layer')}"
    minutes = max(1, round(seconds / 60))
    return (
        f"encoder.layers={tuned}: {what} of {name} are tuned, about {count_of(minutes, 'minute')}"
    )


def _typical(lengths: np.ndarray) -> np.ndarray:
    """Return the numbers of some texts of about the mean length."""
    distance = np.abs(lengths - lengths.mean())
    return np.argsort(distance, kind="stable")[:TIMED_TEXTS]


def _seconds_a_token(network: object, ids: np.ndarray) -> tuple[float, float]:
    """Return what a token costs in seconds: forwards, and backwards through all layers."""
    import keras
    import tensorflow as tf

    assert isinstance(network, keras.Model)
    depth = sum(layer.name.startswith("layer_") for layer in network.layers)
    freeze(network, depth, depth)
    pooled = pooled_network(network, "mean")
    variables = pooled.trainable_variables

    def forward(batch: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(pooled(batch, training=True) ** 2)

    def both(batch: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = forward(batch)
        return [tf.reduce_sum(gradient) for gradient in tape.gradient(loss, variables)]

    batch = tf.constant(ids)
    seconds = []
    for function in (tf.function(forward), tf.function(both)):
        function(batch)  # is traced
        times = []
        for _ in range(TIMED_STEPS):
            began = idle_clock()
            function(batch)
            times.append(idle_clock() - began)
        seconds.append(min(times) / ids.size)
    return seconds[0], max(0.0, seconds[1] - seconds[0])
