"""Scorers in closed form: exact, sparse and fast. Each has its settings in its fields, and is fitted to known rows of the log."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

if TYPE_CHECKING:
    from scipy import sparse

    Matrix: TypeAlias = "sparse.csr_matrix | np.ndarray"

MOST_EASE_ITEMS = 15_000  # EASE keeps one dense matrix (items, items): 900 MB then
TIE = 1e-5  # of the best score: how much popularity tells apart items that are equal otherwise


class Fitted(Protocol):
    """A fitted scorer."""

    @property
    def length(self) -> int:
        """How many of the last items it looks at (0: all)."""

    def scores(self, users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        """Return scores (cases, items + 1) float32 for user numbers (cases,) and padded histories (cases, any length)."""


class Scorer(Protocol):
    """Settings of a scorer."""

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> Fitted:
        """Return the scorer fitted to the rows of the log for which `known` (rows,) is true."""


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Scores that are a weighted sum over the history of rows of one matrix: all scorers here are of this form.

    `matrix` (items + 1, items + 1) tells how much row item speaks for column item, `weights` (length,) how much the
    last item, the last but one, ... counts; without weights all count the same. `popularity` (items + 1,), 0 to 1,
    breaks ties, and answers for those who have no history.
    """

    matrix: "Matrix"
    weights: np.ndarray | None
    popularity: np.ndarray
    length: int = 0

    def scores(self, users: np.ndarray, histories: np.ndarray) -> np.ndarray:
        """Return scores (cases, items + 1) float32 for padded histories (cases, any length); users do not matter."""
        from scipy import sparse

        histories = histories[:, -self.length :] if self.length else histories
        row, column = np.nonzero(histories)
        weight = np.ones(len(row), np.float32)
        if self.weights is not None:
            weight = self.weights[histories.shape[1] - 1 - column]
        history = sparse.csr_matrix(
            (weight, (row, histories[row, column])), shape=(len(histories), len(self.popularity))
        )
        product = history @ self.matrix
        found = np.asarray(
            product.toarray() if sparse.issparse(product) else product, dtype=np.float32
        )
        best = found.max(axis=1, keepdims=True)
        found += TIE * np.where(best > 0, best, 1) * self.popularity
        return found


def scores_of(fitted: Fitted, splits: RecommendSplits, part: Part, rows: slice) -> np.ndarray:
    """Return what `fitted` says to some of the cases of `part`: (cases, items + 1)."""
    return fitted.scores(splits.cases(part).user[rows], splits.histories(part, fitted.length, rows))


def popularity(splits: RecommendSplits, known: np.ndarray) -> np.ndarray:
    """Return how many of the known rows hold each item, by that of the most popular one: (items + 1,) float32."""
    counts = np.bincount(splits.item[known], minlength=splits.num_items + 1).astype(np.float32)
    counts[0] = 0
    return counts / max(float(counts.max()), 1)


def interactions(splits: RecommendSplits, known: np.ndarray) -> "sparse.csr_matrix":
    """Return 1 where a user has an item in the known rows: (people, items + 1) float32."""
    from scipy import sparse

    rows = known & (splits.item > 0)
    ones = np.ones(int(rows.sum()), np.float32)
    shape = (len(splits.people) + 1, splits.num_items + 1)
    matrix = sparse.csr_matrix((ones, (splits.person[rows], splits.item[rows])), shape=shape)
    matrix.data[:] = 1  # a pair stands there once; should it not, it still counts once
    return matrix


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """The same for everybody: what most users have."""

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> Linear:
        from scipy import sparse

        side, none = splits.num_items + 1, np.zeros(0, np.int32)
        nothing = sparse.csr_matrix((none.astype(np.float32), (none, none)), shape=(side, side))
        return Linear(matrix=nothing, weights=None, popularity=popularity(splits, known), length=1)


@dataclass(frozen=True, kw_only=True)
class ItemKNN:
    """Items by the cosine of their users to the items of the history (Sarwar et al. 2001).

    Each item looks for its `neighbours` nearest in the history (better on val than the other way round). `shrink`, added
    to the cosine's denominator, takes from pairs that few users have. With `recency`, the item p places from the end
    counts 1 / p ** recency.
    """

    neighbours: int
    shrink: float = 0.0
    recency: float = 0.0

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> Linear:
        matrix = _nearest(interactions(splits, known), self.neighbours, self.shrink)
        longest = int(np.bincount(splits.person).max())
        weights = (
            np.arange(1, longest + 1, dtype=np.float32) ** -self.recency if self.recency else None
        )
        return Linear(matrix=matrix, weights=weights, popularity=popularity(splits, known))


