"""Classes of uneven size: when they are, and what each example then counts."""

import numpy as np

from pipelines.config.options import ClassMetric, Objective

ACCURACY = "accuracy"
BALANCED_ACCURACY = "balanced_accuracy"
# Classes are uneven where their effective number is below this share of their number. Of two
# classes it is crossed at 79 to 21.
EVEN_SHARE = 0.75


def effective_classes(counts: np.ndarray) -> float:
    """Return how many classes of equal size would be as uncertain: the inverse Simpson index.

    It is 1 / sum(p^2), the Hill number of order 2 (Hill 1973): all classes where they are of one
    size, and 1 where one class has nearly all examples. `counts` `(classes,)` are examples.
    """
    shares = counts / counts.sum()
    return float(1 / np.square(shares).sum())


def are_uneven(counts: np.ndarray) -> bool:
    """Whether always answering a large class would pass for a good answer, by accuracy.

    `counts` `(classes,)` are the training examples of each class.
    """
    if counts.sum() == 0:
        return False
    return effective_classes(counts) < EVEN_SHARE * len(counts)


def headline(counts: np.ndarray, asked: ClassMetric) -> Objective:
    """Return the metric to compare models in: what was `asked` for, or by the counts of train.

    Without a wish it is accuracy, and balanced accuracy where classes are uneven. Both are means
    over examples, so that the lift over a baseline has an interval; macro F1 and the Matthews
    correlation are not, and stand beside them.
    """
    name: str = asked
    if asked == "auto":
        name = BALANCED_ACCURACY if are_uneven(counts) else ACCURACY
    return Objective(name=name, direction="max")


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Return what an example of each class counts `(classes,)`, so that all classes count the same.

    It is n / (classes * count), after King and Zeng (2001), with a mean of 1 over the examples.
    Classes without examples have 0 and are no part of the mean.
    """
    seen = counts > 0
    weights = np.zeros(len(counts), dtype=np.float32)
    weights[seen] = counts.sum() / (seen.sum() * counts[seen])
    return weights


def remarks(counts: np.ndarray, classes: tuple[str, ...], asked: ClassMetric) -> tuple[str, ...]:
    """Return a sentence where the data has decided for balanced accuracy, else none."""
    if asked != "auto" or not are_uneven(counts):
        return ()
    largest = int(counts.argmax())
    share = counts[largest] / counts.sum()
    return (
        f"classes are uneven ({share:.0%} of train are {classes[largest]}): models are compared in "
        "balanced accuracy, the mean over classes of the share answered rightly "
        "(--metric accuracy: all examples alike; --set train.class_weight=auto: rare classes count "
        "more in the training)",
    )
