"""What only texts show: where in length a network errs."""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation import classification
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.text.data import TextSplits

GROUPS = 5


def accuracy_by_length(predictions: np.ndarray, splits: "TextSplits", part: Part) -> "Figure":
    """Return the share of right answers for texts of about the same length, fifths of the part, with 95 % intervals."""
    from matplotlib.figure import Figure
    from scipy.stats import binomtest

    lengths = np.asarray(
        [len(text.split()) if splits.unit == "word" else len(text) for text in splits.texts(part)]
    )
    right = classification.losses(splits.labels(part), predictions) == 0
    groups = [
        rows for rows in np.array_split(np.argsort(lengths, kind="stable"), GROUPS) if len(rows)
    ]
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for place, rows in enumerate(groups):
        found = binomtest(int(right[rows].sum()), len(rows))
        interval = found.proportion_ci(method="wilson")
        share = right[rows].mean()
        axes.errorbar(
            place,
            share,
            yerr=[[share - interval.low], [interval.high - share]],
            fmt="o",
            color="tab:blue",
            capsize=4,
        )
    labels = [f"{lengths[rows].min()}-{lengths[rows].max()}\n({len(rows)})" for rows in groups]
    axes.set_xticks(range(len(groups)), labels)
    unit = "words" if splits.unit == "word" else "characters"
    axes.set(
        title="Are long texts harder?",
        xlabel=f"{unit} of a text (texts)",
        ylabel="share of right answers",
    )
    return figure
