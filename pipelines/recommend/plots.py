"""What a recommender does, in pictures: where targets stand, and for whom; or how ratings are met."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.recommend import scoring
from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = 5


def plots(
    predictions: np.ndarray, splits: RecommendSplits, part: Part
) -> Iterator[tuple[str, "Figure"]]:
    """Yield named figures of `predictions` in the form that `scoring` describes."""
    if splits.task == "rate":
        yield "ratings", _ratings(predictions, splits, part)
        return
    yield "hits", _hits(predictions, splits)
    popular = np.bincount(splits.item[splits.part == 0], minlength=splits.num_items + 1)
    cases = splits.cases(part)
    yield (
        "by_history",
        _grouped(
            predictions, cases.end - cases.start, "items in the history", "Does more history help?"
        ),
    )
    yield (
        "by_popularity",
        _grouped(
            predictions,
            popular[cases.target],
            "users of the target in train",
            "Are only popular items found?",
        ),
    )


def _hits(predictions: np.ndarray, splits: RecommendSplits) -> "Figure":
    from matplotlib.figure import Figure

    rank = np.sort(predictions[:, 0])
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.step(rank, np.arange(1, len(rank) + 1) / len(rank), where="post", label="this model")
    every = np.geomspace(1, splits.num_items, 50)
    axes.plot(every, every / splits.num_items, color="0.7", linestyle="--", label="by chance")
    axes.set(
        xscale="log",
        title="How long must a list be to hold the target?",
        xlabel="length of the list, K",
        ylabel="share of targets (HR@K)",
    )
    axes.legend(frameon=False)
    return figure


def _grouped(predictions: np.ndarray, values: np.ndarray, label: str, title: str) -> "Figure":
    """Return NDCG@10 of cases with about the same value, with one standard error."""
    from matplotlib.figure import Figure

    gains = scoring.gain(predictions[:, 0].astype(np.float64), 10)
    groups = [
        rows for rows in np.array_split(np.argsort(values, kind="stable"), GROUPS) if len(rows)
    ]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for place, rows in enumerate(groups):
        error = gains[rows].std() / np.sqrt(len(rows))
        axes.errorbar(place, gains[rows].mean(), yerr=error, fmt="o", color="tab:blue", capsize=4)
    axes.set_xticks(
        range(len(groups)),
        [f"{values[rows].min()}-{values[rows].max()}\n({len(rows)})" for rows in groups],
    )
    axes.set(title=title, xlabel=f"{label} (cases)", ylabel="NDCG@10", ylim=(0, None))
    return figure


def _ratings(predictions: np.ndarray, splits: RecommendSplits, part: Part) -> "Figure":
    from matplotlib.figure import Figure

    truth = splits.cases(part).rating
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    levels = np.unique(truth)
    if len(levels) > 12:
        levels = np.quantile(truth, np.linspace(0, 1, 11))
        groups = [
            predictions[np.abs(truth - level) <= np.diff(levels).max() / 2, 0] for level in levels
        ]
    else:
        groups = [predictions[truth == level, 0] for level in levels]
    axes.boxplot(
        groups,
        positions=levels,
        widths=0.6 * float(np.diff(levels).min(initial=1)),
        showfliers=False,
        manage_ticks=False,
    )
    axes.plot([levels[0], levels[-1]], [levels[0], levels[-1]], color="0.7", linestyle="--")
    axes.set(title="Are high ratings foreseen?", xlabel="rating", ylabel="prediction")
    return figure
