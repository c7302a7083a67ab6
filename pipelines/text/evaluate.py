"""Scores, tables and figures of a text classifier."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.config.options import ClassMetric, Objective
from pipelines.errors import UsageError
from pipelines.evaluation import class_balance, classification
from pipelines.evaluation.mistakes import MOST_MISTAKES, SHOWN_CHARACTERS, shortened
from pipelines.evaluation.plots import classification_plots
from pipelines.splits import Part
from pipelines.text.thresholds import probabilities_of, rescaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.text.data import TextSplits

LENGTH_GROUPS = 5


def score(predictions: np.ndarray, splits: "TextSplits", part: Part) -> dict[str, float]:
    """Return the metrics of class probabilities `(n, classes)`; see `classification.scores`.

    Where a text may have several classes, predictions are those of `thresholds`.
    """
    return classification.scores(splits.labels(part), rescaled(predictions))


def losses(predictions: np.ndarray, splits: "TextSplits", part: Part, metric: str) -> np.ndarray:
    """Return a loss for each text, whose mean is 1 minus `metric`; see `classification.losses`."""
    return classification.losses(splits.labels(part), rescaled(predictions), metric)


def headline(splits: "TextSplits", asked: ClassMetric) -> Objective:
    """Return the metric to compare models in; see `class_balance.headline`.

    Raises:
        UsageError: balanced accuracy was asked for, and a text may have several classes.
    """
    if splits.exclusive:
        return class_balance.headline(splits.class_counts(), asked)
    if asked == class_balance.BALANCED_ACCURACY:
        raise UsageError(
            "--metric balanced_accuracy: a text has several labels here, so that it belongs to no "
            "one class. Expected: --metric accuracy (all labels of a text are right)"
        )
    return Objective(name=class_balance.ACCURACY, direction="max")


def table(predictions: np.ndarray, splits: "TextSplits", part: Part) -> pd.DataFrame:
    """Return one row a text: whence it comes, its beginning, label, answer, and probabilities.

    `row` is the line of the table on which it begins, or `file` the name of its file.
    """
    decided = rescaled(predictions)
    frame = classification.table(splits.labels(part), decided, splits.classes)
    if predictions.ndim == 3:
        shown = probabilities_of(predictions)
        frame["probability"] = shown.max(axis=1).round(classification.DIGITS)
        for name, column in classification.probability_columns(shown, splits.classes).items():
            frame[name] = column
    texts = splits.of_part(part)
    frame.insert(1, _origin_name(texts.origin), texts.origin)
    frame.insert(2, "text", [text[:SHOWN_CHARACTERS] for text in texts.x])
    return frame


def mistakes(predictions: np.ndarray, splits: "TextSplits", part: Part) -> pd.DataFrame:
    """Return the most confident wrong answers: the text, its label, and the answer.

    `probability` is that of the answer, `p(label)` that of the label. Where a text may have several
    labels, the worst is the one with the most confident wrong decision on one of them.
    """
    labels, decided = splits.labels(part), rescaled(predictions)
    confidence = decided.max(axis=1)
    if not splits.exclusive:
        confidence = np.abs(decided - labels).max(axis=1)
    wrong = np.flatnonzero(~classification.is_correct(labels, decided))
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]
    columns = ["label", "answer"]
    frame = classification.table(labels[worst], decided[worst], splits.classes)[columns]
    if splits.exclusive:
        frame["probability"] = confidence[worst].round(classification.DIGITS)
        frame["p(label)"] = decided[worst, labels[worst]].round(classification.DIGITS)
    texts = splits.of_part(part)
    frame.insert(0, "text", [shortened(str(texts.x[position])) for position in worst])
    frame.insert(0, _origin_name(texts.origin), [texts.origin[position] for position in worst])
    return frame


def _origin_name(origin: np.ndarray) -> str:
    """Return what tells whence a text comes: the file it is in, or the row of the table."""
    return "file" if len(origin) > 0 and isinstance(origin[0], str) else "row"


def plots(
    predictions: np.ndarray, splits: "TextSplits", part: Part
) -> Iterator[tuple[str, "Figure"]]:
    """Yield what all classifiers have (see `classification_plots`), and accuracy by length."""
    decided = rescaled(predictions)
    yield from classification_plots(splits.labels(part), decided, splits.classes)
    yield "accuracy_by_length", accuracy_by_length(decided, splits, part)


def accuracy_by_length(predictions: np.ndarray, splits: "TextSplits", part: Part) -> "Figure":
    """Return a plot of accuracy by the length of texts, with 95 % intervals (Wilson 1927).

    Each group holds a fifth of the part.
    """
    from matplotlib.figure import Figure
    from scipy.stats import binomtest

    unit = splits.tokenization.unit
    texts = splits.texts(part)
    lengths = np.asarray([len(text.split()) if unit == "word" else len(text) for text in texts])
    right = classification.is_correct(splits.labels(part), predictions)
    by_length = np.argsort(lengths, kind="stable")
    groups = [rows for rows in np.array_split(by_length, LENGTH_GROUPS) if len(rows)]
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    labels = []
    for position, rows in enumerate(groups):
        share = right[rows].mean()
        test = binomtest(int(right[rows].sum()), len(rows))
        interval = test.proportion_ci(method="wilson")
        error = [[share - interval.low], [interval.high - share]]
        axes.errorbar(position, share, yerr=error, fmt="o", color="tab:blue", capsize=4)
        labels.append(f"{lengths[rows].min()}-{lengths[rows].max()}\n({len(rows)})")
    axes.set_xticks(range(len(groups)), labels)
    unit_name = "words" if unit == "word" else "characters"
    axes.set(
        title="Are long texts harder?",
        xlabel=f"{unit_name} of a text (texts)",
        ylabel="share of right answers",
    )
    return figure
