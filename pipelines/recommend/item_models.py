"""Item models: popularity, item-kNN, Markov and EASE rank; means and biases rate.

Sparse and fast. Each has its settings in its fields, and is fitted to known rows of interactions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipelines.recommend.options import ITEM_TEXTS
from pipelines.splits import Part

if TYPE_CHECKING:
    from scipy import sparse

    from pipelines.recommend.data import RecommendSplits

    Matrix: TypeAlias = "sparse.csr_matrix | np.ndarray"

MOST_EASE_ITEMS = 15_000  # EASE keeps one dense matrix (items, items): 900 MB then
TIE = 1e-5  # of the best score: the weight of popularity among items that are equal otherwise
BLOCK = 2048  # items whose neighbours are found at once, which bounds the memory
DENSE_BLOCK = 1024  # columns of a dense matrix that are worked on at once
MOST_TURNS = 100  # of solving for users and items alternately
TEXT_LENGTH = 128  # tokens of an item's text that are read
CONVERGED = 1e-6  # rating points by which no item moves any more


@dataclass(frozen=True, kw_only=True)
class ItemModel:
    """Scores that are a weighted sum, over a history, of rows of one matrix.

    All rankers here have this form. `matrix` (items + 1, items + 1) says how strongly the row item
    suggests the column item, and `weights` (length,) how much the last item, the last but one, ...
    counts; without weights all count the same. `popularity` (items + 1,), 0 to 1, breaks ties, and
    is the score for those who have no history. `length` is how many of the last items count (0:
    all). `by_content`: items that nobody has had are scored as others are.
    """

    matrix: "Matrix"
    weights: np.ndarray | None
    popularity: np.ndarray
    length: int = 0
    by_content: bool = False

    def scores(self, histories: np.ndarray) -> np.ndarray:
        """Return scores (cases, items + 1) for left-padded histories (cases, any length).

        Scores are float32.
        """
        from scipy import sparse

        if self.length:
            histories = histories[:, -self.length :]
        row, column = np.nonzero(histories)
        weight = np.ones(len(row), np.float32)
        if self.weights is not None:
            weight = self.weights[histories.shape[1] - 1 - column]
        history = sparse.csr_matrix(
            (weight, (row, histories[row, column])), shape=(len(histories), len(self.popularity))
        )
        product = history @ self.matrix
        if sparse.issparse(product):
            product = product.toarray()
        scores = np.asarray(product, dtype=np.float32)
        best = scores.max(axis=1, keepdims=True)
        scores += TIE * np.where(best > 0, best, 1) * self.popularity
        return scores


def scores_of(
    item_model: ItemModel, splits: "RecommendSplits", part: Part, rows: slice | np.ndarray
) -> np.ndarray:
    """Return the scores (cases, items + 1) of some of the cases of `part`."""
    return item_model.scores(splits.histories(part, item_model.length, rows))


def popularity(splits: "RecommendSplits", mask: np.ndarray) -> np.ndarray:
    """Return each item's rows in `mask`, by their weights, over those of the most popular item.

    The shape is (items + 1,), float32.
    """
    weight = None if splits.weight is None else splits.weight[mask]
    counts = np.bincount(splits.item[mask], weight, splits.num_items + 1).astype(np.float32)
    counts[0] = 0
    return counts / max(float(counts.max()), 1)


def interaction_matrix(splits: "RecommendSplits", mask: np.ndarray) -> "sparse.csr_matrix":
    """Return 1 where a user has an item in the rows of `mask`: (people + 1, items + 1) float32.

    Where interactions have weights, it is the largest weight of the pair.
    """
    from scipy import sparse

    rows = mask & (splits.item > 0)
    ones = np.ones(int(rows.sum()), np.float32)
    shape = (len(splits.people) + 1, splits.num_items + 1)
    matrix = sparse.csr_matrix((ones, (splits.person[rows], splits.item[rows])), shape=shape)
    matrix.data[:] = 1  # a pair that occurs several times counts once
    if splits.weight is not None:
        matrix.data = _largest_weights(splits, rows)
    return matrix


def _largest_weights(splits: "RecommendSplits", rows: np.ndarray) -> np.ndarray:
    """Return the largest weight of each pair of user and item, in the order of their matrix."""
    assert splits.weight is not None
    person, item, weight = splits.person[rows], splits.item[rows], splits.weight[rows]
    order = np.lexsort((item, person))
    pairs = np.stack([person[order], item[order]])
    begins = np.flatnonzero(np.append(True, (np.diff(pairs) != 0).any(axis=0)))
    return np.asarray(np.maximum.reduceat(weight[order], begins), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Popularity:
    """The same for everybody: what most users have."""

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        from scipy import sparse

        side = splits.num_items + 1
        empty = np.zeros(0, np.int32)
        nothing = sparse.csr_matrix((empty.astype(np.float32), (empty, empty)), shape=(side, side))
        return ItemModel(
            matrix=nothing, weights=None, popularity=popularity(splits, mask), length=1
        )


@dataclass(frozen=True, kw_only=True)
class PersonalPopularity:
    """What the user had most often, then what is popular, for items that may come again.

    With `recency`, the item p places from the end counts 1 / p ** recency.
    """

    recency: float = 0.0

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        from scipy import sparse

        itself = sparse.identity(splits.num_items + 1, dtype=np.float32, format="csr")
        return ItemModel(
            matrix=itself,
            weights=recency_weights(splits, self.recency),
            popularity=popularity(splits, mask),
        )


@dataclass(frozen=True, kw_only=True)
class ItemKNN:
    """Items by the cosine of their users to the items of the history (Sarwar et al. 2001).

    Each item looks for its `neighbours` nearest in the history (better on val than the other way
    round). `shrink`, added to the cosine's denominator, takes from pairs that few users have. With
    `recency`, the item p places from the end counts 1 / p ** recency.
    """

    neighbours: int
    shrink: float = 0.0
    recency: float = 0.0

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        matrix = _nearest(interaction_matrix(splits, mask), self.neighbours, self.shrink)
        return ItemModel(
            matrix=matrix,
            weights=recency_weights(splits, self.recency),
            popularity=popularity(splits, mask),
        )


def recency_weights(splits: "RecommendSplits", recency: float) -> np.ndarray | None:
    """Return how much the last item, the last but one, ... counts, (longest history,).

    The item p places from the end counts 1 / p ** recency; None where all count the same.
    """
    if not recency:
        return None
    longest = int(np.bincount(splits.person).max())
    return np.asarray(np.arange(1, longest + 1, dtype=np.float32) ** -recency)


def _nearest(
    users: "sparse.csr_matrix", neighbours: int, shrink: float = 0.0, block: int = BLOCK
) -> "sparse.csr_matrix":
    """Return each item's cosines to its nearest items, in its column; 0 to itself.

    The matrix is (items + 1, items + 1). `users` is (people + 1, items + 1).
    """
    from scipy import sparse

    norm = np.sqrt(np.asarray(users.multiply(users).sum(axis=0)).ravel())
    by_item = users.T.tocsr()
    blocks = []
    for begin in range(0, len(norm), block):
        shared = sparse.csr_matrix(by_item[begin : begin + block] @ users)
        row_norm = np.repeat(norm[begin : begin + block], np.diff(shared.indptr))
        shared.data = shared.data / (row_norm * norm[shared.indices] + shrink)
        blocks.append(_largest(shared, np.arange(begin, begin + shared.shape[0]), neighbours))
    return sparse.csr_matrix(sparse.vstack(blocks).T, dtype=np.float32)


def _largest(cosines: "sparse.csr_matrix", itself: np.ndarray, count: int) -> "sparse.csr_matrix":
    """Return the `count` largest values of each row but that in the column `itself` (rows,)."""
    from scipy import sparse

    chosen = []
    for row, own_column in enumerate(itself):
        begin, end = cosines.indptr[row], cosines.indptr[row + 1]
        is_itself = cosines.indices[begin:end] == own_column
        values = np.where(is_itself, -1, cosines.data[begin:end])
        best = np.arange(len(values))
        if len(values) > count:
            best = np.argpartition(-values, count)[:count]
        chosen.append(begin + best[values[best] > 0])
    sizes = np.array([len(positions) for positions in chosen])
    positions = np.concatenate(chosen)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return sparse.csr_matrix(
        (cosines.data[positions], cosines.indices[positions], bounds), shape=cosines.shape
    )


@dataclass(frozen=True, kw_only=True)
class ItemTexts:
    """Items by the cosine of their texts to those of the history, as a pretrained encoder has it.

    Each item looks for its `neighbours` nearest among those that somebody has had, so that an item
    that nobody has had is scored as others are. With `recency`, the item p places from the end
    counts 1 / p ** recency. Items without a text have no neighbours.
    """

    encoder: str
    neighbours: int
    recency: float = 0.0

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model; the rows for which `mask` (rows,) is true say what somebody has had.

        Raises:
            UsageError, DataError: there is no such encoder, or not on this machine.
        """
        had = np.unique(splits.item[mask])
        return ItemModel(
            matrix=_nearest_texts(self._directions(splits), had[had > 0], self.neighbours),
            weights=recency_weights(splits, self.recency),
            popularity=popularity(splits, mask),
            by_content=True,
        )

    def _directions(self, splits: "RecommendSplits") -> np.ndarray:
        """Return the direction of each item's text, (items + 1, width); 0 without a text."""
        from pipelines.pretrained.sentences import find_encoder, sentence_vectors

        encoder = find_encoder(self.encoder, ITEM_TEXTS)
        length = min(TEXT_LENGTH, encoder.config.max_position_embeddings)
        texts = np.asarray(splits.texts, dtype=object)
        vectors = sentence_vectors(encoder, texts, length=length, pooling="mean")
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[texts == ""] = 0
        return np.concatenate([np.zeros_like(vectors[:1]), vectors])


