"""Class names, class numbers, and the division of labelled examples into train, val and test."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipelines.errors import DataError, UsageError, count_of, shorten
from pipelines.evaluation.folds import Fold
from pipelines.splits import PARTS, SCORED_PARTS, Part

LARGE_TRAIN = 5_000  # training examples of which a tenth tells models apart
LARGEST_VAL = 5_000  # an accuracy of 90 % has a standard error of .4 points then
FEWEST_GROUPS = 2  # one to stay and one to go
SHOWN_CLASSES = 20
SHOWN_SMALL_CLASSES = 10


def sample_indices(total: int, count: int, seed: int) -> np.ndarray:
    """Return at most `count` positions below `total`, in order, chosen by `seed`."""
    if total <= count:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels in order: by number where all are whole numbers, else by name."""
    present = set(labels)
    if all(re.fullmatch(r"-?\d+", label) for label in present):
        # By name too: 7 and 007 always come in the same order.
        return tuple(sorted(present, key=lambda label: (int(label), label)))
    return tuple(sorted(present))


def class_numbers(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return `labels` as `(n,)` int32 positions in `classes`."""
    position = {name: number for number, name in enumerate(classes)}
    return np.asarray([position[label] for label in labels], dtype=np.int32)


def split_parts(
    labels: Mapping[Part, np.ndarray],
    seed: int,
    groups: np.ndarray | None = None,
    fold: Fold | None = None,
) -> dict[Part, tuple[Part, np.ndarray]]:
    """Return for each part which given part it comes from, and which rows of that.

    Given parts stay whole; a missing part is a fifth of train, stratified by class, or for test
    what the `fold` holds out. When test is given, val is a tenth of a train of 5,000 or more, and
    never more than 5,000.

    Args:
        labels: for each given part, `train` among them, class numbers `(n,)`. Each class of train
            needs one example for each part that is missing and one for train (see
            `require_classes`).
        seed: decides which example goes where.
        groups: names `(n,)` of what must stay together in one part, of the examples of `train`;
            sizes and classes of the parts are then as near as whole groups allow. An example with
            an empty name stands for itself.
        fold: which part of cross-validation test is.

    Raises:
        DataError: there are fewer groups than parts.
        UsageError: there is a test part already, which a fold would replace.
    """
    from sklearn.model_selection import train_test_split

    rows: dict[Part, tuple[Part, np.ndarray]] = {}
    for part, numbers in labels.items():
        rows[part] = (part, np.arange(len(numbers)))
    if fold and "test" in labels:
        raise UsageError(
            "the data has a test part of its own, and folds would take another: leave out --folds "
            "and --fold (several seeds say how much is luck: --seeds 5), or give train alone"
        )
    num_classes = len(np.unique(labels["train"]))
    # Test before val: a fifth of everything, then a fifth of what is left.
    for part in reversed(SCORED_PARTS):
        if part in labels:
            continue
        left = rows["train"][1]
        if groups is not None or (fold and part == "test"):
            kept, taken = _held_out(
                labels["train"][left],
                None if groups is None else groups[left],
                seed,
                fold=fold if part == "test" else None,
                test_is_given="test" in labels,
            )
            rows["train"] = ("train", left[kept])
            rows[part] = ("train", left[taken])
            continue
        # Stratified, a part takes one example of each class at least.
        size = max(_part_size(len(left), test_is_given="test" in labels), num_classes)
        kept, taken = train_test_split(
            left, test_size=size, stratify=labels["train"][left], random_state=seed
        )
        rows["train"] = ("train", np.sort(kept))
        rows[part] = ("train", np.sort(taken))
    return {part: rows[part] for part in PARTS}


def _held_out(
    labels: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
    *,
    fold: Fold | None,
    test_is_given: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of examples that stay, and of those of a part that is split off.

    Without a `fold` groups are divided into as many folds as give a part its usual size, and the
    first one is taken.
    """
    if groups is None:
        assert fold
        return fold.split(labels, None, seed)
    names = np.asarray([name or f"\0{row}" for row, name in enumerate(groups)], dtype=object)
    distinct, numbers = np.unique(names, return_inverse=True)
    least = fold.count if fold else FEWEST_GROUPS
    if len(distinct) < least:
        raise DataError(
            f"--group-column: there are {count_of(len(distinct), 'group')} to divide, and each "
            f"part needs one of its own. Expected {least} or more"
        )
    if fold is None:
        size = _part_size(len(labels), test_is_given=test_is_given)
        count = max(2, min(round(len(labels) / size), len(distinct)))
        fold = Fold(number=1, count=count)
    return fold.split(labels, numbers, seed)


def require_groups(groups: Sequence[np.ndarray | None], column: str, where: str) -> None:
    """Refuse groups that were asked for and are not there; `groups` are those of the given parts.

    Raises:
        DataError: this data is no table.
    """
    if all(names is None for names in groups):
        raise DataError(
            f"{where}: --group-column {column}: no example has a group. Expected a table with such "
            "a column"
        )


def _part_size(num_train: int, *, test_is_given: bool) -> int:
    if not test_is_given:
        return math.ceil(num_train / 5)
    # Val may be small here: what it takes is missing in train.
    if num_train < LARGE_TRAIN:
        return math.ceil(num_train / 5)
    return min(math.ceil(num_train / 10), LARGEST_VAL)


def limits_of_parts(sizes: Mapping[Part, int], limit: int) -> dict[Part, int]:
    """Return how many examples each part keeps where `limit` are kept of all parts together.

    The parts keep their proportions, and each at least one example.
    """
    total = sum(sizes.values())
    limits = dict(sizes)
    if not 0 < limit < total:
        return limits
    for part in SCORED_PARTS:
        limits[part] = min(sizes[part], max(1, round(limit * sizes[part] / total)))
    others = sum(limits[part] for part in SCORED_PARTS)
    limits["train"] = min(sizes["train"], max(1, limit - others))
    return limits


def limit_parts(labels: Mapping[Part, np.ndarray], limit: int, seed: int) -> dict[Part, np.ndarray]:
    """Return the rows `(kept,)` of each part, in order, where `limit` are kept of all together.

    Train keeps an example of each class that it has, the other parts as far as there is room.
    `labels` are class numbers `(n,)` of all three parts; a limit of 0 keeps everything.

    Raises:
        UsageError: there are more classes than that.
    """
    sizes = {part: len(labels[part]) for part in PARTS}
    num_classes = len(np.unique(labels["train"]))
    least = num_classes + len(SCORED_PARTS)
    if 0 < limit < min(least, sum(sizes.values())):
        raise UsageError(
            f"--limit {limit}: {num_classes:,} classes need {least:,} examples at least, one of "
            f"each to learn from and one each for val and test. Try --limit {10 * num_classes}"
        )
    limits = limits_of_parts(sizes, limit)
    if limits["train"] < num_classes:
        room = limit - num_classes
        share = limits["val"] / (limits["val"] + limits["test"])
        val = min(max(1, round(room * share)), room - 1)
        limits = {"train": num_classes, "val": val, "test": room - val}
    return {part: subsample(labels[part], limits[part], seed) for part in PARTS}


def subsample(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Return at most `limit` positions, in order.

    The first of each class is among them as far as there is room, of the frequent classes first.
    """
    if len(labels) <= limit:
        return np.arange(len(labels))
    _, firsts, counts = np.unique(labels, return_index=True, return_counts=True)
    firsts = firsts[np.argsort(-counts, kind="stable")][:limit]
    others = np.setdiff1d(sample_indices(len(labels), limit, seed), firsts)
    # `others` are in order: those that are left out must not all be the last.
    others = np.random.default_rng(seed).permutation(others)
    return np.sort(np.concatenate([firsts, others[: limit - len(firsts)]]))


def without_small_classes(
    labels: Mapping[Part, Sequence[str]], least: int
) -> tuple[dict[Part, np.ndarray], str]:
    """Return the rows `(kept,)` of each part whose class has `least` examples in train.

    With them a sentence on what was left out, "" where nothing was. It is `--min-class`.
    """
    counts = Counter(labels["train"])
    rows: dict[Part, np.ndarray] = {}
    dropped: Counter[str] = Counter()
    for part, names in labels.items():
        kept = []
        for row, name in enumerate(names):
            if counts[name] >= least:
                kept.append(row)
            else:
                dropped[name] += 1
        rows[part] = np.asarray(kept, dtype=int)
    if not dropped:
        return rows, ""
    listed = shorten([f"{name} ({counts[name]})" for name in sorted(dropped)], SHOWN_SMALL_CLASSES)
    classes = count_of(len(dropped), "class", "classes")
    examples = count_of(dropped.total(), "example")
    note = (
        f"{classes} with fewer than {least:,} training examples left out, {examples} in all: "
        f"{listed}"
    )
    return rows, note


def require_known(labels: Mapping[Part, np.ndarray], classes: Sequence[str], where: str) -> None:
    """Refuse parts that are empty or hold classes that train lacks.

    Raises:
        DataError: the message names the part and the classes.
    """
    known = set(labels["train"].tolist())
    for part in SCORED_PARTS:
        unknown = sorted(classes[number] for number in set(labels[part].tolist()) - known)
        if unknown:
            listed = ", ".join(unknown[:SHOWN_SMALL_CLASSES])
            raise DataError(f"{where}: {part} holds classes that train lacks: {listed}")
        if not len(labels[part]):
            raise DataError(f"{where}: the part {part} is empty")


def count_classes(numbers: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Return how many examples each class has, the most frequent first.

    `numbers` are class numbers `(n,)`.
    """
    counts = {}
    for number, count in Counter(numbers.tolist()).most_common():
        counts[classes[number]] = count
    return counts


def require_classes(
    counts: Mapping[str, int], where: str, *, least: int, notes: Sequence[str] = ()
) -> None:
    """Refuse fewer than two classes, and classes too small to be in every part.

    `notes` are what the reader left out, which may be why.

    Raises:
        DataError: the message says what is missing, with the counts.
    """
    listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:SHOWN_CLASSES])
    if len(counts) < 2:
        raise DataError(
            f"{where}: classification needs at least 2 classes. Found {len(counts)} ({listed})"
            f"{''.join(f'. {note}' for note in notes)}"
        )
    small = []
    for name, count in counts.items():
        if count < least:
            small.append(f"{name!r} has {count}")
    if small:
        shown = ", ".join(small[:SHOWN_SMALL_CLASSES])
        raise DataError(
            f"{where}: each class needs at least {least} examples, one for each of train, val and "
            f"test. {shown}. All: {listed}. Add examples, or leave such classes out: "
            f"--min-class {least}"
        )


def smallest_class(labels: Mapping[Part, np.ndarray], fold: Fold | None = None) -> int:
    """Return how many examples each class needs: one for train, and one for each missing part."""
    if fold:
        return fold.smallest_class
    missing = set(SCORED_PARTS) - set(labels)
    return 1 + len(missing)
