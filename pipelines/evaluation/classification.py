"""What classification domains share: labels and their division; scores, losses, tables and plots of class probabilities."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import DataError
from pipelines.io import tables
from pipelines.pipeline import PARTS, Part

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


LARGE = 5_000  # training examples of which a tenth tells models apart


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy, macro F1, Matthews correlation, log loss, and area under the ROC curve.

    Args:
        labels: `(n,)` class numbers, or `(n, classes)` zeros and ones where an example may have several classes.
        probabilities: `(n, classes)`, rows that sum to 1 where an example has one class.

    The area under the curve is one class against the rest, averaged over classes (for two classes the usual one);
    it is left out when `labels` lack a class.
    """
    from sklearn import metrics

    if labels.ndim == 2:
        return _several(labels, probabilities)
    classes = np.arange(probabilities.shape[1])
    answers = probabilities.argmax(axis=1)
    # A baseline may be wrong with certainty, which would cost an infinite loss.
    clipped = np.clip(probabilities, 1e-7, 1)
    clipped /= clipped.sum(axis=1, keepdims=True)
    found = {
        "accuracy": metrics.accuracy_score(labels, answers),
        "f1_macro": metrics.f1_score(labels, answers, labels=classes, average="macro", zero_division=0),
        "mcc": metrics.matthews_corrcoef(labels, answers),
        "log_loss": metrics.log_loss(labels, clipped, labels=classes),
    }
    if len(np.unique(labels)) == len(classes):
        chances = probabilities[:, 1] if len(classes) == 2 else clipped
        found["auc"] = metrics.roc_auc_score(labels, chances, multi_class="ovr", labels=classes)
    return {name: float(value) for name, value in found.items()}


def _several(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy (all classes of an example right), F1 over all answers and by class, share of wrong answers, area under the curve."""
    from sklearn import metrics

    answers = probabilities > 0.5
    found = {
        "accuracy": metrics.accuracy_score(labels, answers),
        "f1_micro": metrics.f1_score(labels, answers, average="micro", zero_division=0),
        "f1_macro": metrics.f1_score(labels, answers, average="macro", zero_division=0),
        "hamming_loss": metrics.hamming_loss(labels, answers),
    }
    if (labels.min(axis=0) < labels.max(axis=0)).all():
        found["auc"] = metrics.roc_auc_score(labels, probabilities, average="macro")
    return {name: float(value) for name, value in found.items()}


def is_correct(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return for each example whether its answer is right; of several classes, whether all are."""
    if labels.ndim == 2:
        return np.asarray(((probabilities > 0.5) == (labels > 0)).all(axis=1))
    return np.asarray(probabilities.argmax(axis=1) == labels)


def losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return 1 for each wrong answer and 0 for each right one: their mean is 1 minus the accuracy."""
    return np.asarray(~is_correct(labels, probabilities), dtype=float)


def table(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "pd.DataFrame":
    """Return one row an example: its place, the truth, the answer, how sure it is, and each class' probability."""
    import pandas as pd

    frame = pd.DataFrame(probabilities, columns=[f"p({name})" for name in classes]).round(5)
    frame.insert(0, "right", is_correct(labels, probabilities))
    frame.insert(0, "probability", probabilities.max(axis=1).round(5))
    if labels.ndim == 2:
        frame.insert(0, "answer", _joined(probabilities > 0.5, classes))
        frame.insert(0, "label", _joined(labels > 0, classes))
    else:
        names = np.asarray(classes, dtype=object)
        frame.insert(0, "answer", names[probabilities.argmax(axis=1)])
        frame.insert(0, "label", names[labels])
    frame.insert(0, "example", np.arange(len(labels)))
    return frame


def _joined(chosen: np.ndarray, classes: Sequence[str]) -> list[str]:
    return ["|".join(name for name, one in zip(classes, row, strict=True) if one) for row in chosen]


def plots(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> Iterator[tuple[str, "Figure"]]:
    """Yield the confusion matrix (rows in per cent of the true class) and the reliability of the probabilities.

    Examples with several classes have no confusion matrix: F1 by class stands in its place.
    """
    if labels.ndim == 2:
        yield "f1_by_class", _f1_by_class(labels, probabilities, classes)
        return
    yield "confusion", _confusion(labels, probabilities, classes)
    yield "reliability", _reliability(labels, probabilities)


def _confusion(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    numbers = np.arange(len(classes))
    matrix = 100 * confusion_matrix(labels, probabilities.argmax(axis=1), labels=numbers, normalize="true")
    side = min(14.0, 3 + 0.55 * len(classes))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    show = len(classes) <= 25
    ConfusionMatrixDisplay(matrix, display_labels=list(classes)).plot(
        ax=axes, cmap="Blues", values_format=".0f", include_values=show, xticks_rotation=45 if max(map(len, classes)) > 3 else "horizontal"
    )
    axes.set(title="Answers for each true class, per cent", xlabel="answer", ylabel="truth")
    return figure


def _f1_by_class(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from sklearn.metrics import f1_score

    found = f1_score(labels, probabilities > 0.5, average=None, zero_division=0)
    order = np.argsort(found, kind="stable")
    figure = Figure(figsize=(6.4, min(14.0, 1.5 + 0.3 * len(classes))), layout="constrained")
    axes = figure.subplots()
    axes.barh([classes[number] for number in order], found[order], color="tab:blue")
    axes.set(title="Which labels are hard?", xlabel="F1 of the label", xlim=(0, 1))
    return figure


def _reliability(labels: np.ndarray, probabilities: np.ndarray) -> "Figure":
    from matplotlib.figure import Figure

    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(sure, edges) - 1, 0, 9)
    filled = [number for number in range(10) if (bins == number).any()]
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as sure as right")
    points = [(sure[bins == number].mean(), right[bins == number].mean(), (bins == number).sum()) for number in filled]
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], marker="o", label="this model")
    for x, y, count in points:
        axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(6, -12), fontsize=8, color="0.4")
    axes.set(title="Is it as right as it is sure?", xlabel="mean probability of the answer", ylabel="share of right answers")
    axes.legend(loc="lower right", frameon=False)
    return figure