def _nearest(
    users: "sparse.csr_matrix", neighbours: int, shrink: float = 0.0, block: int = 2048
) -> "sparse.csr_matrix":
    """Return each item's cosines to its nearest items, in its column, 0 to itself: (items + 1, items + 1).

    `users` is (people, items + 1). Blocks of items bound the memory.
    """
    from scipy import sparse

    norm = np.sqrt(np.asarray(users.sum(axis=0)).ravel())
    turned = users.T.tocsr()
    parts = []
    for begin in range(0, len(norm), block):
        both = sparse.csr_matrix(turned[begin : begin + block] @ users)
        own = np.repeat(norm[begin : begin + block], np.diff(both.indptr))
        both.data = both.data / (own * norm[both.indices] + shrink)
        parts.append(_largest(both, np.arange(begin, begin + both.shape[0]), neighbours))
    return sparse.csr_matrix(sparse.vstack(parts).T, dtype=np.float32)


def _largest(cosines: "sparse.csr_matrix", itself: np.ndarray, count: int) -> "sparse.csr_matrix":
    """Return the `count` largest values of each row but that in the column `itself` (rows,)."""
    from scipy import sparse

    chosen = []
    for row, own in enumerate(itself):
        begin, end = cosines.indptr[row], cosines.indptr[row + 1]
        values = np.where(cosines.indices[begin:end] == own, -1, cosines.data[begin:end])
        best = (
            np.argpartition(-values, count)[:count]
            if len(values) > count
            else np.arange(len(values))
        )
        chosen.append(begin + best[values[best] > 0])
    sizes = np.array([len(places) for places in chosen])
    places = np.concatenate(chosen)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return sparse.csr_matrix(
        (cosines.data[places], cosines.indices[places], bounds), shape=cosines.shape
    )


@dataclass(frozen=True, kw_only=True)
class Markov:
    """Counts of which item follows which within a window: the item d places later counts 1 / d ** decay.

    The counts of a pair are divided by `row` total ** row_power * column total ** column_power. The score is the sum
    over the last `window` items, the item d places from the end again weighted by 1 / d ** decay.
    """

    window: int = 8
    decay: float = 0.5
    row_power: float = 0.5
    column_power: float = 0.25

    def weights(self) -> np.ndarray:
        """Return how much a distance of 1, 2, ... counts: (window,)."""
        return (np.arange(1, self.window + 1) ** -self.decay).astype(np.float32)

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> Linear:
        from scipy import sparse

        matrix = transitions(splits, known, self.weights())
        rows = _power(np.asarray(matrix.sum(axis=1)).ravel(), -self.row_power)
        columns = _power(np.asarray(matrix.sum(axis=0)).ravel(), -self.column_power)
        scaled = sparse.csr_matrix(
            sparse.diags(rows) @ matrix @ sparse.diags(columns), dtype=np.float32
        )
        return Linear(
            matrix=scaled,
            weights=self.weights(),
            popularity=popularity(splits, known),
            length=self.window,
        )


def _power(totals: np.ndarray, power: float) -> np.ndarray:
    return np.asarray(np.power(totals, power, out=np.zeros_like(totals), where=totals > 0))


def transitions(
    splits: RecommendSplits, known: np.ndarray, weights: np.ndarray
) -> "sparse.csr_matrix":
    """Return how often column item came 1, 2, ... places after row item in the known rows, times `weights` (window,)."""
    from scipy import sparse

    rows = known & (splits.item > 0)
    item, person = splits.item[rows], splits.person[rows]
    side = splits.num_items + 1

    def counts(distance: int, weight: float) -> "sparse.csr_matrix":
        same = person[distance:] == person[:-distance]
        pair = item[:-distance][same], item[distance:][same]
        return sparse.csr_matrix(
            (np.full(len(pair[0]), weight, np.float32), pair), shape=(side, side)
        )

    total = counts(1, weights[0])
    for distance, weight in enumerate(weights[1:], start=2):
        total = total + counts(distance, weight)
    return total


