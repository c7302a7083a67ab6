"""Figures of class probabilities: which classes are confused, and how well they are calibrated."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.classification import is_correct

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES_WITH_NUMBERS = 25  # more would not be readable
LONGEST_UPRIGHT = 3  # characters of a class name; longer names would overlap
RELIABILITY_BINS = 10
TALLEST = 14.0  # inches


def classification_plots(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Iterator[tuple[str, "Figure"]]:
    """Yield the confusion matrix, in per cent of each true class, and a reliability diagram.

    `labels` and `probabilities` are those of `classification.scores`. Examples with several classes
    have no confusion matrix: F1 by class stands in its place.
    """
    if labels.ndim == 2:
        yield "f1_by_class", _f1_by_class(labels, probabilities, classes)
        return
    yield "confusion", _confusion(labels, probabilities, classes)
    yield "reliability", _reliability(labels, probabilities)


def _confusion(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    shares = confusion_matrix(
        labels, probabilities.argmax(axis=1), labels=np.arange(len(classes)), normalize="true"
    )
    side = min(TALLEST, 3 + 0.55 * len(classes))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    rotation: float | str = "horizontal"
    if max(map(len, classes)) > LONGEST_UPRIGHT:
        rotation = 45
    ConfusionMatrixDisplay(100 * shares, display_labels=list(classes)).plot(
        ax=axes,
        cmap="Blues",
        values_format=".0f",
        include_values=len(classes) <= MOST_CLASSES_WITH_NUMBERS,
        xticks_rotation=rotation,
    )
    axes.set(title="Answers for each true class, per cent", xlabel="answer", ylabel="label")
    return figure


def _f1_by_class(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from sklearn.metrics import f1_score

    f1 = f1_score(labels, probabilities > 0.5, average=None, zero_division=0)
    order = np.argsort(f1, kind="stable")
    height = min(TALLEST, 1.5 + 0.3 * len(classes))
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.subplots()
    axes.barh(np.asarray(classes, dtype=object)[order], f1[order], color="tab:blue")
    axes.set(title="Which labels are hard?", xlabel="F1 of the label", xlim=(0, 1))
    return figure


def _reliability(labels: np.ndarray, probabilities: np.ndarray) -> "Figure":
    from matplotlib.figure import Figure
    from sklearn.calibration import CalibrationDisplay

    confidence = probabilities.max(axis=1)
    right = is_correct(labels, probabilities)
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.subplots()
    display = CalibrationDisplay.from_predictions(
        right,
        np.clip(confidence, 0, 1),
        n_bins=RELIABILITY_BINS,
        ax=axes,
        ref_line=True,
        name="this model",
    )
    counts = _bin_counts(confidence)
    for x, y, count in zip(display.prob_pred, display.prob_true, counts, strict=True):
        axes.annotate(
            str(count), (x, y), textcoords="offset points", xytext=(6, -12), fontsize=8, color="0.4"
        )
    axes.set(
        title="Calibration: is 80 % sure right 80 % of the time?",
        xlabel="mean probability of the answer",
        ylabel="share of right answers",
    )
    axes.legend(loc="lower right", frameon=False)
    return figure


def _bin_counts(confidence: np.ndarray) -> np.ndarray:
    """Return the number of examples in each bin of `calibration_curve` that is not empty."""
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    bins = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(bins, minlength=RELIABILITY_BINS)
    return counts[counts > 0]
