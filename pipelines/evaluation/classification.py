"""Scores, losses and tables of class probabilities, for any kind of input."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.errors import shorten
from pipelines.evaluation.class_balance import ACCURACY, BALANCED_ACCURACY, class_weights

if TYPE_CHECKING:
    import pandas as pd

# A baseline may be wrong with certainty, which would cost an infinite loss.
SMALLEST_PROBABILITY = 1e-7
DIGITS = 5  # of the probabilities in tables
SHOWN_CLASSES = 10


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy, plain and balanced, macro F1, Matthews correlation, log loss, and area.

    Args:
        labels: `(n,)` class numbers, or `(n, classes)` zeros and ones where an example may have
            several classes.
        probabilities: `(n, classes)`; where an example has one class, each row sums to 1.

    Macro F1 is the mean over the classes of the labels and of the answers, as in scikit-learn: a
    class that is in neither says nothing about the model. The area under the curve is one class
    against the rest, averaged over classes (for two classes the usual one); it is left out when
    `labels` lack a class, and the correlation when they have one class alone.
    """
    if labels.ndim == 2:
        result = _multi_label_scores(labels, probabilities)
    else:
        result = _single_label_scores(labels, probabilities)
    return {name: float(value) for name, value in result.items()}


def _single_label_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    from sklearn import metrics

    num_classes = probabilities.shape[1]
    classes = np.arange(num_classes)
    predicted = probabilities.argmax(axis=1)
    # scikit-learn wants rows that sum to 1, which clipped ones need not.
    clipped = np.clip(probabilities, SMALLEST_PROBABILITY, 1)
    clipped /= clipped.sum(axis=1, keepdims=True)
    result = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": 1 - losses(labels, probabilities, BALANCED_ACCURACY).mean(),
        "f1_macro": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        "log_loss": metrics.log_loss(labels, clipped, labels=classes),
    }
    if len(np.unique(labels)) > 1:  # examples of one class correlate with nothing
        result["mcc"] = metrics.matthews_corrcoef(labels, predicted)
    if len(np.unique(labels)) == num_classes:
        ranked = clipped
        if num_classes == 2:  # scikit-learn wants the score of the second class alone
            ranked = probabilities[:, 1]
        result["auc"] = metrics.roc_auc_score(labels, ranked, multi_class="ovr", labels=classes)
    return result


def _multi_label_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return accuracy, micro and macro F1, Hamming loss, and area under the ROC curve.

    An example counts as right for the accuracy when all of its classes are.
    """
    from sklearn import metrics

    predicted = probabilities > 0.5
    # As for single labels: a class that no example has and no answer names is not in the mean.
    is_present = (labels > 0).any(axis=0) | predicted.any(axis=0)
    present = np.flatnonzero(is_present) if is_present.any() else None
    result = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "f1_micro": metrics.f1_score(labels, predicted, average="micro", zero_division=0),
        "f1_macro": metrics.f1_score(
            labels, predicted, labels=present, average="macro", zero_division=0
        ),
        "hamming_loss": metrics.hamming_loss(labels, predicted),
    }
    every_class_has_both = (labels.min(axis=0) < labels.max(axis=0)).all()
    if every_class_has_both:
        result["auc"] = metrics.roc_auc_score(labels, probabilities, average="macro")
    return result


def absent_classes_note(present: Collection[str], classes: Sequence[str]) -> list[str]:
    """Return a sentence on the classes of a model that a hold-out lacks; none where it has all."""
    absent = [name for name in classes if name not in present]
    if not absent:
        return []
    return [
        f"{len(absent):,} of the model's {len(classes):,} classes are not in this data: "
        f"{shorten(absent, SHOWN_CLASSES)}. Macro F1 leaves out those that are not answered either"
    ]


def is_correct(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return `(n,)` whether each answer is right; with several classes, whether all are."""
    if labels.ndim == 2:
        return np.asarray(((probabilities > 0.5) == (labels > 0)).all(axis=1))
    return np.asarray(probabilities.argmax(axis=1) == labels)


def losses(labels: np.ndarray, probabilities: np.ndarray, metric: str = ACCURACY) -> np.ndarray:
    """Return 0 for each right answer and 1 for each wrong one; their mean is 1 minus `metric`.

    For balanced accuracy a wrong answer counts more the rarer its class is in `labels` `(n,)`.
    """
    wrong = np.asarray(~is_correct(labels, probabilities), dtype=float)
    if metric != BALANCED_ACCURACY:
        return wrong
    weights = class_weights(np.bincount(labels, minlength=probabilities.shape[1]))
    return np.asarray(wrong * weights[labels])


def table(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "pd.DataFrame":
    """Return one row for each example: its label, the answer, and the probability of each class.

    `probability` is that of the answer; `right` says whether the answer is the label.
    """
    import pandas as pd

    frame = pd.DataFrame({"example": np.arange(len(labels))})
    if labels.ndim == 2:
        frame["label"] = joined_names(labels > 0, classes)
        frame["answer"] = joined_names(probabilities > 0.5, classes)
    else:
        names = np.asarray(classes, dtype=object)
        frame["label"] = names[labels]
        frame["answer"] = names[probabilities.argmax(axis=1)]
    frame["probability"] = probabilities.max(axis=1).round(DIGITS)
    frame["right"] = is_correct(labels, probabilities)
    return frame.join(probability_columns(probabilities, classes))


def probability_columns(probabilities: np.ndarray, classes: Sequence[str]) -> "pd.DataFrame":
    """Return a column `p(<class>)` for each class."""
    import pandas as pd

    columns = [f"p({name})" for name in classes]
    return pd.DataFrame(probabilities.round(DIGITS), columns=columns)


def joined_names(chosen: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return the names of the classes in each row of `chosen` `(n, classes)`, as `a|b`."""
    names = np.asarray(classes, dtype=object)
    return ["|".join(names[row]) for row in chosen]