def _nearest_texts(
    directions: np.ndarray, had: np.ndarray, neighbours: int, block: int = DENSE_BLOCK
) -> "sparse.csr_matrix":
    """Return each item's cosines to the nearest of the items `had`, in its column; 0 to itself.

    The matrix is (items + 1, items + 1). `directions` (items + 1, width) have length 1 or 0.
    """
    from scipy import sparse

    count = min(neighbours, len(had))
    side = len(directions)
    blocks = []
    for begin in range(0, side, block):
        own = np.arange(begin, min(begin + block, side))
        cosines = directions[own] @ directions[had].T
        cosines[own[:, None] == had] = 0
        best = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        values = np.maximum(np.take_along_axis(cosines, best, axis=1), 0)
        bounds = np.arange(len(own) + 1) * count
        entries = values.ravel(), had[best].ravel(), bounds
        rows = sparse.csr_matrix(entries, shape=(len(own), side), dtype=np.float32)
        rows.eliminate_zeros()
        blocks.append(rows)
    return sparse.csr_matrix(sparse.vstack(blocks).T)


@dataclass(frozen=True, kw_only=True)
class Markov:
    """Counts of which item follows which within a window.

    The item d places later counts 1 / d ** decay. The counts of a pair are divided by `row` total
    ** row_power * column total ** column_power. The score is the sum over the last `window` items,
    the item d places from the end again weighted by 1 / d ** decay.
    """

    window: int = 8
    decay: float = 0.5
    row_power: float = 0.5
    column_power: float = 0.25

    def weights(self) -> np.ndarray:
        """Return how much a distance of 1, 2, ... counts: (window,)."""
        return (np.arange(1, self.window + 1) ** -self.decay).astype(np.float32)

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        from scipy import sparse

        counts = transitions(splits, mask, self.weights())
        rows = _power(np.asarray(counts.sum(axis=1)).ravel(), -self.row_power)
        columns = _power(np.asarray(counts.sum(axis=0)).ravel(), -self.column_power)
        scaled = sparse.diags(rows) @ counts @ sparse.diags(columns)
        return ItemModel(
            matrix=sparse.csr_matrix(scaled, dtype=np.float32),
            weights=self.weights(),
            popularity=popularity(splits, mask),
            length=self.window,
        )


