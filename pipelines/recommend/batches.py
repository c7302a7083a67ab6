"""Interactions as batches of tf.data: windows of histories for training, cases for ranking."""

from collections.abc import Iterator, Set

import numpy as np
import tensorflow as tf

from pipelines.recommend.architectures import architecture_of
from pipelines.recommend.data import EVERYTHING, RecommendSplits
from pipelines.recommend.spec import RecommendSpec
from pipelines.splits import Part

SHUFFLED = 200_000  # examples among which the next one is drawn
# Targets of one user that are learned at once by a network that does not see histories.
DEFAULT_WINDOW = 50


def batches(
    splits: RecommendSplits, part: Part, spec: RecommendSpec, shuffle_seed: int | None
) -> tf.data.Dataset:
    """Return batches of the network's inputs with what is to be learned.

    See `NextItem` for the forms of a target to rank. With a seed, to train, the batches are
    shuffled anew in each epoch, and what is to be learned has weights where interactions have.
    """
    architecture = architecture_of(spec)
    names = set()
    length = DEFAULT_WINDOW
    if architecture.has_user_vectors:
        names.add("user")
    if architecture.sees_history:
        names.add("history")
        length = spec.history
    if splits.task == "rate":
        inputs = network_inputs({*names, "user", "item"}, splits, part, length)
        targets = splits.cases(part).rating[:, None]
        weights = _case_weights(splits, part) if shuffle_seed is not None else None
    elif shuffle_seed is not None:
        inputs, targets, weights = _windows(names, splits, length)
    else:
        return _case_batches(names, splits, part, length, spec.train.batch_size)
    slices = (inputs, targets) if weights is None else (inputs, targets, weights)
    rows = tf.data.Dataset.from_tensor_slices(slices)
    if shuffle_seed is not None:
        rows = rows.shuffle(min(len(targets), SHUFFLED), seed=shuffle_seed)
    return rows.batch(spec.train.batch_size).prefetch(2)


def _case_weights(splits: RecommendSplits, part: Part) -> np.ndarray | None:
    if splits.weight is None:
        return None
    weights = splits.weight[splits.case_rows(part)]
    return np.asarray(weights / weights.mean())


def network_inputs(
    names: Set[str],
    splits: RecommendSplits,
    part: Part,
    length: int,
    rows: slice = EVERYTHING,
) -> dict[str, np.ndarray]:
    """Return the inputs named in `names` for the cases `rows` of `part`, one row a case.

    Histories hold `length` items.
    """
    cases = splits.cases(part)
    inputs: dict[str, np.ndarray] = {}
    if "user" in names:
        inputs["user"] = cases.user[rows].astype(np.int32)
    if "history" in names:
        inputs["history"] = splits.histories(part, length, rows)
    if "item" in names:
        inputs["item"] = cases.target[rows].astype(np.int32)
    return inputs


def _case_batches(
    names: Set[str], splits: RecommendSplits, part: Part, length: int, batch_size: int
) -> tf.data.Dataset:
    """Return batches of cases, each with its target and the items already seen.

    They are made one after another: a table of all cases would be as wide as the longest history, 1
    GB for MovieLens of 100,000 ratings.
    """
    cases = splits.cases(part)

    def generate() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        for begin in range(0, len(cases), batch_size):
            rows = slice(begin, begin + batch_size)
            targets = cases.target[rows, None]
            if not splits.repeats:
                seen = splits.histories(part, 0, rows)
                targets = np.concatenate([targets, seen], axis=1)
            yield network_inputs(names, splits, part, length, rows), targets.astype(np.int32)

    shapes = {"user": (None,), "history": (None, length)}
    inputs = {name: tf.TensorSpec(shapes[name], tf.int32) for name in names}
    signature = (inputs, tf.TensorSpec((None, None), tf.int32))
    rows = tf.data.Dataset.from_generator(generate, output_signature=signature)
    num_batches = -(-len(cases) // batch_size)
    return rows.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(2)


def _windows(
    names: Set[str], splits: RecommendSplits, length: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray | None]:
    """Return each user's training items in windows: the inputs, the next items, their weights.

    The next items and their weights (windows, length) are those after each position. Windows end
    with the last item and go backwards, so that only a user's oldest one is padded.
    """
    rows = np.flatnonzero((splits.part == 0) & (splits.item > 0))
    item, person = splits.item[rows], splits.person[rows]
    first = np.searchsorted(person, person)
    # A target has an item of the same user before it.
    is_target = np.arange(len(item)) > first
    ends = np.searchsorted(person, person, side="right")
    num_later = ends - 1 - np.arange(len(item))
    last_of_window = np.flatnonzero(is_target & (num_later % length == 0))
    positions = last_of_window[:, None] - np.arange(length - 1, -1, -1)
    inside = positions > first[last_of_window][:, None]
    targets = np.where(inside, item[np.where(inside, positions, 0)], 0).astype(np.int32)
    inputs: dict[str, np.ndarray] = {}
    if "history" in names:
        before = np.where(inside, item[np.where(inside, positions - 1, 0)], 0)
        inputs["history"] = before.astype(np.int32)
    if "user" in names:
        inputs["user"] = splits.user[rows][last_of_window].astype(np.int32)
    if splits.weight is None:
        return inputs, targets, None
    of_rows = splits.weight[rows]
    return inputs, targets, np.where(inside, of_rows[np.where(inside, positions, 0)], 0)
