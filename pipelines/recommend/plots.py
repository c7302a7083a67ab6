"""Figures of a recommender: ranks of targets, overall and by user; or predicted by true ratings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.recommend.ranking import discounted_gain
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.recommend.data import RecommendSplits

NUM_GROUPS = 5  # of cases, one error bar each
MOST_LEVELS = 12  # of ratings with a box each; finer ratings are grouped around ten quantiles
FIGURE_SIZE = (6, 4)  # inches


def plots(
    predictions: np.ndarray, splits: "RecommendSplits", part: Part
) -> Iterator[tuple[str, "Figure"]]:
    """Yield named figures of `predictions` in the form that `ranking` describes."""
    cases = splits.cases(part)
    if splits.task == "rate":
        yield "ratings", _ratings(predictions[:, 0], cases.rating)
        return
    rank = predictions[:, 0]
    yield "hits", _hits(rank, splits.num_items)
    history_sizes = cases.end - cases.start
    yield (
        "by_history",
        _gain_by_group(rank, history_sizes, "items in the history", "Does more history help?"),
    )
    num_users = splits.train_counts()[cases.target]
    yield (
        "by_popularity",
        _gain_by_group(
            rank, num_users, "users of the target in train", "Are only popular items found?"
        ),
    )


def _hits(rank: np.ndarray, num_items: int) -> "Figure":
    from matplotlib.figure import Figure

    rank = np.sort(rank)
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.subplots()
    share = np.arange(1, len(rank) + 1) / len(rank)
    axes.step(rank, share, where="post", label="this model")
    lengths = np.geomspace(1, num_items, 50)
    axes.plot(lengths, lengths / num_items, color="0.7", linestyle="--", label="by chance")
    axes.set(
        xscale="log",
        title="How long must a list be to hold the target?",
        xlabel="length of the list, K",
        ylabel="share of targets (HR@K)",
    )
    axes.legend(frameon=False)
    return figure


def _gain_by_group(rank: np.ndarray, values: np.ndarray, label: str, title: str) -> "Figure":
    """Return NDCG@10 of cases with about the same value, with one standard error."""
    from matplotlib.figure import Figure

    gains = discounted_gain(rank.astype(np.float64), 10)
    order = np.argsort(values, kind="stable")
    groups = [rows for rows in np.array_split(order, NUM_GROUPS) if len(rows)]
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.subplots()
    ticks = []
    for place, rows in enumerate(groups):
        error = gains[rows].std() / np.sqrt(len(rows))
        axes.errorbar(place, gains[rows].mean(), yerr=error, fmt="o", color="tab:blue", capsize=4)
        ticks.append(f"{values[rows].min()}-{values[rows].max()}\n({len(rows)})")
    axes.set_xticks(range(len(groups)), ticks)
    axes.set(title=title, xlabel=f"{label} (cases)", ylabel="NDCG@10", ylim=(0, None))
    return figure


def _ratings(predicted: np.ndarray, truth: np.ndarray) -> "Figure":
    from matplotlib.figure import Figure

    levels = np.unique(truth)
    half_width = 0.0  # ratings are these levels exactly
    if len(levels) > MOST_LEVELS:
        levels = np.quantile(truth, np.linspace(0, 1, 11))
        half_width = np.diff(levels).max() / 2
    groups = [predicted[np.abs(truth - level) <= half_width] for level in levels]
    figure = Figure(figsize=FIGURE_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.boxplot(
        groups,
        positions=levels,
        widths=0.6 * float(np.diff(levels).min(initial=1)),
        showfliers=False,
        manage_ticks=False,
    )
    ends = [levels[0], levels[-1]]
    axes.plot(ends, ends, color="0.7", linestyle="--")
    axes.set(title="Are high ratings foreseen?", xlabel="rating", ylabel="prediction")
    return figure