# --- labels and their division ----------------------------------------------------------------------------------


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels in order: by number where all are whole numbers."""
    present = set(labels)
    numbers = all(re.fullmatch(r"-?\d+", label) for label in present)
    return tuple(sorted(present, key=lambda label: (int(label) if numbers else 0, label)))  # 7 and 007 always in the same order


def class_numbers(labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Return `labels` as `(n,)` int32 positions in `classes`."""
    order = {name: number for number, name in enumerate(classes)}
    return np.asarray([order[label] for label in labels], dtype=np.int32)


def split_parts(
    labels: Mapping[Part, np.ndarray], classes: Sequence[str], where: str, seed: int, *, checked: bool = False
) -> dict[Part, tuple[Part, np.ndarray]]:
    """Return for each part which given part it comes from, and which rows of that.

    Given parts stay whole; a missing one is a fifth of train, each class in its share. When test is given, val is a tenth
    of a train of 5,000 or more, and never more than 5,000.

    Args:
        labels: for each given part, `train` among them, class numbers `(n,)`.
        classes: their names.
        where: what messages call the data.
        seed: decides who goes where.
        checked: the classes are large enough for sure; these may be groups of them.

    Raises:
        DataError: fewer than two classes, or one too small to stand in every part.
    """
    from sklearn.model_selection import train_test_split

    missing: list[Part] = [part for part in PARTS[:0:-1] if part not in labels]
    counts = Counter(classes[number] for number in labels["train"])
    if not checked:
        require_classes(dict(counts), where, least=1 + len(missing))
    rows: dict[Part, tuple[Part, np.ndarray]] = {part: (part, np.arange(len(numbers))) for part, numbers in labels.items()}
    for part in missing:
        left = rows["train"][1]
        # Where test is given, val may be small: what it takes is missing in train.
        share = min(math.ceil(len(left) / (10 if len(left) >= LARGE else 5)), 5_000) if "test" in labels else math.ceil(len(left) / 5)
        kept, taken = train_test_split(left, test_size=max(share, len(counts)), stratify=labels["train"][left], random_state=seed)
        rows["train"], rows[part] = ("train", np.sort(kept)), ("train", np.sort(taken))
    return {part: rows[part] for part in PARTS}


def subsample(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Return at most `limit` positions, in order, the first of each class among them."""
    firsts = np.unique(labels, return_index=True)[1]
    others = np.setdiff1d(tables.sample_indices(len(labels), limit, seed), firsts)
    return np.sort(np.concatenate([firsts, others[: max(0, limit - len(firsts))]]))


def require_known(labels: Mapping[Part, np.ndarray], classes: Sequence[str], where: str) -> None:
    """Refuse parts that are empty or hold classes that train lacks."""
    known = set(labels["train"].tolist())
    for part in ("val", "test"):
        unknown = sorted({classes[number] for number in set(labels[part].tolist()) - known})
        if unknown:
            raise DataError(f"{where}: {part} holds classes that train lacks: {', '.join(unknown[:10])}")
        if not len(labels[part]):
            raise DataError(f"{where}: the part {part} is empty")


def require_classes(counts: dict[str, int], where: str, *, least: int) -> None:
    """Refuse fewer than two classes, and classes too small to stand in every part.

    Raises:
        DataError: what is missing, with the counts.
    """
    listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:20])
    if len(counts) < 2:
        raise DataError(f"{where}: classification needs at least 2 classes. Found {len(counts)} ({listed})")
    small = {name: count for name, count in counts.items() if count < least}
    if small:
        named = ", ".join(f"{name!r} has {count}" for name, count in list(small.items())[:10])
        raise DataError(f"{where}: each class needs at least {least} examples, one for each of train, val and test. {named}. All: {listed}")