def _power(totals: np.ndarray, power: float) -> np.ndarray:
    return np.asarray(np.power(totals, power, out=np.zeros_like(totals), where=totals > 0))


def transitions(
    splits: "RecommendSplits", mask: np.ndarray, weights: np.ndarray
) -> "sparse.csr_matrix":
    """Return how often column item follows row item in the rows of `mask`, weighted by distance.

    `weights` (window,) are those of 1, 2, ... places; where interactions have weights, that of the
    later one counts too.
    """
    from scipy import sparse

    rows = mask & (splits.item > 0)
    item, person = splits.item[rows], splits.person[rows]
    of_rows = None if splits.weight is None else splits.weight[rows]
    side = splits.num_items + 1

    def counts(distance: int, weight: float) -> "sparse.csr_matrix":
        same_user = person[distance:] == person[:-distance]
        pairs = item[:-distance][same_user], item[distance:][same_user]
        values = np.full(len(pairs[0]), weight, np.float32)
        if of_rows is not None:
            values *= of_rows[distance:][same_user]
        return sparse.csr_matrix((values, pairs), shape=(side, side))

    total = counts(1, weights[0])
    for distance, weight in enumerate(weights[1:], start=2):
        total = total + counts(distance, weight)
    return total


@dataclass(frozen=True, kw_only=True)
class Ease:
    """Embarrassingly shallow autoencoder (Steck 2019).

    It is a ridge regression of each item on all others, with a diagonal of 0. The inverse is taken
    in place, in float32: memory is (items + 1)^2 * 4 bytes, 900 MB for 15,000 items. With `kept`,
    only so many weights of each item are kept, the largest: what is saved with a network shall not
    be larger than the network.
    """

    penalty: float
    kept: int = 0

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> ItemModel:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        from scipy.linalg import lapack

        users = interaction_matrix(splits, mask)
        gram = np.asfortranarray((users.T @ users).toarray().T)
        gram[np.diag_indices_from(gram)] += self.penalty
        # A Gram matrix with a positive diagonal added is positive definite: neither can fail.
        factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
        assert failed == 0, failed
        inverse, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
        assert failed == 0, failed
        _mirror(inverse)
        inverse /= -np.diagonal(inverse).copy()
        np.fill_diagonal(inverse, 0)
        matrix: Matrix = np.asarray(inverse)
        if 0 < self.kept < len(inverse):
            matrix = _strongest(inverse, self.kept)
        return ItemModel(matrix=matrix, weights=None, popularity=popularity(splits, mask))


