"""What a text network takes in: for whole parts, and as batches of tf.data."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import tensorflow as tf

from pipelines.pretrained.sentences import TokenRows
from pipelines.splits import Part
from pipelines.text.architectures import num_tuned
from pipelines.text.encoded import EncoderSettings, encoder_settings
from pipelines.text.input_names import PIECES, START_LOGITS, TOKENS, VECTORS
from pipelines.text.model import starts_from_baseline
from pipelines.text.references import References
from pipelines.text.spec import TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

SHUFFLED = 100_000  # texts among which the next one is drawn
# Batches of texts among which those of about the same length are put together: with fewer, batches
# are padded more; with all, each batch would be the same in every epoch.
SORTED_TOGETHER = 16

Inputs: TypeAlias = dict[str, np.ndarray | TokenRows]


def network_inputs(
    splits: "TextSplits",
    part: Part,
    references: References,
    *,
    start_logits: bool,
    encoder: EncoderSettings | None = None,
    pieces: bool = False,
) -> Inputs:
    """Return the inputs of a part by name, each `(n, ...)`.

    Args:
        splits: the texts.
        part: which of them.
        references: what is computed once for a data set.
        start_logits: whether the logits of TF-IDF are among them.
        encoder: of a pretrained network, how its texts are encoded; else they are ids of the
            vocabulary of train.
        pieces: whether the encoder is in the network and reads ids; else it is frozen, and the
            input are its vectors.
    """
    inputs: Inputs = {}
    if encoder is None:
        inputs[TOKENS] = splits.ids[part]
    elif pieces:
        inputs[PIECES] = references.encoded.rows(splits, part, encoder)
    else:
        inputs[VECTORS] = references.encoded.vectors(splits, part, encoder)
    if start_logits:
        inputs[START_LOGITS] = references.tfidf.logits(splits, part)
    return inputs


def training_inputs(
    splits: "TextSplits", part: Part, spec: TextSpec, references: References
) -> Inputs:
    """Return what the network of `spec` reads of a part: see `network_inputs`."""
    return network_inputs(
        splits,
        part,
        references,
        start_logits=starts_from_baseline(spec),
        encoder=encoder_settings(spec),
        pieces=num_tuned(spec) > 0,
    )


def batches(
    splits: "TextSplits",
    part: Part,
    spec: TextSpec,
    references: References,
    shuffle_seed: int | None,
) -> tf.data.Dataset:
    """Return batches of the network's inputs and the classes as zeros and ones.

    With a seed they are shuffled anew in each epoch.
    """
    inputs = training_inputs(splits, part, spec, references)
    rows = inputs.get(PIECES)
    if isinstance(rows, TokenRows):
        others = {name: values for name, values in inputs.items() if name != PIECES}
        return _padded_batches(
            rows, others, splits.one_hot(part), spec.train.batch_size, shuffle_seed
        )
    examples = tf.data.Dataset.from_tensor_slices((inputs, splits.one_hot(part)))
    if shuffle_seed is not None:
        count = splits.sizes()[part]
        examples = examples.shuffle(min(count, SHUFFLED), seed=shuffle_seed)
    return examples.batch(spec.train.batch_size).prefetch(2)


def _padded_batches(
    rows: TokenRows,
    others: Mapping[str, "np.ndarray | TokenRows"],
    one_hot: np.ndarray,
    batch_size: int,
    shuffle_seed: int | None,
) -> tf.data.Dataset:
    """Return batches that are as wide as their own longest text."""
    rng = None if shuffle_seed is None else np.random.default_rng(shuffle_seed)
    arrays = {name: np.asarray(values) for name, values in others.items()}

    def generate() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        for numbers in _orders(rows.lengths, batch_size, rng):
            inputs = {name: values[numbers] for name, values in arrays.items()}
            yield {PIECES: rows.padded(numbers), **inputs}, one_hot[numbers]

    signature = {PIECES: tf.TensorSpec((None, None), tf.int32)}
    for name, values in arrays.items():
        signature[name] = tf.TensorSpec((None, *values.shape[1:]), values.dtype)
    targets = tf.TensorSpec((None, *one_hot.shape[1:]), one_hot.dtype)
    made = tf.data.Dataset.from_generator(generate, output_signature=(signature, targets))
    count = -(-len(rows) // batch_size)
    return made.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def _orders(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator | None
) -> Iterator[np.ndarray]:
    """Yield the numbers of the texts of each batch; with `rng` in random order, else in order."""
    order = np.arange(len(lengths))
    if rng is None:
        for begin in range(0, len(order), batch_size):
            yield order[begin : begin + batch_size]
        return
    rng.shuffle(order)
    together = SORTED_TOGETHER * batch_size
    batches_of_texts = []
    for begin in range(0, len(order), together):
        window = order[begin : begin + together]
        window = window[np.argsort(lengths[window], kind="stable")]
        for first in range(0, len(window), batch_size):
            batches_of_texts.append(window[first : first + batch_size])
    for number in rng.permutation(len(batches_of_texts)):
        yield batches_of_texts[number]
