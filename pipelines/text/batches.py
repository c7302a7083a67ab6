"""What a text network takes in: for whole parts, and as batches of tf.data."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from pipelines.splits import Part
from pipelines.text.baselines import TfidfReference
from pipelines.text.model import START_LOGITS, TOKENS, starts_from_baseline
from pipelines.text.spec import TextSpec

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

SHUFFLED = 100_000  # texts among which the next one is drawn


def network_inputs(
    splits: "TextSplits", part: Part, reference: TfidfReference | None
) -> dict[str, np.ndarray]:
    """Return the inputs `(n, ...)` of a part by name: ids, and the logits to start from.

    There are logits only with `reference`.
    """
    inputs = {TOKENS: splits.ids[part]}
    if reference is not None:
        inputs[START_LOGITS] = reference.logits(splits, part)
    return inputs


def batches(
    splits: "TextSplits",
    part: Part,
    spec: TextSpec,
    reference: TfidfReference,
    shuffle_seed: int | None,
) -> tf.data.Dataset:
    """Return batches of the network's inputs and the classes as zeros and ones.

    With a seed they are shuffled anew in each epoch.
    """
    inputs = network_inputs(splits, part, reference if starts_from_baseline(spec) else None)
    rows = tf.data.Dataset.from_tensor_slices((inputs, splits.one_hot(part)))
    if shuffle_seed is not None:
        count = splits.sizes()[part]
        rows = rows.shuffle(min(count, SHUFFLED), seed=shuffle_seed)
    return rows.batch(spec.train.batch_size).prefetch(2)