def _strongest(matrix: np.ndarray, count: int, block: int = DENSE_BLOCK) -> "sparse.csr_matrix":
    """Return the `count` entries of each column that are largest by magnitude."""
    from scipy import sparse

    blocks = []
    for begin in range(0, matrix.shape[1], block):
        columns = matrix[:, begin : begin + block]
        rows = np.argpartition(-np.abs(columns), count, axis=0)[:count]
        values = np.take_along_axis(columns, rows, axis=0)
        bounds = np.arange(columns.shape[1] + 1) * count
        entries = values.T.ravel(), rows.T.ravel(), bounds
        blocks.append(sparse.csc_matrix(entries, shape=columns.shape))
    return sparse.csr_matrix(sparse.hstack(blocks), dtype=np.float32)


def _mirror(lower: np.ndarray, block: int = DENSE_BLOCK) -> None:
    """Write the lower triangle into the upper one, in place."""
    side = len(lower)
    for begin in range(0, side, block):
        end = min(begin + block, side)
        corner = lower[begin:end, begin:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        lower[begin:end, end:] = lower[end:, begin:end].T


@dataclass(frozen=True, kw_only=True)
class FittedBiases:
    """Biases that are added to `mean`: `users` (users + 1,) and `items` (items + 1,).

    Those of number 0, the unknown, are 0.
    """

    mean: float
    users: np.ndarray
    items: np.ndarray

    def ratings(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Return ratings (cases,) for numbers of users and items."""
        return np.asarray(self.mean + self.users[users] + self.items[items])


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The same rating for everything: the mean."""

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> FittedBiases:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        return FittedBiases(
            mean=float(splits.rating[mask].mean(dtype=np.float64)),
            users=np.zeros(splits.num_users + 1),
            items=np.zeros(splits.num_items + 1),
        )


@dataclass(frozen=True, kw_only=True)
class Biases:
    """Ratings as mean + the user's difference to it + the item's, both damped (Koren 2009).

    The ridge regression of ratings on users and items, solved alternately until nothing moves.
    """

    user_penalty: float
    item_penalty: float

    def fit(self, splits: "RecommendSplits", mask: np.ndarray) -> FittedBiases:
        """Return the model fitted to the rows for which `mask` (rows,) is true."""
        user, item = splits.user[mask], splits.item[mask]
        rating = splits.rating[mask].astype(np.float64)
        mean = rating.mean()
        of_user, of_item = np.zeros(splits.num_users + 1), np.zeros(splits.num_items + 1)
        for _ in range(MOST_TURNS):
            before = of_item
            of_user = _damped(rating - mean - of_item[item], user, self.user_penalty, len(of_user))
            of_item = _damped(rating - mean - of_user[user], item, self.item_penalty, len(of_item))
            if np.abs(of_item - before).max() < CONVERGED:
                break
        return FittedBiases(mean=float(mean), users=of_user, items=of_item)


def _damped(residual: np.ndarray, group: np.ndarray, penalty: float, count: int) -> np.ndarray:
    """Return the sum of the residuals of each group, divided by its size + `penalty`.

    It is 0 for group 0, the unknown one.
    """
    size = np.bincount(group, minlength=count)
    damped = np.bincount(group, residual, minlength=count) / np.maximum(size + penalty, 1e-12)
    damped[0] = 0
    return np.asarray(damped)


Ranker: TypeAlias = Popularity | PersonalPopularity | ItemKNN | ItemTexts | Markov | Ease
Rater: TypeAlias = Mean | Biases