@dataclass(frozen=True, kw_only=True)
class Ease:
    """Embarrassingly shallow autoencoder (Steck 2019): a ridge regression of each item on all others, diagonal 0.

    The inverse is taken in place, in float32: memory is (items + 1)^2 * 4 bytes, 900 MB for 15,000 items. With `kept`, only
    so many weights of each item are kept, the largest: what is saved with a network shall not be larger than the network.
    """

    penalty: float
    kept: int = 0

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> Linear:
        from scipy.linalg import lapack

        users = interactions(splits, known)
        gram = np.asfortranarray((users.T @ users).toarray().T)
        gram[np.diag_indices_from(gram)] += self.penalty
        factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
        assert failed == 0, (
            failed
        )  # a Gram matrix with a positive diagonal added is positive definite
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
        assert failed == 0, failed
        _mirror(inverse)
        inverse /= -np.diagonal(inverse).copy()
        np.fill_diagonal(inverse, 0)
        matrix = (
            _strongest(inverse, self.kept) if 0 < self.kept < len(inverse) else np.asarray(inverse)
        )
        return Linear(matrix=matrix, weights=None, popularity=popularity(splits, known))


def _strongest(matrix: np.ndarray, count: int, block: int = 1024) -> "sparse.csr_matrix":
    """Return the `count` entries of each column that are largest by magnitude, a block of columns at a time."""
    from scipy import sparse

    parts = []
    for begin in range(0, matrix.shape[1], block):
        columns = matrix[:, begin : begin + block]
        rows = np.argpartition(-np.abs(columns), count, axis=0)[:count]
        values = np.take_along_axis(columns, rows, axis=0)
        bounds = np.arange(columns.shape[1] + 1) * count
        parts.append(
            sparse.csc_matrix((values.T.ravel(), rows.T.ravel(), bounds), shape=columns.shape)
        )
    return sparse.csr_matrix(sparse.hstack(parts), dtype=np.float32)


def _mirror(lower: np.ndarray, block: int = 1024) -> None:
    """Write the lower triangle into the upper one, in place, a block at a time."""
    side = len(lower)
    for begin in range(0, side, block):
        end = min(begin + block, side)
        corner = lower[begin:end, begin:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        lower[begin:end, end:] = lower[end:, begin:end].T


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The same rating for everything: the mean."""

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> "FittedBiases":
        mean = float(splits.rating[known].mean(dtype=np.float64))
        return FittedBiases(
            mean=mean, users=np.zeros(splits.num_users + 1), items=np.zeros(splits.num_items + 1)
        )


@dataclass(frozen=True, kw_only=True)
class Biases:
    """Ratings as mean + how far the user lies from it + how far the item does, both damped (Koren 2009).

    The ridge regression of ratings on users and items, solved by turns until nothing moves.
    """

    user_penalty: float
    item_penalty: float

    def fit(self, splits: RecommendSplits, known: np.ndarray) -> "FittedBiases":
        user, item, rating = (
            splits.user[known],
            splits.item[known],
            splits.rating[known].astype(np.float64),
        )
        mean = rating.mean()
        of_user, of_item = np.zeros(splits.num_users + 1), np.zeros(splits.num_items + 1)
        for _ in range(100):
            before = of_item
            of_user = _damped(rating - mean - of_item[item], user, self.user_penalty, len(of_user))
            of_item = _damped(rating - mean - of_user[user], item, self.item_penalty, len(of_item))
            if np.abs(of_item - before).max() < 1e-6:
                break
        return FittedBiases(mean=float(mean), users=of_user, items=of_item)


def _damped(left: np.ndarray, group: np.ndarray, penalty: float, count: int) -> np.ndarray:
    """Return what is left over in each group, summed, by its size + `penalty`; 0 for group 0, which is unknown."""
    size = np.bincount(group, minlength=count)
    found = np.bincount(group, left, minlength=count) / np.maximum(size + penalty, 1e-12)
    found[0] = 0
    return np.asarray(found)


@dataclass(frozen=True, kw_only=True)
class FittedBiases:
    """`users` (users + 1,) and `items` (items + 1,) are added to `mean`; those of 0, the unknown, are 0."""

    mean: float
    users: np.ndarray
    items: np.ndarray

    def ratings(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return ratings (cases,) for numbers of users and items."""
        return np.asarray(self.mean + self.users[users] + self.items[items])
