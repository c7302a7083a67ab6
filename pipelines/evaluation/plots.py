"""Figures of class probabilities: which classes are confused, and how well they are calibrated."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.classification import is_correct

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES_WITH_NUMBERS = 25  # more would not be readable
LONGEST_UPRIGHT = 3  # characters of a class name; longer names would overlap
RELIABILITY_BINS = 10
FEW_EXAMPLES = 10  # in a bin
TALLEST = 14.0  # inches
DARK = "#101010"  # on a light cell; black follows the theme of the page that shows a figure


def classification_plots(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> Iterator[tuple[str, "Figure"]]:
    """Yield the confusion matrix and a reliability diagram.

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

    counts = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(len(classes)))
    # A class without examples has a row of noughts.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(TALLEST, 3 + 0.55 * len(classes))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    rotation: float | str = "horizontal"
    if max(map(len, classes)) > LONGEST_UPRIGHT:
        rotation = 45
    ConfusionMatrixDisplay(100 * shares, display_labels=list(classes)).plot(
        ax=axes,
        cmap="Blues",
        include_values=False,
        im_kw={"vmin": 0, "vmax": 100},
        xticks_rotation=rotation,
    )
    if len(classes) <= MOST_CLASSES_WITH_NUMBERS:
        _write_counts(axes, counts, shares)
    axes.set(
        title="Examples by label and answer; colour: per cent of the label",
        xlabel="answer",
        ylabel="label",
    )
    return figure


def _write_counts(axes: "Axes", counts: np.ndarray, shares: np.ndarray) -> None:
    for row, column in np.argwhere(counts > 0):
        color = "white" if shares[row, column] > 0.5 else DARK
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)


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
    display.line_.set_marker("")
    for x, y, count in zip(display.prob_pred, display.prob_true, counts, strict=True):
        # A bin of few examples is nearly noise.
        alpha = 1.0 if count >= FEW_EXAMPLES else 0.3
        axes.plot(x, y, "s", color=display.line_.get_color(), alpha=alpha)
        axes.annotate(
            str(count), (x, y), textcoords="offset points", xytext=(6, -12), fontsize=9, color="0.4"
        )
    axes.set(
        title="Calibration: is 80 % sure right 80 % of the time?",
        xlabel="mean probability of the answer (lighter: fewer than 10 examples)",
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
